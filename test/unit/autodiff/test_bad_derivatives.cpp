#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include "algorithm/graph.h"

#include <algorithm>
#include <functional>

// What cannot be differentiated, or is asked for wrongly: the code, the words of the message, the line of the user.
namespace tessera {
namespace {

struct Definitions {
    Dim i{"i"}, j{"j"}, t{"t"};
    Input a{"a", f32, {i}}, w{"w", f32, {i, j}}, n{"n", i32, {i}};
    Func square{"square"}, loss{"loss"}, count{"count"}, steps{"steps"}, sharp{"sharp"};
    Definitions() {
        square(i) = a(i) * a(i);
        loss() = sum({i}, square(i));
        count() = sum({i}, n(i));
        steps(i) = floor(square(i));
        sharp() = sum({i}, steps(i));
    }
};

struct Row {
    const char* name;
    ErrorCode code;
    std::vector<std::string> words;
    std::function<void(const Definitions&)> program;
};

const std::vector<Row>& rows() {
    static const std::vector<Row> all{
        {"an integer output",
         E1002_not_differentiable,
         {"count has i32 values", "only floats are differentiated"},
         [](const Definitions& d) { static_cast<void>(grad(d.count, {d.a})); }},
        {"an integer wrt",
         E1002_not_differentiable,
         {"the derivative by n is asked for, which has i32 values"},
         [](const Definitions& d) { static_cast<void>(grad(d.loss, {d.n})); }},
        {"an integer wrt forward",
         E1002_not_differentiable,
         {"by n"},
         [](const Definitions& d) {
             static_cast<void>(jvp(d.loss, {{d.n, 1}}));
         }},
        {"a cotangent of integers",
         E1002_not_differentiable,
         {"count has i32 values", "only floats are differentiated"},
         [](const Definitions& d) {
             static_cast<void>(vjp({{d.count, 1}}, {d.a}));
         }},
        {"a cotangent of pairs",
         E1003_derivative_shape,
         {"pair has 2 values at each point; a cotangent is that of one", "one(...) = pair(...)[0]"},
         [](const Definitions& d) {
             Func pair("pair");
             pair(d.i) = Tuple{d.a(d.i), d.a(d.i) * 2.0f};
             static_cast<void>(vjp({{pair, 1}}, {d.a}));
         }},
        {"two directions of one input",
         E1003_derivative_shape,
         {"a is given two directions", "give their sum"},
         [](const Definitions& d) {
             static_cast<void>(jvp(d.loss, {{d.a, 1}, {d.a, 2}}));
         }},
        {"an integer wrt by name",
         E1002_not_differentiable,
         {"by n"},
         [](const Definitions& d) {
             Func both("both");
             both() = d.loss() + cast(f32, d.count());
             static_cast<void>(vjp(Algorithm({both}, {d.a, d.n}), {.wrt = {"n"}}));
         }},
        {"an operation without a rule",
         E1001_no_derivative,
         {"floor in the definition of steps has no derivative", "a -> square -> steps -> sharp", "straight_through"},
         [](const Definitions& d) { static_cast<void>(grad(d.sharp, {d.a})); }},
        {"the same, forward",
         E1001_no_derivative,
         {"floor in the definition of steps"},
         [](const Definitions& d) {
             static_cast<void>(jvp(d.sharp, {{d.a, 1}}));
         }},
        {"a monoid without a rule",
         E1001_no_derivative,
         {"left_only in folded has no derivative"},
         [](const Definitions& d) {
             const Monoid left = monoid(
                 "left_only", [](const std::vector<DType>& t) { return Tuple{constant(t[0], 0.0)}; },
                 [](const Tuple& x, const Tuple& y) { return Tuple{x[0] - y[0] * x[0]}; },
                 {.commutative = false, .associative = false});
             Func folded("folded");
             folded() = reduce(left, {d.i}, {d.a(d.i)})[0];
             static_cast<void>(grad(folded, {d.a}));
         }},
        {"a gradient of several values",
         E1003_derivative_shape,
         {"square has dim i; a gradient is that of one value", "per = {i}"},
         [](const Definitions& d) { static_cast<void>(grad(d.square, {d.a})); }},
        {"a gradient for each point of what is summed over",
         E1003_derivative_shape,
         {"loss has no dim i, so it has no gradient for each of its points", "expected: no dims in `per`",
          "leave i out of `per`"},
         [](const Definitions& d) { static_cast<void>(grad(d.loss, {d.a}, {.per = {d.i}})); }},
        {"cotangents for each point of another dim",
         E1003_derivative_shape,
         {"square has no dim j", "expected: `per` among the dims i", "give square the dim: do not sum over j in it"},
         [](const Definitions& d) {
             static_cast<void>(vjp({{d.square, 1}}, {d.a}, {.per = {d.j}}));
         }},
        {"all derivatives for each point of another dim",
         E1003_derivative_shape,
         {"square has no dim j"},
         [](const Definitions& d) { static_cast<void>(jacobian(d.square, d.a, {}, {.per = {d.j}})); }},
        {"a gradient for each point of what is summed over on the way",
         E1003_derivative_shape,
         {"combines values over i; a derivative per i needs its points apart", "leave i out of `per`"},
         [](const Definitions& d) {
             Func total("total"), each("each");
             total() = sum({d.i}, d.a(d.i) * d.a(d.i));
             each(d.i) = total() * d.a(d.i);
             static_cast<void>(grad(each, {d.a}, {.per = {d.i}}));
         }},
        {"a gradient for each point of what is added up along them",
         E1003_derivative_shape,
         {"combines values over i; a derivative per i needs its points apart"},
         [](const Definitions& d) {
             Func running("running");
             running(d.i) = scan(plus, d.i, d.a(d.i) * d.a(d.i));
             static_cast<void>(grad(running, {d.a}, {.per = {d.i}}));
         }},
        {"a cotangent of other rank",
         E1003_derivative_shape,
         {"w is given as the direction of square, whose dims differ", "expected: dims i", "received: dims i, j"},
         [](const Definitions& d) {
             static_cast<void>(vjp({{d.square, d.w}}, {d.a}));
         }},
        {"a cotangent over another dim",
         E1003_derivative_shape,
         {"other is given as the direction of square"},
         [](const Definitions& d) {
             const Input other("other", f32, {d.j});
             static_cast<void>(vjp({{d.square, other}}, {d.a}));
         }},
        {"a cotangent of another dtype",
         E0201_dtype_mismatch,
         {"wide is f64, the direction of square is f32"},
         [](const Definitions& d) {
             const Input wide("wide", f64, {d.i});
             static_cast<void>(vjp({{d.square, wide}}, {d.a}));
         }},
        {"a tangent of other rank",
         E1003_derivative_shape,
         {"w is given as the direction of a"},
         [](const Definitions& d) {
             static_cast<void>(jvp(d.square, {{d.a, d.w}}));
         }},
        {"a rule that captures",
         E1004_custom_rule,
         {"does not have w among its operands"},
         [](const Definitions& d) {
             Func value("value"), total("total");
             value(d.j) = sum({d.i}, d.w(d.i, d.j) * d.a(d.i));
             const Func y = custom_vjp("y", value, {d.a}, [&](const Func& g) -> std::vector<Func> {
                 Func to_a("to_a");
                 to_a(d.i) = sum({d.j}, g(d.j) * d.w(d.i, d.j));
                 return {to_a};
             });
             total() = sum({d.j}, y(d.j));
             static_cast<void>(grad(total, {d.w}));
         }},
        {"a rule that is not linear in the cotangent",
         E1004_custom_rule,
         {"the rule of y is not linear in"},
         [](const Definitions& d) {
             const Func y = custom_vjp("y", d.square, {d.a}, [&](const Func& g) -> std::vector<Func> {
                 Func to_a("to_a");
                 to_a(d.i) = g(d.i) * g(d.i);
                 return {to_a};
             });
             Func total("total");
             total() = sum({d.i}, y(d.i));
             static_cast<void>(grad(total, {d.a}));
         }},
        {"a rule of another shape",
         E1004_custom_rule,
         {"whose dims or dtype differ"},
         [](const Definitions& d) {
             const Func y = custom_vjp("y", d.square, {d.a}, [&](const Func&) -> std::vector<Func> { return {d.loss}; });
             Func total("total");
             total() = sum({d.i}, y(d.i));
             static_cast<void>(grad(total, {d.a}));
         }},
        {"a transpose of what is not linear",
         E1003_derivative_shape,
         {"square"},
         [](const Definitions& d) { static_cast<void>(transpose(d.square, {d.a})); }},
        {"a name that is no argument",
         E0307_missing_argument,
         {"the derivative by b is asked for", "a"},
         [](const Definitions& d) { static_cast<void>(value_and_grad(Algorithm({d.loss}, {d.a}), {"b"})); }},
    };
    return all;
}

TEST(BadDerivatives, AreRefusedWithWords) {
    const Definitions d;
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        try {
            row.program(d);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), row.code) << e.what();
            for (const std::string& word : row.words)
                EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << word << "\n" << e.what();
            EXPECT_TRUE(std::any_of(e.hints().begin(), e.hints().end(), [](const Hint& h) {
                return h.kind == Hint::Kind::fix || h.kind == Hint::Kind::expected;
            })) << e.what();
            EXPECT_TRUE(e.where().known()) << e.what();
        }
    }
}

