#include "schedule/loop_split.h"

#include "expr/index_build.h"

namespace tessera {
namespace {

Expr ceil_div(const Expr& a, const Expr& b) {
    return simplified_op(Op::div, index_sum(a, index_difference(b, index_number(1))), b);
}

bool divides(const Expr& tile, const Expr& size) {
    const auto t = integer_constant(tile);
    return t && is_multiple(IndexAnalysis().normal(size), *t);
}

bool at_least(const Expr& size, const Expr& tile) { return proves_nonnegative(index_difference(size, tile)); }

}  // namespace

Expr index_number(std::int64_t v) { return make_constant(DType::i64, v); }
Expr index_sum(const Expr& a, const Expr& b) { return simplified_op(Op::add, a, b); }
Expr index_difference(const Expr& a, const Expr& b) { return simplified_op(Op::sub, a, b); }

DimPart DimPart::of(const Expr& begin, const Expr& size) { return {begin, size, index_sum(begin, size), true, {}}; }

Interval DimPart::interval() const {
    if (index.defined()) return {index, index};
    const Expr whole = index_sum(begin, size), one = index_number(1);
    return {begin, index_difference(full ? whole : lesser(whole, end), one)};
}

Split split_part(const DimPart& part, const BoundLoop& loop, const std::string& prefix, bool innermost, std::int64_t inner_tile) {
    Split s;
    s.variable = make_variable(prefix, DType::i64);
    s.rest = part;
    if (innermost) {
        s.begin = part.begin;
        s.extent = part.size;
        s.rest.index = s.variable;
        if (!part.full) s.condition = make_op(Op::lt, DType::bool_, {s.variable, part.end});
        return s;
    }
    Expr tile = index_number(loop.tile);
    if (loop.parts) {
        const Expr share = ceil_div(part.size, index_number(*loop.parts));
        const Expr rounded = simplified_op(Op::mul, ceil_div(share, index_number(inner_tile)), index_number(inner_tile));
        tile = make_variable(prefix + ".tile", DType::i64);
        // A tile of at least one keeps the number of blocks defined for an empty dim.
        s.outside.emplace_back(tile, simplified_op(Op::max, rounded, index_number(1)));
    }
    s.begin = index_number(0);
    s.extent = ceil_div(part.size, tile);
    const Expr start = make_variable(prefix + ".begin", DType::i64);
    Expr value = index_sum(part.begin, simplified_op(Op::mul, s.variable, tile));
    const bool exact = divides(tile, part.size);
    if (!exact) {
        const Expr end = index_sum(part.begin, part.size);
        s.rest.end = part.full ? end : lesser(end, part.end);
        s.rest.full = false;
        if (loop.tail == Tail::shift_inwards) {
            // The last block moves back inside; a dim shorter than a block is cut off by the guard.
            value = simplified_op(Op::min, value, index_difference(s.rest.end, tile));
            if (part.full && at_least(part.size, tile))
                s.rest.full = true;
            else
                value = simplified_op(Op::max, value, part.begin);
        }
    }
    s.rest.begin = start;
    s.rest.size = tile;
    if (s.rest.full) s.rest.end = index_sum(start, tile);
    s.lets.emplace_back(start, value);
    if (!part.full) s.condition = make_op(Op::lt, DType::bool_, {start, s.rest.end});
    return s;
}

}  // namespace tessera
