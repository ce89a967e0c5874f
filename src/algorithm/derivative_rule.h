#pragma once

#include <tessera/autodiff.h>

#include <vector>

namespace tessera {

/// A derivative that stands instead of that of a Func's values: how its cotangent becomes those of its operands, or tangents of
/// the operands its own.
struct DerivativeRule {
    std::vector<Wrt> operands;
    ReverseRule reverse;  // one of the two, or both
    ForwardRule forward;
    bool closed = true;                                 // what the value reads and is no operand must not be differentiated by
    std::vector<Dim> per = {};                          // whose points it does not mix
    bool linear = false;                                // both are known to be linear in what they are given: not checked
    std::shared_ptr<const DerivativeRule> origin = {};  // of a rule that was moved with its Func
};

}  // namespace tessera