// A variable that is not reached has the derivative zero, and a warning says so.
TEST(BadDerivatives, WhatIsNotReachedIsZeroAndTold) {
    const Definitions d;
    const ValueAndGrad g = value_and_grad(d.loss, {d.a, d.w});
    EXPECT_EQ(g.gradients[1].state()->values[0]->op, Op::constant);
    ASSERT_EQ(g.warnings.size(), 1u);
    EXPECT_EQ(g.warnings[0], "the derivative of loss by w is zero: loss does not read it");
    // Along it, too.
    const Func along = jvp(d.loss, {{d.w, 1}});
    ASSERT_EQ(along.rank(), 0);
    EXPECT_TRUE(along.state()->values[0].same_as(make_constant(DType::f32, 0.0)));
    Func held("held"), both("both");
    held() = sum({d.i}, stop_gradient(d.square(d.i)) + cast(f32, cast(i32, d.a(d.i))));
    both() = held() + sum({d.i, d.j}, d.w(d.i, d.j));
    const ValueAndGrad h = value_and_grad(both, {d.a, d.w});
    ASSERT_EQ(h.warnings.size(), 1u);
    EXPECT_EQ(h.warnings[0],
              "the derivative of both by a is zero: on every way from it stands an integer, a comparison or a stopped gradient");
    const ForwardBackward pair = vjp(Algorithm({both}, {d.a, d.w}), {.wrt = {"w", "a"}});
    EXPECT_EQ(pair.warnings, h.warnings);
}

}  // namespace
}  // namespace tessera
