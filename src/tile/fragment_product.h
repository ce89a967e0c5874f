#pragma once

#include "tile/tile_ir.h"

#include <array>

namespace tessera::tile {

/// Frag loops m, n, k around the store that adds products, and what is named between them.
struct ProductNest {
    std::array<const tessera::Loop*, 3> loops{};
    std::vector<const tessera::Let*> lets;
    const tessera::Store* store = nullptr;
};
/// Whether the frag loop is of the nest that adds products.
[[nodiscard]] bool is_product(const BoundSchedule& bound, const tessera::Loop& loop);
/// Throws L0903 in the name of `root` for a nest of another form.
[[nodiscard]] ProductNest product_nest(const tessera::Loop& outer, const Stage& root);
/// The product of fragments that a nest of frag loops m, n, k (outermost first, with these extents) around `store` computes.
/// Throws L0903 where it is no sum of products that its atom does: m16n8k16 of bf16 or f16 to f32, m16n8k32 of i8 or u8 to i32.
/// `grouped`: by a warpgroup, whose atom is wgmma: bf16, f16 or 8-bit floats to f32, i8 to i32.
[[nodiscard]] Mma fragment_product(const BoundSchedule& bound, bool grouped, const std::array<const tessera::Loop*, 3>& loops,
                                   const tessera::Store& store, const std::array<std::int64_t, 3>& extents);
[[noreturn]] void refuse_product(const Stage& stage, std::string_view why);

}  // namespace tessera::tile
