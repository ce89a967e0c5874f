#include "algorithm/extent_values.h"

#include "base/check.h"
#include "expr/affine.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

struct IntegerOp {
    Op op;
    std::int64_t (*apply)(std::int64_t, std::int64_t);
};
constexpr IntegerOp integer_ops[] = {
    {Op::add, [](std::int64_t a, std::int64_t b) { return a + b; }},
    {Op::sub, [](std::int64_t a, std::int64_t b) { return a - b; }},
    {Op::mul, [](std::int64_t a, std::int64_t b) { return a * b; }},
    {Op::div, [](std::int64_t a, std::int64_t b) { return b == 0 ? 0 : floor_div(a, b); }},
    {Op::mod, [](std::int64_t a, std::int64_t b) { return b == 0 ? 0 : a - floor_div(a, b) * b; }},
    {Op::min, [](std::int64_t a, std::int64_t b) { return std::min(a, b); }},
    {Op::max, [](std::int64_t a, std::int64_t b) { return std::max(a, b); }},
    {Op::eq, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a == b; }},
    {Op::ne, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a != b; }},
    {Op::lt, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a < b; }},
    {Op::le, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a <= b; }},
    {Op::and_, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a != 0 && b != 0; }},
    {Op::or_, [](std::int64_t a, std::int64_t b) -> std::int64_t { return a != 0 || b != 0; }},
    {Op::bit_xor, [](std::int64_t a, std::int64_t b) { return a ^ b; }},
};

}  // namespace

std::optional<std::int64_t> integer_result(Op op, std::int64_t a, std::int64_t b) {
    for (const IntegerOp& row : integer_ops)
        if (row.op == op) return row.apply(a, b);
    return std::nullopt;
}

std::int64_t ExtentValues::of(const Dim& dim) {
    const DimState& state = dim.state();
    if (const auto found = known_.find(&state); found != known_.end()) return found->second;
    std::int64_t extent = 0;
    if (state.extent) {
        extent = value(Expr(*state.extent));
    } else if (const auto given = given_.find(state.name); given != given_.end()) {
        extent = given->second;
    } else if (missing_ == Missing::chosen) {
        constexpr std::int64_t over[] = {1, 3, 2, 5, 4, 0, 6, 7};
        extent = smallest_ + over[chosen_++ % std::size(over)];
        extent = (extent + state.multiple_of - 1) / state.multiple_of * state.multiple_of;
        if (state.at_most) extent = std::min(extent, *state.at_most / state.multiple_of * state.multiple_of);
    } else {
        throw Error(E0103_unknown_dim, state.where, fmt::format("nothing gives dim {} an extent", state.name),
                    {token(state.name), fix(fmt::format("give it one: {{\"{}\", 1024}}", state.name))});
    }
    known_.emplace(&state, extent);
    return extent;
}

std::vector<std::int64_t> ExtentValues::shape(const std::vector<Dim>& dims) {
    std::vector<std::int64_t> out;
    for (const Dim& d : dims) out.push_back(of(d));
    return out;
}

double ExtentValues::count(const std::vector<Dim>& dims) {
    double product = 1;
    for (const Dim& d : dims) product *= static_cast<double>(of(d));
    return product;
}

std::int64_t ExtentValues::value(const Expr& e) {
    if (e->op == Op::constant) return e->integer();
    if (e->op == Op::extent) return of(e->dim());
    if (e->op == Op::access) {
        const auto found = given_.find(e->target().input->name);
        return found == given_.end() ? 1 : found->second;
    }
    TESSERA_CHECK(!e->args.empty(), "an extent of something else than extents");
    const std::int64_t a = value(e->args[0]);
    if (e->args.size() == 1) return e->op == Op::neg ? -a : a;
    const auto result = integer_result(e->op, a, value(e->args[1]));
    TESSERA_CHECK(result.has_value(), "an extent has an operation that is not known");
    return *result;
}

}  // namespace tessera
