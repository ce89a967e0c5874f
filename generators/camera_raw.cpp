#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// The mean of two unsigned numbers, rounded up.
Expr mean_up(DType wider, const Expr& a, const Expr& b) {
    const DType own = wider == DType::u32 ? DType::u16 : DType::u8;
    return cast(own, (cast(wider, a) + cast(wider, b) + 1) / 2);
}

Expr apart(const Expr& a, const Expr& b) { return max(a, b) - min(a, b); }

/// Means of two samples along one of two directions: the one along which the samples are closer to each other.
struct Direction {
    Expr first, second;
};
Expr along_closer(const Direction& a, const Direction& b) {
    return select(apart(a.first, a.second) < apart(b.first, b.second), mean_up(u32, a.first, a.second),
                  mean_up(u32, b.first, b.second));
}

/// What a colour lacks at a place: its mean along one direction, corrected by how much the mean of green is wrong there.
Expr corrected(const Expr& green, const Direction& of_green, const Direction& of_color) {
    return green - mean_up(u32, of_green.first, of_green.second) + mean_up(u32, of_color.first, of_color.second);
}

/// A photo of 3 planes, u8, from the 16-bit samples of a sensor behind a Bayer mosaic (green and red, then blue and green):
/// single bright samples are cut off, missing colours interpolated along edges, colours mixed by a matrix between two calibrated
/// ones, tones mapped by a curve, and what differs from its neighbourhood strengthened. The samples reach further than the photo,
/// by 12 rows and 16 columns on each side. Source of the pipeline: apps/camera_pipe of github.com/halide/Halide at
/// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8.
class CameraRaw {
public:
    Algorithm algorithm() {
        const auto denoised = [&](const Expr& row, const Expr& column) -> Expr { return clean(row, column); };
        const auto sample = [&](const Expr& row, const Expr& column) -> Expr { return raw(row + 12, column + 16); };
        clean(fy, fx) =
            min(sample(fy, fx), max(max(sample(fy, fx - 2), sample(fy, fx + 2)), max(sample(fy - 2, fx), sample(fy + 2, fx))));
        gr(hy, hx) = denoised(2 * hy, 2 * hx);
        r(hy, hx) = denoised(2 * hy, 2 * hx + 1);
        b(hy, hx) = denoised(2 * hy + 1, 2 * hx);
        gb(hy, hx) = denoised(2 * hy + 1, 2 * hx + 1);
        interpolate_colors();
        mix_colors();
        map_tones();
        sharpen();
        return Algorithm({photo}, {raw, warm, cold, kelvin, gamma, contrast, strength, black, white}, {.name = "camera_raw"});
    }

private:
    void interpolate_colors() {
        g_r(hy, hx) = along_closer({gr(hy, hx + 1), gr(hy, hx)}, {gb(hy - 1, hx), gb(hy, hx)});
        g_b(hy, hx) = along_closer({gb(hy, hx - 1), gb(hy, hx)}, {gr(hy + 1, hx), gr(hy, hx)});
        r_gr(hy, hx) = corrected(gr(hy, hx), {g_r(hy, hx), g_r(hy, hx - 1)}, {r(hy, hx - 1), r(hy, hx)});
        b_gr(hy, hx) = corrected(gr(hy, hx), {g_b(hy, hx), g_b(hy - 1, hx)}, {b(hy, hx), b(hy - 1, hx)});
        r_gb(hy, hx) = corrected(gb(hy, hx), {g_r(hy, hx), g_r(hy + 1, hx)}, {r(hy, hx), r(hy + 1, hx)});
        b_gb(hy, hx) = corrected(gb(hy, hx), {g_b(hy, hx), g_b(hy, hx + 1)}, {b(hy, hx), b(hy, hx + 1)});
        r_b(hy, hx) = select(apart(r(hy, hx), r(hy + 1, hx - 1)) < apart(r(hy, hx - 1), r(hy + 1, hx)),
                             corrected(g_b(hy, hx), {g_r(hy, hx), g_r(hy + 1, hx - 1)}, {r(hy, hx), r(hy + 1, hx - 1)}),
                             corrected(g_b(hy, hx), {g_r(hy, hx - 1), g_r(hy + 1, hx)}, {r(hy, hx - 1), r(hy + 1, hx)}));
        b_r(hy, hx) = select(apart(b(hy, hx), b(hy - 1, hx + 1)) < apart(b(hy, hx + 1), b(hy - 1, hx)),
                             corrected(g_r(hy, hx), {g_b(hy, hx), g_b(hy - 1, hx + 1)}, {b(hy, hx), b(hy - 1, hx + 1)}),
                             corrected(g_r(hy, hx), {g_b(hy, hx + 1), g_b(hy - 1, hx)}, {b(hy, hx + 1), b(hy - 1, hx)}));
        const auto mosaic = [&](const Func& at_gr, const Func& at_r, const Func& at_b, const Func& at_gb) {
            const auto of = [&](const Func& f) -> Expr { return f(y / 2, x / 2); };
            return select(y % 2 == 0, select(x % 2 == 0, of(at_gr), of(at_r)), select(x % 2 == 0, of(at_b), of(at_gb)));
        };
        // A correction may have gone below 0: what wrapped is negative.
        const auto color = [&](const Expr& value) { return cast(i16, value); };
        full(c, y, x) =
            mux(c, {color(mosaic(r_gr, r, r_b, r_gb)), color(mosaic(gr, g_r, g_b, gb)), color(mosaic(b_gr, b_r, b, b_gb))});
    }

