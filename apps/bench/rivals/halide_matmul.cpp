// matmul: f32, explicit fused multiply-adds in ascending k (definitions.h has the formula), any extents with m >= 6.
// The register tile leaves room for the vectors of b and one broadcast: 6 x 64 with AVX-512, 6 x 16 with AVX2 (there as one
// vector of 16 lanes: two of 8 spill). A block of b is packed into panels as wide as the tile; it must fit in a quarter of the L2
// cache.
#include "halide_kernel.h"

namespace bench::rivals {

Kernel halide_matmul(const float* a, const float* b, float* out, MatmulSize size) {
    using namespace Halide;
    const bool avx512 = native_floats() == 16;
    const int lanes = 16, vectors = avx512 ? 4 : 1, tile_m = 6, tile_n = lanes * vectors, block_n = avx512 ? 128 : 64;
    ImageParam A(Float(32), 2, "A"), B(Float(32), 2, "B");
    Var m("m"), n("n"), k("k"), panel("panel"), block("block"), mt("mt"), nt("nt"), mi("mi"), ni("ni"), vector("vector"),
        lane("lane");
    Func packed("packed"), sum("sum"), C("C");
    // The last panel repeats the last column: its products are never stored.
    packed(ni, k, panel) = B(min(likely(panel * tile_n + ni), B.width() - 1), k);
    RDom r(0, A.width(), "r");
    sum(n, m) = 0.0f;
    sum(n, m) = Internal::Call::make(Float(32), "llvm.fma.f32", {A(r, m), packed(n % tile_n, r, n / tile_n), sum(n, m)},
                                     Internal::Call::PureExtern);
    C(n, m) = sum(n, m);

    C.split(n, block, n, block_n, TailStrategy::GuardWithIf)
        .split(n, nt, ni, tile_n, TailStrategy::GuardWithIf)
        .split(m, mt, mi, tile_m, TailStrategy::ShiftInwards)
        .split(ni, vector, lane, lanes, TailStrategy::RoundUp)
        .reorder(lane, vector, mi, mt, nt, block)
        .vectorize(lane)
        .unroll(vector)
        .unroll(mi)
        .parallel(block);
    sum.compute_at(C, mt).store_in(MemoryType::Register).bound_extent(n, tile_n).bound_extent(m, tile_m);
    sum.split(n, vector, lane, lanes, TailStrategy::RoundUp).reorder(lane, vector, m).vectorize(lane).unroll(vector).unroll(m);
    sum.update().split(n, vector, lane, lanes, TailStrategy::RoundUp).reorder(lane, vector, m, r).vectorize(lane);
    sum.update().unroll(vector).unroll(m);
    packed.compute_at(C, block).bound_extent(ni, tile_n).split(ni, vector, lane, lanes).reorder(lane, vector, k, panel);
    packed.vectorize(lane).unroll(vector);

    start_at_zero(A);
    start_at_zero(B);
    start_at_zero(C.output_buffer());
    B.dim(1).set_extent(A.width());
    C.output_buffer().dim(0).set_extent(B.width());
    C.output_buffer().dim(1).set_extent(A.height());
    auto left = array(a, {size.k, size.m}), right = array(b, {size.n, size.k}),
         to = array(static_cast<const float*>(out), {size.n, size.m});
    return [kernel = C.compile_to_callable({A, B}, target_of(Arithmetic::strict)), left, right, to]() mutable {
        run(kernel, left, right, to);
    };
}

}  // namespace bench::rivals
