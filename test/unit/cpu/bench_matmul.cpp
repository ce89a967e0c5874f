// Times matmul under the schedule of the CPU notes: bench_matmul [m n k [static|blocked]]. Not a test.
#include "unit/cpu/kernel_run.h"

#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

using namespace tessera;

int main(int argc, char** argv) {
    const auto size = [&](int i) { return argc > i ? std::atol(argv[i]) : 1024; };
    const std::int64_t M = size(1), N = size(2), K = size(3);
    const std::string form = argc > 4 ? argv[4] : "";
    const bool fixed = form == "static";
    Dim m = fixed ? Dim("m", M) : Dim("m"), n = fixed ? Dim("n", N) : Dim("n"), k = fixed ? Dim("k", K) : Dim("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    const Algorithm a({C}, {A, B});
    Schedule s;
    s.stage("C")
        .root()
        .parallel("n", 256, "nb")
        .serial("n", 64, "nt")
        .serial("m", 6, "mt")
        .unroll("m", 0, "mi")
        .unroll("n", 16, "nu")
        .vector("n", 0, "nv");
    s.stage("C.sum").at("C", "mt").space(Space::register_).serial("k").unroll("m").unroll("n", 16).vector("n");
    s.copy("B.p", "B", {"C.sum"})
        .at("C", "nb")
        .layout({"n/64", "k", "n%64"})
        .serial("n", 64)
        .serial("k")
        .unroll("n", 16)
        .vector("n");
    if (form == "blocked") {
        s = {};
        s.stage("C").root().parallel("m", 8).serial("m").serial("n", 16, "nv").vector("n");
        s.stage("C.sum")
            .root()
            .parallel("n", 256, "nb")
            .serial("k/512", 0, "kb")
            .serial("n", 64, "nt")
            .serial("m", 6, "mt")
            .unroll("m", 0, "mi")
            .unroll("n", 16, "nu")
            .vector("n", 0, "nv");
        for (LoopSpec& loop : *s.stage("C.sum").spec().loops)
            if (loop.tile) loop.tail = Tail::guard;
        s.stage("C.sum").init(
            {{.dim = "m"}, {.dim = "n", .tile = 16, .tail = Tail::guard}, {.dim = "n", .as = LoopKind::vector, .name = "niv"}});
        s.partial("C.part", "C.sum", {"k/512"})
            .at("C.sum", "mt")
            .space(Space::register_)
            .serial("k")
            .unroll("m")
            .unroll("n", 16)
            .vector("n");
        s.copy("B.p", "B", {"C.part"})
            .at("C.sum", "kb")
            .layout({"n/64", "k", "n%64"})
            .serial("n", 64)
            .serial("k")
            .unroll("n", 16)
            .vector("n");
    }
    const BoundSchedule bound = bind(a, s);
    auto t0 = std::chrono::steady_clock::now();
    const auto kernel = cpu::jit(bound);
    fmt::print("jit {:.2f} s\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
    cpu::emit(bound, "host", "mm", cpu::Artifact::statement, "/tmp/cpu_mm.stmt");
    AnyBuffer x(TESSERA_F32, {M, K}), y(TESSERA_F32, {K, N});
    for (std::int64_t i = 0; i < M * K; ++i) static_cast<float*>(x.data())[i] = static_cast<float>(i % 17) - 8;
    for (std::int64_t i = 0; i < K * N; ++i) static_cast<float*>(y.data())[i] = static_cast<float>(i % 13) - 6;
    test::Call call(a, kernel.parameters, {{{"A", x}, {"B", y}}, {}, {}});
    std::vector<double> times;
    for (int i = 0; i < 15; ++i) {
        t0 = std::chrono::steady_clock::now();
        kernel.call(call.argv());
        times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
    }
    std::sort(times.begin(), times.end());
    const auto* c = static_cast<const float*>(call.outputs.at("C").data());
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < M; i += std::max<std::int64_t>(1, M / 97))
        for (std::int64_t j = 0; j < N; ++j) {
            float sum = 0;
            for (std::int64_t q = 0; q < K; ++q)
                sum += static_cast<float*>(x.data())[i * K + q] * static_cast<float*>(y.data())[q * N + j];
            wrong += sum != c[i * N + j];
        }
    fmt::print("{}x{}x{}: {:.3f} ms, {:.1f} GFLOP/s, best {:.1f}, wrong {}\n", M, N, K, times[7] * 1e3,
               2e-9 * static_cast<double>(M * N * K) / times[7], 2e-9 * static_cast<double>(M * N * K) / times[0], wrong);
}
