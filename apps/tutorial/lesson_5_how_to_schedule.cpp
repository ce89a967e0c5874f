// Lesson 5: how to schedule. One pipeline from one core's plain loops to the speed of an expert, a step at a time; every step
// computes the same bits. Times go to stderr: lesson_5_how_to_schedule [HEIGHT WIDTH].
#include "expect.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <vector>

using namespace tessera;

namespace {

/// Harris' corner measure of a photo of 3 planes, larger by 2 on each side.
Algorithm harris() {
    Dim y("y"), x("x"), c("c", 3), in_y("in_y", y.extent() + 4), in_x("in_x", x.extent() + 4);
    Input photo("photo", f32, {c, in_y, in_x});
    Func gray("gray"), gx("gx"), gy("gy"), corner("corner");
    gray(y, x) = 0.299f * photo(0, y, x) + 0.587f * photo(1, y, x) + 0.114f * photo(2, y, x);
    const auto slope = [&](auto&& at) { return (at(2, 0) - at(0, 0)) + 2.0f * (at(2, 1) - at(0, 1)) + (at(2, 2) - at(0, 2)); };
    gx(y, x) = slope([&](int along, int across) { return Expr(gray(y + across, x + along)); });
    gy(y, x) = slope([&](int along, int across) { return Expr(gray(y + along, x + across)); });
    const auto sum_3x3 = [&](const Func& f, const Func& g) {
        Expr total = f(y, x) * g(y, x);
        for (int i = 1; i < 9; ++i) total = total + f(y + i % 3, x + i / 3) * g(y + i % 3, x + i / 3);
        return total;
    };
    const Expr xx = sum_3x3(gx, gx), yy = sum_3x3(gy, gy), xy = sum_3x3(gx, gy), trace = xx + yy;
    corner(y, x) = (xx * yy - xy * xy) - 0.04f * trace * trace;
    return Algorithm({corner}, {photo});
}

double milliseconds(const Module& kernel, const Buffer<float>& in, const Buffer<float>& out) {
    std::vector<double> times;
    for (int run = 0; run < 5; ++run) {
        const auto start = std::chrono::steady_clock::now();
        kernel({{"photo", in}}, {{"corner", out}});
        times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::nth_element(times.begin(), times.begin() + 2, times.end());
    return times[2];
}

}  // namespace

int main(int argc, char** argv) {
    const Algorithm algorithm = harris();
    std::vector<std::pair<const char*, Schedule>> steps;

    // 1. Every producer in memory. A stage that is not listed is computed again at every use: 54 slopes for a pixel.
    Schedule stored;
    for (const char* stage : {"corner", "gx", "gy", "gray"}) stored.stage(stage).root();
    steps.emplace_back("every stage at root", stored);

    // 2. Vectors along x, the dim that is contiguous in memory. 16 lanes of f32 are one AVX-512 register.
    Schedule vectors;
    for (const char* stage : {"corner", "gx", "gy", "gray"})
        vectors.stage(stage).root().serial("y").serial("x", 16, "xo").vector("x");
    steps.emplace_back("vectors of 16", vectors);

    // 3. Strips of rows in parallel.
    Schedule parallel;
    for (const char* stage : {"corner", "gx", "gy", "gray"})
        parallel.stage(stage).root().parallel("y", 64, "strip").serial("y", 0, "row").serial("x", 16, "xo").vector("x");
    steps.emplace_back("strips in parallel", parallel);

    // 4. Whole images between stages cost memory traffic. Producers are computed row by row where they are read and kept as
    // long as a strip lives: a sliding window. `fold` keeps only as many rows as are alive, so that they stay in the cache.
    Schedule sliding;
    sliding.stage("corner").root().parallel("y", 64, "strip").serial("y", 0, "row").serial("x", 16, "xo").vector("x");
    for (const char* stage : {"gx", "gy", "gray"})
        sliding.stage(stage)
            .at("corner", "row")
            .store_at("corner", "strip")
            .fold("y", 8)
            .serial("y")
            .serial("x", 16, "xo")
            .tail(Tail::round_up)
            .vector("x");
    steps.emplace_back("sliding windows", sliding);

    // 5. Four rows of the result at a time share the slopes that they read, which stay in registers.
    Schedule rows;
    rows.stage("corner")
        .root()
        .parallel("y", 128, "strip")
        .serial("y", 4, "row")
        .serial("x", 16, "xo")
        .unroll("y", 0, "line")
        .vector("x");
    for (const char* stage : {"gx", "gy"})
        rows.stage(stage)
            .at("corner", "row")
            .store_at("corner", "strip")
            .fold("y", 8)
            .serial("y", 2, "pair")
            .tail(Tail::round_up)
            .serial("x", 16, "xo")
            .tail(Tail::round_up)
            .unroll("y", 0, "line")
            .vector("x", 0, "lane");
    rows.stage("gray")
        .at("corner", "row")
        .store_at("corner", "strip")
        .fold("y", 16)
        .serial("y")
        .serial("x", 16, "xo")
        .tail(Tail::round_up)
        .vector("x");
    steps.emplace_back("four rows together", rows);

    // 6. Both slopes read the same gray: one loop for the two.
    Schedule fused = rows;
    fused.stage("gx").fuse_with({.stage = "gy", .loop = "xo"});
    steps.emplace_back("slopes in one loop", fused);

    steps.emplace_back("the default schedule", default_schedule(algorithm));

    const std::int64_t height = argc > 2 ? std::atoi(argv[1]) : 190, width = argc > 2 ? std::atoi(argv[2]) : 250;
    const Buffer<float> in{3, height + 4, width + 4};
    std::uint32_t state = 1;
    in.for_each([&](float& value) { value = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f; });
    const Buffer<float> first{height, width}, out{height, width};
    const Module inlined = compile(algorithm, Schedule());
    inlined({{"photo", in}}, {{"corner", first}});
    const double slowest = milliseconds(inlined, in, first);
    std::cerr << "nothing said: " << slowest << " ms\n";
    for (const auto& [name, schedule] : steps) {
        const Module kernel = compile(algorithm, schedule);
        kernel({{"photo", in}}, {{"corner", out}});
        expect(std::memcmp(first.data(), out.data(), static_cast<std::size_t>(out.size()) * sizeof(float)) == 0,
               "a step keeps every bit");
        const double time = milliseconds(kernel, in, out);
        std::cerr << name << ": " << time << " ms, " << slowest / time << " x\n";
    }
}
