#include "cuda/corpus.h"

#include "../apps/gpu_kernels/flash_attention.h"
#include "../apps/gpu_kernels/flash_attention_backward.h"

namespace tessera::cuda_test {
namespace {

using Extents = std::vector<std::map<std::string, std::int64_t>>;

CorpusKernel written_kernel(const std::string& name, const TileKernel& kernel, Extents cases, std::int64_t length,
                            std::int64_t row_cells) {
    CorpusKernel out{name, kernel.algorithm(), {}, std::move(cases), length, row_cells};
    out.written = kernel;
    return out;
}

// Of rows and keys that a block takes at once, and of those behind the first buffers.
CorpusKernel flash(const std::string& name, bool causal, const std::array<std::int64_t, 2>& rows_and_keys,
                   const TileKernel& kernel) {
    const auto extents = [](std::int64_t heads, std::int64_t queries, std::int64_t keys) {
        return std::map<std::string, std::int64_t>{{"heads", heads}, {"queries", queries}, {"keys", keys}};
    };
    const auto [rows, keys] = rows_and_keys;
    Extents cases{extents(1, 1, 1), extents(2, 9, 70), extents(1, rows, keys)};
    // Queries before the first key.
    if (causal) cases.insert(cases.begin() + 1, extents(1, rows - 16, 50));
    CorpusKernel out = written_kernel(name, kernel, std::move(cases), 1, 8);
    // Of f32 beside results of bf16: sums of the head, and of exponentials that the hardware approximates.
    out.lengths = {{"lse", 64}, {"delta", 128}};
    return out;
}
CorpusKernel flash(const std::string& name, const gpu_kernels::FlashShape& shape) {
    return flash(name, shape.causal, {shape.rows + 21, (shape.buffers + 1) * shape.keys + 13},
                 gpu_kernels::flash_attention("attended", shape));
}

CorpusKernel grouped_flash(const std::string& name, const gpu_kernels::GroupedFlashShape& shape) {
    CorpusKernel out = flash(name, shape.causal, {64 * shape.groups + 21, (shape.buffers + 1) * shape.keys + 13},
                             gpu_kernels::flash_attention_grouped("attended", shape));
    out.target = "cuda-sm_90a";
    return out;
}

CorpusKernel flash_by_queries(const std::string& name, const gpu_kernels::FlashBackwardShape& shape) {
    return flash(name, shape.causal, {shape.rows + 21, (shape.buffers + 1) * shape.keys + 13},
                 gpu_kernels::flash_attention_by_queries(shape));
}
CorpusKernel flash_by_keys(const std::string& name, const gpu_kernels::FlashBackwardShape& shape) {
    return flash(name, shape.causal, {(shape.buffers + 1) * shape.rows + 13, shape.keys + 21},
                 gpu_kernels::flash_attention_by_keys(shape));
}

// A block a row; its threads add their cells up, then each other's.
CorpusKernel written_row_sums() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    Func out("out");
    out(r) = sum({c}, a(r, c) * 2.0f);
    KernelBuilder k(Algorithm({out}, {a}), {.threads = 96});
    const Expr row = k.grid({r.extent()})[0];
    const Tile part = k.registers("part", f32, {1});
    k.threads({96}, [&](const Expr&) { k.store(part(0), 0.0f); });
    k.threads({c.extent()}, [&](const Expr& i) { k.store(part(0), part(0) + a(row, i) * 2.0f); });
    k.reduce(part, plus);
    k.threads({1}, [&](const Expr&) { k.store(out(row), part(0)); });
    return written_kernel("written_row_sums", k.finish(), {{{"r", 1}, {"c", 1}}, {{"r", 3}, {"c", 301}}}, 300, 1);
}

// Two by two warps; a tile is stored by threads, the other copied ahead.
CorpusKernel written_matmul(const std::string& name, DType dtype, bool turned) {
    constexpr std::int64_t rows = 64, columns = 32, depth = 32;
    Dim m("m"), n("n"), d("k");
    const Input A("A", dtype, turned ? std::vector<Dim>{d, m} : std::vector<Dim>{m, d});
    const Input B("B", dtype, turned ? std::vector<Dim>{n, d} : std::vector<Dim>{d, n});
    Func C("C");
    C(m, n) = sum({d}, cast(f32, turned ? A(d, m) : A(m, d)) * cast(f32, turned ? B(n, d) : B(d, n)));
    KernelBuilder k(Algorithm({C}, {A, B}), {.threads = 128});
    const std::array<Expr, 2> block = k.grid({(m.extent() + rows - 1) / rows, (n.extent() + columns - 1) / columns});
    const Expr top = k.let(block[0] * rows), left = k.let(block[1] * columns);
    const Tile sums = k.fragment("sums", f32, {rows, columns}, {2, 2});
    k.warps({2, 2}, [&](const Expr&, const Expr&) {
        k.for_each(sums, [&](const Expr& i, const Expr& j) { k.store(sums(i, j), 0.0f); });
    });
    k.loop((d.extent() + depth - 1) / depth, [&](const Expr& step) {
        const Tile a =
            k.shared("a", dtype, turned ? std::vector<std::int64_t>{depth, rows} : std::vector<std::int64_t>{rows, depth},
                     {.swizzle = true});
        const Tile b =
            k.shared("b", dtype, turned ? std::vector<std::int64_t>{columns, depth} : std::vector<std::int64_t>{depth, columns},
                     {.buffers = 3, .swizzle = true});
        const Expr begin = step * depth;
        k.copy_async(b, [&](const std::vector<Expr>& at) {
            return constant(B, 0)((turned ? left : begin) + at[0], (turned ? begin : left) + at[1]);
        });
        k.threads({a.extents()[0], a.extents()[1]}, [&](const Expr& i, const Expr& j) {
            k.store(a(i, j), constant(A, 0)((turned ? begin : top) + i, (turned ? top : begin) + j));
        });
        k.warps({2, 2},
                [&](const Expr&, const Expr&) { k.mma(sums, a, b, {.left_transposed = turned, .right_transposed = turned}); });
    });
    k.warps({2, 2}, [&](const Expr&, const Expr&) {
        k.for_each(sums, [&](const Expr& i, const Expr& j) {
            k.when(top + i < m.extent() && left + j < n.extent(), [&] { k.store(C(top + i, left + j), sums(i, j)); });
        });
    });
    return written_kernel(name, k.finish(), {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 70}, {"n", 41}, {"k", 150}}}, 150, 8);
}

