// separable_conv: the arithmetic is that of generators/separable_conv.cpp, channels innermost. Tile sizes and placement of the
// published schedule follow apps/depthwise_separable_conv/depthwise_separable_conv_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: tiles of output that fill the registers, inside of them the input channels in slices
// of a tile's width, for each of which the padded input and the single convolutions are on the stack. The numbers of channels
// are constants, as ours are. `tuned` convolves all channels of a tile before it mixes them.
#include <array>

#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

// Pixels and vectors of output channels of a register tile.
struct Tile {
    int vectors, width, height;
};
Tile tile_of(int lanes) { return lanes == 16 ? Tile{1, 6, 4} : lanes == 8 ? Tile{2, 3, 2} : Tile{4, 2, 1}; }

struct Separable {
    Var x{"x"}, y{"y"}, d{"d"}, b{"b"};
    Func padded{"padded"}, each{"each"}, mixed{"mixed"}, out{"out"};
    RDom taps{0, 3, 0, 3}, channels;

    Separable(const ImageParam& in, const ImageParam& weights, const ImageParam& mix, const ImageParam& bias, Plan plan)
        : channels(0, mix.dim(1).extent()) {
        const Expr inside = x >= 0 && x < in.dim(1).extent() && y >= 0 && y < in.dim(2).extent();
        const Expr near_x = clamp(x, 0, in.dim(1).max()), near_y = clamp(y, 0, in.dim(2).max());
        padded(d, x, y, b) = select(inside, in(d, near_x, near_y, b), 0.0f);
        each(d, x, y, b) += weights(d, taps.x, taps.y) * padded(d, x + taps.x - 1, y + taps.y - 1, b);
        mixed(d, x, y, b) = bias(d);
        mixed(d, x, y, b) += mix(d, channels) * each(channels, x, y, b);
        out(d, x, y, b) = max(mixed(d, x, y, b), 0.0f);
        if (!is_automatic(plan)) schedule(plan);
    }

    void schedule(Plan plan) {
        Var di("di"), xi("xi"), yi("yi");
        RVar slice("slice"), channel("channel");
        const int lanes = native_floats();
        const Tile tile = tile_of(lanes);
        const int depth = tile.vectors * lanes;
        out.tile({d, x, y}, {di, xi, yi}, {depth, tile.width, tile.height}).vectorize(di).unroll(xi).unroll(yi);
        out.fuse(y, b, b).parallel(b);
        mixed.compute_at(out, d).vectorize(d).unroll(x).unroll(y);
        mixed.update().reorder(d, x, y, channels, b).vectorize(d).unroll(x).unroll(y);
        if (plan == Plan::tuned) {
            each.compute_at(out, x).vectorize(d, depth).update().reorder(x, y, taps.x, taps.y, d, b);
            each.update().vectorize(d, lanes).unroll(x).unroll(y).unroll(taps.x).unroll(taps.y);
            padded.compute_at(out, x).vectorize(d, lanes, TailStrategy::RoundUp);
            return;
        }
        mixed.update().split(channels, slice, channel, depth);
        each.store_in(MemoryType::Stack).bound_extent(d, depth).compute_at(mixed, slice);
        each.vectorize(d).reorder(x, y, d).unroll(x).unroll(y);
        each.update().vectorize(d).reorder(x, y, d, taps.x, taps.y, b).unroll(x).unroll(y);
        padded.store_in(MemoryType::Stack).compute_at(mixed, slice).tile(d, x, di, xi, lanes, 4, TailStrategy::RoundUp);
        padded.vectorize(di).unroll(xi);
    }
};

}  // namespace

Kernel halide_separable_conv(const float* in, const float* taps, const float* mix, const float* bias, float* out,
                             ConvolutionSize size, Plan plan) {
    ImageParam photos(Float(32), 4, "photos"), weights(Float(32), 3, "weights"), mixing(Float(32), 2, "mixing"),
        added(Float(32), 1, "added");
    photos.dim(0).set_bounds(0, size.in_channels);
    weights.dim(0).set_bounds(0, size.in_channels).dim(1).set_bounds(0, 3).dim(2).set_bounds(0, 3);
    mixing.dim(0).set_bounds(0, size.out_channels).dim(1).set_bounds(0, size.in_channels);
    added.dim(0).set_bounds(0, size.out_channels);
    Separable f(photos, weights, mixing, added, plan);
    f.out.output_buffer().dim(0).set_bounds(0, size.out_channels);
    const std::vector<int> from{size.in_channels, size.width, size.height, size.batch}, tap_extents{size.in_channels, 3, 3},
        mix_extents{size.out_channels, size.in_channels}, to{size.out_channels, size.width, size.height, size.batch};
    set_extents(photos, from);
    set_extents(weights, tap_extents);
    set_extents(mixing, mix_extents);
    set_extents(added, {size.out_channels});
    set_extents(f.out.output_buffer(), to);
    start_at_zero(photos);
    start_at_zero(f.out.output_buffer());
    return [kernel = callable_of(f.out, {photos, weights, mixing, added}, plan, Arithmetic::relaxed), image = array(in, from),
            w = array(taps, tap_extents), m = array(mix, mix_extents), plus = array(bias, {size.out_channels}),
            result = array(static_cast<const float*>(out), to)]() mutable { run(kernel, image, w, m, plus, result); };
}

}  // namespace bench::rivals
