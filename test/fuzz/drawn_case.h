#pragma once

#include "backend/interpreter/interpreter.h"
#include "fuzz/random_algorithm.h"
#include "unit/cpu/kernel_run.h"

#include <map>
#include <string>
#include <vector>

namespace tessera::fuzz {

/// A random algorithm with random extents and arguments.
struct DrawnCase {
    Algorithm algorithm;
    std::map<std::string, std::int64_t> extents;  // of the dims without one of their own
    double tolerance = 0;                         // of each value, relative to the largest of its output; 0: equal bits
    interpreter::Inputs inputs = {};
    test::Arguments named = {};                                    // the same
    std::map<std::string, std::vector<std::int64_t>> shapes = {};  // of the outputs

    /// Every byte set, so that what nothing writes shows.
    [[nodiscard]] interpreter::Outputs outputs() const;
    [[nodiscard]] std::string extents_text() const;
    /// There is nothing to write.
    [[nodiscard]] bool is_empty() const;
    /// Around an empty dim that an output reduces over, a stage with a border may have cells whose inputs have none.
    [[nodiscard]] bool is_hollow() const;
    /// What differs first; "" when nothing does. Any NaN equals any NaN where there is a tolerance.
    [[nodiscard]] std::string difference(const interpreter::Outputs& wanted, const interpreter::Outputs& got) const;
};

/// Of random_algorithm(), on whole numbers.
[[nodiscard]] DrawnCase draw_case(Random& random, bool routines = false);
/// Of random_real(), on reals.
[[nodiscard]] DrawnCase draw_real_case(Random& random);

}  // namespace tessera::fuzz
