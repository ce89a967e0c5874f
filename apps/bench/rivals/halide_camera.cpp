// camera_raw: the arithmetic is that of generators/camera_raw.cpp. Tile sizes and placement of the published schedule follow
// apps/camera_pipe/camera_pipe_generator.cpp, github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: strips of 32
// rows, two rows at a time; in windows over a strip the cleaned samples, the four colours of the mosaic apart, green at red and
// blue places in one loop, and the toned photo, for two rows and twice the native vector of which the full photo and the mixed
// colours are computed. The photo's extents are a multiple of the tile, which is promised. `tuned` is the same.
#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;
using namespace Halide::ConciseCasts;

namespace {

Expr mean_up(const Expr& a, const Expr& b) {
    const Type wider = a.type().with_bits(a.type().bits() * 2);
    return cast(a.type(), (cast(wider, a) + b + 1) / 2);
}
Expr mean_of_three(const Expr& before, const Expr& at, const Expr& after) { return mean_up(mean_up(before, after), at); }

struct Settings {
    Param<float> color_temp{"color_temp"}, gamma{"gamma"}, contrast{"contrast"}, strength{"sharpen_strength"};
    Param<int> black{"black"}, white{"white"};
};

struct Camera {
    Var x{"x"}, y{"y"}, c{"c"};
    Func clean{"clean"}, mosaic{"mosaic"}, g_r{"g_r"}, g_b{"g_b"}, full{"full"}, matrix{"matrix"}, mixed{"mixed"}, curve{"curve"},
        toned{"toned"}, strength{"fixed_strength"}, soft_y{"soft_y"}, soft{"soft"}, photo{"photo"};

    Camera(const ImageParam& raw, const ImageParam& warm, const ImageParam& cold, const Settings& of) {
        const auto sample = [&](const Expr& column, const Expr& row) -> Expr { return raw(column + 16, row + 12); };
        clean(x, y) = clamp(sample(x, y), 0, max(sample(x - 2, y), sample(x + 2, y), sample(x, y - 2), sample(x, y + 2)));
        mosaic(x, y, c) =
            mux(c, {clean(2 * x, 2 * y), clean(2 * x + 1, 2 * y), clean(2 * x, 2 * y + 1), clean(2 * x + 1, 2 * y + 1)});
        demosaic();
        const Expr between = (1.0f / of.color_temp - 1.0f / 3200) / (1.0f / 7000 - 1.0f / 3200);
        matrix(x, y) = cast<int16_t>((warm(x, y) * between + cold(x, y) * (1 - between)) * 256.0f);
        std::vector<Expr> colors;
        for (int row = 0; row < 3; ++row) {
            Expr sum = matrix(3, row);
            for (int from = 0; from < 3; ++from) sum = sum + matrix(from, row) * cast<int32_t>(full(x, y, from));
            colors.push_back(cast<int16_t>(sum / 256));
        }
        mixed(x, y, c) = mux(c, colors);
        const Expr b = 2.0f - pow(2.0f, of.contrast / 100.0f), a = 2.0f - 2.0f * b;
        const Expr linear = clamp(cast<float>(x - of.black) * (1.0f / (of.white - of.black)), 0.0f, 1.0f);
        const Expr g = pow(linear, 1.0f / of.gamma);
        const Expr tone = select(g > 0.5f, 1.0f - (a * (1.0f - g) * (1.0f - g) + b * (1.0f - g)), a * g * g + b * g);
        const Expr stored = cast<uint8_t>(clamp(tone * 255.0f + 0.5f, 0.0f, 255.0f));
        curve(x) = select(x <= of.black, u8(0), select(x > of.white, u8(255), stored));
        toned(x, y, c) = curve(clamp(mixed(x, y, c), 0, 1023));
        strength() = u8_sat(of.strength * 32);
        soft_y(x, y, c) = mean_of_three(toned(x, y - 1, c), toned(x, y, c), toned(x, y + 1, c));
        soft(x, y, c) = mean_of_three(soft_y(x - 1, y, c), soft_y(x, y, c), soft_y(x + 1, y, c));
        const Expr mask = i16(toned(x, y, c)) - i16(soft(x, y, c));
        photo(x, y, c) = u8_sat(toned(x, y, c) + (mask * strength()) / 32);
    }

