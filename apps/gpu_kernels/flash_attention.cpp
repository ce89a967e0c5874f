#include "flash_attention.h"

#include "attention_inputs.h"

namespace gpu_kernels {

using namespace tessera;

namespace {

struct Attention : AttentionInputs {
    bool causal, statistics;
    float scale;  // exp(x / sqrt(head)) = exp2(x scale)
    Func out, lse{"lse"};

    template <class Shape>
    Attention(const std::string& name, const Shape& shape)
        : AttentionInputs(shape.head), causal(shape.causal), statistics(shape.statistics), scale(scale_of(shape.head)),
          out(name) {}

    Algorithm define() const {
        Func top("top"), weights("weights"), total("total");
        const Func score = scores(causal), o = out, l = lse;
        top(heads, queries) = max({keys}, score(heads, queries, keys));
        const Expr shift = select(top(heads, queries) == lowest(f32), 0.0f, top(heads, queries));
        weights(heads, queries, keys) = exp(score(heads, queries, keys) - shift);
        total(heads, queries) = sum({keys}, weights(heads, queries, keys));
        const Expr mixed = sum({keys}, weights(heads, queries, keys) * cast(f32, V(heads, keys, e)));
        o(heads, queries, e) = cast(bf16, select(total(heads, queries) == 0.0f, 0.0f, mixed / total(heads, queries)));
        if (!statistics) return Algorithm({o}, {Q, K, V});
        l(heads, queries) = select(total(heads, queries) == 0.0f, 0.0f, shift + log(total(heads, queries)));
        return Algorithm({o, l}, {Q, K, V});
    }
};

// The running maximum and sum of a row, what both were before a tile of scores, and what was added up.
struct RunningRows {
    const Tile &s, &o, &top, &total, &before;
    float scale;
};

// Scores become weights; what was added up before is to be multiplied by `before`.
void weigh(KernelBuilder& k, const RunningRows& r) {
    k.for_each(r.before, [&](const Expr& i) { k.store(r.before(i), r.top(i)); });
    k.for_each(r.s, [&](const Expr& i, const Expr& j) { k.store(r.top(i), max(r.top(i), r.s(i, j))); });
    k.reduce(r.top, maximum);
    k.for_each(r.before, [&](const Expr& i) {
        k.store(r.before(i), exp2((r.before(i) - r.top(i)) * r.scale));
        k.store(r.total(i), r.total(i) * r.before(i));
    });
    k.for_each(r.s, [&](const Expr& i, const Expr& j) {
        k.store(r.s(i, j), exp2(fma(r.s(i, j), r.scale, -(r.top(i) * r.scale))));
        k.store(r.total(i), r.total(i) + r.s(i, j));
    });
}
void rescale(KernelBuilder& k, const RunningRows& r) {
    k.for_each(r.o, [&](const Expr& i, const Expr& j) { k.store(r.o(i, j), r.o(i, j) * r.before(i)); });
}

// o over the sums of the rows, and the logarithms of these; a row that sees no key is 0.
void store_rows(KernelBuilder& k, const Attention& a, const Tile& o, const Tile& top, const Tile& total, const Expr& head,
                const Expr& first) {
    k.reduce(total, plus);
    if (a.statistics)
        k.for_each(o, [&](const Expr& i, const Expr& j) {
            k.when(j == 0 && first + i < a.queries.extent(), [&] {
                const Expr lse = fma(top(i), a.scale, log2(total(i))) * log_of_2;
                k.store(a.lse(head, first + i), select(total(i) == 0.0f, 0.0f, lse));
            });
        });
    k.for_each(total, [&](const Expr& i) { k.store(total(i), select(total(i) == 0.0f, 0.0f, 1.0f / total(i))); });
    k.for_each(o, [&](const Expr& i, const Expr& j) {
        k.when(first + i < a.queries.extent(), [&] { k.store(a.out(head, first + i, j), cast(bf16, o(i, j) * total(i))); });
    });
}

}  // namespace

Algorithm attention(const std::string& name, const FlashShape& shape) { return Attention(name, shape).define(); }

TileKernel flash_attention(const std::string& name, const FlashShape& shape) {
    const Attention a(name, shape);
    const std::int64_t rows = shape.rows, keys = shape.keys;
    const std::array<std::int64_t, 2> warps{shape.warps, 1};
    const Extent q_extent = a.queries.extent(), k_extent = a.keys.extent(), tiles = (q_extent + rows - 1) / rows;
    KernelBuilder k(a.define(), {.threads = 32 * shape.warps, .min_ctas = shape.min_ctas, .fast_math = true});
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
            weigh(k, {s, o, top, total, before, a.scale});
            rescale(k, {s, o, top, total, before, a.scale});
            k.mma(o, s, vs);
        });
    });

    k.warps({shape.warps}, [&](const Expr&) { store_rows(k, a, o, top, total, head, first); });
    return k.finish();
}

