#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/optimizer.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "algorithm/graph.h"

#include <cmath>
#include <limits>

// Oracles: the same steps written out in double by hand.
namespace tessera {
namespace {

using Matrix = std::vector<double>;
constexpr std::int64_t rows = 3, columns = 4;

AnyBuffer buffer_like(DType t, const std::vector<std::int64_t>& extents, const Matrix& values = {}) {
    const auto filled = [&](auto buffer) -> AnyBuffer {
        using T = std::remove_reference_t<decltype(*buffer.data())>;
        for (std::int64_t i = 0; i < buffer.size() && !values.empty(); ++i)
            buffer.data()[i] = static_cast<T>(static_cast<float>(values[static_cast<size_t>(i)]));
        return buffer.any();
    };
    if (t == f64) {
        const Buffer<double> buffer(extents);
        for (size_t i = 0; i < values.size(); ++i) buffer.data()[i] = values[i];
        return buffer.any();
    }
    if (t == i32) return filled(Buffer<std::int32_t>(extents));
    if (t == bf16) return filled(Buffer<bfloat16>(extents));
    return filled(Buffer<float>(extents));
}
Matrix numbers(const AnyBuffer& b) {
    Matrix out;
    if (b.dtype() == TESSERA_F64) Buffer<double>(b).for_each([&](double v) { out.push_back(v); });
    if (b.dtype() == TESSERA_F32) Buffer<float>(b).for_each([&](float v) { out.push_back(v); });
    if (b.dtype() == TESSERA_BF16) Buffer<bfloat16>(b).for_each([&](bfloat16 v) { out.push_back(static_cast<float>(v)); });
    if (b.dtype() == TESSERA_I32) Buffer<std::int32_t>(b).for_each([&](std::int32_t v) { out.push_back(v); });
    return out;
}

Matrix waves(size_t n, double phase) {
    Matrix out;
    for (size_t i = 0; i < n; ++i) out.push_back(std::sin(phase + 1.7 * static_cast<double>(i)));
    return out;
}

// Runs a step again and again, states and parameters in place; the gradient of a call is waves(k).
class Training {
public:
    Training(const optim::Step& step, const std::vector<Func>& before, const std::string& target)
        : step_(step), algorithm_(step.outputs.empty() ? Algorithm(before, arguments_of(before)) : step.algorithm(before)),
          target_(parse_target(target)), module_(compile(algorithm_, default_schedule(algorithm_, target_), target_)) {
        for (const Argument& a : algorithm_.arguments()) {
            std::vector<std::int64_t> shape;
            for (const Dim& d : a.state()->dims) shape.push_back(d.name() == "r" ? rows : d.name() == "c" ? columns : 5);
            buffers_[a.state()->name] = buffer_like(a.state()->dtype, shape);
        }
    }
    AnyBuffer& operator[](const std::string& name) { return buffers_.at(name); }
    void set(const std::string& name, const Matrix& values) {
        const AnyBuffer& old = buffers_.at(name);
        const DType t = old.dtype() == TESSERA_F64    ? f64
                        : old.dtype() == TESSERA_BF16 ? bf16
                        : old.dtype() == TESSERA_I32  ? i32
                                                      : f32;
        buffers_[name] = buffer_like(t, old.extents(), values);
    }
    void set_shaped(const std::string& name, const std::vector<std::int64_t>& extents, const Matrix& values) {
        shape(name, extents);
        set(name, values);
    }
    void shape(const std::string& name, const std::vector<std::int64_t>& extents) {
        DType t = f32;
        for (const Argument& a : algorithm_.arguments())
            if (a.state()->name == name) t = a.state()->dtype;
        buffers_[name] = buffer_like(t, extents);
    }
    void run(const std::map<std::string, double>& scalars = {}) {
        NamedInputs inputs;
        NamedOutputs outputs;
        for (const Argument& a : algorithm_.arguments()) {
            const std::string& name = a.state()->name;
            if (a.state()->scalar)
                inputs.emplace(name, scalars.at(name));
            else
                inputs.emplace(name, buffers_.at(name));
        }
        for (const Func& f : algorithm_.outputs()) {
            for (int c = 0; c < f.components(); ++c) {
                const std::string name = f.components() == 1 ? f.name() : f.name() + "." + std::to_string(c);
                std::string memory = name;
                for (const auto& [in, out] : step_.in_place)
                    if (out == name) memory = in;
                if (memory == name) buffers_.try_emplace(name, buffer_like(f.dtype(c), {}));
                outputs.emplace(name, buffers_.at(memory));
            }
        }
        module_(inputs, outputs);
    }
    [[nodiscard]] const Algorithm& algorithm() const { return algorithm_; }

private:
    optim::Step step_;
    Algorithm algorithm_;
    Target target_;
    Module module_;
    std::map<std::string, AnyBuffer> buffers_;
};

struct Parts {
    Dim r{"r"}, c{"c"}, n{"n"};
    Input W, b, given_W, given_b;
    Func dW{"dW"}, db{"db"};
    explicit Parts(DType t = f64, DType g = f64)
        : W("W", t, {r, c}), b("b", t, {n}), given_W("given_W", g, {r, c}), given_b("given_b", g, {n}) {
        dW(r, c) = given_W(r, c) * cast(g, 2);
        db(n) = given_b(n) * cast(g, 2);
    }
    [[nodiscard]] std::vector<optim::Parameter> parameters() const { return {{W, dW}, {b, db}}; }
};

void expect_near(const Matrix& got, const Matrix& wanted, double tolerance) {
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], tolerance * std::max(1.0, std::abs(wanted[i]))) << i;
}

