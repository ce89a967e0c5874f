#include <tessera/autodiff.h>
#include <tessera/optimizer.h>

#include "algorithm/graph.h"

#include <fmt/format.h>

#include <cmath>

namespace tessera::optim {
namespace {

std::vector<Index> all_of(const Input& x) { return {x.dims().begin(), x.dims().end()}; }

DType compute_dtype(DType t) { return is_narrow_float(t) ? DType::f32 : t; }

void check_parameter(const Parameter& p) {
    const auto refuse = [&](ErrorCode code, const std::string& what, std::vector<Hint> hints) {
        hints.insert(hints.begin(), token(p.gradient.name()));
        throw Error(code, p.gradient.state()->where,
                    fmt::format("{} is the gradient of {}, {}", p.gradient.name(), p.value.name(), what), std::move(hints));
    };
    if (!is_float(p.value.dtype()) || !is_float(p.gradient.dtype()))
        refuse(E0202_dtype_unsupported, "and one of them has no float values", {fix("optimise float parameters")});
    bool fits = p.gradient.rank() == p.value.rank();
    for (size_t d = 0; fits && d < p.value.rank(); ++d) fits = p.gradient.dims()[d].id() == p.value.dims()[d].id();
    if (!fits)
        refuse(E0106_dim_mismatch, "whose dims differ",
               {expected(counted(p.value.rank(), "dim")), received(counted(p.gradient.rank(), "dim")),
                fix("take it from grad(), or define it over the parameter's dims")});
}

// One parameter while its step is written.
class Writer {
public:
    Writer(const Parameter& p, const std::optional<Func>& only_if, Step& step)
        : p_(p), only_if_(only_if), step_(step), type_(compute_dtype(p.value.dtype())) {
        check_parameter(p);
    }

    [[nodiscard]] DType type() const { return type_; }
    [[nodiscard]] const std::string& name() const { return p_.value.name(); }
    [[nodiscard]] const std::vector<Dim>& dims() const { return p_.value.dims(); }
    [[nodiscard]] Expr value() const { return cast(type_, p_.value.at(all_of(p_.value))); }
    [[nodiscard]] Expr gradient() const { return cast(type_, p_.gradient.at(all_of(p_.value)).read()); }
    [[nodiscard]] Expr number(double v) const { return constant(type_, v); }
    [[nodiscard]] Expr number(const Operand& v) const {
        return is_literal(v.expr) ? number(literal_value(v.expr)) : cast(type_, v);
    }

    // A state over `dims`, starting as zeros.
    Input state(const std::string& local, const std::vector<Dim>& over) {
        Input s(name() + "/" + local, type_, over, p_.value.state()->where);
        step_.states.push_back(s);
        return s;
    }
    // What replaces a state of dims of its own: an output in its memory. Returns the read of it, which others must use: the state
    // itself is overwritten.
    Expr next(const Input& of, const Expr& value) {
        Func f(of.name() + "/next", p_.value.state()->where);
        const std::vector<Index> at = all_of(of);
        f.at(at) = kept(of, value);
        step_.outputs.push_back(f);
        step_.in_place.emplace_back(of.name(), f.name());
        return cast(type_, f.at(at).read());
    }
    // The parameter and states over its dims, replaced by one definition of several values: they share the nest that adds up the
    // gradient.
    void next_together(const std::vector<std::pair<Input, Expr>>& values) {
        Func f(name() + "/next", p_.value.state()->where);
        std::vector<Expr> stored;
        for (size_t c = 0; c < values.size(); ++c) {
            stored.push_back(kept(values[c].first, values[c].second));
            step_.in_place.emplace_back(values[c].first.name(),
                                        values.size() == 1 ? f.name() : fmt::format("{}.{}", f.name(), c));
        }
        f.at(all_of(p_.value)) = Tuple(stored);
        step_.outputs.push_back(f);
    }
    // A definition of the step's own.
    [[nodiscard]] Func named(const std::string& local, const std::vector<Dim>& over, const Expr& value) const {
        Func f(name() + "/" + local, p_.value.state()->where);
        f.at({over.begin(), over.end()}) = value;
        return f;
    }

private:
    Expr kept(const Input& of, const Expr& value) const {
        const Expr stored = cast(of.dtype(), value);
        return only_if_ ? select((*only_if_)(), stored, of.at(all_of(of))) : stored;
    }
    static bool is_literal(const Expr& e) { return is_constant(e); }
    static double literal_value(const Expr& e) { return is_float(e.dtype()) ? e->floating() : static_cast<double>(e->integer()); }

