// Finds out how a photograph was blurred: given it sharp and blurred, the kernel by gradient descent. blur_recovery PHOTO: prints
// how far the kernel found is from the one that was used; fails beyond 1 %.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "descent.h"
#include "expect.h"
#include "image_io.h"

using namespace tessera;

namespace {

constexpr std::int64_t height = 160, width = 240, taps = 7;

// A streak along a slope, as of a camera that was moved; sums to 1.
std::vector<float> streak() {
    std::vector<float> k(taps * taps);
    float sum = 0;
    for (std::int64_t r = 0; r < taps; ++r)
        for (std::int64_t s = 0; s < taps; ++s) {
            const double across = 0.5 * double(s - 3) - double(r - 3), along = double(s - 3) + 0.5 * double(r - 3);
            k[static_cast<std::size_t>(r * taps + s)] = static_cast<float>(std::exp(-2 * across * across - 0.12 * along * along));
            sum += k[static_cast<std::size_t>(r * taps + s)];
        }
    for (float& v : k) v /= sum;
    return k;
}

}  // namespace

int main(int argc, char** argv) {
    expect(argc == 2, "the photo is given");
    const apps::Image photo = apps::read_image(argv[1]);
    Dim y("y", height), x("x", width), r("r", taps), s("s", taps);
    const Input sharp("sharp", f32, {y, x}), blurred("blurred", f32, {y, x}), kernel("kernel", f32, {r, s});
    Func blur("blur"), loss("loss");
    const Bounded at = clamp(sharp);
    blur(y, x) = sum({r, s}, at(y + r - taps / 2, x + s - taps / 2) * kernel(r, s));
    // Compared are differences of neighbours: photographs vary slowly, which hides what a kernel does to details.
    const Expr apart = blur(y, x) - blurred(y, x);
    Func residual("residual");
    residual(y, x) = apart;
    const Bounded near = clamp(residual);
    const Expr down = near(y + 1, x) - near(y, x), right = near(y, x + 1) - near(y, x);
    loss() = sum({y, x}, down * down + right * right) / static_cast<float>(height * width);

    apps::Descent descent(loss, {kernel});
    const auto image = descent.program().array("sharp");
    for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t j = 0; j < width; ++j) {
            float sum = 0;
            for (std::int64_t c = 0; c < photo.extent(2); ++c) sum += photo(i + 100, j + 200, c);
            image(i, j) = sum / (255.0f * static_cast<float>(photo.extent(2)));
        }
    // Blurs it once with the kernel that is to be found.
    const std::vector<float> used = streak();
    apps::CompiledProgram camera(Algorithm({blur}, arguments_of({blur})));
    std::copy(image.data(), image.data() + image.size(), camera.array("sharp").data());
    std::copy(used.begin(), used.end(), camera.array("kernel").data());
    camera.run();
    const auto seen = camera.array("blur"), target = descent.program().array("blurred");
    std::copy(seen.data(), seen.data() + seen.size(), target.data());

    descent.program().array("kernel").fill(1.0f / (taps * taps));
    const int steps = 1000;
    for (int step = 0; step < steps; ++step) {
        const double before = descent.step(3e-3 * std::pow(0.01, double(step) / steps));
        if (step % 250 == 249) std::cout << "step " << step + 1 << ": " << before << "\n";
    }
    double apart_sum = 0, size = 0;
    const auto found = descent.program().array("kernel");
    for (std::int64_t i = 0; i < found.size(); ++i) {
        apart_sum += std::pow(found.data()[i] - used[static_cast<std::size_t>(i)], 2);
        size += std::pow(used[static_cast<std::size_t>(i)], 2);
    }
    const double error = 100 * std::sqrt(apart_sum / size);
    std::cout << "the kernel is found within " << error << " %\n";
    expect(error < 1, "the kernel is found within 1 %");
}
