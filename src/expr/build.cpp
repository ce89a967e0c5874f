#include "base/check.h"
#include "expr/affine.h"
#include "expr/expr_node.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace tessera {
namespace {

struct IntegerRange {
    std::int64_t low;
    std::uint64_t high;
};
IntegerRange range_of(DType t) {
    const int bits = dtype_bits(t);
    if (t == DType::bool_) return {0, 1};
    if (is_unsigned(t)) return {0, bits == 64 ? ~0ull : (1ull << bits) - 1};
    return {bits == 64 ? std::numeric_limits<std::int64_t>::min() : -(1ll << (bits - 1)), (1ull << (bits - 1)) - 1};
}

bool fits(std::int64_t value, DType t) {
    const IntegerRange r = range_of(t);
    return value >= r.low && (value < 0 || static_cast<std::uint64_t>(value) <= r.high);
}

Expr literal_in(const Expr& e, DType dtype, SourceLoc where) {
    if (is_float(e->dtype)) {
        if (is_float(dtype)) return make_constant(dtype, e->floating());
        throw Error(E0203_literal, where,
                    fmt::format("the literal {} meets {}; a fraction has no place there", e->floating(), dtype_name(dtype)),
                    {fix(fmt::format("cast the other operand: cast(f32, ...)")), fix("write a whole number")});
    }
    const std::int64_t value = e->integer();
    if (is_float(dtype)) return make_constant(dtype, static_cast<double>(value));
    if (!fits(value, dtype)) {
        const IntegerRange r = range_of(dtype);
        throw Error(E0203_literal, where, fmt::format("the literal {} does not fit {}", value, dtype_name(dtype)),
                    {token(std::to_string(value)), expected(fmt::format("a value from {} to {}", r.low, r.high)),
                     received(std::to_string(value)), fix("cast the other operand to a wider dtype")});
    }
    return make_constant(dtype, value);
}

// A weak expression as a strong one: i64 for an index, `dtype` for float literals under operators. Shared nodes once.
class Strengthened {
public:
    Strengthened(DType dtype, SourceLoc where) : dtype_(dtype), where_(where) {}

