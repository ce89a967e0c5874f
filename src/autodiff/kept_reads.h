#pragma once

#include "algorithm/required_region.h"

namespace tessera {

/// What the reverse transform makes reads inputs, and Funcs of the graph that it is made from, inside of `regions` (inputs:
/// inside) wherever a value counts: guards see to that. Where the checks of an Algorithm cannot show it of `results`, because
/// what is required of chains of guards is too long an expression, these reads are clamped to the regions, which changes no
/// value.
void keep_reads_inside(const std::vector<Func>& results, const RequiredRegions& regions);

}  // namespace tessera
