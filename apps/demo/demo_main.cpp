// Runs three pipelines on a photograph and on matrices, each under its default and its hand-written schedule; checks them against
// the interpreter, times them, and writes pictures.
#include "image_io.h"
#include "kernels.h"
#include "oracle_check.h"
#include "photo_planes.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <random>

namespace demo {
namespace {

constexpr int enlargement = 4;
constexpr std::int64_t crop_size = 64;

struct Options {
    std::string photo = DEMO_PHOTO;
    std::string out = "out";
    bool quick = false;
    [[nodiscard]] int runs() const { return quick ? 3 : 21; }
    [[nodiscard]] std::int64_t matmul_size() const { return quick ? 200 : 1024; }
};

struct Row {
    std::string pipeline, schedule;
    double milliseconds;
    std::string ratio, speed, check;
};

/// The arguments of one pipeline, and its work by which times become speeds.
struct Work {
    std::vector<Planes> inputs;
    std::vector<std::int64_t> extents;  // of the output
    double amount;                      // of `unit` in one run, in millions
    const char* unit;
};

/// Median times in milliseconds, of runs that take turns.
std::pair<double, double> time_both(const KernelPair& kernels, const Work& work, const Planes& a, const Planes& b, int runs) {
    std::vector<double> first, second;
    const auto timed = [&](const Kernel& kernel, const Planes& out) {
        const auto start = std::chrono::steady_clock::now();
        run(kernel, work.inputs, out);
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    };
    for (int i = -2; i < runs; ++i) {
        const double x = timed(kernels.by_default, a), y = timed(kernels.by_hand, b);
        if (i < 0) continue;  // warms caches and threads up
        first.push_back(x);
        second.push_back(y);
    }
    const auto median = [](std::vector<double>& times) {
        std::nth_element(times.begin(), times.begin() + std::ptrdiff_t(times.size() / 2), times.end());
        return times[times.size() / 2];
    };
    return {median(first), median(second)};
}

/// What the interpreter says about a part of the output, and that part of an output.
struct Crop {
    Planes expected;
    std::function<Planes(const Planes&)> of;
    double tolerance;  // relative to the largest value
};

std::string verdict(const Crop& crop, const Planes& output, bool& all_ok) {
    const double difference = largest_difference(crop.of(output), crop.expected);
    if (difference == 0) return "ok, same bits";
    if (difference <= crop.tolerance) return fmt::format("ok, within {:.0e}", difference);
    all_ok = false;
    return fmt::format("DIFFERS by {:.1e}", difference);
}

void add_rows(std::vector<Row>& table, const KernelPair& kernels, const Work& work, const Crop& crop, int runs, bool& all_ok) {
    const Planes a(work.extents), b(work.extents);
    fmt::print("running {} under two schedules\n", kernels.pipeline);
    const auto [slow, fast] = time_both(kernels, work, a, b, runs);
    const auto speed = [&](double milliseconds) { return fmt::format("{:.1f} {}", work.amount / milliseconds, work.unit); };
    table.push_back({kernels.pipeline, kernels.by_default.schedule, slow, "1.00", speed(slow), verdict(crop, a, all_ok)});
    table.push_back({kernels.pipeline, kernels.by_hand.schedule, fast, fmt::format("{:.2f}", slow / fast), speed(fast),
                     verdict(crop, b, all_ok)});
}

/// The middle of an image of the given extents: its first row and column.
std::pair<std::int64_t, std::int64_t> middle(std::int64_t height, std::int64_t width, std::int64_t size) {
    return {std::max<std::int64_t>(0, (height - size) / 2), std::max<std::int64_t>(0, (width - size) / 2)};
}

Crop unsharp_crop(const Planes& photo, const std::string& graph) {
    // Two blurs over three neighbours: what is that far from a cut does not depend on what was cut off.
    constexpr std::int64_t reach = 3;
    const std::int64_t height = std::min(crop_size, photo.extent(1)), width = std::min(crop_size, photo.extent(2));
    const auto [top, left] = middle(photo.extent(1), photo.extent(2), crop_size);
    const auto part = [=, y = top, x = left](const Planes& p) { return p.crop(1, y, y + height).crop(2, x, x + width); };
    const auto inner = [=](const Planes& p) {
        return p.crop(1, std::min(reach, height / 2), height - std::min(reach, height / 2))
            .crop(2, std::min(reach, width / 2), width - std::min(reach, width / 2));
    };
    return {inner(evaluate(graph, {part(photo)}, {3, height, width})), [=](const Planes& p) { return inner(part(p)); }, 0};
}

Crop harris_crop(const Planes& padded_photo, const std::string& graph) {
    const std::int64_t height = std::min(crop_size, padded_photo.extent(1) - 4),
                       width = std::min(crop_size, padded_photo.extent(2) - 4);
    const auto [top, left] = middle(padded_photo.extent(1) - 4, padded_photo.extent(2) - 4, crop_size);
    const Planes from = padded_photo.crop(1, top, top + height + 4).crop(2, left, left + width + 4);
    return {evaluate(graph, {from}, {height, width}),
            [=, y = top, x = left](const Planes& p) { return p.crop(0, y, y + height).crop(1, x, x + width); }, 0};
}

Planes random_values(std::vector<std::int64_t> extents, unsigned rng_start, float scale) {
    const Planes values(std::move(extents));
    std::mt19937 rng(rng_start);
    values.for_each([&](float& v) { v = scale * (static_cast<float>(rng() >> 8) * 0x1p-23f - 1.0f); });
    return values;
}

void add_matmul(std::vector<Row>& table, const Options& options, bool& all_ok) {
    const std::int64_t size = options.matmul_size();
    const KernelPair kernels = matmul_kernels();
    // Entries of the product are of the order of one, where GELU bends.
    const Planes a = random_values({size, size}, 1, 1), b = random_values({size, size}, 2, 0.1f),
                 bias = random_values({size}, 3, 1);
    const std::int64_t rows = std::min<std::int64_t>(8, size), columns = std::min<std::int64_t>(40, size);
    const auto [top, left] = middle(size, size, columns);
    fmt::print("evaluating a part of matmul + bias + GELU in the interpreter\n");
    const Planes expected = evaluate(
        kernels.graph_file, {a.crop(0, top, top + rows), b.crop(1, left, left + columns), bias.crop(0, left, left + columns)},
        {rows, columns});
    // Order `any`: a schedule may add in another order; Higham 2002, section 3.1, bounds that by gamma_k, statistics by its root.
    const double tolerance = 8 * std::sqrt(static_cast<double>(size)) * 0x1p-24;
    const Crop crop{expected, [=, y = top, x = left](const Planes& p) { return p.crop(0, y, y + rows).crop(1, x, x + columns); },
                    tolerance};
    const double flops = 2.0 * static_cast<double>(size * size * size);
    add_rows(table, kernels, {{a, b, bias}, {size, size}, flops * 1e-6, "GFLOP/s"}, crop, options.runs(), all_ok);
    for (size_t i = table.size() - 2; i < table.size(); ++i) table[i].pipeline = fmt::format("matmul+bias+GELU {}", size);
}

void print_table(const std::vector<Row>& table) {
    fmt::print("\n{:<24} {:<32} {:>9} {:>6} {:>16}  {}\n", "pipeline", "schedule", "ms", "ratio", "speed", "interpreter says");
    for (const Row& r : table)
        fmt::print("{:<24} {:<32} {:>9.3f} {:>6} {:>16}  {}\n", r.pipeline, r.schedule, r.milliseconds, r.ratio, r.speed,
                   r.check);
    fmt::print("\nratio: time of the default schedule / time of the row; threads: {}\n", tessera_num_threads());
}

int run_demo(const Options& options) {
    fmt::print("reading {}\n", options.photo);
    const Planes photo = planes_of(apps::read_image(options.photo));
    const std::int64_t height = photo.extent(1), width = photo.extent(2);
    std::filesystem::create_directories(options.out);

    fmt::print("writing pictures of {} x {} pixels\n", width, height);
    const Planes sharp{3, height, width}, corner{height, width};
    run(unsharp_kernels().by_hand, {photo}, sharp);
    run(harris_kernels().by_hand, {padded(photo, 2)}, corner);
    int corners = 0;
    const std::vector<std::pair<std::string, apps::Image>> pictures{
        {options.out + "/photo.png", image_of(photo)},
        {options.out + "/unsharp.png", image_of(sharp)},
        {options.out + "/harris.png", marked_corners(photo, corner, corners)}};
    for (const auto& [path, image] : pictures) apps::write_image(path, image);

    const int factor = options.quick ? 1 : enlargement;
    const Planes large = enlarged(photo, factor);
    const double pixels = static_cast<double>(large.extent(1) * large.extent(2));
    fmt::print("timing on the photo enlarged to {} x {}\n", large.extent(2), large.extent(1));
    bool all_ok = true;
    std::vector<Row> table;
    {
        const KernelPair kernels = unsharp_kernels();
        add_rows(table, kernels, {{large}, large.extents(), pixels * 1e-3, "Mpixel/s"}, unsharp_crop(large, kernels.graph_file),
                 options.runs(), all_ok);
    }
    {
        const KernelPair kernels = harris_kernels();
        const Planes input = padded(large, 2);
        add_rows(table, kernels, {{input}, {large.extent(1), large.extent(2)}, pixels * 1e-3, "Mpixel/s"},
                 harris_crop(input, kernels.graph_file), options.runs(), all_ok);
    }
    add_matmul(table, options, all_ok);
    print_table(table);
    fmt::print("pictures ({} corners marked):", corners);
    for (const auto& [path, image] : pictures) fmt::print(" {}", path);
    fmt::print("\n");
    if (!all_ok) fmt::print(stderr, "demo: a kernel differs from the interpreter\n");
    return all_ok ? 0 : 1;
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
    demo::Options options;
    CLI::App app("compiled kernels under two schedules each, on a photograph");
    app.add_option("--photo", options.photo, "a PNG or JPEG file");
    app.add_option("--out", options.out, "folder of the pictures");
    app.add_flag("--quick", options.quick, "small sizes and few runs: times mean little");
    CLI11_PARSE(app, argc, argv);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        return demo::run_demo(options);
    } catch (const std::exception& e) {
        fmt::print(stderr, "demo: {}\n", e.what());
        return 1;
    }
}