    Expr of(const Expr& e) {
        if (!e->weak) return e;
        if (is_constant(e)) return literal_in(e, dtype_, where_);
        Expr& done = done_[e.get()];
        if (done.defined()) return done;
        ExprNode node = *e;
        node.weak = false;
        node.dtype = dtype_;
        for (Expr& a : node.args) a = of(a);
        return done_[e.get()] = make_node(std::move(node));
    }

private:
    DType dtype_;
    SourceLoc where_;
    std::unordered_map<const ExprNode*, Expr> done_;
};

// Arithmetic of two literals, done where it stands; an op without a row here stays a node.
std::optional<Expr> fold_literals(Op op, const std::vector<Expr>& args) {
    for (const Expr& a : args)
        if (!is_constant(a) || !a->weak) return {};
    bool floats = false;
    for (const Expr& a : args) floats = floats || is_float(a->dtype);
    if (floats) {
        const auto value = [&](size_t i) {
            return is_float(args[i]->dtype) ? args[i]->floating() : static_cast<double>(args[i]->integer());
        };
        switch (op) {
            case Op::add: return literal(value(0) + value(1));
            case Op::sub: return literal(value(0) - value(1));
            case Op::mul: return literal(value(0) * value(1));
            case Op::div: return literal(value(0) / value(1));
            case Op::neg: return literal(-value(0));
            default: return {};
        }
    }
    const auto bits = [&](size_t i) { return args[i]->bits; };
    const auto value = [&](size_t i) { return args[i]->integer(); };
    const auto wrapped = [](std::uint64_t v) { return literal(static_cast<std::int64_t>(v)); };
    switch (op) {
        case Op::add: return wrapped(bits(0) + bits(1));
        case Op::sub: return wrapped(bits(0) - bits(1));
        case Op::mul: return wrapped(bits(0) * bits(1));
        case Op::neg: return wrapped(0 - bits(0));
        case Op::div: return literal(floor_div(value(0), value(1)));
        case Op::mod: return literal(value(1) == 0 ? 0 : value(0) - value(1) * floor_div(value(0), value(1)));
        case Op::min: return literal(std::min(value(0), value(1)));
        case Op::max: return literal(std::max(value(0), value(1)));
        default: return {};
    }
}

std::string operands_text(Operands operands) {
    switch (operands) {
        case Operands::numeric: return "numbers";
        case Operands::integer: return "integers";
        case Operands::floating: return "floats (f8e4m3, f8e5m2, f16, bf16, f32, f64)";
        case Operands::boolean: return "bool";
        default: return "values";
    }
}

bool accepts(Operands operands, DType t) {
    switch (operands) {
        case Operands::any: return true;
        case Operands::numeric: return t != DType::bool_;
        case Operands::integer: return is_integer(t);
        case Operands::floating: return is_float(t);
        case Operands::boolean: return t == DType::bool_;
        case Operands::structural: return false;
    }
    return false;
}

// The op as C++ writes it.
std::string_view spelling_of(const OpRow& row) {
    constexpr std::pair<Op, std::string_view> symbols[] = {
        {Op::add, "+"},  {Op::sub, "-"},     {Op::mul, "*"},    {Op::div, "/"},     {Op::mod, "%"},
        {Op::neg, "-"},  {Op::bit_and, "&"}, {Op::bit_or, "|"}, {Op::bit_xor, "^"}, {Op::bit_not, "~"},
        {Op::shl, "<<"}, {Op::shr, ">>"},    {Op::eq, "=="},    {Op::ne, "!="},     {Op::lt, "<"},
        {Op::le, "<="},  {Op::and_, "&&"},   {Op::or_, "||"},   {Op::not_, "!"}};
    for (const auto& [op, symbol] : symbols)
        if (op == row.op) return symbol;
    return row.name;
}

void check_operand(const OpRow& row, DType t, SourceLoc where) {
    if (accepts(row.operands, t)) return;
    const std::string name(spelling_of(row));
    std::vector<Hint> hints{token(name), expected(operands_text(row.operands)), received(std::string(dtype_name(t)))};
    const bool on_bool = t == DType::bool_;
    if (on_bool && (row.op == Op::lt || row.op == Op::le))
        hints.push_back(fix("compare twice: 0 <= i && i < n; 0 <= i < n compares the bool 0 <= i"));
    if (on_bool && (row.op == Op::bit_and || row.op == Op::bit_or || row.op == Op::bit_xor))
        hints.push_back(fix(fmt::format("write parentheses, (i {0} 1) == 0: {0} binds weaker than == in C++", name)));
    if (row.operands == Operands::boolean)
        hints.push_back(fix("compare first, for example x != 0"));
    else if (row.operands == Operands::floating)
        hints.push_back(fix(fmt::format("cast the operand: {}(cast(f32, x))", row.name)));
    else
        hints.push_back(fix("cast the operand: cast(i32, x)"));
    throw Error(E0202_dtype_unsupported, where,
                fmt::format("{} takes {}, not {}", name, operands_text(row.operands), dtype_name(t)), std::move(hints));
}

// a < b < c and i & 1 == 0 compile and mean something else.
void refuse_bool(const OpRow& row, const std::vector<Expr>& args, SourceLoc where) {
    if (accepts(row.operands, DType::bool_)) return;
    bool any = false;
    for (const Expr& a : args) any = any || a->dtype == DType::bool_;
    if (any) check_operand(row, DType::bool_, where);
}

// The dtype that operands share; weak ones are resolved to it. All weak: i64, or f64 when a float literal is among them.
DType unify(const OpRow& row, std::vector<Expr>& args, const std::vector<SourceLoc>& where, bool& all_weak) {
    const Expr* typed = nullptr;
    for (const Expr& a : args) {
        if (a->weak) continue;
        if (typed && (*typed)->dtype != a->dtype)
            throw Error(E0201_dtype_mismatch, where[0],
                        fmt::format("{} of {} and {}; nothing converts implicitly", spelling_of(row), dtype_name((*typed)->dtype),
                                    dtype_name(a->dtype)),
                        {token(std::string(spelling_of(row))), expected("operands of one dtype"),
                         received(fmt::format("{} and {}", dtype_name((*typed)->dtype), dtype_name(a->dtype))),
                         fix(fmt::format("cast one operand: cast({}, ...)", dtype_name((*typed)->dtype)))});
        typed = &a;
    }
    all_weak = typed == nullptr;
    if (typed) {
        const DType t = (*typed)->dtype;
        for (size_t i = 0; i < args.size(); ++i) args[i] = resolve_weak(args[i], t, where[i]);
        return t;
    }
    for (const Expr& a : args)
        if (is_float(a->dtype)) {
            for (size_t i = 0; i < args.size(); ++i)
                if (!is_constant(args[i]) && !is_float(args[i]->dtype))
                    throw Error(E0203_literal, where[i], "an index meets a fraction; neither has a dtype",
                                {fix("write the dtype: cast(f32, x) * 0.5")});
            return DType::f64;
        }
    return DType::i64;
}

}  // namespace

