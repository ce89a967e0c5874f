#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

namespace tessera {

/// A schedule for derivatives of an algorithm that has a good one. `derivative` is made of `primal` by value_and_grad(), vjp() or
/// grad(): its stages are known by their names.
///   - stages of the primal that the derivative still has keep their records;
///   - the cotangent of a definition, d_loss/out, takes the loops of `out`;
///   - the cotangent of what a stage reads takes that stage's loops through the access: of in(2 x + r) a tile of 32 along x is
///   one
///     of 64 along the dim of `in`; loops over dims that the access does not have are left out;
///   - everything else has the default schedule, contractions keep its loops inside the inherited outer tiles, and so does a
///   stage
///     whose inherited record would not be legal.
/// The result is legal for `derivative`. Throws what binding `primal_schedule` to `primal` throws.
[[nodiscard]] Schedule derive_schedule(const Algorithm& primal, const Schedule& primal_schedule, const Algorithm& derivative,
                                       const Target& target = {});

}  // namespace tessera
