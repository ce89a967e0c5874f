#include "expr/index_analysis.h"
#include "expr/tensor_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tessera {
namespace {

constexpr int most_definitions = 6;  // Funcs looked through, one inside the other

struct Limits {
    std::optional<std::int64_t> low, high;
};
// Of a dtype; a 32-bit range is as good as none for an index, but an unsigned one is not negative.
Limits limits_of(DType t) {
    if (t == DType::bool_) return {0, 1};
    const int bits = dtype_bits(t);
    if (bits >= 32) return {is_unsigned(t) ? std::optional<std::int64_t>(0) : std::nullopt, std::nullopt};
    if (is_unsigned(t)) return {0, (std::int64_t{1} << bits) - 1};
    return {-(std::int64_t{1} << (bits - 1)), (std::int64_t{1} << (bits - 1)) - 1};
}
Ends of_dtype(DType t) {
    const Limits l = limits_of(t);
    Ends ends;
    if (l.low) ends.low = Polynomial(*l.low);
    if (l.high) ends.high = Polynomial(*l.high);
    return ends;
}

// The interval when it is known to fit the dtype, where arithmetic wraps; else the dtype's.
Ends unless_wrapped(const Ends& ends, DType t) {
    const Limits l = limits_of(t);
    const auto fits_low = [&] { return !l.low || (ends.low && proves_nonnegative(*ends.low - Polynomial(*l.low), {}, 16)); };
    const auto fits_high = [&] { return !l.high || (ends.high && proves_nonnegative(Polynomial(*l.high) - *ends.high, {}, 16)); };
    return fits_low() && fits_high() ? ends : of_dtype(t);
}

using FloatRange = std::pair<double, double>;
constexpr double infinity = std::numeric_limits<double>::infinity();

// Where the value lies when it is not NaN. Only what is exact in every float dtype.
FloatRange float_range(const Expr& e, const Domain& domain, InputReads reads, int depth) {
    const auto of = [&](size_t i) { return float_range(e->args[i], domain, reads, depth + 1); };
    if (depth > 40) return {-infinity, infinity};
    const auto joined = [](FloatRange a, FloatRange b) {
        return FloatRange{std::min(a.first, b.first), std::max(a.second, b.second)};
    };
    switch (e->op) {
        case Op::constant: {
            const double v = e->dtype == DType::f32 ? static_cast<double>(static_cast<float>(e->floating())) : e->floating();
            const bool rounded = is_narrow_float(e->dtype);
            return std::isnan(v) ? FloatRange{-infinity, infinity}
                   : rounded     ? FloatRange{std::floor(v), std::ceil(v)}
                                 : FloatRange{v, v};
        }
        case Op::min: return {std::min(of(0).first, of(1).first), std::min(of(0).second, of(1).second)};
        case Op::max: return {std::max(of(0).first, of(1).first), std::max(of(0).second, of(1).second)};
        case Op::select: return joined(of(1), of(2));
        case Op::floor: return {std::floor(of(0).first), std::floor(of(0).second)};
        case Op::ceil: return {std::ceil(of(0).first), std::ceil(of(0).second)};
        case Op::round: return {std::nearbyint(of(0).first), std::nearbyint(of(0).second)};
        case Op::trunc: return {std::trunc(of(0).first), std::trunc(of(0).second)};
        case Op::abs: return {0, std::max(std::abs(of(0).first), std::abs(of(0).second))};
        case Op::uniform: return {0, 1};
        case Op::cast: {
            if (is_float(e->args[0]->dtype))
                return dtype_bits(e->dtype) >= dtype_bits(e->args[0]->dtype) && !is_f8(e->dtype)
                           ? of(0)
                           : FloatRange{-infinity, infinity};
            IndexAnalysis inside(domain, reads, depth + 1);
            const Ends ends = inside.interval(e->args[0]);
            const auto low = ends.low ? ends.low->constant() : std::nullopt,
                       high = ends.high ? ends.high->constant() : std::nullopt;
            const auto exact = [&](std::optional<std::int64_t> v) { return v && std::abs(*v) <= (is_f8(e->dtype) ? 1 : 2048); };
            return {exact(low) ? static_cast<double>(*low) : -infinity, exact(high) ? static_cast<double>(*high) : infinity};
        }
        default: return {-infinity, infinity};
    }
}

Ends from_float(const Expr& value, DType to, const Domain& domain, InputReads reads, int depth) {
    const FloatRange r = float_range(value, domain, reads, depth);
    const Ends widest = of_dtype(to);
    Ends ends;
    // NaN becomes 0; what is out of range saturates.
    const double limit = 1e15;
    if (std::abs(r.first) < limit) ends.low = Polynomial(std::min<std::int64_t>(0, static_cast<std::int64_t>(r.first)));
    if (std::abs(r.second) < limit) ends.high = Polynomial(std::max<std::int64_t>(0, static_cast<std::int64_t>(r.second)));
    if (widest.low) ends.low = ends.low ? larger_of(*ends.low, *widest.low) : widest.low;
    if (widest.high) ends.high = ends.high ? smaller_of(*ends.high, *widest.high) : widest.high;
    return ends;
}

Ends clipped(const Ends& ends, DType t) {
    const Ends limits = of_dtype(t);
    Ends out = ends;
    if (limits.low) out.low = out.low ? larger_of(*out.low, *limits.low) : limits.low;
    if (limits.high) out.high = out.high ? smaller_of(*out.high, *limits.high) : limits.high;
    if (limits.high && out.low) out.low = smaller_of(*out.low, *limits.high);
    return out;
}

Ends of_reduction(const Expr& e, const Domain& domain, InputReads reads, int depth) {
    const Reduction& r = e->reduction();
    if (e->op == Op::scatter) return of_dtype(e->dtype);
    const bool arg = r.monoid->name == "argmax" || r.monoid->name == "argmin";
    if (e->op == Op::reduce && arg && e->component() == 1 && r.dims.size() == 1)
        return {Polynomial(-1), IndexAnalysis().normal(Expr(r.dims[0].extent())) - Polynomial(1)};
    if (r.monoid->name != "sum") return of_dtype(e->dtype);
    // A count or a sum of terms that have a range.
    Domain inside = domain;
    Polynomial points(1);
    for (const Dim& d : r.dims) {
        const Polynomial extent = IndexAnalysis().normal(Expr(d.extent()));
        inside.set(d, {make_constant(DType::i64, std::int64_t{0}), (extent - Polynomial(1)).expr()});
        points = points * extent;
    }
    const Ends body = IndexAnalysis(inside, reads, depth + 1).interval(e->args[0]);
    Ends ends;
    if (body.low)
        ends.low = proves_nonnegative(*body.low, {}, 16) ? Polynomial(0) : smaller_of(Polynomial(0), *body.low * points);
    if (body.high) ends.high = larger_of(Polynomial(0), *body.high * points);
    return unless_wrapped(ends, e->dtype);
}

Ends of_access(const Expr& e, int depth) {
    const AccessTarget& target = e->target();
    if (target.input) {
        if (!target.input->values) return of_dtype(e->dtype);
        IndexAnalysis plain;
        const Ends ends{plain.normal(Expr(target.input->values->first)),
                        plain.normal(Expr(target.input->values->second)) - Polynomial(1)};
        if (target.boundary != Boundary::constant) return ends;
        const Ends outside = plain.interval(e->args.back());
        if (!outside.low || !outside.high) return of_dtype(e->dtype);
        return {smaller_of(*ends.low, *outside.low), larger_of(*ends.high, *outside.high)};
    }
    // A Func has the values of its definition, whatever its dims are.
    const FuncState& f = *target.func;
    if (f.recurrence || target.boundary == Boundary::constant || depth > most_definitions ||
        static_cast<size_t>(e->component()) >= f.values.size())
        return of_dtype(e->dtype);
    Domain everywhere;
    for (const Dim& d : f.dims) everywhere.set(d, {});
    const Expr& value = f.values[static_cast<size_t>(e->component())];
    return is_float(value->dtype) ? Ends{} : IndexAnalysis(everywhere, InputReads::by_range, depth + 1).interval(value);
}

}  // namespace