Expr resolve_weak(const Expr& e, DType dtype, SourceLoc where) {
    if (!e->weak) return e;
    if (is_constant(e)) return literal_in(e, dtype, where);
    if (e->op == Op::select)
        return make_op(Op::select, dtype,
                       {e->args[0], resolve_weak(e->args[1], dtype, where), resolve_weak(e->args[2], dtype, where)});
    if (is_float(e->dtype) && is_float(dtype)) return Strengthened(dtype, where).of(e);
    if (is_integer(dtype) && dtype_bits(dtype) >= 32 && !is_float(e->dtype)) {
        const Expr index = Strengthened(DType::i64, where).of(e);
        return dtype == DType::i64 ? index : make_op(Op::cast, dtype, {index});
    }
    throw Error(E0203_literal, where, fmt::format("an index or extent meets {}; its value may not fit", dtype_name(dtype)),
                {expected("an integer of at least 32 bits"), received(std::string(dtype_name(dtype))),
                 fix(fmt::format("write the conversion: cast({}, index)", dtype_name(dtype)))});
}

Expr index_expr(const Index& index) {
    const Expr& e = index.expr;
    if (!is_integer(e->dtype))
        throw Error(
            E0204_index_type, index.where, fmt::format("an index has dtype {}; indices are integers", dtype_name(e->dtype)),
            {expected("an integer of any width"), received(std::string(dtype_name(e->dtype))),
             fix(e->dtype == DType::bool_ ? "write cast(i32, condition) if that is meant" : "write cast(i32, floor(x))")});
    if (e->weak) return resolve_weak(e, DType::i64, index.where);
    return e->dtype == DType::i64 ? e : make_op(Op::cast, DType::i64, {e});
}

Expr build_op(Op op, const std::vector<Operand>& operands) {
    const OpRow& row = op_row(op);
    std::vector<Expr> args;
    std::vector<SourceLoc> where;
    for (const Operand& o : operands) {
        if (!o.expr.defined())
            throw Error(E0303_undefined, o.where, fmt::format("{} of an empty Expr", row.name),
                        {fix("give the Expr a value first")});
        args.push_back(o.expr);
        where.push_back(o.where);
    }
    if (auto folded = fold_literals(op, args)) return *folded;
    refuse_bool(row, args, where[0]);
    bool all_weak = false;
    const DType t = unify(row, args, where, all_weak);
    check_operand(row, t, where[0]);
    DType result = t;
    if (row.result == Result::boolean) result = DType::bool_;
    if (row.result == Result::f32) result = DType::f32;
    if (row.result == Result::u32) result = DType::u32;
    const bool stays_weak = all_weak && row.result == Result::same;
    if (!stays_weak)
        for (size_t i = 0; i < args.size(); ++i) args[i] = resolve_weak(args[i], t, where[i]);
    return make_op(op, result, std::move(args), stays_weak);
}

DType Expr::dtype() const { return node_->dtype; }
bool Expr::is_weak() const { return node_->weak; }
Expr::Expr(const Dim& dim) {
    ExprNode node = *make_dim(dim);
    node.weak = true;
    node_ = make_node(std::move(node)).node();
}

