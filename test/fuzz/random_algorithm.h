#pragma once

#include <tessera/tessera.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace tessera::fuzz {

using Random = std::mt19937_64;
/// A number in [low, high].
[[nodiscard]] inline std::int64_t draw(Random& random, std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}
[[nodiscard]] inline bool chance(Random& random, double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random) < probability;
}
template <class T>
[[nodiscard]] const T& pick(Random& random, const std::vector<T>& from) {
    return from[static_cast<size_t>(draw(random, 0, static_cast<std::int64_t>(from.size()) - 1))];
}

/// One to eight definitions over [x] up to [p, c, y, x], of every dtype: point-wise arithmetic, shifted, mirrored, scaled and
/// data-dependent reads, boundary conditions, stencils, reductions with predicates, of tuples and in declared orders,
/// contractions, scans, recurrences, scatters, arg-max, tuples, Funcs with fewer dims. Float reductions of free order only see
/// small whole numbers, so every legal order gives the same bits. With `routines` some are computed by C functions.
[[nodiscard]] Algorithm random_algorithm(Random& random, bool routines = false);

}  // namespace tessera::fuzz
