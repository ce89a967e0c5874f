#include "flash_attention_backward.h"

#include "attention_inputs.h"

namespace gpu_kernels {

using namespace tessera;

namespace {

struct Backward : AttentionInputs {
    bool causal;
    float scale;  // exp(x / sqrt(head)) = exp2(x scale)
    float root;   // 1 / sqrt(head)
    Input O, dO, lse;

    explicit Backward(const FlashBackwardShape& shape)
        : AttentionInputs(shape.head), causal(shape.causal), scale(scale_of(shape.head)),
          root(static_cast<float>(1 / std::sqrt(static_cast<double>(shape.head)))), O("O", bf16, {heads, queries, e}),
          dO("dO", bf16, {heads, queries, e}), lse("lse", f32, {heads, queries}) {}

    [[nodiscard]] Func weights() const {
        Func out("weights");
        const Func score = scores(causal);
        out(heads, queries, keys) = exp(score(heads, queries, keys) - lse(heads, queries));
        return out;
    }
    /// By the scores: weights (dO V^T - delta).
    [[nodiscard]] Func slopes(const Func& weight, const Expr& delta) const {
        Func pulled("pulled"), out("slopes");
        pulled(heads, queries, keys) = sum({e}, cast(f32, dO(heads, queries, e)) * cast(f32, V(heads, keys, e)));
        out(heads, queries, keys) = weight(heads, queries, keys) * (pulled(heads, queries, keys) - delta);
        return out;
    }
};

struct ByQueries : Backward {
    Func dQ{"dQ"}, delta{"delta"};
    using Backward::Backward;

    [[nodiscard]] Algorithm define() const {
        const Func by_query = dQ, rows = delta;
        rows(heads, queries) = sum({e}, cast(f32, dO(heads, queries, e)) * cast(f32, O(heads, queries, e)));
        const Func slope = slopes(weights(), rows(heads, queries));
        by_query(heads, queries, d) = cast(bf16, sum({keys}, slope(heads, queries, keys) * cast(f32, K(heads, keys, d))) * root);
        return Algorithm({by_query, rows}, {Q, K, V, O, dO, lse});
    }
};

struct ByKeys : Backward {
    Input delta;
    Func dK{"dK"}, dV{"dV"};

    explicit ByKeys(const FlashBackwardShape& shape) : Backward(shape), delta("delta", f32, {heads, queries}) {}

