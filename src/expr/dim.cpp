#include <tessera/dim.h>

#include "expr/expr_node.h"

#include <fmt/format.h>

#include <cctype>

namespace tessera {
namespace {

void check_name(const std::string& name, SourceLoc where) {
    bool good = !name.empty() && (std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_');
    for (const char c : name) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_');
    if (!good && name != "...")
        throw Error(E0102_bad_name, where, fmt::format("'{}' is no name for a dim", name),
                    {token("\"" + name + "\""), expected("letters, digits and _, not starting with a digit, or ..."),
                     fix("call it x, y, channel, ...")});
}

Extent extent_op(Op op, const Extent& a, const Extent& b) { return Extent(build_op(op, {Expr(a), Expr(b)}).node()); }

}  // namespace

Extent::Extent(std::int64_t value, std::nullptr_t) : node_(literal(value).node()) {}
std::optional<std::int64_t> Extent::constant() const { return integer_constant(Expr(node_)); }
Extent operator+(const Extent& a, const Extent& b) { return extent_op(Op::add, a, b); }
Extent operator-(const Extent& a, const Extent& b) { return extent_op(Op::sub, a, b); }
Extent operator*(const Extent& a, const Extent& b) { return extent_op(Op::mul, a, b); }
Extent operator/(const Extent& a, const Extent& b) { return extent_op(Op::div, a, b); }
Extent operator%(const Extent& a, const Extent& b) { return extent_op(Op::mod, a, b); }

Dim::Dim(std::string name, SourceLoc where) : state_(std::make_shared<DimState>()) {
    check_name(name, where);
    state_->pack = name == "...";
    state_->name = std::move(name);
    state_->where = where;
}
Dim::Dim(std::string name, Extent extent, SourceLoc where) : Dim(std::move(name), where) {
    if (const auto value = extent.constant(); value && *value < 0)
        throw Error(E0105_extent, where, fmt::format("dim {} has extent {}", state_->name, *value),
                    {token(state_->name), expected("an extent >= 0"), received(std::to_string(*value)),
                     fix("check the formula of the extent")});
    state_->extent = std::move(extent);
}
Dim Dim::dynamic(std::string name, SourceLoc where) {
    Dim d(std::move(name), where);
    d.state_->dynamic = true;
    return d;
}
Dim& Dim::multiple_of(std::int64_t factor) & {
    if (factor < 1)
        throw Error(E0105_extent, state_->where, fmt::format("dim {} shall be a multiple of {}", state_->name, factor),
                    {token("multiple_of"), expected("a factor >= 1"), fix("leave the promise out")});
    state_->multiple_of = factor;
    return *this;
}
Dim Dim::multiple_of(std::int64_t factor) && { return multiple_of(factor); }
Dim& Dim::at_most(std::int64_t bound) & {
    if (bound < 0)
        throw Error(E0105_extent, state_->where, fmt::format("dim {} shall be at most {}", state_->name, bound),
                    {token("at_most"), expected("a bound >= 0"), fix("leave the promise out")});
    state_->at_most = bound;
    return *this;
}
Dim Dim::at_most(std::int64_t bound) && { return at_most(bound); }
const std::string& Dim::name() const { return state_->name; }
bool Dim::is_pack() const { return state_->pack; }
Extent Dim::extent() const {
    if (state_->extent && state_->extent->constant()) return *state_->extent;
    return Extent(
        make_node({.op = Op::extent, .dtype = DType::i64, .weak = true, .attribute = std::shared_ptr<const DimState>(state_)})
            .node());
}

}  // namespace tessera
