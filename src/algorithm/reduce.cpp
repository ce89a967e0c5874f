#include "algorithm/graph.h"
#include "base/check.h"

#include <fmt/format.h>

#include <limits>
#include <map>
#include <mutex>

namespace tessera {
namespace {

// The placeholders and the combined expressions of a monoid at some dtypes; made once, so that equal reductions are one node.
struct Instance {
    std::vector<Expr> identity, left, right, combined;
};

std::vector<Expr> typed(const Tuple& values, const std::vector<DType>& dtypes, const MonoidState& m, std::string_view part,
                        SourceLoc where) {
    if (values.size() != dtypes.size())
        throw Error(E0310_monoid, where,
                    fmt::format("{} of monoid {} yields {} for {}", part, m.name, counted(values.size(), "value"),
                                counted(dtypes.size(), "operand")),
                    {token(m.name), expected(std::to_string(dtypes.size())), received(std::to_string(values.size())),
                     fix("return one value per operand")});
    std::vector<Expr> out;
    for (size_t i = 0; i < dtypes.size(); ++i) {
        out.push_back(resolve_weak(values[i], dtypes[i], where));
        if (out.back().dtype() != dtypes[i])
            throw Error(E0310_monoid, where,
                        fmt::format("{} of monoid {} yields {} for component {}, whose operand is {}", part, m.name,
                                    dtype_name(out.back().dtype()), i, dtype_name(dtypes[i])),
                        {expected(std::string(dtype_name(dtypes[i]))), received(std::string(dtype_name(out.back().dtype()))),
                         fix("cast inside the monoid")});
    }
    return out;
}

// Stages are called by their monoid; sum and the like mean the built-in ones.
void check_monoid_name(const std::shared_ptr<const MonoidState>& monoid, SourceLoc where) {
    check_name(monoid->name, "a monoid", where);
    for (const Monoid& m : builtin_monoids())
        if (m.name() == monoid->name && m.shared() != monoid)
            throw Error(E0310_monoid, where, fmt::format("monoid {} has the name of a built-in one", monoid->name),
                        {token(monoid->name), fix("give it another name")});
}

// A monoid is a function of its operands alone.
void check_closed(const MonoidState& m, const std::vector<Expr>& values, const Instance& instance, SourceLoc where) {
    for_each_node(values, [&](const Expr& n) {
        bool own = is_constant(n) || is_scalar_op(n->op);
        for (const auto* variables : {&instance.left, &instance.right})
            for (const Expr& v : *variables) own = own || v.same_as(n);
        if (!own)
            throw Error(E0310_monoid, where,
                        fmt::format("monoid {} reads something else than its operands: a {}", m.name, op_row(n->op).name),
                        {token(m.name), expected("scalar operations on the two operands"),
                         fix("pass it as one more operand of the reduction")});
    });
}

const Instance& instance_of(const std::shared_ptr<const MonoidState>& monoid, const std::vector<DType>& dtypes, SourceLoc where) {
    static std::mutex mutex;
    // Keyed by the living monoid: the entry keeps it alive, so an address is never reused.
    static auto* instances = new std::map<std::pair<std::shared_ptr<const MonoidState>, std::vector<DType>>, Instance>;
    const std::lock_guard lock(mutex);
    const auto key = std::make_pair(monoid, dtypes);
    if (const auto found = instances->find(key); found != instances->end()) return found->second;
    check_monoid_name(monoid, where);
    Instance made;
    for (size_t i = 0; i < dtypes.size(); ++i) {
        made.left.push_back(make_variable(fmt::format("a{}", i), dtypes[i]));
        made.right.push_back(make_variable(fmt::format("b{}", i), dtypes[i]));
    }
    made.identity = typed(monoid->identity(dtypes), dtypes, *monoid, "identity", where);
    made.combined = typed(monoid->combine(Tuple(made.left), Tuple(made.right)), dtypes, *monoid, "combine", where);
    check_closed(*monoid, made.identity, {}, where);
    check_closed(*monoid, made.combined, made, where);
    return (*instances)[key] = std::move(made);
}

std::shared_ptr<Reduction> make_reduction(const Monoid& m, const Dims& dims, const std::vector<Expr>& operands, SourceLoc where) {
    for (size_t i = 0; i < dims.size(); ++i)
        for (size_t j = i + 1; j < dims.size(); ++j)
            if (dims[i].id() == dims[j].id())
                throw Error(E0104_repeated_dim, where, fmt::format("dim {} is reduced twice", dims[i].name()),
                            {token(dims[i].name()), fix("name it once")});
    std::vector<DType> dtypes;
    for (const Expr& e : operands) dtypes.push_back(e.dtype());
    const Instance& instance = instance_of(m.shared(), dtypes, where);
    auto r = std::make_shared<Reduction>();
    r->monoid = m.shared();
    r->dims = dims;
    r->identity = instance.identity;
    r->left = instance.left;
    r->right = instance.right;
    r->combined = instance.combined;
    return r;
}

std::vector<Expr> strong_operands(const std::vector<Operand>& operands, std::string_view what, SourceLoc where) {
    if (operands.empty())
        throw Error(E0309_reduction, where, fmt::format("{} has no operand", what), {fix("give it at least one value")});
    std::vector<Expr> out;
    for (const Operand& o : operands) {
        if (is_constant(o.expr) && o.expr->weak)
            throw Error(E0203_literal, o.where, fmt::format("{} of a literal; its dtype is open", what),
                        {fix(fmt::format("write cast(i32, ...) or cast(f32, ...)"))});
        out.push_back(o.expr->weak ? resolve_weak(o.expr, o.expr.dtype(), o.where) : o.expr);
    }
    return out;
}

std::vector<Expr> components(const ExprNode& node) {
    std::vector<Expr> out;
    const auto& identity = node.reduction().identity;
    for (size_t i = 0; i < identity.size(); ++i) {
        ExprNode component = node;
        component.bits = i;
        component.dtype = identity[i].dtype();
        out.push_back(make_node(std::move(component)));
    }
    return out;
}

Monoid builtin(std::string name, std::function<Expr(DType)> identity, std::function<Expr(Expr, Expr)> combine) {
    return monoid(
        std::move(name), [identity](const std::vector<DType>& t) { return Tuple{identity(t[0])}; },
        [combine](const Tuple& a, const Tuple& b) { return Tuple{combine(a[0], b[0])}; });
}

}  // namespace

Monoid::Monoid(std::string name, Identity identity, Combine combine, MonoidTraits traits)
    : state_(std::make_shared<const MonoidState>(MonoidState{std::move(name), std::move(identity), std::move(combine), traits})) {
}
const std::string& Monoid::name() const { return state_->name; }
Monoid monoid(std::string name, Identity identity, Combine combine, MonoidTraits traits) {
    return Monoid(std::move(name), std::move(identity), std::move(combine), traits);
}

const Monoid plus = builtin(
    "sum", [](DType t) { return constant(t, std::int64_t{0}); }, [](const Expr& a, const Expr& b) { return a + b; });
const Monoid times = builtin(
    "prod", [](DType t) { return constant(t, std::int64_t{1}); }, [](const Expr& a, const Expr& b) { return a * b; });
const Monoid minimum = builtin("min", highest, [](const Expr& a, const Expr& b) { return min(a, b); });
const Monoid maximum = builtin("max", lowest, [](const Expr& a, const Expr& b) { return max(a, b); });
const Monoid logical_and = builtin(
    "all", [](DType) { return literal(true); }, [](const Expr& a, const Expr& b) { return a && b; });
const Monoid logical_or = builtin(
    "any", [](DType) { return literal(false); }, [](const Expr& a, const Expr& b) { return a || b; });
const Monoid last = monoid(
    "last",
    [](const std::vector<DType>& t) {
        std::vector<Expr> zero;
        for (const DType d : t) zero.push_back(constant(d, std::int64_t{0}));
        return Tuple(zero);
    },
    [](const Tuple&, const Tuple& b) { return b; }, {.commutative = false, .associative = true});

Where where(const Operand& condition) {
    Where w;
    w.condition = condition.expr;
    w.loc = condition.where;
    if (condition.expr.dtype() != DType::bool_)
        throw Error(E0309_reduction, condition.where,
                    fmt::format("where() takes a bool, not {}", dtype_name(condition.expr.dtype())),
                    {fix("compare first, for example x != 0")});
    return w;
}

Tuple reduce(const Monoid& m, const Dims& dims, const std::vector<Operand>& operands, const Where& predicate,
             const ReduceOptions& options) {
    const SourceLoc where = operands.empty() ? SourceLoc{} : operands[0].where;
    std::vector<Expr> args = strong_operands(operands, m.name(), where);
    auto r = make_reduction(m, dims, args, where);
    r->order = options.order;
    r->name = options.name;
    if (options.order.kind == Order::Kind::pairwise && options.order.block < 1)
        throw Error(E0309_reduction, where, fmt::format("order pairwise({}) has no block", options.order.block),
                    {expected("a block >= 1")});
    if (options.order.kind == Order::Kind::kahan && (m.shared() != plus.shared() || !is_float(args[0].dtype())))
        throw Error(
            E0309_reduction, where,
            fmt::format("order kahan is for sums of floats, not {} of {}", m.name(), dtype_name(args[0].dtype())),
            {token("kahan"), expected("sum of f16, bf16, f32 or f64"),
             received(fmt::format("{} of {}", m.name(), dtype_name(args[0].dtype()))), fix("use order ascending or pairwise")});
    r->has_where = predicate.condition.defined();
    if (r->has_where) args.push_back(predicate.condition);
    return Tuple(components(
        {.op = Op::reduce, .args = std::move(args), .attribute = std::shared_ptr<const Reduction>(r), .where = where}));
}

namespace {
// One-operand reduction that accumulates half precision in f32 unless told otherwise; the value keeps the operand's dtype.
Expr reduce_one(const Monoid& m, const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    const DType t = body.expr.dtype();
    const bool half = is_narrow_float(t);
    const bool accumulates = m.shared() == plus.shared() || m.shared() == times.shared();
    const DType accumulate = options.accumulate.value_or(half && accumulates ? DType::f32 : t);
    if (accumulate == t || body.expr.is_weak()) return reduce(m, dims, {body}, w, options)[0];
    return cast(t, reduce(m, dims, {Operand(cast(accumulate, body), body.where)}, w, options)[0]);
}

void require_float(std::string_view what, const Operand& body) {
    if (!is_float(body.expr.dtype()) || body.expr.is_weak())
        throw Error(E0202_dtype_unsupported, body.where,
                    fmt::format("{} takes floats, not {}", what, dtype_name(body.expr.dtype())),
                    {fix("cast the operand: cast(f32, ...)")});
}

Expr points(const Dims& dims, const Where& w, SourceLoc where) {
    if (w.condition.defined()) return reduce(plus, dims, {Operand(cast(DType::i64, w.condition), where)})[0];
    Expr n = make_constant(DType::i64, std::int64_t{1});
    for (const Dim& d : dims) n = n * Expr(d.extent());
    return n;
}

// The pair (value, index): the better value wins, the lower index on ties; a NaN wins over numbers; index -1 is the identity.
Monoid arg_monoid(bool largest) {
    return monoid(
        largest ? "argmax" : "argmin",
        [largest](const std::vector<DType>& t) {
            return Tuple{largest ? lowest(t[0]) : highest(t[0]), constant(t[1], std::int64_t{-1})};
        },
        [largest](const Tuple& a, const Tuple& b) {
            const Expr better = largest ? b[0] > a[0] : b[0] < a[0];
            Expr b_wins = better || (b[0] == a[0] && b[1] < a[1]);
            if (is_float(a[0].dtype())) b_wins = (is_nan(b[0]) && (!is_nan(a[0]) || b[1] < a[1])) || (!is_nan(a[0]) && b_wins);
            const Expr takes_b = a[1] < 0 || (b[1] >= 0 && b_wins);
            return Tuple{select(takes_b, b[0], a[0]), select(takes_b, b[1], a[1])};
        });
}
const Monoid arg_largest = arg_monoid(true);
const Monoid arg_smallest = arg_monoid(false);

const Monoid welford_monoid = monoid(
    "welford",
    [](const std::vector<DType>& t) {
        return Tuple{constant(t[0], 0.0), constant(t[1], 0.0), constant(t[2], 0.0)};
    },
    [](const Tuple& a, const Tuple& b) {
        const Expr n = a[0] + b[0];
        const Expr delta = b[1] - a[1];
        const Expr share = select(n == 0, 0, b[0] / n);
        return Tuple{n, a[1] + delta * share, a[2] + b[2] + delta * delta * (a[0] * share)};
    });
}  // namespace

Expr sum(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce_one(plus, dims, body, w, options);
}
Expr sum(const Dims& dims, const Operand& body, const ReduceOptions& options) { return sum(dims, body, {}, options); }
Expr prod(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce_one(times, dims, body, w, options);
}
Expr max(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce_one(maximum, dims, body, w, options);
}
Expr min(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce_one(minimum, dims, body, w, options);
}
Expr max(std::initializer_list<Dim> dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return max(Dims(dims), body, w, options);
}
Expr min(std::initializer_list<Dim> dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    return min(Dims(dims), body, w, options);
}
namespace {
void require_bool(std::string_view what, const Operand& body) {
    if (body.expr.dtype() != DType::bool_)
        throw Error(E0202_dtype_unsupported, body.where,
                    fmt::format("{} takes bool, not {}", what, dtype_name(body.expr.dtype())),
                    {fix("compare first, for example x != 0")});
}
}  // namespace
Expr all(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    require_bool("all", body);
    return reduce(logical_and, dims, {body}, w, options)[0];
}
Expr any(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    require_bool("any", body);
    return reduce(logical_or, dims, {body}, w, options)[0];
}
Expr mean(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    require_float("mean", body);
    const DType t = body.expr.dtype();
    const DType wide = options.accumulate.value_or(is_narrow_float(t) ? DType::f32 : t);
    const Expr total = reduce(plus, dims, {Operand(cast(wide, body), body.where)}, w, options)[0];
    return cast(t, total / cast(wide, points(dims, w, body.where)));
}
Expr argmax(const Dim& dim, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce(arg_largest, {dim}, {body, Operand(Expr(dim), body.where)}, w, options)[1];
}
Expr argmin(const Dim& dim, const Operand& body, const Where& w, const ReduceOptions& options) {
    return reduce(arg_smallest, {dim}, {body, Operand(Expr(dim), body.where)}, w, options)[1];
}
Expr logsumexp(const Dims& dims, const Operand& body, const Where& w) {
    require_float("logsumexp", body);
    const Expr top = max(dims, body, w);
    // Where the maximum is infinite the differences would be NaN: shift by 0 there.
    const double infinity = std::numeric_limits<double>::infinity();
    // The result does not depend on the shift, so no derivative goes through it.
    const Expr shift = straight_through(select(abs(top) == infinity, 0, top), 0);
    return log(sum(dims, exp(body.expr - shift), w)) + shift;
}
Tuple welford(const Dims& dims, const Operand& body, const Where& w, const ReduceOptions& options) {
    require_float("welford", body);
    const DType t = body.expr.dtype();
    return reduce(welford_monoid, dims, {Operand(constant(t, 1.0), body.where), body, Operand(constant(t, 0.0), body.where)}, w,
                  options);
}

Tuple scan(const Monoid& m, const Dim& t, const std::vector<Operand>& operands, const ScanOptions& options) {
    const SourceLoc where = operands.empty() ? SourceLoc{} : operands[0].where;
    std::vector<Expr> args = strong_operands(operands, "scan", where);
    auto r = make_reduction(m, {t}, args, where);
    r->exclusive = options.exclusive;
    r->reverse = options.reverse;
    r->name = options.name;
    return Tuple(
        components({.op = Op::scan, .args = std::move(args), .attribute = std::shared_ptr<const Reduction>(r), .where = where}));
}
Expr scan(const Monoid& m, const Dim& t, const Operand& body, const ScanOptions& options) {
    return scan(m, t, std::vector<Operand>{body}, options)[0];
}

To to(const Dim& dst, const Operand& index) { return {dst, index_expr({index.expr, index.where}), index.where}; }

Tuple scatter(const Monoid& m, const std::vector<To>& destination, const Dims& over, const std::vector<Operand>& values,
              const ScatterOptions& options) {
    const SourceLoc where = values.empty() ? SourceLoc{} : values[0].where;
    const std::vector<Expr> operands = strong_operands(values, "scatter", where);
    if (destination.empty())
        throw Error(E0312_scatter, where, "a scatter has no destination",
                    {fix("name one: to(v, index)"), fix("use sum() to reduce to one value")});
    auto s = std::make_shared<Scatter>();
    auto r = make_reduction(m, over, operands, where);
    r->order = options.order;
    r->name = options.name;
    s->reduction = r;
    std::vector<Expr> args;
    for (const To& t : destination) {
        if (contains_dim(over, t.dst) || contains_dim(s->destination, t.dst))
            throw Error(E0312_scatter, t.where,
                        fmt::format("dim {} is a destination and stands elsewhere in the scatter too", t.dst.name()),
                        {token(t.dst.name()), fix("give the destination a Dim of its own")});
        s->destination.push_back(t.dst);
        args.push_back(t.index);
    }
    for (const Expr& v : operands) args.push_back(v);
    for (const Expr& a : args)
        for (const Dim& d : free_dims(a))
            if (contains_dim(s->destination, d))
                throw Error(E0312_scatter, where, fmt::format("the source of a scatter reads its destination dim {}", d.name()),
                            {token(d.name()), fix("values and indices range over the source dims")});
    if (!options.init.empty()) {
        if (options.init.size() != operands.size())
            throw Error(E0312_scatter, where,
                        fmt::format("a scatter of {} values has {} inits", operands.size(), options.init.size()),
                        {fix("one init per value")});
        s->has_init = true;
        for (size_t i = 0; i < operands.size(); ++i) {
            args.push_back(resolve_weak(options.init[i].expr, operands[i].dtype(), options.init[i].where));
            if (args.back().dtype() != operands[i].dtype())
                throw Error(E0201_dtype_mismatch, options.init[i].where,
                            fmt::format("init is {} but the value is {}", dtype_name(args.back().dtype()),
                                        dtype_name(operands[i].dtype())),
                            {fix("cast one of them")});
        }
    }
    return Tuple(
        components({.op = Op::scatter, .args = std::move(args), .attribute = std::shared_ptr<const Scatter>(s), .where = where}));
}
Expr scatter(const Monoid& m, const std::vector<To>& destination, const Dims& over, const Operand& value,
             const ScatterOptions& options) {
    return scatter(m, destination, over, std::vector<Operand>{value}, options)[0];
}

const std::vector<Monoid>& builtin_monoids() {
    static const std::vector<Monoid> all{plus,       times, minimum,     maximum,      logical_and,
                                         logical_or, last,  arg_largest, arg_smallest, welford_monoid};
    return all;
}

}  // namespace tessera