    // The mean of green at (x, y) and at a neighbour is wrong by what that of a colour is.
    void demosaic() {
        const auto quarter = [&](int of) { return [this, of](int dx, int dy) -> Expr { return mosaic(x + dx, y + dy, of); }; };
        const auto gr = quarter(0), r = quarter(1), b = quarter(2), gb = quarter(3);
        const auto at_r = [&](int dx, int dy) -> Expr { return g_r(x + dx, y + dy); };
        const auto at_b = [&](int dx, int dy) -> Expr { return g_b(x + dx, y + dy); };
        g_r(x, y) = select(absd(gr(1, 0), gr(0, 0)) < absd(gb(0, -1), gb(0, 0)), mean_up(gr(1, 0), gr(0, 0)),
                           mean_up(gb(0, -1), gb(0, 0)));
        g_b(x, y) = select(absd(gb(-1, 0), gb(0, 0)) < absd(gr(0, 1), gr(0, 0)), mean_up(gb(-1, 0), gb(0, 0)),
                           mean_up(gr(0, 1), gr(0, 0)));
        const auto corrected = [](const Expr& green, auto&& of_green, auto&& of_color, int ax, int ay, int bx, int by) {
            return green - mean_up(of_green(ax, ay), of_green(bx, by)) + mean_up(of_color(ax, ay), of_color(bx, by));
        };
        Func r_gr, b_gr, r_gb, b_gb, r_b, b_r, red, green, blue;
        r_gr(x, y) = corrected(gr(0, 0), at_r, r, 0, 0, -1, 0);
        b_gr(x, y) = corrected(gr(0, 0), at_b, b, 0, 0, 0, -1);
        r_gb(x, y) = corrected(gb(0, 0), at_r, r, 0, 0, 0, 1);
        b_gb(x, y) = corrected(gb(0, 0), at_b, b, 0, 0, 1, 0);
        r_b(x, y) = select(absd(r(0, 0), r(-1, 1)) < absd(r(-1, 0), r(0, 1)), corrected(at_b(0, 0), at_r, r, 0, 0, -1, 1),
                           corrected(at_b(0, 0), at_r, r, -1, 0, 0, 1));
        b_r(x, y) = select(absd(b(0, 0), b(1, -1)) < absd(b(1, 0), b(0, -1)), corrected(at_r(0, 0), at_b, b, 0, 0, 1, -1),
                           corrected(at_r(0, 0), at_b, b, 1, 0, 0, -1));
        const auto woven = [&](auto&& at_gr, auto&& at_red, auto&& at_blue, auto&& at_gb) {
            const auto rows = [&](auto&& even, auto&& odd) {
                Func out;
                out(x, y) = select(x % 2 == 0, even(x / 2, y), odd(x / 2, y));
                return out;
            };
            Func above = rows(at_gr, at_red), below = rows(at_blue, at_gb), out;
            out(x, y) = select(y % 2 == 0, above(x, y / 2), below(x, y / 2));
            return out;
        };
        const auto stored = [&](int of) {
            return [this, of](const Expr& column, const Expr& row) -> Expr { return mosaic(column, row, of); };
        };
        red = woven(r_gr, stored(1), r_b, r_gb);
        green = woven(stored(0), g_r, g_b, stored(3));
        blue = woven(b_gr, b_r, stored(2), b_gb);
        full(x, y, c) = cast<int16_t>(mux(c, {red(x, y), green(x, y), blue(x, y)}));
    }

    void schedule() {
        Var yi("yi"), yo("yo"), yii("yii"), xi("xi");
        const int wide = 2 * get_host_target().natural_vector_size<uint16_t>(), strip = 32;
        for (Func* f : {&matrix, &curve, &strength}) f->compute_root();
        photo.compute_root().reorder(c, x, y).split(y, yi, yii, 2, TailStrategy::RoundUp).split(yi, yo, yi, strip / 2);
        photo.vectorize(x, wide, TailStrategy::RoundUp).unroll(c).parallel(yo);
        clean.compute_at(photo, yi)
            .store_at(photo, yo)
            .fold_storage(y, 4)
            .tile(x, y, x, y, xi, yi, wide, 2)
            .vectorize(xi)
            .unroll(yi);
        mosaic.compute_at(photo, yi).store_at(photo, yo).fold_storage(y, 4).reorder(c, x, y);
        mosaic.vectorize(x, wide, TailStrategy::RoundUp).unroll(c);
        toned.compute_at(photo, yi).store_at(photo, yo).reorder(c, x, y).tile(x, y, x, y, xi, yi, wide, 2, TailStrategy::RoundUp);
        toned.vectorize(xi).unroll(yi).unroll(c);
        mixed.compute_at(toned, x).reorder(c, x, y).vectorize(x).unroll(c);
        for (Func* f : {&g_r, &g_b})
            f->compute_at(photo, yi).store_at(photo, yo).vectorize(x, wide, TailStrategy::RoundUp).fold_storage(y, 4);
        g_b.compute_with(g_r, x, {{x, LoopAlignStrategy::AlignStart}, {y, LoopAlignStrategy::AlignStart}});
        full.compute_at(toned, x).vectorize(x).unroll(y).reorder(c, x, y).unroll(c);
        const auto buffer = photo.output_buffer();
        photo.bound(c, 0, 3).bound(x, 0, buffer.width() / wide * wide).bound(y, 0, buffer.height() / strip * strip);
    }
};

}  // namespace

Kernel halide_camera_raw(const std::uint16_t* in, std::uint8_t* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam raw(UInt(16), 2, "raw"), warm(Float(32), 2, "warm"), cold(Float(32), 2, "cold");
    const Settings of;
    Camera camera(raw, warm, cold, of);
    if (!is_automatic(plan)) camera.schedule();
    const std::vector<int> from{image.width + 32, image.height + 24}, to{image.width, image.height, 3};
    set_extents(raw, from);
    set_extents(warm, {4, 3});
    set_extents(cold, {4, 3});
    set_extents(camera.photo.output_buffer(), to);
    for (const ImageParam* p : {&raw, &warm, &cold}) start_at_zero(*p);
    start_at_zero(camera.photo.output_buffer());
    return [kernel = callable_of(camera.photo,
                                 {raw, warm, cold, of.color_temp, of.gamma, of.contrast, of.strength, of.black, of.white}, plan,
                                 arithmetic),
            samples = array(in, from), w = array(camera_settings.warm, {4, 3}), k = array(camera_settings.cold, {4, 3}),
            result = array(static_cast<const std::uint8_t*>(out), to)]() mutable {
        const CameraSettings& s = camera_settings;
        run(kernel, samples, w, k, s.color_temp, s.gamma, s.contrast, s.strength, s.black, s.white, result);
    };
}

}  // namespace bench::rivals