    const Parameter& p_;
    const std::optional<Func>& only_if_;
    Step& step_;
    DType type_;
};

// The number of this step, from 1 on: a state that all parameters share.
Expr counted_step(const std::string& name, const std::optional<Func>& only_if, SourceLoc where, Step& step) {
    const Input count(name + "/step", DType::i32, {}, where);
    Func next(count.name() + "/next", where);
    const Expr one_more = count() + 1;
    if (only_if)
        next() = select((*only_if)(), one_more, count());
    else
        next() = one_more;
    step.states.push_back(count);
    step.outputs.push_back(next);
    step.in_place.emplace_back(count.name(), next.name());
    return next().read();
}

// 1 - b^t without the cancellation for b near 1.
Expr one_minus_power(const Writer& w, double b, const Expr& t) { return -expm1(cast(w.type(), t) * w.number(std::log(b))); }

Func definition(const std::string& name, const Input& like, const Expr& value) {
    Func f(name, like.state()->where);
    f.at(all_of(like)) = value;
    return f;
}

}  // namespace

Algorithm Step::algorithm(const std::vector<Func>& before, const std::string& name) const {
    std::vector<Func> all = before;
    all.insert(all.end(), outputs.begin(), outputs.end());
    return Algorithm(all, arguments_of(all), {.name = name, .in_place = in_place});
}

Step operator+(const Step& a, const Step& b) {
    Step out = a;
    out.outputs.insert(out.outputs.end(), b.outputs.begin(), b.outputs.end());
    out.states.insert(out.states.end(), b.states.begin(), b.states.end());
    out.in_place.insert(out.in_place.end(), b.in_place.begin(), b.in_place.end());
    return out;
}

Step sgd(const std::vector<Parameter>& parameters, const Operand& rate, const SgdOptions& options) {
    Step step;
    for (const Parameter& p : parameters) {
        Writer w(p, options.only_if, step);
        Expr g = w.gradient();
        if (options.weight_decay != 0) g = g + w.number(options.weight_decay) * w.value();
        const auto moved = [&](const Expr& move) { return std::pair(p.value, w.value() - w.number(rate) * move); };
        if (options.momentum == 0) {
            w.next_together({moved(g)});
            continue;
        }
        const Expr momentum = w.number(options.momentum);
        const Input m = w.state("momentum", w.dims());
        const Expr total = momentum * m.at(all_of(m)) + g;
        w.next_together({moved(options.nesterov ? g + momentum * total : total), {m, total}});
    }
    return step;
}

Step adam(const std::vector<Parameter>& parameters, const Operand& rate, const AdamOptions& options) {
    Step step;
    if (parameters.empty()) return step;
    const Expr t = counted_step(parameters[0].value.name(), options.only_if, parameters[0].value.state()->where, step);
    for (const Parameter& p : parameters) {
        Writer w(p, options.only_if, step);
        const Expr g = w.gradient();
        const Input m = w.state("mean", w.dims()), v = w.state("square", w.dims());
        const Expr mean = w.number(options.beta1) * m.at(all_of(m)) + w.number(1 - options.beta1) * g;
        const Expr square = w.number(options.beta2) * v.at(all_of(v)) + w.number(1 - options.beta2) * g * g;
        const Func first = w.named("mean/share", {}, one_minus_power(w, options.beta1, t)),
                   second = w.named("square/share", {}, one_minus_power(w, options.beta2, t));
        Expr move = mean / first() / (sqrt(square / second()) + w.number(options.epsilon));
        if (options.weight_decay != 0) move = move + w.number(options.weight_decay) * w.value();
        w.next_together({{p.value, w.value() - w.number(rate) * move}, {m, mean}, {v, square}});
    }
    return step;
}

namespace {

Expr mean_over(const Writer& w, const std::vector<Dim>& dims, const Expr& value) {
    if (dims.empty()) return value;
    Expr count = literal(std::int64_t{1});
    for (const Dim& d : dims) count = count * Expr(d.extent());
    return sum(dims, value) / cast(w.type(), count);
}

// The estimate of the second moments, as a read over the parameter's dims; its states are written.
Expr second_moments(Writer& w, const Expr& square, const Expr& keep) {
    const std::vector<Dim>& dims = w.dims();
    const auto blended = [&](const Input& of, const Expr& value) {
        return keep * of.at(all_of(of)) + (w.number(1.0) - keep) * value;
    };
    if (dims.size() < 2) {
        const Input v = w.state("square", dims);
        return w.next(v, blended(v, square));
    }
    const Dim row = dims[dims.size() - 2], column = dims.back();
    std::vector<Dim> by_row(dims.begin(), dims.end() - 1), by_column(dims.begin(), dims.end() - 2);
    const std::vector<Dim> leading = by_column;
    by_column.push_back(column);
    const Input rows = w.state("rows", by_row), columns = w.state("columns", by_column);
    const Expr next_rows = w.next(rows, blended(rows, mean_over(w, {column}, square)));
    const Expr next_columns = w.next(columns, blended(columns, mean_over(w, {row}, square)));
    const Func overall = w.named("rows/mean", leading, mean_over(w, {row}, next_rows));
    return next_rows * next_columns / overall.at({leading.begin(), leading.end()}).read();
}

}  // namespace

Step adafactor(const std::vector<Parameter>& parameters, const Operand& rate, const AdafactorOptions& options) {
    Step step;
    if (parameters.empty()) return step;
    const Expr t = counted_step(parameters[0].value.name(), options.only_if, parameters[0].value.state()->where, step);
    for (const Parameter& p : parameters) {
        Writer w(p, options.only_if, step);
        const std::vector<Index> at = all_of(p.value);
        const Func keep = w.named("keep", {}, w.number(1.0) - pow(cast(w.type(), t), w.number(-options.decay)));
        const Expr g = w.gradient();
        const Func square = w.named("square/raw", w.dims(), g * g + w.number(options.epsilon1));
        const Expr moments = second_moments(w, square.at(at).read(), keep().read());
        const Func move = w.named("move", w.dims(), g / sqrt(moments));
        const Func size = w.named("move/rms", {}, sqrt(mean_over(w, w.dims(), move.at(at).read() * move.at(at).read()))),
                   own = w.named("rms", {}, sqrt(mean_over(w, w.dims(), w.value() * w.value())));
        const Func length = w.named(
            "length", {},
            w.number(rate) * max(w.number(options.epsilon2), own()) / max(w.number(1.0), size() / w.number(options.clip)));
        w.next(p.value, w.value() - length() * move.at(at).read());
    }
    return step;
}

std::vector<Parameter> clipped_by_value(const std::vector<Parameter>& parameters, double most) {
    std::vector<Parameter> out;
    for (const Parameter& p : parameters) {
        check_parameter(p);
        const Expr g = p.gradient.at(all_of(p.value)).read();
        out.push_back({p.value, definition(p.value.name() + "/clipped", p.value,
                                           clamp(g, constant(g.dtype(), -most), constant(g.dtype(), most)))});
    }
    return out;
}

ClippedByNorm clipped_by_norm(const std::vector<Parameter>& parameters, double most) {
    Expr total = constant(DType::f32, 0.0);
    for (const Parameter& p : parameters) {
        check_parameter(p);
        const Expr g = cast(DType::f32, p.gradient.at(all_of(p.value)).read());
        Func squares(p.value.name() + "/squares", p.value.state()->where);
        squares() = p.value.rank() == 0 ? g * g : sum(p.value.dims(), g * g);
        total = total + squares();
    }
    ClippedByNorm out{{}, Func("gradient/norm")};
    out.norm() = sqrt(total);
    Func factor("gradient/factor");
    // A norm of 0 or NaN keeps the gradients as they are.
    factor() =
        select(out.norm() > constant(DType::f32, most), constant(DType::f32, most) / out.norm(), constant(DType::f32, 1.0));
    for (const Parameter& p : parameters) {
        const Expr g = p.gradient.at(all_of(p.value)).read();
        out.parameters.push_back(
            {p.value, definition(p.value.name() + "/clipped", p.value, cast(g.dtype(), cast(DType::f32, g) * factor()))});
    }
    return out;
}

std::vector<Parameter> unscaled(const std::vector<Parameter>& parameters, const Operand& scale) {
    std::vector<Parameter> out;
    for (const Parameter& p : parameters) {
        check_parameter(p);
        const Expr g = cast(compute_dtype(p.gradient.dtype()), p.gradient.at(all_of(p.value)).read());
        const Expr divisor = is_constant(scale.expr) ? scale.expr : cast(g.dtype(), scale);
        out.push_back({p.value, definition(p.value.name() + "/unscaled", p.value, g / divisor)});
    }
    return out;
}

DynamicScale::DynamicScale(DynamicScaleOptions options)
    : options_(std::move(options)), scale_(options_.name, DType::f32, {}), good_(options_.name + "/steps", DType::i32, {}),
      current_(options_.name + "/current") {
    current_() = scale_();
}

Func DynamicScale::scaled(const Func& loss) const {
    Func f(loss.name() + "/scaled", loss.state()->where);
    f.at({loss.dims().begin(), loss.dims().end()}) =
        loss.at({loss.dims().begin(), loss.dims().end()}).read() * cast(loss.dtype(), current_());
    return f;
}

// Everything that reads the states is needed by what overwrites them.
DynamicScale::Gradients DynamicScale::unscaled(const std::vector<Parameter>& parameters) const {
    Func inverse(options_.name + "/inverse");
    inverse() = constant(DType::f32, 1.0) / current_();
    Gradients out{{}, Func(options_.name + "/finite"), {}};
    Expr finite;
    for (const Parameter& p : parameters) {
        check_parameter(p);
        const DType t = compute_dtype(p.gradient.dtype());
        const Func g = definition(p.value.name() + "/unscaled", p.value,
                                  cast(t, p.gradient.at(all_of(p.value)).read()) * cast(t, inverse()));
        out.parameters.push_back({p.value, g});
        const Expr good = abs(g.at(all_of(p.value)).read()) < highest(t);
        Func f(p.value.name() + "/finite", p.value.state()->where);
        f() = p.value.rank() == 0 ? good : all(p.value.dims(), good);
        finite = finite.defined() ? finite && f() : Expr(f());
    }
    out.finite() = finite.defined() ? finite : literal(true);
    Func scale(scale_.name() + "/next"), steps(good_.name() + "/next");
    steps() = select(Operand(out.finite()) && good_() + 1 < options_.interval, good_() + 1, 0);
    scale() = select(!Operand(out.finite()), current_() * constant(DType::f32, options_.backoff),
                     select(steps() == 0, current_() * constant(DType::f32, options_.growth), current_()));
    out.step = {{scale, steps}, {scale_, good_}, {{scale_.name(), scale.name()}, {good_.name(), steps.name()}}};
    return out;
}

Step accumulated(const std::vector<Parameter>& parameters) {
    Step step;
    for (const Parameter& p : parameters) {
        Writer w(p, {}, step);
        const Input total = w.state("total", w.dims());
        w.next(total, total.at(all_of(total)) + w.gradient());
    }
    return step;
}

std::vector<Parameter> from_totals(const std::vector<Input>& values, std::int64_t count) {
    std::vector<Parameter> out;
    for (const Input& x : values) {
        const Input total(x.name() + "/total", compute_dtype(x.dtype()), x.dims(), x.state()->where);
        out.push_back({x, definition(x.name() + "/gradient", x,
                                     total.at(all_of(x)) / constant(total.dtype(), static_cast<double>(count)))});
    }
    return out;
}

}  // namespace tessera::optim
