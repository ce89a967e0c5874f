// Measures the errors of math_definitions.h: f32 unary functions over every float (stride 1), f64 and two-argument ones over
// random values. Not part of the test run. math_exhaustive <f32|f64|f32x2|f64x2> <stride or count> [function...]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "unit/expr/math_accuracy.h"

namespace tessera::math_test {
namespace {

bool wanted(int argc, char** argv, const char* name) {
    if (argc <= 3) return true;
    for (int i = 3; i < argc; ++i)
        if (std::strcmp(argv[i], name) == 0) return true;
    return false;
}

template <class T>
struct Worst {
    double error = 0;
    T x = 0, y = 0;
    long wrong = 0;
    void see(double e, T at_x, T at_y = 0) {
        if (e >= 1e9 && ++wrong <= 5) std::printf("  wrong kind at %a %a\n", double(at_x), double(at_y));
        if (e > error) *this = {e, at_x, at_y, wrong};
    }
    void print(const char* name) const {
        std::printf("%-8s %.4f ulp at %a %a, wrong %ld\n", name, error, double(x), double(y), wrong);
        std::fflush(stdout);
    }
};

/// Values of every magnitude, and around the interesting ones.
template <class T>
T random_value(std::mt19937_64& random) {
    using I = typename math::ScalarBuilder<T>::Int;
    switch (random() % 4) {
        case 0: return std::bit_cast<T>(static_cast<I>(random()));
        case 1:
            return static_cast<T>(
                std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), -63 + static_cast<int>(random() % 14)));
        case 2: return static_cast<T>(std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), -63));
        default:
            return static_cast<T>(
                1 + std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), -63 - static_cast<int>(random() % 30)));
    }
}

void every_float(const Unary<float>& f, std::uint64_t stride) {
    Worst<float> worst;
    for (std::uint64_t i = 0; i < (1ull << 32); i += stride) {
        const float x = std::bit_cast<float>(static_cast<std::uint32_t>(i));
        const bool inside = std::fabs(x) <= f.range || std::isnan(x);
        worst.see(ulp_error(f.function(x), inside ? f.reference(x) : std::numeric_limits<double>::quiet_NaN()), x);
    }
    worst.print(f.name);
}

template <class T>
void random_unary(const Unary<T>& f, std::uint64_t count) {
    std::mt19937_64 random(7);
    Worst<T> worst;
    for (std::uint64_t i = 0; i < count; ++i) {
        T x = random_value<T>(random);
        if (f.range < std::numeric_limits<T>::infinity() && i % 2) x = static_cast<T>(static_cast<double>(x) * 1.5e12);
        const bool inside = std::fabs(x) <= f.range || std::isnan(x);
        worst.see(ulp_error<T>(f.function(x), inside ? f.reference(x) : std::numeric_limits<Reference<T>>::quiet_NaN()), x);
    }
    worst.print(f.name);
}

template <class T>
void random_binary(const Binary<T>& f, std::uint64_t count) {
    std::mt19937_64 random(9);
    Worst<T> worst;
    const bool is_pow = std::strcmp(f.name, "pow") == 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        T x = random_value<T>(random), y = random_value<T>(random);
        if (is_pow && i % 2) {  // a result within the range of T
            x = std::fabs(x);
            const double limit = std::numeric_limits<T>::max_exponent * 0.7 / std::fabs(std::log(static_cast<double>(x)));
            y = static_cast<T>(limit * std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), -63));
        }
        worst.see(ulp_error<T>(f.function(x, y), f.reference(x, y)), x, y);
    }
    worst.print(f.name);
}

int run(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: math_exhaustive f32|f64|f32x2|f64x2 <stride or count> [function...]\n"), 2;
    const std::string mode = argv[1];
    const std::uint64_t number = std::strtoull(argv[2], nullptr, 10);
    for (const auto& f : unary_functions<float>())
        if (mode == "f32" && wanted(argc, argv, f.name)) every_float(f, number);
    for (const auto& f : unary_functions<double>())
        if (mode == "f64" && wanted(argc, argv, f.name)) random_unary(f, number);
    for (const auto& f : binary_functions<float>())
        if (mode == "f32x2" && wanted(argc, argv, f.name)) random_binary(f, number);
    for (const auto& f : binary_functions<double>())
        if (mode == "f64x2" && wanted(argc, argv, f.name)) random_binary(f, number);
    return 0;
}

}  // namespace
}  // namespace tessera::math_test

int main(int argc, char** argv) { return tessera::math_test::run(argc, argv); }