// `update(W, gradient, t)` by hand, for five steps, against the definitions.
template <class Update>
void check_steps(const optim::Step& step, const std::string& target, double tolerance, Update update, double rate = 0.1) {
    Training training(step, {}, target);
    Matrix W = waves(rows * columns, 0.3), b = waves(5, 0.8);
    training.set("W", W);
    training.set("b", b);
    for (int t = 1; t <= 5; ++t) {
        const Matrix gW = waves(rows * columns, t), gb = waves(5, t + 0.5);
        training.set("given_W", gW);
        training.set("given_b", gb);
        training.run({{"rate", rate}});
        Matrix twice_W, twice_b;
        for (const double g : gW) twice_W.push_back(2 * g);
        for (const double g : gb) twice_b.push_back(2 * g);
        update("W", W, twice_W, t);
        update("b", b, twice_b, t);
        expect_near(numbers(training["W"]), W, tolerance);
        expect_near(numbers(training["b"]), b, tolerance);
    }
}

TEST(Optimizer, SgdWithMomentumAndNesterov) {
    for (const bool nesterov : {false, true})
        for (const double momentum : {0.0, 0.9}) {
            const Parts p;
            const optim::Step step = optim::sgd(p.parameters(), Scalar("rate", f64),
                                                {.momentum = momentum, .nesterov = nesterov, .weight_decay = 0.01});
            EXPECT_EQ(step.states.size(), momentum == 0 ? 0u : 2u);
            std::map<std::string, Matrix> moments;
            check_steps(step, "interpreter", 1e-13, [&](const std::string& name, Matrix& w, const Matrix& g, int) {
                Matrix& m = moments[name];
                m.resize(w.size());
                for (size_t i = 0; i < w.size(); ++i) {
                    const double d = g[i] + 0.01 * w[i];
                    m[i] = momentum * m[i] + d;
                    w[i] -= 0.1 * (momentum == 0 ? d : nesterov ? d + momentum * m[i] : m[i]);
                }
            });
        }
}

void adam_by_hand(std::map<std::string, Matrix>& m, std::map<std::string, Matrix>& v, const std::string& name, Matrix& w,
                  const Matrix& g, int t, double rate, double decay) {
    m[name].resize(w.size());
    v[name].resize(w.size());
    for (size_t i = 0; i < w.size(); ++i) {
        double &mean = m[name][i], &square = v[name][i];
        mean = 0.9 * mean + 0.1 * g[i];
        square = 0.999 * square + 0.001 * g[i] * g[i];
        const double move = mean / (1 - std::pow(0.9, t)) / (std::sqrt(square / (1 - std::pow(0.999, t))) + 1e-8);
        w[i] -= rate * (move + decay * w[i]);
    }
}