Expr literal(std::int64_t value) { return make_constant_bits(DType::i64, static_cast<std::uint64_t>(value), true); }
Expr literal(double value) { return make_constant_bits(DType::f64, std::bit_cast<std::uint64_t>(value), true); }
Expr literal(bool value) { return make_constant(DType::bool_, std::int64_t{value}); }
Expr constant(DType dtype, std::int64_t value, SourceLoc where) { return resolve_weak(literal(value), dtype, where); }
Expr constant(DType dtype, double value, SourceLoc where) { return resolve_weak(literal(value), dtype, where); }
Expr lowest(DType dtype) {
    if (is_float(dtype)) return make_constant(dtype, -std::numeric_limits<double>::infinity());
    return make_constant(dtype, range_of(dtype).low);
}
Expr highest(DType dtype) {
    if (is_float(dtype)) return make_constant(dtype, std::numeric_limits<double>::infinity());
    return make_constant_bits(dtype, range_of(dtype).high);
}

#define TESSERA_BINARY(symbol, op) \
    Expr operator symbol(const Operand& a, const Operand& b) { return build_op(Op::op, {a, b}); }
TESSERA_BINARY(+, add)
TESSERA_BINARY(-, sub)
TESSERA_BINARY(*, mul)
TESSERA_BINARY(/, div)
TESSERA_BINARY(%, mod)
TESSERA_BINARY(&, bit_and)
TESSERA_BINARY(|, bit_or)
TESSERA_BINARY(^, bit_xor)
TESSERA_BINARY(<<, shl)
TESSERA_BINARY(>>, shr)
TESSERA_BINARY(==, eq)
TESSERA_BINARY(!=, ne)
TESSERA_BINARY(<, lt)
TESSERA_BINARY(<=, le)
TESSERA_BINARY(&&, and_)
TESSERA_BINARY(||, or_)
#undef TESSERA_BINARY
Expr operator>(const Operand& a, const Operand& b) { return build_op(Op::lt, {b, a}); }
Expr operator>=(const Operand& a, const Operand& b) { return build_op(Op::le, {b, a}); }
Expr operator-(const Operand& a) { return build_op(Op::neg, {a}); }
Expr operator~(const Operand& a) { return build_op(Op::bit_not, {a}); }
Expr operator!(const Operand& a) { return build_op(Op::not_, {a}); }

#define TESSERA_UNARY(name) \
    Expr name(const Operand& x) { return build_op(Op::name, {x}); }
TESSERA_UNARY(abs)
TESSERA_UNARY(is_nan)
TESSERA_UNARY(round)
TESSERA_UNARY(floor)
TESSERA_UNARY(ceil)
TESSERA_UNARY(trunc)
TESSERA_UNARY(sqrt)
TESSERA_UNARY(exp)
TESSERA_UNARY(exp2)
TESSERA_UNARY(expm1)
TESSERA_UNARY(log)
TESSERA_UNARY(log2)
TESSERA_UNARY(log1p)
TESSERA_UNARY(sin)
TESSERA_UNARY(cos)
TESSERA_UNARY(tan)
TESSERA_UNARY(asin)
TESSERA_UNARY(acos)
TESSERA_UNARY(atan)
TESSERA_UNARY(sinh)
TESSERA_UNARY(cosh)
TESSERA_UNARY(tanh)
TESSERA_UNARY(erf)
#undef TESSERA_UNARY
Expr max(const Operand& a, const Operand& b) { return build_op(Op::max, {a, b}); }
Expr min(const Operand& a, const Operand& b) { return build_op(Op::min, {a, b}); }
Expr clamp(const Operand& value, const Operand& low, const Operand& high) {
    return min(Operand(max(value, low), value.where), high);
}
Expr fma(const Operand& a, const Operand& b, const Operand& c) { return build_op(Op::fma, {a, b, c}); }
Expr relu(const Operand& x) { return max(x, 0); }
Expr atan2(const Operand& y, const Operand& x) { return build_op(Op::atan2, {y, x}); }
Expr pow(const Operand& x, const Operand& y) { return build_op(Op::pow, {x, y}); }
Expr checked(const Operand& value, const Operand& error, const Operand& most) {
    return build_op(Op::checked, {value, error, most});
}
Expr straight_through(const Operand& value, const Operand& like) { return build_op(Op::straight_through, {value, like}); }

