#include "autodiff/scalar_partials.h"
#include "unit/autodiff/constructs.h"
#include "unit/autodiff/derivative_cases.h"

#include <algorithm>

// Second derivatives both ways: the gradient of a definition is differentiated forwards and back, and against differences. All of
// the first ones, by rows and by columns, agree with the derivative along a direction.
namespace tessera::autodiff_test {
namespace {

// Weights that differ from point to point, and not a square, whose derivative is constant for sqrt: nothing cancels.
Func weighted_sum(const Func& y) {
    Expr place = constant(f64, 1.0);
    for (const Dim& d : y.dims()) place = place * 1.5 + cast(f64, d);
    const Expr value = y.at(all_of(y.dims())).read();
    Func loss("loss");
    loss() = y.rank() == 0 ? value * (value + 2.0) : sum(y.dims(), value * (value + 2.0) * (0.3 + 0.1 * place));
    return loss;
}

void check_second(Program p) {
    const std::vector<Func> first = grad(weighted_sum(p.y), {p.wrt.begin(), p.wrt.end()});
    for (const Func& g : first) {
        p.y = g;
        check_derivative(p);
    }
}

void check_jacobians(const Program& p) {
    for (const Input& x : p.wrt) {
        std::vector<Dim> to;
        for (const Dim& d : x.dims()) to.emplace_back(d.name() + "_to", d.extent());
        const Func rows = jacrev(p.y, x, to), columns = jacfwd(p.y, x, to);
        const Values values = random_values(p, {p.y, rows, columns}, 5);
        Program with_all = p;
        for (const Dim& d : x.dims())
            if (const auto e = p.extents.find(d.name()); e != p.extents.end()) with_all.extents[d.name() + "_to"] = e->second;
        const std::vector<double> a = evaluated({rows}, with_all, values)[0], b = evaluated({columns}, with_all, values)[0];
        const std::vector<double> ones = evaluated({jvp(p.y, {{x, 1}})}, p, values)[0];
        ASSERT_EQ(a.size(), b.size());
        const size_t each = ones.empty() ? 0 : a.size() / ones.size();
        for (size_t r = 0; r < ones.size(); ++r) {
            double total = 0, size = 1;
            for (size_t k = 0; k < each; ++k) {
                ASSERT_NEAR(a[r * each + k], b[r * each + k], 1e-12 * std::max(1.0, std::abs(a[r * each + k])))
                    << p.y.name() << " by " << x.name();
                total += a[r * each + k];
                size += std::abs(a[r * each + k]);
            }
            EXPECT_NEAR(total, ones[r], 1e-12 * size) << p.y.name() << " by " << x.name();
        }
    }
}

TEST(SecondDerivatives, OfEveryOp) {
    for (const OpRow& row : op_table()) {
        if (!is_scalar_op(row.op) || row.arity < 1 || row.result == Result::boolean || row.operands == Operands::integer)
            continue;
        if (!no_derivative(row.op).empty() || row.operands == Operands::boolean) continue;
        if (row.op == Op::cast || row.op == Op::saturate_cast || row.op == Op::select || row.op == Op::straight_through ||
            row.op == Op::checked)
            continue;
        SCOPED_TRACE(std::string(row.name));
        Dim i("i");
        const Input a("a", f64, {i}), b("b", f64, {i}), c("c", f64, {i});
        const std::vector<Expr> all{a(i), b(i), c(i)};
        Func y("y");
        y(i) = make_op(row.op, f64, {all.begin(), all.begin() + row.arity});
        std::vector<Input> wrt{a, b, c};
        wrt.resize(static_cast<size_t>(row.arity), a);
        const double low = row.op == Op::div || row.op == Op::mod ? 0.5 : std::max(row.sample_low, -3.0),
                     high = std::min(row.sample_high, 3.0), inset = 0.1 * (high - low);
        const Program p{.y = y, .wrt = wrt, .extents = {{"i", 5}}, .low = low + inset, .high = high - inset};
        try {
            check_second(p);
            check_jacobians(p);
        } catch (const Exception& e) {
            ADD_FAILURE() << row.name << ": " << e.what();
        }
    }
}

Program program_of(const Constructs& c, const Func& y) {
    std::vector<Input> wrt;
    for (const Argument& argument : arguments_of({y}))
        for (const Input& x : {c.a, c.b})
            if (argument.state() == x.state()) wrt.push_back(x);
    return {.y = y, .wrt = wrt, .low = 0.3, .high = 1.7, .integers = {{"at", {2, 0, 2, 1, 0}}}};
}

TEST(SecondDerivatives, OfEveryConstruct) {
    const Constructs c;
    for (const Func& y : c.all) {
        SCOPED_TRACE(y.name());
        const Program p = program_of(c, y);
        try {
            check_derivative(p);
            check_against_scatter(p);
            check_second(p);
        } catch (const Exception& e) {
            ADD_FAILURE() << y.name() << ": " << e.what();
        }
    }
}

TEST(SecondDerivatives, JacobiansOfEveryConstruct) {
    const Constructs c;
    for (const Func& y : c.all) {
        SCOPED_TRACE(y.name());
        try {
            check_jacobians(program_of(c, y));
        } catch (const Exception& e) {
            ADD_FAILURE() << y.name() << ": " << e.what();
        }
    }
}

// Boundary conditions of Funcs that have boundary conditions themselves, over dims of any extent or of a given one.
struct Chained {
    Dim y, x, r{"r", 3};
    Input photo, along;
    Func total{"total"};