TEST(Optimizer, AdamAndAdamW) {
    for (const double decay : {0.0, 0.02}) {
        for (const auto& [target, type, tolerance] :
             {std::tuple{"interpreter", f64, 1e-12}, {"host", f64, 1e-12}, {"host", f32, 2e-6}}) {
            SCOPED_TRACE(target);
            const Parts p(type, type);
            std::map<std::string, Matrix> m, v;
            const optim::Step step = optim::adam(p.parameters(), 0.1, {.weight_decay = decay});
            EXPECT_EQ(step.states.size(), 5u);
            check_steps(step, target, tolerance, [&](const std::string& name, Matrix& w, const Matrix& g, int t) {
                adam_by_hand(m, v, name, w, g, t, 0.1, decay);
            });
        }
    }
}

double root_mean_square(const Matrix& a) {
    double sum = 0;
    for (const double x : a) sum += x * x;
    return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST(Optimizer, AdafactorKeepsAColumnTimesARow) {
    for (const auto& [target, type, tolerance] :
         {std::tuple{"interpreter", f64, 1e-12}, {"host", f64, 1e-11}, {"host", f32, 1e-5}}) {
        SCOPED_TRACE(target);
        const Parts p(type, type);
        const optim::Step step = optim::adafactor(p.parameters(), Scalar("rate", type));
        Matrix R(rows), C(columns), v(5);
        check_steps(step, target, tolerance, [&](const std::string& name, Matrix& w, const Matrix& g, int t) {
            const double keep = 1 - std::pow(t, -0.8);
            Matrix u(w.size());
            if (name == "W") {
                Matrix by_row(rows), by_column(columns);
                for (std::int64_t r = 0; r < rows; ++r)
                    for (std::int64_t c = 0; c < columns; ++c) {
                        const double s =
                            g[static_cast<size_t>(r * columns + c)] * g[static_cast<size_t>(r * columns + c)] + 1e-30;
                        by_row[static_cast<size_t>(r)] += s / columns;
                        by_column[static_cast<size_t>(c)] += s / rows;
                    }
                double mean = 0;
                for (size_t r = 0; r < rows; ++r) mean += (R[r] = keep * R[r] + (1 - keep) * by_row[r]) / rows;
                for (size_t c = 0; c < columns; ++c) C[c] = keep * C[c] + (1 - keep) * by_column[c];
                for (size_t i = 0; i < w.size(); ++i) u[i] = g[i] / std::sqrt(R[i / columns] * C[i % columns] / mean);
            } else {
                for (size_t i = 0; i < w.size(); ++i) {
                    v[i] = keep * v[i] + (1 - keep) * (g[i] * g[i] + 1e-30);
                    u[i] = g[i] / std::sqrt(v[i]);
                }
            }
            const double length = 0.1 * std::max(1e-3, root_mean_square(w)) / std::max(1.0, root_mean_square(u));
            for (size_t i = 0; i < w.size(); ++i) w[i] -= length * u[i];
        });
    }
}

TEST(Optimizer, GradientsAreClippedByValueAndByNorm) {
    const Parts p;
    check_steps(optim::sgd(optim::clipped_by_value(p.parameters(), 0.7), 0.1), "interpreter", 1e-13,
                [](const std::string&, Matrix& w, const Matrix& g, int) {
                    for (size_t i = 0; i < w.size(); ++i) w[i] -= 0.1 * std::clamp(g[i], -0.7, 0.7);
                });
    for (const double most : {1.5, 1e6}) {
        const Parts q(f32, f32);
        const optim::ClippedByNorm clipped = optim::clipped_by_norm(q.parameters(), most);
        Training training(optim::sgd(clipped.parameters, 0.1), {clipped.norm}, "host");
        const Matrix gW = waves(rows * columns, 1), gb = waves(5, 2);
        training.set("given_W", gW);
        training.set("given_b", gb);
        training.run();
        double squares = 0;
        for (const Matrix& g : {gW, gb})
            for (const double x : g) squares += 4 * x * x;
        const double norm = std::sqrt(squares);
        EXPECT_NEAR(numbers(training["gradient/norm"])[0], norm, 1e-5);
        Matrix wanted;
        for (const double g : gb) wanted.push_back(-0.1 * 2 * g * std::min(1.0, most / norm));
        expect_near(numbers(training["b"]), wanted, 1e-6);
    }
}

TEST(Optimizer, HalfPrecisionParametersHaveWideStates) {
    const Parts p(bf16, f32);
    const optim::Step step = optim::adam(p.parameters(), 0.1);
    for (const Input& s : step.states) EXPECT_NE(s.dtype(), bf16) << s.name();
    for (const Func& f : step.outputs)
        for (int c = 0; c < f.components(); ++c)
            EXPECT_EQ(f.dtype(c) == bf16, c == 0 && (f.name() == "W/next" || f.name() == "b/next")) << f.name() << "." << c;
    std::map<std::string, Matrix> m, v;
    check_steps(step, "interpreter", 0.01, [&](const std::string& name, Matrix& w, const Matrix& g, int t) {
        adam_by_hand(m, v, name, w, g, t, 0.1, 0);
        for (double& x : w) x = static_cast<float>(bfloat16(static_cast<float>(x)));
    });
}

// ---- mixed precision: bf16 activations, f32 parameters and gradients

struct MixedLayer {
    Dim b{"b", 6}, r{"r"}, c{"c"};
    Input x{"x", bf16, {b, r}}, W{"W", f32, {r, c}}, target{"target", f32, {b, c}};
    Func narrow{"narrow"}, act{"act"}, loss{"loss"};
    MixedLayer() {
        narrow(r, c) = cast(bf16, W(r, c));
        act(b, c) = cast(bf16, tanh(sum({r}, cast(f32, x(b, r)) * cast(f32, narrow(r, c)))));
        const Expr away = cast(f32, act(b, c)) - target(b, c);
        loss() = sum({b, c}, away * away);
    }
};

TEST(MixedPrecision, NarrowActivationsHaveWideGradients) {
    const MixedLayer l;
    const std::vector<Func> g = grad(l.loss, {l.W});
    EXPECT_EQ(g[0].dtype(), f32);
    const Algorithm algorithm(g, arguments_of(g));
    for (const Func& f : algorithm.funcs()) {
        EXPECT_TRUE(f.name() != "act" || f.dtype() == bf16);
        for_each_node(f.state()->values,
                      [&](const Expr& n) { EXPECT_TRUE(n->op != Op::reduce || n.dtype() == f32) << f.name(); });
    }
    // Against the same layer in f64, to the precision of bf16.
    Training training({}, g, "host");
    const Matrix x = waves(6 * rows, 1), W = waves(rows * columns, 2), target = waves(6 * columns, 3);
    training.set_shaped("x", {6, rows}, x);
    training.set("W", W);
    training.set_shaped("target", {6, columns}, target);
    training.shape(g[0].name(), {rows, columns});
    training.run();
    const Matrix got = numbers(training[g[0].name()]);
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < columns; ++c) {
            double wanted = 0;
            for (size_t b = 0; b < 6; ++b) {
                double sum = 0;
                for (size_t k = 0; k < rows; ++k) sum += x[b * rows + k] * W[k * columns + c];
                const double act = std::tanh(sum);
                wanted += 2 * (act - target[b * columns + c]) * (1 - act * act) * x[b * rows + r];
            }
            EXPECT_NEAR(got[r * columns + c], wanted, 0.08);
        }
}

