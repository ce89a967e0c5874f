// Lesson 14: every call that makes a derivative, once, against numbers written out by hand.
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/gradcheck.h>
#include <tessera/tessera.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

namespace {

using Numbers = std::vector<double>;
constexpr std::int64_t inputs = 3, outputs = 2;

struct Values {
    Numbers x{0.5, -1.25, 2}, v{1, 0.25, -0.5}, w{2, -3};
    Numbers A{1, 2, -0.5, 0.75, -1, 3};  // outputs rows
};

// Definitions of static extents, evaluated one by one by the interpreter.
Numbers evaluated(const Func& f) {
    const Algorithm all({f}, arguments_of({f}));
    const Values values;
    NamedInputs in;
    for (const Argument& a : all.arguments()) {
        const std::string name = Input(a.state()).name();
        const Numbers& from = name == "x"                    ? values.x
                              : name == "A"                  ? values.A
                              : name == "v" || name == "d_x" ? values.v
                                                             : values.w;
        std::vector<std::int64_t> extents;
        for (const Dim& d : Input(a.state()).dims()) extents.push_back(d.extent().constant().value());
        const Buffer<double> array(extents);
        std::copy(from.begin(), from.end(), array.data());
        in.emplace(name, array);
    }
    std::vector<std::int64_t> extents;
    for (const Dim& d : f.dims()) extents.push_back(d.extent().constant().value());
    const Buffer<double> out(extents);
    compile(all, {}, parse_target("interpreter"))(in, {{f.name(), out}});
    return {out.data(), out.data() + out.size()};
}

void same(const std::string& call, const Func& f, const Numbers& wanted) {
    const Numbers got = evaluated(f);
    bool good = got.size() == wanted.size();
    for (std::size_t k = 0; good && k < got.size(); ++k)
        good = std::abs(got[k] - wanted[k]) <= 1e-12 * std::max(1.0, std::abs(wanted[k]));
    std::cout << call << ": " << f.name() << (good ? "" : " is wrong") << "\n";
    expect(good, call.c_str());
}

// The derivatives of y(o) = sum(A(o, i) x(i) x(i)) and of sum(y y), by hand.
struct ByHand : Values {
    Numbers y = Numbers(outputs), J = Numbers(outputs * inputs), slope = Numbers(inputs), H = Numbers(inputs * inputs);
    ByHand() {
        for (std::size_t o = 0; o < outputs; ++o)
            for (std::size_t i = 0; i < inputs; ++i) {
                y[o] += A[o * inputs + i] * x[i] * x[i];
                J[o * inputs + i] = 2 * A[o * inputs + i] * x[i];
            }
        for (std::size_t i = 0; i < inputs; ++i)
            for (std::size_t o = 0; o < outputs; ++o) {
                slope[i] += 2 * y[o] * J[o * inputs + i];
                H[i * inputs + i] += 4 * y[o] * A[o * inputs + i];
                for (std::size_t k = 0; k < inputs; ++k) H[i * inputs + k] += 2 * J[o * inputs + i] * J[o * inputs + k];
            }
    }
    // M times b, or its transpose times b, for M of `rows` rows.
    [[nodiscard]] static Numbers times(const Numbers& M, std::size_t rows, const Numbers& b, bool transposed = false) {
        const std::size_t columns = M.size() / rows;
        Numbers out(transposed ? columns : rows);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < columns; ++c) out[transposed ? c : r] += M[r * columns + c] * b[transposed ? r : c];
        return out;
    }
};

struct Quadratic {
    Dim i{"i", inputs}, o{"o", outputs};
    Input x{"x", f64, {i}}, A{"A", f64, {o, i}}, v{"v", f64, {i}}, w{"w", f64, {o}};
    Func y{"y"}, energy{"energy"};
    Quadratic() {
        y(o) = sum({i}, A(o, i) * x(i) * x(i));
        energy() = sum({o}, y(o) * y(o));
    }
};

