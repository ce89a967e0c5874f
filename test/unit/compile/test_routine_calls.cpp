#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/routine.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>
#include <tessera/transform.h>

#include "backend/cpu/cpu_backend.h"
#include "compile/inspect.h"
#include "schedule/loop_tree.h"
#include "thrown.h"
#include "unit/cpu/kernel_run.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <functional>

// Kernels call the C functions of routines: with whole tensors, once, and with the statuses that come back.
namespace {

int calls = 0;        // of any of them
int status_back = 0;  // what they return

template <class T>
T& at(const tessera_buffer& b, std::int64_t i, std::int64_t j) {
    return static_cast<T*>(b.data)[i * b.strides[0] + j * b.strides[1]];
}

}  // namespace

extern "C" {

// C = A * B + 1: the 1 tells the function from its meaning.
int test_gemm_plus_one(const tessera_buffer* operands, const tessera_buffer* results) {
    ++calls;
    const tessera_buffer &A = operands[0], &B = operands[1], &C = results[0];
    if (A.rank != 2 || B.dtype != TESSERA_F32 || A.extents[1] != B.extents[0] || C.extents[1] != B.extents[1]) return 99;
    for (std::int64_t i = 0; i < C.extents[0]; ++i)
        for (std::int64_t j = 0; j < C.extents[1]; ++j) {
            float sum = 1;
            for (std::int64_t k = 0; k < B.extents[0]; ++k) sum += at<float>(A, i, k) * at<float>(B, k, j);
            at<float>(C, i, j) = sum;
        }
    return status_back;
}

// (q, r) = (a / b, a % b) per row, of a pair: two operands and two results, of i32 and bf16.
int test_pairs(const tessera_buffer* operands, const tessera_buffer* results) {
    ++calls;
    if (operands[0].rank != 1 || operands[1].rank != 0 || results[1].dtype != TESSERA_BF16) return 98;
    const std::int32_t by = *static_cast<const std::int32_t*>(operands[1].data);
    for (std::int64_t i = 0; i < operands[0].extents[0]; ++i) {
        const std::int32_t a = static_cast<const std::int32_t*>(operands[0].data)[i * operands[0].strides[0]];
        static_cast<std::int32_t*>(results[0].data)[i * results[0].strides[0]] = a * by;
        static_cast<tessera::bfloat16*>(results[1].data)[i * results[1].strides[0]] = tessera::bfloat16(static_cast<float>(a));
    }
    return 0;
}

}  // extern "C"

namespace tessera {
namespace {

struct Product {
    Dim m{"m"}, n{"n"}, k{"k"};
    Input A{"A", f32, {m, k}}, B{"B", f32, {k, n}};
    Func twice{"twice"}, meaning{"meaning"}, out{"out"};
    Func C;

