#include "flash_attention.h"

#include <tessera/tessera.h>

#include <cmath>

namespace gpu_kernels {

using namespace tessera;

namespace {

struct Attention {
    Dim heads{"heads"}, queries{"queries"}, keys{"keys"}, d, e;
    Input Q, K, V;
    Func out;

    Attention(const std::string& name, std::int64_t head)
        : d("d", head), e("e", head), Q("Q", bf16, {heads, queries, d}), K("K", bf16, {heads, keys, d}),
          V("V", bf16, {heads, keys, e}), out(name) {}

    Algorithm define(const FlashShape& shape) const {
        Func scores("scores"), top("top"), weights("weights"), total("total");
        const Func o = out;
        const Expr product = sum({d}, cast(f32, Q(heads, queries, d)) * cast(f32, K(heads, keys, d)));
        const Expr score = product / static_cast<float>(std::sqrt(static_cast<double>(shape.head)));
        const Expr none = lowest(f32);
        scores(heads, queries, keys) =
            shape.causal ? select(keys - keys.extent() <= queries - queries.extent(), score, none) : score;
        top(heads, queries) = max({keys}, scores(heads, queries, keys));
        const Expr shift = select(top(heads, queries) == none, 0.0f, top(heads, queries));
        weights(heads, queries, keys) = exp(scores(heads, queries, keys) - shift);
        total(heads, queries) = sum({keys}, weights(heads, queries, keys));
        const Expr mixed = sum({keys}, weights(heads, queries, keys) * cast(f32, V(heads, keys, e)));
        o(heads, queries, e) = cast(bf16, select(total(heads, queries) == 0.0f, 0.0f, mixed / total(heads, queries)));
        return Algorithm({o}, {Q, K, V});
    }
};

}  // namespace

Algorithm attention(const std::string& name, const FlashShape& shape) { return Attention(name, shape.head).define(shape); }

TileKernel flash_attention(const std::string& name, const FlashShape& shape) {
    const Attention a(name, shape.head);
    const std::int64_t rows = shape.rows, keys = shape.keys;
    const std::array<std::int64_t, 2> warps{shape.warps, 1};
    const Extent q_extent = a.queries.extent(), k_extent = a.keys.extent(), tiles = (q_extent + rows - 1) / rows;
    KernelBuilder k(a.define(shape), {.threads = 32 * shape.warps, .min_ctas = shape.min_ctas, .fast_math = true});
    const std::array<Expr, 2> block = k.grid({a.heads.extent(), tiles});
    const Expr head = block[0];
    // Of a causal head the tiles with the most keys come first.
    const Expr first = k.let(shape.causal ? (tiles - 1 - block[1]) * rows : block[1] * rows);
    // Query i sees the keys below i + seen.
    const Expr seen = k.let(first - q_extent + k_extent + 1);

    const Tile q = k.fragment("q", bf16, {rows, shape.head}, warps),
               queries = k.shared("queries", bf16, {rows, shape.head}, {.swizzle = true});
    k.copy_async(queries, [&](const std::vector<Expr>& at) { return constant(a.Q, 0)(head, first + at[0], at[1]); });
    const Tile o = k.fragment("o", f32, {rows, shape.head}, warps);
    const Tile top = k.fragment("top", f32, {rows}, warps), total = k.fragment("total", f32, {rows}, warps);
    k.warps({shape.warps}, [&](const Expr&) {
        k.for_each(q, [&](const Expr& i, const Expr& j) { k.store(q(i, j), queries(i, j)); });
        k.for_each(o, [&](const Expr& i, const Expr& j) { k.store(o(i, j), 0.0f); });
        k.for_each(top, [&](const Expr& i) {
            k.store(top(i), -1e30f);
            k.store(total(i), 0.0f);
        });
    });

    // exp(x / sqrt(head)) = exp2(x scale)
    const auto scale = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(shape.head)));
    const Expr visible = shape.causal ? max(0, min(k_extent, seen + rows - 1)) : Expr(k_extent);
    k.loop((visible + keys - 1) / keys, [&](const Expr& step) {
        const Expr begin = step * keys;
        const Tile ks = k.shared("k", bf16, {keys, shape.head}, {.buffers = shape.buffers, .swizzle = true});
        const Tile vs = k.shared("v", bf16, {keys, shape.head}, {.buffers = shape.buffers, .swizzle = true});
        k.copy_async(ks, [&](const std::vector<Expr>& at) { return constant(a.K, 0)(head, begin + at[0], at[1]); });
        k.copy_async(vs, [&](const std::vector<Expr>& at) { return constant(a.V, 0)(head, begin + at[0], at[1]); });
        const Tile s = k.fragment("s", f32, {rows, keys}, warps), before = k.fragment("before", f32, {rows}, warps);
        k.warps({shape.warps}, [&](const Expr&) {
            k.for_each(s, [&](const Expr& i, const Expr& j) { k.store(s(i, j), 0.0f); });
            k.mma(s, q, ks, {.right_transposed = true});
            k.when(shape.causal ? begin + keys > seen : begin + keys > k_extent, [&] {
                k.for_each(s, [&](const Expr& i, const Expr& j) {
                    const Expr key = begin + j, end = shape.causal ? i + seen : Expr(k_extent);
                    k.store(s(i, j), select(key < end, s(i, j), lowest(f32)));
                });
            });
            k.for_each(before, [&](const Expr& i) { k.store(before(i), top(i)); });
            k.for_each(s, [&](const Expr& i, const Expr& j) { k.store(top(i), max(top(i), s(i, j))); });
            k.reduce(top, maximum);
            k.for_each(before, [&](const Expr& i) {
                k.store(before(i), exp2((before(i) - top(i)) * scale));
                k.store(total(i), total(i) * before(i));
            });
            k.for_each(s, [&](const Expr& i, const Expr& j) {
                k.store(s(i, j), exp2(fma(s(i, j), scale, -(top(i) * scale))));
                k.store(total(i), total(i) + s(i, j));
            });
            k.for_each(o, [&](const Expr& i, const Expr& j) { k.store(o(i, j), o(i, j) * before(i)); });
            k.mma(o, s, vs);
        });
    });

    k.warps({shape.warps}, [&](const Expr&) {
        k.reduce(total, plus);
        k.for_each(total, [&](const Expr& i) { k.store(total(i), select(total(i) == 0.0f, 0.0f, 1.0f / total(i))); });
        k.for_each(o, [&](const Expr& i, const Expr& j) {
            k.when(first + i < q_extent, [&] { k.store(a.out(head, first + i, j), cast(bf16, o(i, j) * total(i))); });
        });
    });
    return k.finish();
}

}  // namespace gpu_kernels
