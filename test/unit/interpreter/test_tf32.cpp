#include <tessera/tf32.h>

#include "thrown.h"
#include "unit/interpreter/interpreter_cases.h"

#include <bit>
#include <cmath>
#include <limits>

namespace tessera::interpreter_test {
namespace {

std::vector<float> rounded(const std::vector<float>& values) {
    Dim i("i");
    Input x("x", f32, {i});
    Func out("out");
    out(i) = round_tf32(x(i));
    const auto count = static_cast<std::int64_t>(values.size());
    return run<float>(Algorithm({out}, {x}), {{"x", filled<float>({count}, values)}}, {count});
}

// In doubles: the nearest multiple of the last place that is kept; std::round takes ties away from zero.
float nearest_tf32(float x) {
    if (x == 0 || !std::isfinite(x)) return x;
    const int last = std::max(std::ilogb(x), -126) - 10;
    return static_cast<float>(std::ldexp(std::round(std::ldexp(static_cast<double>(x), -last)), last));
}

TEST(Tf32, KeepsTenBits) {
    std::vector<float> values{0.0f,
                              -0.0f,
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::denorm_min()};
    // Every exponent with mantissas around ties and carries.
    for (std::uint32_t exponent = 0; exponent < 255; ++exponent)
        for (const std::uint32_t mantissa :
             {0u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu, 0x2000u, 0x3000u, 0x7fefffu, 0x7ff000u, 0x7fffffu})
            for (const std::uint32_t sign : {0u, 0x80000000u})
                values.push_back(std::bit_cast<float>(sign | exponent << 23 | mantissa));
    const std::vector<float> got = rounded(values);
    for (size_t i = 0; i < values.size(); ++i)
        EXPECT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(nearest_tf32(values[i]))) << values[i];
    EXPECT_TRUE(std::isnan(rounded({std::bit_cast<float>(0x7fffffffu)})[0]));
    EXPECT_TRUE(std::isnan(rounded({std::bit_cast<float>(0xffffffffu)})[0]));
}

TEST(Tf32, TakesF32) {
    Dim i("i");
    Input x("x", f64, {i});
    EXPECT_EQ(thrown([&] { static_cast<void>(round_tf32(x(i))); }), E0202_dtype_unsupported);
}

}  // namespace
}  // namespace tessera::interpreter_test