    explicit Product(bool of_func = true) : C("C") {
        twice(m, k) = A(m, k) * 2.0f;
        meaning(m, n) = sum({k}, twice(m, k) * B(k, n));
        C = of_func ? routine("test_gemm_plus_one", meaning, {.name = "C", .operands = {twice, B}})
                    : routine("test_gemm_plus_one", meaning, {.name = "C", .operands = {A, B}});
        out(m, n) = C(m, n) * 10.0f + clamp(C)(m - 1, n);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({out}, {A, B}); }
};

Buffer<float> filled(const std::vector<std::int64_t>& extents, float step) {
    Buffer<float> b(extents);
    float next = 0.25f;
    for (std::int64_t i = 0; i < b.size(); ++i) {
        b.data()[i] = next;
        next = next > 3 ? next - 3 : next + step;
    }
    return b;
}

// What the function gives: the product and one.
float product_at(const Buffer<float>& A, const Buffer<float>& B, std::int64_t i, std::int64_t j, float factor) {
    float sum = 1;
    for (std::int64_t k = 0; k < B.extent(0); ++k) sum += A(i, k) * factor * B(k, j);
    return sum;
}

void expect_function_ran(const Module& kernel, const std::string& output) {
    for (const auto& [m, n, k] : {std::tuple{3, 5, 7}, {1, 1, 1}, {17, 33, 4}, {2, 3, 0}}) {
        SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
        const Buffer<float> A = filled({m, k}, 0.5f), B = filled({k, n}, 0.375f);
        Buffer<float> out({m, n});
        calls = 0;
        kernel({{"A", A}, {"B", B}}, {{output, out}});
        EXPECT_EQ(calls, 1);
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j)
                ASSERT_EQ(out(i, j), product_at(A, B, i, j, 2) * 10.0f + product_at(A, B, std::max<std::int64_t>(i - 1, 0), j, 2))
                    << i << ", " << j;
    }
}

TEST(RoutineCalls, KernelsCallTheFunctionOnceWithWholeTensors) {
    const Algorithm a = Product().algorithm();
    expect_function_ran(compile(a, default_schedule(a), Target()), "out");
    expect_function_ran(compile(a, {}, Target()), "out");
    Schedule tiled;
    tiled.stage("twice").root().parallel("m").serial("k", 4).vector("k");
    tiled.stage("C").root();
    tiled.stage("out").root().parallel("n", 3).serial("m").serial("n");
    expect_function_ran(compile(a, tiled, Target()), "out");
    // Without the cache on disk.
    expect_function_ran(compile(a, default_schedule(a), Target(), {.disk_cache = false}), "out");
}

// Checks inside the kernel look at the regions of what it is given.
TEST(RoutineCalls, KernelsWithChecksRunToo) {
    const Algorithm a = Product().algorithm();
    const cpu::CompiledKernel kernel = cpu::jit(bind(a, default_schedule(a)), "host", cpu::KernelChecks::all);
    const Buffer<float> A = filled({3, 7}, 0.5f), B = filled({7, 5}, 0.375f);
    test::Arguments arguments;
    arguments.buffers = {{"A", A}, {"B", B}};
    test::Call call(a, kernel.parameters, arguments);
    ASSERT_EQ(kernel.call(call.argv()), 0) << tessera_last_error();
    const Buffer<float> out(call.outputs.at("out"));
    EXPECT_EQ(out(2, 4), product_at(A, B, 2, 4, 2) * 10.0f + product_at(A, B, 1, 4, 2));
}

TEST(RoutineCalls, TheInterpreterEvaluatesTheMeaning) {
    const Product p;
    const Module meaning = compile(p.algorithm(), {}, parse_target("interpreter"));
    const Buffer<float> A = filled({2, 3}, 0.5f), B = filled({3, 4}, 0.25f);
    Buffer<float> out({2, 4});
    calls = 0;
    meaning({{"A", A}, {"B", B}}, {{"out", out}});
    EXPECT_EQ(calls, 0);
    EXPECT_FLOAT_EQ(out(0, 0), (product_at(A, B, 0, 0, 2) - 1) * 11.0f);
}

// An operand that others read outside of its dims is larger than what the function sees; an output is one too.
TEST(RoutineCalls, OperandsAndResultsThatOthersReadToo) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func wide("wide"), meaning("meaning"), around("around");
    wide(m, k) = clamp(A)(m, k) * 3.0f;
    meaning(m, n) = sum({k}, wide(m, k) * B(k, n));
    const Func C = routine("test_gemm_plus_one", meaning, {.name = "C", .operands = {wide, B}});
    around(m, k) = wide(m - 2, k + 1) + wide(m + 3, k - 1) + clamp(C)(m + 1, k * 0);
    const Algorithm a({around, C}, {A, B});
    const Buffer<float> x = filled({4, 6}, 0.5f), y = filled({6, 3}, 0.125f);
    for (const Schedule& s : {default_schedule(a), Schedule()}) {
        Buffer<float> out({4, 6}), product({4, 3});
        compile(a, s, Target())({{"A", x}, {"B", y}}, {{"around", out}, {"C", product}});
        const auto held = [](std::int64_t v, std::int64_t end) { return std::clamp<std::int64_t>(v, 0, end - 1); };
        for (std::int64_t i = 0; i < 4; ++i) {
            for (std::int64_t j = 0; j < 3; ++j) EXPECT_FLOAT_EQ(product(i, j), product_at(x, y, i, j, 3));
            for (std::int64_t j = 0; j < 6; ++j)
                EXPECT_FLOAT_EQ(out(i, j), x(held(i - 2, 4), held(j + 1, 6)) * 3.0f + x(held(i + 3, 4), held(j - 1, 6)) * 3.0f +
                                               product(held(i + 1, 4), 0));
        }
    }
}

TEST(RoutineCalls, TuplesAndTensorsWithoutDims) {
    Dim i("i");
    Input a("a", i32, {i}), by("by", i32, {});
    Func meaning("meaning"), total("total");
    meaning(i) = Tuple{a(i) * by(), cast(bf16, a(i))};
    const Func pairs = routine("test_pairs", meaning, {.name = "pairs"});
    total(i) = cast(f32, pairs(i)[0]) + cast(f32, pairs(i)[1]);
    const Algorithm algorithm({total}, {a, by});
    const Module kernel = compile(algorithm, default_schedule(algorithm), Target());
    Buffer<std::int32_t> values({5}), factor(std::vector<std::int64_t>{});
    for (int v = 0; v < 5; ++v) values.data()[v] = v - 2;
    factor.data()[0] = 7;
    Buffer<float> out({5});
    kernel({{"a", values}, {"by", factor}}, {{"total", out}});
    for (int v = 0; v < 5; ++v) EXPECT_EQ(out.data()[v], static_cast<float>((v - 2) * 8));
}