void first_derivatives(const Quadratic& q, const ByHand& hand) {
    const auto& [i, o, x, A, v, w, y, energy] = q;
    const Func slope = grad(energy, {x})[0];
    const ValueAndGrad both = value_and_grad(energy, {x, A});
    const Func back = vjp({{y, w}}, {x})[0];
    const ValuesAndGrads with_values = value_and_vjp({{y, w}}, {x});
    const Func along = jvp(y, {{x, v}});
    const ValueAndTangent value_along = value_and_jvp(y, {{x, v}});
    same("grad", slope, hand.slope);
    same("value_and_grad", both.gradients[0], hand.slope);
    same("value_and_grad", both.value, {hand.y[0] * hand.y[0] + hand.y[1] * hand.y[1]});
    same("vjp", back, ByHand::times(hand.J, outputs, hand.w, true));
    same("value_and_vjp", with_values.values[0], hand.y);
    same("value_and_jvp", value_along.value, hand.y);
    same("value_and_jvp", value_along.tangent, ByHand::times(hand.J, outputs, hand.v));
    same("jvp", along, ByHand::times(hand.J, outputs, hand.v));

    // The linear part is a definition of its own, with Inputs d_x for the directions; its transpose is what vjp gives.
    const Linearized linear = linearize(y, {x});
    const Func transposed = transpose(linear.tangent, {linear.directions[0]}, w)[0];
    same("linearize", linear.tangent, ByHand::times(hand.J, outputs, hand.v));
    same("transpose", transposed, ByHand::times(hand.J, outputs, hand.w, true));
}

void all_derivatives(const Quadratic& q, const ByHand& hand) {
    const auto& [i, o, x, A, v, w, y, energy] = q;
    const Func by_rows = jacrev(y, x), by_columns = jacfwd(y, x);
    const Func second = hessian(energy, x), second_along = hvp(energy, {{x, v}})[0];
    same("jacrev", by_rows, hand.J);
    same("jacfwd", by_columns, hand.J);
    same("jacobian", jacobian(y, x), hand.J);
    same("hessian", second, hand.H);
    same("hvp", second_along, ByHand::times(hand.H, inputs, hand.v));
}

void rules(const Quadratic& q, const ByHand& hand) {
    const Dim o = q.o;
    const Func y = q.y;
    Func square("square");
    square(o) = y(o) * y(o);
    // From what comes in at the values what goes to y; or from a tangent of y that of the values. Here: half of the truth.
    const Func by_vjp = custom_vjp("by_vjp", square, {y}, [&](const Func& given) -> std::vector<Func> {
        Func to_y("to_y");
        to_y(o) = y(o) * given(o);
        return {to_y};
    });
    const Func by_jvp = custom_jvp("by_jvp", square, {y}, [&](const std::vector<Func>& tangents) {
        Func moved("moved");
        moved(o) = y(o) * tangents[0](o);
        return moved;
    });
    Numbers half = hand.slope;
    for (double& d : half) d /= 2;
    same("custom_vjp", vjp({{by_vjp, 1}}, {q.x})[0], half);
    same("custom_jvp", vjp({{by_jvp, 1}}, {q.x})[0], half);

    Func fixed("fixed"), rounded("rounded");
    fixed(o) = y(o) * stop_gradient(y(o));
    rounded(o) = straight_through(round(y(o)), y(o)) * 1.0;
    same("stop_gradient", vjp({{fixed, 1}}, {q.x})[0], half);
    same("straight_through", rounded, {std::nearbyint(hand.y[0]), std::nearbyint(hand.y[1])});
    same("straight_through", vjp({{rounded, 1}}, {q.x})[0], ByHand::times(hand.J, outputs, {1, 1}, true));
}

// Two calls with memory between them, and derivatives that check themselves.
void calls_and_checks(const Quadratic& q) {
    const Algorithm quadratic({q.energy}, {q.x, q.A});
    const Algorithm at_once = value_and_grad(quadratic, {"x"});
    const ForwardBackward kept = vjp(quadratic, {.wrt = {"x"}});
    const ForwardBackward again = vjp(quadratic, {.wrt = {"x"}, .save = SavePolicy::checkpoint_every(2)});
    expect(at_once.outputs().size() == 2 && kept.saved.size() == 1 && again.saved.empty(), "y is kept, or computed once more");
    const GradCheck check = gradcheck(q.energy, {q.x, q.A});
    expect(check.agrees(), "both modes and finite differences agree");
}

}  // namespace

int main() {
    const Quadratic q;
    const ByHand hand;
    first_derivatives(q, hand);
    all_derivatives(q, hand);
    rules(q, hand);
    calls_and_checks(q);
}