TileKernel flash_attention_grouped(const std::string& name, const GroupedFlashShape& shape) {
    const Attention a(name, shape);
    const std::int64_t rows = 64 * shape.groups, keys = shape.keys;
    const Extent q_extent = a.queries.extent(), k_extent = a.keys.extent(), tiles = (q_extent + rows - 1) / rows;
    // Registers of threads that copy, and as many as remain for the others.
    KernelBuilder k(a.define(), {.threads = 128 * shape.groups,
                                 .fast_math = true,
                                 .roles = true,
                                 .producer_registers = 24,
                                 .consumer_registers = shape.groups == 2 ? 240 : 160});
    const std::array<Expr, 2> block = k.grid({a.heads.extent(), tiles});
    const Expr head = block[0];
    // Of a causal head the tiles with the most keys come first.
    const Expr first = k.let(shape.causal ? (tiles - 1 - block[1]) * rows : block[1] * rows);
    // Query i sees the keys below i + seen.
    const Expr seen = k.let(first - q_extent + k_extent + 1);
    const Expr visible = shape.causal ? max(0, min(k_extent, seen + rows - 1)) : Expr(k_extent);
    const Expr steps = k.let(max(1, (visible + keys - 1) / keys)), last = k.let((steps - 1) * keys);
    // The scores of a tile are multiplied while the values of the tile before are: of keys the first tile, of values the last one
    // is beside the loop.
    const Tile q = k.boxes("q", bf16, {rows, shape.head}), first_keys = k.boxes("first_keys", bf16, {keys, shape.head}),
               last_values = k.boxes("last_values", bf16, {keys, shape.head});
    k.copy_box(q, [&](const Expr& i, const Expr& j) { return constant(a.Q, 0)(head, first + i, j); });
    k.copy_box(first_keys, [&](const Expr& i, const Expr& j) { return constant(a.K, 0)(head, i, j); });
    k.copy_box(last_values, [&](const Expr& i, const Expr& j) { return constant(a.V, 0)(head, last + i, j); });
    const Tile o = k.group_fragment("o", f32, {rows, shape.head}, shape.groups);
    const Tile s = k.group_fragment("s", f32, {rows, keys}, shape.groups);
    const Tile weights = k.group_fragment("weights", bf16, {rows, keys}, shape.groups);
    const Tile top = k.group_fragment("top", f32, {rows}, shape.groups),
               total = k.group_fragment("total", f32, {rows}, shape.groups),
               before = k.group_fragment("before", f32, {rows}, shape.groups);
    const RunningRows running{s, o, top, total, before, a.scale};
    const auto mask = [&](const Expr& begin) {
        k.when(shape.causal ? begin + keys > seen : begin + keys > k_extent, [&] {
            k.for_each(s, [&](const Expr& i, const Expr& j) {
                const Expr key = begin + j, end = shape.causal ? i + seen : Expr(k_extent);
                k.store(s(i, j), select(key < end, s(i, j), lowest(f32)));
            });
        });
    };
    const auto keep_weights = [&] {
        k.for_each(weights, [&](const Expr& i, const Expr& j) { k.store(weights(i, j), cast(bf16, s(i, j))); });
    };
    k.warpgroups({shape.groups}, [&](const Expr&) {
        k.for_each(o, [&](const Expr& i, const Expr& j) { k.store(o(i, j), 0.0f); });
        k.for_each(top, [&](const Expr& i) {
            k.store(top(i), -1e30f);
            k.store(total(i), 0.0f);
        });
        k.mma(s, q, first_keys, {.right_transposed = true, .replaces = true});
        mask(k.let(0));
        weigh(k, running);
        keep_weights();
    });
    k.loop(steps - 1, [&](const Expr& step) {
        const Tile ks = k.boxes("k", bf16, {keys, shape.head}, shape.buffers);
        const Tile vs = k.boxes("v", bf16, {keys, shape.head}, shape.buffers);
        const Expr begin = step * keys;
        k.copy_box(ks, [&](const Expr& i, const Expr& j) { return constant(a.K, 0)(head, begin + keys + i, j); });
        k.copy_box(vs, [&](const Expr& i, const Expr& j) { return constant(a.V, 0)(head, begin + i, j); });
        k.warpgroups({shape.groups}, [&](const Expr&) {
            k.mma(s, q, ks, {.right_transposed = true, .replaces = true, .in_flight = true});
            k.mma(o, weights, vs, {.in_flight = true});
            mask(begin + keys);
            weigh(k, running);
            k.settle(o);
            rescale(k, running);
            keep_weights();
        });
    });
    k.warpgroups({shape.groups}, [&](const Expr&) {
        k.mma(o, weights, last_values);
        store_rows(k, a, o, top, total, head, first);
    });
    return k.finish();
}

}  // namespace gpu_kernels