TEST(MixedPrecision, AStaticScaleIsTakenOutAgain) {
    const Parts p(f32, f32);
    std::vector<optim::Parameter> scaled;
    for (const optim::Parameter& q : p.parameters()) {
        Func g(q.value.name() + "_scaled");
        const std::vector<Index> at(q.value.dims().begin(), q.value.dims().end());
        g.at(at) = q.gradient.at(at).read() * 1024.0f;
        scaled.push_back({q.value, g});
    }
    for (const Operand& scale : {Operand(1024), Operand(Scalar("scale", f32))}) {
        Training training(optim::sgd(optim::unscaled(scaled, scale), 0.1), {}, "interpreter");
        const Matrix gb = waves(5, 2);
        training.set("given_b", gb);
        training.run({{"scale", 1024.0}});
        Matrix wanted;
        for (const double g : gb) wanted.push_back(-0.2 * g);
        expect_near(numbers(training["b"]), wanted, 1e-6);
    }
}

TEST(MixedPrecision, ADynamicScaleLeavesOutStepsThatOverflow) {
    for (const char* target : {"interpreter", "host"}) {
        const Parts p(f32, f32);
        const optim::DynamicScale dynamic({.interval = 3});
        const optim::DynamicScale::Gradients g = dynamic.unscaled(p.parameters());
        const optim::Step step = optim::adam(g.parameters, 0.1, {.only_if = g.finite}) + g.step;
        Training training(step, {}, target);
        training.set("loss_scale", {64});
        double scale = 64;
        int good = 0, taken = 0;
        for (int t = 0; t < 9; ++t) {
            const bool overflows = t == 1 || t == 2 || t == 7;
            Matrix gW = waves(rows * columns, t), gb = waves(5, t);
            if (overflows)
                (t == 2 ? gb[4] : gW[7]) =
                    t == 7 ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
            training.set("given_W", gW);
            training.set("given_b", gb);
            const Matrix before = numbers(training["W"]), mean = numbers(training["b/mean"]);
            training.run();
            scale *= overflows ? 0.5 : good == 2 ? 2 : 1;
            good = overflows || good == 2 ? 0 : good + 1;
            taken += overflows ? 0 : 1;
            EXPECT_EQ(numbers(training["loss_scale"])[0], scale) << t;
            EXPECT_EQ(numbers(training["loss_scale/steps"])[0], good) << t;
            EXPECT_EQ(numbers(training["W/step"])[0], taken) << t;
            EXPECT_EQ(numbers(training["W"]) == before, overflows) << t;
            EXPECT_EQ(numbers(training["b/mean"]) == mean, overflows) << t;
            for (const double w : numbers(training["W"])) EXPECT_TRUE(std::isfinite(w));
        }
    }
}