    void mix_colors() {
        const Expr between = (1.0f / kelvin - 1.0f / 3200) / (1.0f / 7000 - 1.0f / 3200);
        matrix(c, from) = cast(i16, (warm(c, from) * between + cold(c, from) * (1.0f - between)) * 256.0f);
        const auto weight = [&](std::int64_t of) { return cast(i32, matrix(c, of)); };
        const auto value = [&](std::int64_t of) { return cast(i32, full(of, y, x)); };
        mixed(c, y, x) = cast(i16, (weight(3) + weight(0) * value(0) + weight(1) * value(1) + weight(2) * value(2)) / 256);
    }

    void map_tones() {
        const Expr range = 1.0f / cast(f32, Expr(white) - black);
        const Expr b1 = 2.0f - pow(constant(f32, 2.0), contrast / 100.0f), b2 = 2.0f - 2.0f * b1;
        const Expr linear = clamp(cast(f32, Expr(v) - black) * range, 0.0f, 1.0f), g = pow(linear, 1.0f / gamma);
        const Expr above = 1.0f - g;
        const Expr tone = select(g > 0.5f, 1.0f - (b2 * above * above + b1 * above), b2 * g * g + b1 * g);
        const Expr stored = cast(u8, clamp(tone * 255.0f + 0.5f, 0.0f, 255.0f));
        curve(v) = select(Expr(v) <= black, cast(u8, 0), select(Expr(v) > white, cast(u8, 255), stored));
        toned(c, y, x) = curve(clamp(cast(i32, mixed(c, y, x)), 0, 1023));
    }

    void sharpen() {
        const auto three = [](const Expr& before, const Expr& at, const Expr& after) {
            return mean_up(u16, mean_up(u16, before, after), at);
        };
        fixed_strength() = saturate_cast(u8, strength * 32.0f);
        soft_y(c, y, x) = three(toned(c, y - 1, x), toned(c, y, x), toned(c, y + 1, x));
        soft(c, y, x) = three(soft_y(c, y, x - 1), soft_y(c, y, x), soft_y(c, y, x + 1));
        const Expr own = cast(i16, toned(c, y, x)), mask = own - cast(i16, soft(c, y, x));
        photo(c, y, x) = saturate_cast(u8, own + mask * cast(i16, fixed_strength()) / 32);
    }

    Dim c{"c", 3}, from{"from", 4}, y{"y"}, x{"x"}, v{"v", 1024};
    Dim fy{"fy", y.extent()}, fx{"fx", x.extent()}, hy{"hy", (y.extent() + 1) / 2}, hx{"hx", (x.extent() + 1) / 2};
    Dim raw_y{"raw_y", y.extent() + 24}, raw_x{"raw_x", x.extent() + 32};
    Input raw{"raw", u16, {raw_y, raw_x}}, warm{"matrix_3200", f32, {c, from}}, cold{"matrix_7000", f32, {c, from}};
    Scalar kelvin{"color_temp", f32}, gamma{"gamma", f32}, contrast{"contrast", f32}, strength{"sharpen_strength", f32},
        black{"black", i32}, white{"white", i32};
    Func clean{"clean"}, gr{"gr"}, r{"r"}, b{"b"}, gb{"gb"}, g_r{"g_r"}, g_b{"g_b"}, r_gr{"r_gr"}, b_gr{"b_gr"}, r_gb{"r_gb"},
        b_gb{"b_gb"}, r_b{"r_b"}, b_r{"b_r"}, full{"full"}, matrix{"matrix"}, mixed{"mixed"}, curve{"curve"}, toned{"toned"},
        fixed_strength{"fixed_strength"}, soft_y{"soft_y"}, soft{"soft"}, photo{"photo"};
};

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("camera_raw", "a photo of 3 planes from the samples of a Bayer sensor", {},
                                     [](const Params&) { return CameraRaw().algorithm(); })});
}