    [[nodiscard]] Algorithm define() const {
        const Func by_key = dK, by_value = dV, weight = weights(), slope = slopes(weight, delta(heads, queries));
        by_key(heads, keys, d) = cast(bf16, sum({queries}, slope(heads, queries, keys) * cast(f32, Q(heads, queries, d))) * root);
        by_value(heads, keys, e) = cast(bf16, sum({queries}, weight(heads, queries, keys) * cast(f32, dO(heads, queries, e))));
        return Algorithm({by_key, by_value}, {Q, K, V, dO, lse, delta});
    }
};

TileKernelOptions options_of(const FlashBackwardShape& shape) {
    return {.threads = 32 * shape.warps, .min_ctas = shape.min_ctas, .fast_math = true};
}

void store_zeros(KernelBuilder& k, const Tile& sums) {
    k.for_each(sums, [&](const Expr& i, const Expr& j) { k.store(sums(i, j), 0.0f); });
}

// Rows of a tile from `first` on, of one head.
void copy_rows(KernelBuilder& k, const Tile& to, const Input& from, const Expr& head, const Expr& first) {
    k.copy_async(to, [&](const std::vector<Expr>& at) { return constant(from, 0)(head, first + at[0], at[1]); });
}
// Their numbers, which start at any place.
void copy_numbers(KernelBuilder& k, const Tile& to, const Input& from, const Expr& head, const Expr& first) {
    k.copy_async(to, [&](const std::vector<Expr>& at) { return constant(from, 0)(head, first + at[0]); }, {.bytes = 4});
}

}  // namespace

Algorithm attention_by_queries(const FlashBackwardShape& shape) { return ByQueries(shape).define(); }
Algorithm attention_by_keys(const FlashBackwardShape& shape) { return ByKeys(shape).define(); }

TileKernel flash_attention_by_queries(const FlashBackwardShape& shape) {
    const ByQueries a(shape);
    const std::int64_t rows = shape.rows, keys = shape.keys;
    const std::array<std::int64_t, 2> warps{shape.warps, 1};
    const Extent q_extent = a.queries.extent(), k_extent = a.keys.extent(), tiles = (q_extent + rows - 1) / rows;
    KernelBuilder k(a.define(), options_of(shape));
    const std::array<Expr, 2> block = k.grid({a.heads.extent(), tiles});
    const Expr head = block[0];
    // Of a causal head the tiles with the most keys come first.
    const Expr first = k.let(a.causal ? (tiles - 1 - block[1]) * rows : block[1] * rows);
    // Query i sees the keys below i + seen.
    const Expr seen = k.let(first - q_extent + k_extent + 1);

    const Tile q = k.shared("q", bf16, {rows, shape.head}, {.swizzle = true}),
               given = k.shared("given", bf16, {rows, shape.head}, {.swizzle = true});
    copy_rows(k, q, a.Q, head, first);
    copy_rows(k, given, a.dO, head, first);
    const Tile sums = k.fragment("sums", f32, {rows, shape.head}, warps);
    const Tile lse = k.fragment("minus_lse", f32, {rows}, warps), delta = k.fragment("row", f32, {rows}, warps);
    k.warps({shape.warps}, [&](const Expr&) {
        k.for_each(lse, [&](const Expr& i) {
            k.store(lse(i), constant(a.lse, 0)(head, first + i) * -log2_of_e);
            k.store(delta(i), 0.0f);
        });
        k.for_each(sums, [&](const Expr& i, const Expr& j) {
            k.store(sums(i, j), 0.0f);
            const Expr o = cast(f32, constant(a.O, 0)(head, first + i, j));
            k.store(delta(i), fma(cast(f32, given(i, j)), o, delta(i)));
        });
        k.reduce(delta, plus);
        k.for_each(sums, [&](const Expr& i, const Expr& j) {
            k.when(j == 0 && first + i < q_extent, [&] { k.store(a.delta(head, first + i), delta(i)); });
        });
    });

    const Expr visible = a.causal ? max(0, min(k_extent, seen + rows - 1)) : Expr(k_extent);
    k.loop((visible + keys - 1) / keys, [&](const Expr& step) {
        const Expr begin = step * keys;
        const Tile ks = k.shared("k", bf16, {keys, shape.head}, {.buffers = shape.buffers, .swizzle = true});
        const Tile vs = k.shared("v", bf16, {keys, shape.head}, {.buffers = shape.buffers, .swizzle = true});
        copy_rows(k, ks, a.K, head, begin);
        copy_rows(k, vs, a.V, head, begin);
        const Tile s = k.fragment("s", f32, {rows, keys}, warps), slopes = k.fragment("ds", f32, {rows, keys}, warps);
        k.warps({shape.warps}, [&](const Expr&) {
            store_zeros(k, s);
            k.mma(s, q, ks, {.right_transposed = true});
            k.when(a.causal ? begin + keys > seen : begin + keys > k_extent, [&] {
                k.for_each(s, [&](const Expr& i, const Expr& j) {
                    const Expr key = begin + j, end = a.causal ? i + seen : Expr(k_extent);
                    k.store(s(i, j), select(key < end, s(i, j), lowest(f32)));
                });
            });
            k.for_each(slopes, [&](const Expr& i, const Expr& j) { k.store(slopes(i, j), -delta(i)); });
            k.mma(slopes, given, vs, {.right_transposed = true});
            k.for_each(s, [&](const Expr& i, const Expr& j) {
                k.store(slopes(i, j), slopes(i, j) * exp2(fma(s(i, j), a.scale, lse(i))));
            });
            k.mma(sums, slopes, ks);
        });
    });

    k.warps({shape.warps}, [&](const Expr&) {
        k.for_each(sums, [&](const Expr& i, const Expr& j) {
            k.when(first + i < q_extent, [&] { k.store(a.dQ(head, first + i, j), cast(bf16, sums(i, j) * a.root)); });
        });
    });
    return k.finish();
}

TileKernel flash_attention_by_keys(const FlashBackwardShape& shape) {
    const ByKeys a(shape);
    const std::int64_t rows = shape.rows, keys = shape.keys;
    const std::array<std::int64_t, 2> warps{shape.warps, 1};
    const Extent q_extent = a.queries.extent(), k_extent = a.keys.extent();
    KernelBuilder k(a.define(), options_of(shape));
    // Of a causal head the first tiles have the most queries.
    const std::array<Expr, 2> block = k.grid({a.heads.extent(), (k_extent + keys - 1) / keys});
    const Expr head = block[0], first = k.let(block[1] * keys);
    // Key j is seen by the queries from j + seer on.
    const Expr seer = k.let(first - k_extent + q_extent);

    const Tile ks = k.shared("k", bf16, {keys, shape.head}, {.swizzle = true}),
               vs = k.shared("v", bf16, {keys, shape.head}, {.swizzle = true});
    copy_rows(k, ks, a.K, head, first);
    copy_rows(k, vs, a.V, head, first);
    const Tile by_key = k.fragment("by_key", f32, {keys, shape.head}, warps),
               by_value = k.fragment("by_value", f32, {keys, shape.head}, warps);
    k.warps({shape.warps}, [&](const Expr&) {
        store_zeros(k, by_key);
        store_zeros(k, by_value);
    });

    const Expr before = a.causal ? k.let(max(0, seer) / rows) : k.let(0);
    k.loop((q_extent + rows - 1) / rows - before, [&](const Expr& step) {
        const Expr begin = (before + step) * rows;
        const SharedOptions ring{.buffers = shape.buffers, .swizzle = true}, numbers{.buffers = shape.buffers};
        const Tile q = k.shared("q", bf16, {rows, shape.head}, ring), given = k.shared("given", bf16, {rows, shape.head}, ring);
        const Tile lse = k.shared("row_lse", f32, {rows}, numbers), delta = k.shared("row_delta", f32, {rows}, numbers);
        copy_rows(k, q, a.Q, head, begin);
        copy_rows(k, given, a.dO, head, begin);
        copy_numbers(k, lse, a.lse, head, begin);
        copy_numbers(k, delta, a.delta, head, begin);
        const Tile s = k.fragment("s", f32, {keys, rows}, warps), slopes = k.fragment("ds", f32, {keys, rows}, warps);
        k.warps({shape.warps}, [&](const Expr&) {
            store_zeros(k, s);
            k.mma(s, ks, q, {.right_transposed = true});
            if (a.causal)
                k.when(begin < seer + (keys - 1), [&] {
                    k.for_each(s, [&](const Expr& i, const Expr& j) {
                        k.store(s(i, j), select(i + seer <= begin + j, s(i, j), lowest(f32)));
                    });
                });
            // Behind the last query are zeros: they add nothing.
            k.for_each(s, [&](const Expr& i, const Expr& j) {
                k.store(s(i, j), exp2(fma(s(i, j), a.scale, lse(j) * -log2_of_e)));
                k.store(slopes(i, j), -delta(j));
            });
            k.mma(by_value, s, given);
            k.mma(slopes, vs, given, {.right_transposed = true});
            k.for_each(s, [&](const Expr& i, const Expr& j) { k.store(slopes(i, j), slopes(i, j) * s(i, j)); });
            k.mma(by_key, slopes, q);
        });
    });

    k.warps({shape.warps}, [&](const Expr&) {
        k.for_each(by_key, [&](const Expr& i, const Expr& j) {
            k.when(first + i < k_extent, [&] {
                k.store(a.dK(head, first + i, j), cast(bf16, by_key(i, j) * a.root));
                k.store(a.dV(head, first + i, j), cast(bf16, by_value(i, j)));
            });
        });
    });
    return k.finish();
}

}  // namespace gpu_kernels