    template <class Wrap>
    Chained(const Dim& down, const Dim& across, const Wrap& wrap)
        : y(down), x(across), photo("photo", f64, {y, x}), along("along", f64, {y, x}) {
        Func rows("rows"), blur("blur"), edge("edge");
        rows(y, x) = sum({r}, wrap(photo)(y, x + r - 1) * cast(f64, r + 1));
        blur(y, x) = sum({r}, wrap(rows)(y + r - 1, x) * rows(y, x));
        edge(y, x) = wrap(blur)(y - 2, x + 1) * wrap(rows)(y + 1, x - 1);
        total() = sum({y, x}, edge(y, x) * edge(y, x));
    }
    [[nodiscard]] Func twice() const { return jvp(grad(total, {photo})[0], {{photo, along}}); }
    // The product with the Hessian by reverse mode alone.
    [[nodiscard]] Func twice_back() const {
        const Func first = grad(total, {photo})[0];
        Func along_it("along_it");
        along_it() = sum({y, x}, first(y, x) * along(y, x));
        return grad(along_it, {photo})[0];
    }
};

template <class Wrap>
void check_chained(const Wrap& wrap) {
    const Chained open(Dim("y"), Dim("x"), wrap);
    const Func twice = open.twice();
    for (const auto& [height, width] : {std::pair{4, 5}, {3, 1}, {1, 2}}) {
        SCOPED_TRACE(std::to_string(height) + " x " + std::to_string(width));
        const Chained fixed(Dim("y", height), Dim("x", width), wrap);
        const Func expected = fixed.twice(), expected_back = fixed.twice_back();
        const Program p{.y = twice, .wrt = {}, .extents = {{"y", height}, {"x", width}}};
        const Values values = random_values(p, {twice}, 7);
        const std::vector<double> a = evaluated({twice}, p, values)[0];
        std::vector<std::vector<double>> others{evaluated({expected}, p, values)[0], evaluated({expected_back}, p, values)[0],
                                                evaluated({open.twice_back()}, p, values)[0]};
        double size = 1;
        for (const double value : a) size = std::max(size, std::abs(value));
        for (const std::vector<double>& b : others) {
            ASSERT_EQ(a.size(), b.size());
            for (size_t e = 0; e < a.size(); ++e) EXPECT_NEAR(a[e], b[e], 1e-12 * size) << "element " << e;
        }
    }
}

TEST(SecondDerivatives, OfChainedBoundariesOverOpenExtents) {
    check_chained([](const auto& f) { return clamp(f); });
    check_chained([](const auto& f) { return periodic(f); });
    check_chained([](const auto& f) { return mirror(f); });
    check_chained([](const auto& f) { return mirror_interior(f); });
}

}  // namespace
}  // namespace tessera::autodiff_test