TEST(RoutineCalls, AStatusEndsTheCall) {
    const Algorithm a = Product().algorithm();
    const Module kernel = compile(a, default_schedule(a), Target());
    const Buffer<float> A = filled({2, 3}, 0.5f), B = filled({3, 4}, 0.25f);
    Buffer<float> out({2, 4});
    status_back = 5;
    try {
        kernel({{"A", A}, {"B", B}}, {{"out", out}});
        ADD_FAILURE() << "the status was lost";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0712_kernel_failed);
        EXPECT_NE(std::string(e.what()).find("routine test_gemm_plus_one ended with status 5"), std::string::npos) << e.what();
    }
    status_back = 0;
    kernel({{"A", A}, {"B", B}}, {{"out", out}});
}

TEST(RoutineCalls, GradientsGoThroughTheMeaningOrARuleBesideIt) {
    const Product p(false);
    Dim m("m", 2), n("n", 3);
    Input x("x", f32, {m, n}), y("y", f32, {n, m});
    Func plain("plain"), loss("loss"), ruled_loss("ruled_loss"), free("free");
    Dim o("o", 2);
    Input z("z", f32, {n, o});
    plain(m, o) = sum({n}, x(m, n) * z(n, o));
    const Func called = routine("test_gemm_plus_one", plain, {.name = "called"});
    loss() = sum({m, o}, called(m, o) * called(m, o));
    const ValueAndGrad g = value_and_grad(loss, {x});
    const Algorithm step({g.value, g.gradients[0]}, {x, z});
    EXPECT_NE(step.text().find("= test_gemm_plus_one(x, z)"), std::string::npos) << step.text();
    const Buffer<float> xs = filled({2, 3}, 0.5f), zs = filled({3, 2}, 0.25f);
    Buffer<float> value(std::vector<std::int64_t>{}), slope({2, 3});
    compile(step, default_schedule(step), Target())({{"x", xs}, {"z", zs}}, {{"loss", value}, {"d_loss/x", slope}});
    // d = 2 (x z + 1) z': the value inside is the function's.
    for (std::int64_t i = 0; i < 2; ++i)
        for (std::int64_t j = 0; j < 3; ++j) {
            float expected = 0;
            for (std::int64_t k = 0; k < 2; ++k) expected += 2 * product_at(xs, zs, i, k, 1) * zs(j, k);
            EXPECT_FLOAT_EQ(slope(i, j), expected);
        }
    const Func ruled = custom_vjp("ruled", called, {x}, [&](const Func& given) -> std::vector<Func> {
        Func back("back");
        back(m, n) = sum({o}, given(m, o) * 100.0f) + 0.0f * x(m, n);
        return {back};
    });
    ruled_loss() = sum({m, o}, ruled(m, o));
    const Algorithm by_rule(grad(ruled_loss, {x}), {x});
    Buffer<float> made({2, 3});
    compile(by_rule, default_schedule(by_rule), Target())({{"x", xs}}, {{by_rule.outputs()[0].name(), made}});
    EXPECT_EQ(made(0, 0), 200.0f);
}

TEST(RoutineCalls, WhatIsNotInTheProgramIsNamed) {
    const Product p;
    const Func y = routine("test_not_linked", p.meaning);
    const Algorithm a({y}, {p.A, p.B});
    std::string text;
    EXPECT_EQ(thrown([&] { static_cast<void>(compile(a, default_schedule(a), Target())); }, &text), E0806_missing_routine);
    EXPECT_NE(text.find("test_not_linked"), std::string::npos) << text;
    static_cast<void>(compile(a, {}, parse_target("interpreter")));
}

TEST(RoutineCalls, SchedulesThatPlaceItElsewhereAreRefused) {
    const Algorithm a = Product().algorithm();
    const auto with = [&](const std::function<void(Schedule&)>& change) {
        Schedule s;
        s.stage("out").root().serial("m").serial("n");
        change(s);
        return thrown([&] { static_cast<void>(bind(a, s)); });
    };
    EXPECT_EQ(with([](Schedule& s) { s.stage("C").at("out", "m"); }), E0504_placement);
    EXPECT_EQ(with([](Schedule& s) { s.stage("twice").at("out", "m"); }), E0504_placement);
    EXPECT_EQ(with([](Schedule& s) { s.stage("twice").inline_(); }), E0504_placement);
    EXPECT_EQ(with([](Schedule& s) { s.stage("C").root().serial("m"); }), E0502_unknown_loop);
    EXPECT_EQ(with([](Schedule& s) { s.stage("twice").root().layout({"m/4", "k", "m%4"}); }), E0508_storage);
    EXPECT_EQ(thrown([&] { static_cast<void>(bind(a, {}, parse_target("cuda-sm_90a"))); }), L0901_not_on_target);
}

TEST(RoutineCalls, TheLoopTreeSaysTheCall) {
    const Algorithm a = Product().algorithm();
    const LoopTree tree = build_loop_tree(bind(a, default_schedule(a)));
    verify(tree);
    const std::string text = to_text(tree);
    EXPECT_NE(text.find("call C = test_gemm_plus_one\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("meaning"), std::string::npos) << text;
    EXPECT_EQ(to_text(parse_loop_tree(text, tree.bound)), text);
}

}  // namespace
}  // namespace tessera
