// Depthwise-separable convolution under the schedule written by hand and the default ones, against plain loops in f64.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <cmath>
#include <random>
#include <vector>

namespace tessera {
namespace {

struct Layer {
    std::int64_t images, height, width, in, out, kernel;
};

struct Tensors {
    Buffer<float> in, taps, mix, bias, out;

    Tensors(const Layer& l, unsigned seed)
        : in({l.images, l.height, l.width, l.in}), taps({l.kernel, l.kernel, l.in}), mix({l.in, l.out}), bias({l.out}),
          out({l.images, l.height, l.width, l.out}) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> values(-1, 1);
        for (Buffer<float>* buffer : {&in, &taps, &mix, &bias})
            for (std::int64_t i = 0; i < buffer->size(); ++i) buffer->data()[i] = values(random);
    }
};

double convolved(const Tensors& t, const Layer& l, std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t channel) {
    double sum = 0;
    for (std::int64_t tap = 0; tap < l.kernel * l.kernel; ++tap) {
        const std::int64_t row = y + tap / l.kernel - l.kernel / 2, column = x + tap % l.kernel - l.kernel / 2;
        if (row < 0 || column < 0 || row >= l.height || column >= l.width) continue;
        sum += double{t.in.data()[((image * l.height + row) * l.width + column) * l.in + channel]} *
               t.taps.data()[tap * l.in + channel];
    }
    return sum;
}

void expect_defined(const Module& kernel, const Layer& l) {
    Tensors t(l, 7);
    kernel({{"in", t.in}, {"taps", t.taps}, {"mix", t.mix}, {"bias", t.bias}}, {{"out", t.out}});
    // Sums of so many products below 1, in any order.
    const double terms = static_cast<double>(l.kernel * l.kernel + l.in),
                 sizes = terms * static_cast<double>(l.kernel * l.kernel);
    for (std::int64_t pixel = 0; pixel < l.images * l.height * l.width; ++pixel) {
        std::vector<double> wanted(t.bias.data(), t.bias.data() + l.out);
        for (std::int64_t i = 0; i < l.in; ++i) {
            const double value = convolved(t, l, pixel / l.width / l.height, pixel / l.width % l.height, pixel % l.width, i);
            for (std::int64_t o = 0; o < l.out; ++o) wanted[static_cast<size_t>(o)] += value * t.mix.data()[i * l.out + o];
        }
        for (std::int64_t o = 0; o < l.out; ++o)
            ASSERT_NEAR(t.out.data()[pixel * l.out + o], std::max(wanted[static_cast<size_t>(o)], 0.0), sizes * 0x1p-24)
                << "pixel " << pixel << " of " << l.height << "x" << l.width << ", " << l.in << " to " << l.out;
    }
}

TEST(SeparableConv, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("separable_conv", "");
    const Schedule hand = read_schedule(fmt::format("{}/schedules/separable_conv.json", TESSERA_SOURCE_DIR));
    for (const Schedule& schedule : {hand, standard}) {
        SCOPED_TRACE(schedule == hand ? "by hand" : "default");
        const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
        for (const Layer& l :
             {Layer{2, 5, 7, 32, 16, 3}, Layer{1, 1, 1, 1, 1, 3}, Layer{1, 9, 4, 19, 5, 3}, Layer{1, 2, 11, 40, 33, 3}})
            expect_defined(kernel, l);
    }
}

// The channels of a layer as constants, as a network has them: other loops, also around what is convolved.
TEST(SeparableConv, ConstantChannels) {
    const auto hand = read_schedule(fmt::format("{}/schedules/separable_conv.json", TESSERA_SOURCE_DIR));
    for (const Layer& l : {Layer{2, 5, 7, 32, 16, 3}, Layer{1, 3, 19, 24, 20, 5}, Layer{1, 4, 6, 3, 8, 3}}) {
        const auto [algorithm, standard] =
            shipped("separable_conv", fmt::format("--param kernel={} --dim i={} --dim o={}", l.kernel, l.in, l.out));
        for (const Schedule& schedule : {hand, standard}) {
            SCOPED_TRACE(schedule == hand ? "by hand" : "default");
            expect_defined(compile(algorithm, schedule, Target(), {.disk_cache = false}), l);
        }
    }
}

}  // namespace
}  // namespace tessera
