#include "backend/cpu/loop_nest.h"
#include "unit/cpu/kernel_run.h"

#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

namespace tessera {
namespace {

using test::Arguments;

AnyBuffer ramp(DType t, std::vector<std::int64_t> shape, unsigned seed = 1) {
    AnyBuffer b(test::buffer_dtype(t), std::move(shape));
    std::mt19937 random(seed);
    for (std::int64_t i = 0; i < b.size(); ++i) {
        if (t == DType::f32) static_cast<float*>(b.data())[i] = std::uniform_real_distribution<float>(-1, 1)(random);
        if (t == DType::u8) static_cast<std::uint8_t*>(b.data())[i] = static_cast<std::uint8_t>(random());
        if (t == DType::i32) static_cast<std::int32_t*>(b.data())[i] = static_cast<std::int32_t>(random());
    }
    return b;
}

struct Blur {
    Dim y{"y"}, x{"x"}, r{"r", 3};
    Input photo{"photo", u8, {y, x}};
    Func rows{"rows"}, blur{"blur"};
    Blur() {
        rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
        blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    }
    Algorithm algorithm() const { return Algorithm({blur}, {photo}); }
};

std::vector<std::uint8_t> blurred(const AnyBuffer& photo) {
    const auto h = photo.extent(0), w = photo.extent(1);
    const auto* in = static_cast<const std::uint8_t*>(photo.data());
    const auto mirrored = [](std::int64_t i, std::int64_t n) {
        const std::int64_t around = ((i % (2 * n)) + 2 * n) % (2 * n);
        return around < n ? around : 2 * n - 1 - around;
    };
    std::vector<std::uint8_t> out(static_cast<size_t>(h * w));
    for (std::int64_t y = 0; y < h; ++y)
        for (std::int64_t x = 0; x < w; ++x) {
            std::uint16_t sum = 0;
            for (int dy = -1; dy < 2; ++dy)
                for (int dx = -1; dx < 2; ++dx)
                    sum = static_cast<std::uint16_t>(sum + in[mirrored(y + dy, h) * w + mirrored(x + dx, w)]);
            out[static_cast<size_t>(y * w + x)] = static_cast<std::uint8_t>(sum / 9);
        }
    return out;
}

void expect_blurred(const Schedule& schedule) {
    const Blur b;
    const Algorithm a = b.algorithm();
    const cpu::CompiledKernel kernel = cpu::jit(bind(a, schedule));
    for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {31, 67}, {64, 128}, {5, 200}}) {
        const AnyBuffer photo = ramp(u8, {h, w});
        test::Call call(a, kernel.parameters, {{{"photo", photo}}, {}, {}});
        ASSERT_EQ(kernel.call(call.argv()), 0);
        const auto want = blurred(photo);
        EXPECT_EQ(std::memcmp(want.data(), call.outputs.at("blur").data(), want.size()), 0) << h << "x" << w;
    }
}

TEST(cpu_backend, blur_with_plain_loops) {
    Schedule s;
    s.stage("rows").root().stage("rows.sum").root().stage("blur.sum").root().stage("blur").root();
    expect_blurred(s);
}

TEST(cpu_backend, blur_tiled_with_a_sliding_window) {
    Schedule s;
    s.stage("blur").root().parallel("y", 32, "yo").serial("y", 0, "yi").serial("x", 32, "xo").vector("x");
    s.stage("rows").at("blur", "yi").store_at("blur", "yo").serial("y").serial("x", 32).vector("x");
    expect_blurred(s);
    const cpu::NestNode root = cpu::loop_nest(bind(Blur().algorithm(), s)).at(0);
    EXPECT_EQ(cpu::to_text({root}), R"(produce blur
  parallel yo
    store rows
      serial yi
        produce rows
          serial y
            serial x.32
              produce rows.sum
                serial x
                  compute rows.sum
                serial x
                  serial r
                    compute rows.sum
              consume rows.sum
                vector x.1
                  compute rows
        consume rows
          serial xo
            produce blur.sum
              serial x
                compute blur.sum
              serial x
                serial r
                  compute blur.sum
            consume blur.sum
              vector x.1
                compute blur
)");
}

TEST(cpu_backend, a_kernel_with_checks_stops_at_an_access_outside) {
    const Dim x("x");
    const Input in("in", i32, {x});
    Func f("f");
    f(x) = in(x) + 1;
    Schedule s;
    s.stage("f").root().serial("x", 8).vector("x");
    const Algorithm algorithm({f}, {in});
    const cpu::CompiledKernel kernel = cpu::jit(bind(algorithm, s), "host", cpu::KernelChecks::all);
    const Arguments short_input{{{"in", ramp(i32, {5})}}, {}, {}};
    EXPECT_EQ(kernel.call(test::Call(algorithm, kernel.parameters, short_input, {{"x", 5}}).argv()), 0);
    EXPECT_NE(kernel.call(test::Call(algorithm, kernel.parameters, short_input, {{"x", 16}}).argv()), 0);
    EXPECT_NE(std::string(tessera_last_error()).find("in"), std::string::npos) << tessera_last_error();
}

}  // namespace
}  // namespace tessera
