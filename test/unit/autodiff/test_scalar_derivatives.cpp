#include "autodiff/scalar_partials.h"
#include "unit/autodiff/derivative_cases.h"

#include <algorithm>

// Every scalar op: forward, reverse and finite differences agree.
namespace tessera::autodiff_test {
namespace {

TEST(ScalarDerivatives, EveryOpOfFloatsHasRulesOrAReason) { EXPECT_TRUE(scalar_partials_are_complete()); }

TEST(ScalarDerivatives, OfEveryOp) {
    for (const OpRow& row : op_table()) {
        if (!is_scalar_op(row.op) || row.arity < 1 || row.result == Result::boolean || row.operands == Operands::integer)
            continue;
        if (!no_derivative(row.op).empty() || row.operands == Operands::boolean) continue;
        // Converted, chosen and passed values have tests of their own.
        if (row.op == Op::cast || row.op == Op::saturate_cast || row.op == Op::select || row.op == Op::straight_through ||
            row.op == Op::mod || row.op == Op::checked)
            continue;
        SCOPED_TRACE(std::string(row.name));
        Dim i("i");
        const Input a("a", f64, {i}), b("b", f64, {i}), c("c", f64, {i});
        const std::vector<Expr> all{a(i), b(i), c(i)};
        std::vector<Expr> args(all.begin(), all.begin() + row.arity);
        Func y("y");
        y(i) = make_op(row.op, f64, args);
        std::vector<Input> wrt{a, b, c};
        wrt.resize(static_cast<size_t>(row.arity), a);
        // Not next to the pole of a quotient.
        const double low = row.op == Op::div ? 0.5 : std::max(row.sample_low, -4.0), high = std::min(row.sample_high, 4.0),
                     inset = 0.05 * (high - low);
        check_derivative({.y = y, .wrt = wrt, .extents = {{"i", 17}}, .low = low + inset, .high = high - inset});
    }
}

TEST(ScalarDerivatives, ChosenConvertedAndPassedValues) {
    Dim i("i");
    const Input a("a", f64, {i}), b("b", f64, {i});
    const auto check = [&](const Expr& e) {
        Func y("y");
        y(i) = e;
        check_derivative({.y = y, .wrt = {a, b}, .extents = {{"i", 13}}});
    };
    check(select(a(i) > b(i), a(i) * b(i), a(i) - b(i) * b(i)));
    check(select(a(i) > 0, sqrt(a(i)), b(i) > 1, exp(b(i)), 0.0));
    check(clamp(a(i), -1.0, 1.0) * b(i));
    check(a(i) % (b(i) * b(i) + 7.0));
    check(saturate_cast(f64, a(i)) * cast(f64, b(i)));
    check(mux(cast(i32, i) % 3, {a(i), b(i) * a(i), sin(b(i))}));
}

TEST(ScalarDerivatives, StraightThroughTakesTheOtherDerivative) {
    Dim i("i");
    const Input a("a", f64, {i});
    Func y("y"), like("like");
    y(i) = straight_through(round(a(i)), a(i) * a(i));
    like(i) = a(i) * a(i);
    const Program p{.y = y, .wrt = {a}, .extents = {{"i", 5}}};
    check_derivative(p, 1, false);
    Func total("total"), reference("reference");
    total() = sum({i}, y(i));
    reference() = sum({i}, like(i));
    const std::vector<Func> g = grad(total, {a}), r = grad(reference, {a});
    const Values values = random_values(p, {y}, 3);
    EXPECT_EQ(evaluated(g, p, values), evaluated(r, p, values));
}

TEST(ScalarDerivatives, StopGradientIsAConstant) {
    Dim i("i");
    const Input a("a", f64, {i});
    Func total("total"), plain("plain");
    total() = sum({i}, stop_gradient(a(i)) * a(i));
    plain() = sum({i}, a(i));
    const Program p{.y = total, .wrt = {a}, .extents = {{"i", 6}}};
    const Values values = random_values(p, {total}, 3);
    const auto g = evaluated(grad(total, {a}), p, values)[0];
    const Buffer<double> x(values.at("a"));
    for (size_t k = 0; k < g.size(); ++k) EXPECT_EQ(g[k], x.data()[k]);
}

}  // namespace
}  // namespace tessera::autodiff_test
