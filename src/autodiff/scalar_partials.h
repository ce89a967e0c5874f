#pragma once

#include "autodiff/guarded.h"

#include <optional>
#include <string_view>

namespace tessera {

/// The partial derivative of an op by one operand, as what it does to a derivative g: ± g * factor / divisor where `guard` holds.
/// Undefined parts are left out. Forward and reverse mode both read it.
struct Partial {
    bool zero = false, negative = false;
    Expr factor, divisor, guard;

    [[nodiscard]] Guarded of(const Guarded& g) const;
};

/// What a rule reads: the op's operands and its own value in the derivative's dtype. `value` may be a read of a Func that holds
/// it.
struct OpPlace {
    const Expr* node;
    std::vector<Expr> args;
    Expr value;
    std::vector<bool> free_of_inputs;  // per operand: a tie of min or max goes to an operand that no Input reaches
};

/// The partial of `place` by operand k. Throws nothing: nothing for an op without derivative, whose reason is no_derivative().
[[nodiscard]] std::optional<Partial> partial_of(const OpPlace& place, size_t k);
/// Why `op` has no derivative, and what to write instead; empty when it has one (or yields no floats).
[[nodiscard]] std::string_view no_derivative(Op op);
/// Every op of the table has rules for its operands or a reason.
[[nodiscard]] bool scalar_partials_are_complete();
/// Whether the result of `op` varies with operand k as far as derivatives are concerned; true as well for an op that has none.
[[nodiscard]] bool passes_derivative(Op op, size_t k);

}  // namespace tessera
