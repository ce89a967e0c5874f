#pragma once

#include "expr/op_table.h"

#include <string_view>

namespace tessera {

/// Operators that stand between their operands in the text of definitions; the higher precedence binds tighter.
struct Infix {
    Op op;
    std::string_view symbol;
    int precedence;
};
constexpr Infix infix_table[] = {{Op::or_, "||", 1}, {Op::and_, "&&", 2}, {Op::eq, "==", 3}, {Op::ne, "!=", 3},
                                 {Op::lt, "<", 3},   {Op::le, "<=", 3},   {Op::add, "+", 4}, {Op::sub, "-", 4},
                                 {Op::mul, "*", 5},  {Op::div, "/", 5},   {Op::mod, "%", 5}};

}  // namespace tessera