// Two warpgroups multiply bytes that the copy engine brings.
CorpusKernel written_grouped_bytes() {
    constexpr std::int64_t rows = 128, columns = 48, depth = 128;
    Dim m("m"), n("n"), d("depth");
    const Input A("A", i8, {m, d}), B("B", i8, {n, d});
    Func C("C");
    C(m, n) = sum({d}, cast(i32, A(m, d)) * cast(i32, B(n, d)));
    KernelBuilder k(Algorithm({C}, {A, B}), {.threads = 256});
    const std::array<Expr, 2> block = k.grid({(m.extent() + rows - 1) / rows, (n.extent() + columns - 1) / columns});
    const Expr top = k.let(block[0] * rows), left = k.let(block[1] * columns);
    const Tile sums = k.group_fragment("sums", i32, {rows, columns}, 2);
    k.warpgroups({2}, [&](const Expr&) { k.for_each(sums, [&](const Expr& i, const Expr& j) { k.store(sums(i, j), 0); }); });
    k.loop((d.extent() + depth - 1) / depth, [&](const Expr& step) {
        const Tile a = k.boxes("a", i8, {rows, depth}, 2), b = k.boxes("b", i8, {columns, depth}, 2);
        const Expr begin = step * depth;
        k.copy_box(a, [&](const Expr& i, const Expr& j) { return constant(A, 0)(top + i, begin + j); });
        k.copy_box(b, [&](const Expr& i, const Expr& j) { return constant(B, 0)(left + i, begin + j); });
        k.warpgroups({2}, [&](const Expr&) { k.mma(sums, a, b, {.right_transposed = true}); });
    });
    k.warpgroups({2}, [&](const Expr&) {
        k.for_each(sums, [&](const Expr& i, const Expr& j) {
            k.when(top + i < m.extent() && left + j < n.extent(), [&] { k.store(C(top + i, left + j), sums(i, j)); });
        });
    });
    CorpusKernel out = written_kernel("written_matmul_grouped_i8", k.finish(),
                                      {{{"m", 1}, {"n", 1}, {"depth", 1}}, {{"m", 140}, {"n", 50}, {"depth", 331}}}, 0, 16);
    out.target = "cuda-sm_90a";
    return out;
}

}  // namespace

std::vector<CorpusKernel> written_corpus() {
    return {written_row_sums(),
            written_grouped_bytes(),
            written_matmul("written_matmul_f16", f16, false),
            written_matmul("written_matmul_turned", bf16, true),
            flash("flash_d64", {.head = 64}),
            flash("flash_statistics_d64_causal", {.head = 64, .causal = true, .statistics = true, .rows = 64, .buffers = 3}),
            flash("flash_d128", {.head = 128, .warps = 8}),
            flash("flash_d128_causal", {.head = 128, .causal = true, .warps = 8}),
            grouped_flash("flash_grouped_d64", {.head = 64}),
            grouped_flash("flash_grouped_statistics_d64_causal",
                          {.head = 64, .causal = true, .statistics = true, .keys = 64, .buffers = 3}),
            grouped_flash("flash_grouped_d128", {.head = 128}),
            grouped_flash("flash_grouped_d128_causal", {.head = 128, .causal = true}),
            flash_by_queries("flash_by_queries_d64", gpu_kernels::shape_by_queries(64, false)),
            flash_by_queries("flash_by_queries_d64_causal", {.head = 64, .causal = true, .buffers = 3}),
            flash_by_queries("flash_by_queries_d128", gpu_kernels::shape_by_queries(128, false)),
            flash_by_queries("flash_by_queries_d128_causal", gpu_kernels::shape_by_queries(128, true)),
            flash_by_keys("flash_by_keys_d64", gpu_kernels::shape_by_keys(64, false)),
            flash_by_keys("flash_by_keys_d64_causal", {.head = 64, .causal = true, .buffers = 3}),
            flash_by_keys("flash_by_keys_d128", gpu_kernels::shape_by_keys(128, false)),
            flash_by_keys("flash_by_keys_d128_causal", gpu_kernels::shape_by_keys(128, true))};
}

}  // namespace tessera::cuda_test
