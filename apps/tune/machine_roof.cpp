// What the machine can do at most, by Tessera's own kernels.
#include "report_charts.h"

#include <tessera/compile.h>
#include <tessera/tessera.h>
#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <chrono>

namespace tessera_tune {
namespace {

using namespace tessera;

double least_seconds(const Module& module, const NamedInputs& inputs, const NamedOutputs& outputs) {
    double least = 1e9;
    for (int i = 0; i < 9; ++i) {
        const auto start = std::chrono::steady_clock::now();
        module(inputs, outputs);
        least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return least;
}

std::int64_t float_lanes() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? 16 : __builtin_cpu_supports("avx2") ? 8 : 4;
#else
    return 4;
#endif
}

// A polynomial of this degree: a multiplication and an addition a step, on values that stay in registers. Eight vectors hide the
// latency of a multiply-add, and fit into sixteen registers.
double operations_per_second() {
    constexpr int degree = 192;
    const std::int64_t lanes = float_lanes();
    constexpr std::int64_t size = std::int64_t{1} << 18;
    Dim i("i");
    Input in("x", f32, {i});
    Func p("p");
    Expr value = in(i);
    for (int step = 0; step < degree; ++step) value = fma(value, in(i), cast(f32, 1));
    p(i) = value;
    Schedule s;
    s.stage("p").root().parallel("i", 16384, "io").serial("i", 8 * lanes, "ib").unroll("i", lanes, "iu").vector("i", 0, "iv");
    const Module module = compile(Algorithm({p}, {in}), s);
    const Buffer<float> from{size}, to{size};
    return 2.0 * degree * static_cast<double>(size) / least_seconds(module, {{"x", from}}, {{"p", to}});
}

double bytes_per_second() {
    constexpr std::int64_t size = std::int64_t{1} << 25;
    Dim i("i");
    Input in("x", f32, {i});
    Func copied("copied");
    copied(i) = in(i);
    Schedule s;
    s.stage("copied").root().parallel("i", std::int64_t{1} << 20, "io").serial("i", 16, "ib").vector("i", 0, "iv");
    const Module module = compile(Algorithm({copied}, {in}), s);
    const Buffer<float> from{size}, to{size};
    return 2.0 * sizeof(float) * static_cast<double>(size) / least_seconds(module, {{"x", from}}, {{"copied", to}});
}

}  // namespace

Roof measure_roof(int threads) {
    tessera_set_num_threads(threads);
    return {operations_per_second(), bytes_per_second()};
}

}  // namespace tessera_tune