Ends value_range(const Expr& e, const Domain& domain, InputReads reads, int depth) {
    if (is_float(e->dtype)) return {};
    const auto of = [&](const Expr& x) { return IndexAnalysis(domain, reads, depth + 1).interval(x); };
    if (depth > 12) return of_dtype(e->dtype);
    switch (e->op) {
        case Op::constant:
            return e->dtype == DType::u64 && e->integer() < 0 ? of_dtype(e->dtype)
                                                              : Ends{Polynomial(e->integer()), Polynomial(e->integer())};
        case Op::access: return of_access(e, depth);
        case Op::reduce:
        case Op::scan:
        case Op::scatter: return of_reduction(e, domain, reads, depth);
        case Op::cast:
            if (is_float(e->args[0]->dtype)) return from_float(e->args[0], e->dtype, domain, reads, depth);
            if (e->dtype == DType::bool_) return of_dtype(e->dtype);
            // The 64-bit view of a narrow value.
            if (e->dtype == DType::i64 || e->dtype == DType::i32) return value_range(e->args[0], domain, reads, depth + 1);
            return unless_wrapped(of(e->args[0]), e->dtype);
        case Op::saturate_cast:
            return is_float(e->args[0]->dtype) ? from_float(e->args[0], e->dtype, domain, reads, depth)
                                               : clipped(of(e->args[0]), e->dtype);
        case Op::straight_through: return of(e->args[0]);
        case Op::bit_and: {
            // Not negative and at most the mask when the mask is not negative.
            for (const size_t i : {size_t{1}, size_t{0}})
                if (const auto mask = integer_constant(e->args[i]); mask && *mask >= 0) return {Polynomial(0), Polynomial(*mask)};
            return of_dtype(e->dtype);
        }
        case Op::add:
        case Op::sub:
        case Op::mul:
        case Op::neg:
        case Op::div:
        case Op::mod:
        case Op::min:
        case Op::max:
        case Op::select:
        case Op::shr:
        case Op::shl:
        case Op::abs: {
            if (e->dtype == DType::i64) return {};
            std::vector<Expr> wide;
            for (size_t i = 0; i < e->args.size(); ++i)
                wide.push_back(e->args[i]->dtype == DType::bool_ ? e->args[i]
                               : is_constant(e->args[i])         ? make_constant(DType::i64, e->args[i]->integer())
                                                                 : make_op(Op::cast, DType::i64, {e->args[i]}));
            return unless_wrapped(of(make_op(e->op, DType::i64, std::move(wide))), e->dtype);
        }
        default: return of_dtype(e->dtype);
    }
}

}  // namespace tessera
