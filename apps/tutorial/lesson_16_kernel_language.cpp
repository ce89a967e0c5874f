// Lesson 16: a GPU kernel written tile by tile. The algorithm stays the meaning; nothing here needs a GPU: the kernel is looked
// at.
#include <tessera/tessera.h>
#include <tessera/tile_kernel.h>

#include <cstdio>

using namespace tessera;

int main() {
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {n, k});
    Func C("C");
    C(m, n) = sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k)));
    Algorithm product({C}, {A, B});

    // A block of four warps computes 64 x 64 cells, 64 steps of the sum at a time; copies run two iterations ahead.
    KernelBuilder kernel(product, {.threads = 128});
    const auto block = kernel.grid({(m.extent() + 63) / 64, (n.extent() + 63) / 64});
    const Expr top = kernel.let(block[0] * 64), left = kernel.let(block[1] * 64);
    const Tile sums = kernel.fragment("sums", f32, {64, 64}, {2, 2});
    kernel.warps({2, 2}, [&](const Expr&, const Expr&) {
        kernel.for_each(sums, [&](const Expr& i, const Expr& j) { kernel.store(sums(i, j), 0.0f); });
    });
    kernel.loop((k.extent() + 63) / 64, [&](const Expr& step) {
        const Tile a = kernel.shared("a", bf16, {64, 64}, {.buffers = 3, .swizzle = true});
        const Tile b = kernel.shared("b", bf16, {64, 64}, {.buffers = 3, .swizzle = true});
        kernel.copy_async(a, [&](const auto& at) { return constant(A, 0)(top + at[0], step * 64 + at[1]); });
        kernel.copy_async(b, [&](const auto& at) { return constant(B, 0)(left + at[0], step * 64 + at[1]); });
        kernel.warps({2, 2}, [&](const Expr&, const Expr&) { kernel.mma(sums, a, b, {.right_transposed = true}); });
    });
    kernel.warps({2, 2}, [&](const Expr&, const Expr&) {
        kernel.for_each(sums, [&](const Expr& i, const Expr& j) {
            kernel.when(top + i < m.extent() && left + j < n.extent(), [&] { kernel.store(C(top + i, left + j), sums(i, j)); });
        });
    });
    const TileKernel finished = kernel.finish();

    for (const IrLevel level : {IrLevel::schedule, IrLevel::tile, IrLevel::target})
        std::printf("%s\n", inspect_ir(finished, parse_target("cuda-sm_80"), level).c_str());

    // What does not fit says which field, its value and the limit.
    KernelBuilder wrong(product, {.threads = 128});
    (void)wrong.grid({m.extent()});
    try {
        (void)wrong.fragment("sums", f32, {64, 40}, {2, 2});
    } catch (const Error& e) {
        std::printf("%s\n", e.what());
        return 0;
    }
    return 1;
}