TEST(MixedPrecision, GradientsOfMicroBatchesAddUp) {
    const Parts p(f32, f32);
    const optim::Step adding = optim::accumulated(p.parameters());
    Training batches(adding, {}, "host");
    Matrix sums(5);
    for (int k = 0; k < 4; ++k) {
        const Matrix gb = waves(5, k);
        for (size_t i = 0; i < 5; ++i) sums[i] += 2 * gb[i];
        batches.set("given_b", gb);
        batches.run();
    }
    expect_near(numbers(batches["b/total"]), sums, 1e-6);
    const optim::Step step = optim::sgd(optim::from_totals({p.W, p.b}, 4), 0.1);
    Training training(step, {}, "host");
    training["b/total"] = batches["b/total"];
    training.run();
    for (double& s : sums) s *= -0.1 / 4;
    expect_near(numbers(training["b"]), sums, 1e-6);
}

// The whole step in one algorithm: loss, gradient, scale and update; parameters change in place.
TEST(MixedPrecision, ALayerIsTrained) {
    const MixedLayer l;
    const optim::DynamicScale dynamic({.interval = 50});
    const ValueAndGrad g = value_and_grad(dynamic.scaled(l.loss), {l.W});
    const optim::DynamicScale::Gradients scaled = dynamic.unscaled({{l.W, g.gradients[0]}});
    const optim::Step step = optim::adam(scaled.parameters, 0.05, {.only_if = scaled.finite}) + scaled.step;
    Training training(step, {g.value}, "host");
    training.set_shaped("x", {6, rows}, waves(6 * rows, 1));
    training.set("W", waves(rows * columns, 2));
    Matrix target = waves(6 * columns, 3);
    for (double& t : target) t *= 0.5;
    training.set_shaped("target", {6, columns}, target);
    training.set("loss_scale", {1024});
    std::vector<double> losses;
    for (int t = 0; t < 60; ++t) {
        const double scale = numbers(training["loss_scale"])[0];
        training.run();
        losses.push_back(numbers(training[g.value.name()])[0] / scale);
    }
    EXPECT_LT(losses.back(), 0.8 * losses.front());
    EXPECT_EQ(numbers(training["loss_scale"])[0], 2048);
}