Expr cast(DType dtype, const Operand& value) {
    if (value.expr.dtype() == dtype && !value.expr.is_weak()) return value.expr;
    if (value.expr.is_weak()) {
        if (is_constant(value.expr)) {
            if (is_float(dtype) || !is_float(value.expr.dtype())) return resolve_weak(value.expr, dtype, value.where);
            return make_op(Op::cast, dtype, {resolve_weak(value.expr, DType::f64, value.where)});
        }
        const Expr wide = resolve_weak(value.expr, value.expr.dtype(), value.where);
        return dtype == wide.dtype() ? wide : make_op(Op::cast, dtype, {wide});
    }
    return make_op(Op::cast, dtype, {value.expr});
}

Expr saturate_cast(DType dtype, const Operand& value) {
    const Expr e = value.expr.is_weak() ? resolve_weak(value.expr, value.expr.dtype(), value.where) : value.expr;
    return e.dtype() == dtype ? e : make_op(Op::saturate_cast, dtype, {e});
}

Expr bitcast(DType dtype, const Operand& value) {
    const Expr e = value.expr.is_weak() ? resolve_weak(value.expr, value.expr.dtype(), value.where) : value.expr;
    if (dtype_bits(dtype) != dtype_bits(e.dtype()) || dtype == DType::bool_ || e.dtype() == DType::bool_)
        throw Error(
            E0202_dtype_unsupported, value.where, fmt::format("bitcast from {} to {}", dtype_name(e.dtype()), dtype_name(dtype)),
            {expected(fmt::format("a dtype of {} bits, not bool", dtype_bits(e.dtype()))), fix("use cast to convert the value")});
    return e.dtype() == dtype ? e : make_op(Op::bitcast, dtype, {e});
}

Expr select(const Operand& condition, const Operand& if_true, const Operand& if_false) {
    if (condition.expr.dtype() != DType::bool_)
        throw Error(E0202_dtype_unsupported, condition.where,
                    fmt::format("select chooses by a bool, not by {}", dtype_name(condition.expr.dtype())),
                    {fix("compare first, for example x != 0")});
    std::vector<Expr> args{if_true.expr, if_false.expr};
    bool weak = false;
    const DType t = unify(op_row(Op::select), args, {if_true.where, if_false.where}, weak);
    return make_op(Op::select, t, {condition.expr, args[0], args[1]}, weak);
}

Expr mux(const Operand& index, const std::vector<Operand>& values) {
    if (values.empty()) throw Error(E0305_tuple, index.where, "mux of no values", {fix("give at least one value")});
    Operand chosen = values.back();
    for (size_t i = values.size() - 1; i-- > 0;)
        chosen = select(Operand(index.expr <= static_cast<std::int64_t>(i), index.where), values[i], chosen);
    return chosen.expr;
}

namespace {
Expr build_random(Op op, DType dtype, const Operand& seed, const std::vector<Operand>& keys) {
    if (keys.size() > 4)
        throw Error(E0301_rank, seed.where, fmt::format("a random number has {} keys", keys.size()),
                    {expected("at most 4 integer keys"), fix("combine indices: y * x.extent() + x")});
    std::vector<Expr> args{index_expr({seed.expr, seed.where})};
    for (const Operand& k : keys) args.push_back(index_expr({k.expr, k.where}));
    while (args.size() < 5) args.push_back(make_constant(DType::i64, std::int64_t{0}));
    return make_op(op, dtype, std::move(args));
}
}  // namespace
Expr uniform(const Operand& seed, const std::vector<Operand>& keys) { return build_random(Op::uniform, DType::f32, seed, keys); }
Expr normal(const Operand& seed, const std::vector<Operand>& keys) { return build_random(Op::normal, DType::f32, seed, keys); }
Expr random_bits(const Operand& seed, const std::vector<Operand>& keys) {
    return build_random(Op::random_bits, DType::u32, seed, keys);
}

}  // namespace tessera
