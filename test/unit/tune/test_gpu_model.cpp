// The cost model of GPUs orders schedules of which it is known which is faster.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>

#include "schedule/loop_tree.h"
#include "tile/lower.h"
#include "tune/cuda_descent.h"
#include "tune/gpu_model.h"
#include "unit/tune/tuned_algorithms.h"

#include <algorithm>

namespace tessera::tune {
namespace {

const Target hopper = parse_target("cuda-sm_90a");

double seconds(const Algorithm& algorithm, const Schedule& schedule, const std::map<std::string, std::int64_t>& extents) {
    const tile::Program program = tile::lower(build_loop_tree(bind(algorithm, schedule, hopper)), hopper);
    return gpu_seconds(program, extents, gpu_facts(hopper));
}

// The schedule of these decisions; of others the first value.
Schedule decided(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& choices) {
    std::map<std::string, std::int64_t> left = choices;
    const Schedule out =
        descend_cuda(cuda_plan(algorithm, hopper), [&](const std::string& name, const std::vector<std::int64_t>& domain) {
            const auto wanted = left.find(name);
            if (wanted == left.end()) return domain[0];
            const std::int64_t value = wanted->second;
            left.erase(wanted);
            EXPECT_NE(std::find(domain.begin(), domain.end(), value), domain.end()) << name;
            return value;
        });
    EXPECT_TRUE(left.empty()) << left.begin()->first;
    return out;
}

Algorithm product() {
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {n, k});
    Func C("C");
    C(m, n) = cast(bf16, relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k)))));
    return Algorithm({C}, {A, B});
}
double product_seconds(const std::map<std::string, std::int64_t>& choices, std::int64_t m, std::int64_t n, std::int64_t k) {
    const Algorithm a = product();
    return seconds(a, decided(a, choices), {{"m", m}, {"n", n}, {"k", k}});
}

// Values of "C.product".
constexpr std::int64_t by_threads = 1, by_warps = 2, by_warpgroups = 3;

TEST(GpuModel, ProductsAreFasterTheMoreMultiplyTogether) {
    const auto at = [](const std::map<std::string, std::int64_t>& choices) { return product_seconds(choices, 4096, 4096, 4096); };
    const double cells = at({}), threads = at({{"C.product", by_threads}}), warps = at({{"C.product", by_warps}}),
                 groups =
                     at({{"C.product", by_warpgroups}, {"C.roles", 2}, {"C.cluster", 2}, {"C.n.block", 256}, {"C.boxes", 1}});
    EXPECT_GT(cells, threads);
    EXPECT_GT(threads, 2 * warps);
    EXPECT_GT(warps, groups);
    // Between the rate of the tensor cores and half of it.
    const double least = 2.0 * 4096 * 4096 * 4096 / 989e12;
    EXPECT_GT(groups, least);
    EXPECT_LT(groups, 2 * least);
}

TEST(GpuModel, LargeTilesMoveLessAndSmallOnesFillTheGpu) {
    const std::map<std::string, std::int64_t> large{{"C.product", by_warps}, {"C.m.block", 128}, {"C.n.block", 128}},
        small{{"C.product", by_warps}, {"C.m.block", 32}, {"C.n.block", 32}};
    EXPECT_LT(product_seconds(large, 8192, 8192, 4096), product_seconds(small, 8192, 8192, 4096));
    EXPECT_GT(product_seconds(large, 256, 256, 4096), product_seconds(small, 256, 256, 4096));
}

TEST(GpuModel, CopiesOfClustersMoveLess) {
    const auto at = [](std::int64_t cluster) {
        return product_seconds({{"C.product", by_warpgroups}, {"C.n.block", 64}, {"C.roles", 1}, {"C.cluster", cluster}}, 8192,
                               8192, 8192);
    };
    EXPECT_LT(at(2), at(1));
}

// Neighbouring threads read a column, or through shared memory rows.
TEST(GpuModel, RowsAreFasterThanColumns) {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x});
    Func t("t");
    t(x, y) = a(y, x);
    const Algorithm algorithm({t}, {a});
    const auto loop = [](LoopKind kind, const char* dim, std::int64_t tile, const char* name) {
        LoopSpec out{.dim = dim, .as = kind, .name = name};
        if (tile > 0) out.tile = tile;
        return out;
    };
    Schedule rows;
    rows.stage("t")
        .root()
        .loop(loop(LoopKind::block, "x", 32, "xb"))
        .loop(loop(LoopKind::block, "y", 32, "yb"))
        .loop(loop(LoopKind::thread, "x", 4, "xt"))
        .loop(loop(LoopKind::thread, "y", 0, ""))
        .loop(loop(LoopKind::unroll, "x", 0, ""));
    rows.copy("a.s", "a", {"t"})
        .at("t", "yb")
        .loop(loop(LoopKind::thread, "y", 4, "yt"))
        .loop(loop(LoopKind::thread, "x", 0, ""))
        .loop(loop(LoopKind::unroll, "y", 0, ""))
        .space(Space::shared)
        .align("x", 33);
    const std::map<std::string, std::int64_t> extents{{"y", 8192}, {"x", 8192}};
    const double by_rows = seconds(algorithm, rows, extents),
                 by_columns = seconds(algorithm, default_schedule(algorithm, hopper), extents);
    EXPECT_LT(2 * by_rows, by_columns);
    // Every cell is read and written once.
    EXPECT_GT(by_rows, 2.0 * 8192 * 8192 * 4 / gpu_facts(hopper).global_bytes_per_second);
}

TEST(GpuModel, WhatStaysInABlockIsNotMoved) {
    Dim y("y"), x("x");
    Input photo("photo", f32, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = (clamp(photo)(y, x - 1) + clamp(photo)(y, x) + clamp(photo)(y, x + 1)) * 0.25f;
    blur(y, x) = (clamp(rows)(y - 1, x) + rows(y, x) + clamp(rows)(y + 1, x)) * 0.25f;
    const Algorithm algorithm({blur}, {photo});
    const std::map<std::string, std::int64_t> extents{{"y", 16384}, {"x", 16384}};
    const double root = seconds(algorithm, decided(algorithm, {{"rows.kept", 0}}), extents);
    const double inlined = seconds(algorithm, decided(algorithm, {{"rows.kept", 1}}), extents);
    EXPECT_LT(1.2 * inlined, root);
}

// A block of many threads has little to do in a short row.
TEST(GpuModel, BlocksFitTheirRows) {
    const Algorithm softmax = test::tuned_softmax();
    const auto at = [&](std::int64_t threads) {
        Schedule s = default_schedule(softmax, hopper);
        for (const auto& [name, spec] : s.stages)
            if (spec.compute && spec.compute->kind == Compute::Kind::root) s.kernels[name].threads = threads;
        return seconds(softmax, s, {{"b", 65536}, {"j", 64}});
    };
    EXPECT_LT(at(64), at(1024));
}

}  // namespace
}  // namespace tessera::tune