// ---- one nest

TEST(Optimizer, TheUpdateSharesTheGradientsLastNest) {
    Dim b("b"), i("i"), o("o");
    const Input x("x", f32, {b, i}), W("W", f32, {i, o}), bias("bias", f32, {o});
    const Input target("target", f32, {b, o});
    Func out("out"), loss("loss");
    out(b, o) = tanh(sum({i}, x(b, i) * W(i, o)) + bias(o));
    loss() = sum({b, o}, (out(b, o) - target(b, o)) * (out(b, o) - target(b, o)));
    const ValueAndGrad g = value_and_grad(loss, {W});
    for (const bool adaptive : {false, true}) {
        const std::vector<optim::Parameter> parameters{{W, g.gradients[0]}};
        const optim::Step step = adaptive ? optim::adam(parameters, 0.1) : optim::sgd(parameters, 0.1, {.momentum = 0.9});
        const Algorithm algorithm = step.algorithm({g.value});
        const Module module = compile(algorithm, default_schedule(algorithm), Target());
        EXPECT_NE(module.inspect_ir(IrLevel::graph).find("d_loss/W(i, o) : f32 = sum({b}, "), std::string::npos);
        // Of the base, which stands behind the variants.
        std::string tree = module.inspect_ir(IrLevel::schedule);
        if (const size_t last_tree = tree.rfind("\n// "); last_tree != std::string::npos) tree = tree.substr(last_tree + 1);
        // The sum that is the gradient is produced inside the loops that store the parameter and its states, and nothing stores
        // the gradient itself.
        const size_t update = tree.find("produce `W/next`"), gradient = tree.find("produce `d_loss/W.sum`");
        ASSERT_NE(update, std::string::npos) << tree;
        ASSERT_NE(gradient, std::string::npos) << tree;
        EXPECT_LT(update, gradient) << tree;
        EXPECT_EQ(tree.find("allocate `d_loss/W` "), std::string::npos) << tree;
        const std::string own = tree.substr(update);
        const size_t indent = update - (tree.rfind('\n', update) + 1);
        EXPECT_EQ(own.find("\n" + std::string(indent, ' ') + "produce"), std::string::npos) << tree;
    }
}

TEST(Optimizer, WhatDoesNotFitIsRefused) {
    const Parts p;
    const auto code_of = [](const auto& f) -> ErrorCode {
        try {
            static_cast<void>(f());
        } catch (const Error& e) {
            return e.code();
        }
        return B0951_internal;
    };
    EXPECT_EQ(code_of([&] { return optim::sgd({{p.W, p.db}}, 0.1); }), E0106_dim_mismatch);
    const Input count("count", i32, {p.r, p.c});
    EXPECT_EQ(code_of([&] { return optim::adam({{count, p.dW}}, 0.1); }), E0202_dtype_unsupported);
    EXPECT_EQ(code_of([&] { return optim::clipped_by_norm({{p.b, p.dW}}, 1); }), E0106_dim_mismatch);
    EXPECT_EQ(code_of([&] { return optim::adafactor({{p.b, p.dW}}, 0.1); }), E0106_dim_mismatch);
}

}  // namespace
}  // namespace tessera
