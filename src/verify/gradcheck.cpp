#include <tessera/gradcheck.h>

#include "autodiff/activity.h"
#include "autodiff/graph_of.h"
#include "autodiff/graph_rewrite.h"
#include "verify/probe.h"
#include "verify/widen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace tessera {
namespace {

using Numbers = std::vector<double>;

double dot(const Numbers& a, const Numbers& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum = std::fma(a[i], b[i], sum);
    return sum;
}
double magnitude(const Numbers& a, const Numbers& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] * b[i]);
    return sum;
}

// What reads nothing, as a derivative that is zero, may have dims that only the variables give an extent.
Algorithm algorithm_of(const std::vector<Func>& outputs, const std::vector<Input>& variables) {
    std::vector<Argument> arguments = arguments_of(outputs);
    try {
        return Algorithm(outputs, arguments);
    } catch (const Error& e) {
        if (e.code() != E0103_unknown_dim) throw;
    }
    for (const Input& x : variables)
        if (std::none_of(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.state() == x.state(); }))
            arguments.emplace_back(x);
    return Algorithm(outputs, arguments);
}

// Funcs compiled in f64, called with values by name.
class Evaluation {
public:
    Evaluation(const std::vector<Func>& outputs, const std::vector<Input>& variables, const Target& target)
        : algorithm_(widened(algorithm_of(outputs, variables))), module_(default_module(algorithm_, target)) {}

    std::vector<Numbers> operator()(const NamedInputs& values, ExtentValues& extents) const {
        NamedOutputs outputs = allocated_outputs(algorithm_, extents);
        module_(inputs_for(algorithm_, values), outputs);
        std::vector<Numbers> out;
        for (const Func& f : algorithm_.outputs()) out.push_back(numbers_of(outputs.at(f.name())));
        return out;
    }

private:
    Algorithm algorithm_;
    Module module_;
};

// The checks of one definition.
class Checker {
public:
    Checker(const Func& y, const std::vector<Input>& by, const GradCheckOptions& options, ExtentValues& extents)
        : y_(y), by_(by), options_(options), extents_(extents), w_("gradcheck/w", y.dtype(), y.dims()) {
        std::vector<Wrt> wrt;
        std::vector<Tangent> tangents;
        for (const Input& x : by) {
            v_.emplace_back("gradcheck/v_" + x.name(), x.dtype(), x.dims());
            wrt.emplace_back(x);
            tangents.push_back({x, v_.back()});
        }
        value_.emplace(std::vector<Func>{y}, by, options.target);
        reverse_.emplace(vjp({{y, w_}}, wrt, {.check_inverses = true}), by, options.target);
        forward_.emplace(std::vector<Func>{jvp(y, tangents)}, by, options.target);
    }

    // Appends rows; the number of points at which differences do not converge.
    int run(std::vector<GradCheckRow>& rows) {
        int not_smooth = 0;
        for (int point = 0; point < options_.points; ++point) not_smooth += check_at(point, rows) ? 0 : 1;
        return not_smooth;
    }

private:
    bool check_at(int point, std::vector<GradCheckRow>& rows) {
        const NamedInputs values = values_at(point);
        const Numbers w = numbers_of(buffer(values, w_.name())), jv = (*forward_)(values, extents_)[0];
        const std::vector<Numbers> jw = (*reverse_)(values, extents_);
        const double forward = dot(w, jv);
        double reverse = 0, size = magnitude(w, jv);
        for (size_t k = 0; k < by_.size(); ++k) {
            const Numbers v = numbers_of(buffer(values, v_[k].name()));
            reverse += dot(jw[k], v);
            size += magnitude(jw[k], v);
        }
        const auto add = [&](const std::string& what, double left, double right, double allowed) {
            const double distance = std::abs(left - right);
            const double error = std::isfinite(left) && std::isfinite(right) ? distance / std::max(size, 1e-30)
                                                                             : std::numeric_limits<double>::infinity();
            rows.push_back({fmt::format("{}, point {}", what, point), left, right, error, allowed});
        };
        add("<w, J v> by forward and <J' w, v> by reverse mode", forward, reverse, options_.identity_tolerance);
        if (!options_.finite_differences) return true;
        const auto difference = converged_difference(values, w, size);
        if (!difference) return false;
        // Small derivatives of large values: differences lose what they have in common.
        size = std::max({size, 1e-3, 1e-3 * std::abs(value_scale_)});
        add("forward mode and finite differences", forward, *difference, options_.difference_tolerance);
        add("reverse mode and finite differences", reverse, *difference, options_.difference_tolerance);
        return true;
    }

    static AnyBuffer buffer(const NamedInputs& values, const std::string& name) {
        return std::get<AnyBuffer>(values.at(name).value());
    }

    NamedInputs values_at(int point) {
        const std::uint64_t seed = options_.seed + 1000003u * static_cast<std::uint64_t>(point);
        NamedInputs values = options_.values;
        const auto add = [&](const InputState& from, double low, double high) {
            if (values.count(from.name)) return;
            InputState input = from;
            if (is_float(input.dtype)) input.dtype = DType::f64;
            const AnyBuffer random = random_buffer(input, extents_, seed, low, high);
            if (!input.scalar)
                values.emplace(input.name, random);
            else if (is_float(input.dtype))
                values.emplace(input.name, numbers_of(random)[0]);
            else
                values.emplace(input.name, extents_.value(make_access({std::make_shared<InputState>(from), nullptr, {}}, {},
                                                                      from.dtype, 0, {})));
        };
        for (const Argument& a : arguments_of({y_})) add(*a.state(), options_.low, options_.high);
        for (const Input& x : by_) add(*x.state(), options_.low, options_.high);
        for (const Input& v : v_) add(*v.state(), -1, 1);
        add(*w_.state(), -1, 1);
        return values;
    }

    double value_at(const NamedInputs& values, const Numbers& w, double step) {
        NamedInputs moved = values;
        for (size_t k = 0; k < by_.size(); ++k) {
            const AnyBuffer from = buffer(values, by_[k].name());
            Numbers x = numbers_of(from);
            const Numbers v = numbers_of(buffer(values, v_[k].name()));
            for (size_t i = 0; i < x.size(); ++i) x[i] += step * v[i];
            moved.insert_or_assign(by_[k].name(), buffer_of(DType::f64, from.extents(), x));
        }
        const Numbers y = (*value_)(moved, extents_)[0];
        value_scale_ = std::max(value_scale_, magnitude(w, y));
        return dot(w, y);
    }

    // Central differences at h, h/2, h/4 and h/8, extrapolated; nothing where they do not converge, as at kinks.
    std::optional<double> converged_difference(const NamedInputs& values, const Numbers& w, double size) {
        value_scale_ = 0;
        double h = 2e-3, table[4][4], bend[4];
        const double here = value_at(values, w, 0);
        for (int i = 0; i < 4; ++i, h /= 2) {
            const double after = value_at(values, w, h), before = value_at(values, w, -h);
            table[i][0] = (after - before) / (2 * h);
            bend[i] = std::abs((after - here) - (here - before)) / h;
            double power = 4;
            for (int j = 1; j <= i; ++j, power *= 4) table[i][j] = (power * table[i][j - 1] - table[i - 1][j - 1]) / (power - 1);
        }
        const double spread = std::max(std::abs(table[3][2] - table[2][2]), std::abs(table[3][1] - table[2][1]));
        const double scale = std::max({size, 1e-3, 1e-3 * value_scale_});
        // The slopes on both sides come together as h does; at a kink they do not.
        const bool kink = bend[3] > 0.5 * bend[0] && bend[3] > 10 * options_.difference_tolerance * scale;
        if (kink || !(spread <= 0.3 * options_.difference_tolerance * scale)) return std::nullopt;
        return table[3][2];
    }

    Func y_;
    std::vector<Input> by_;
    const GradCheckOptions& options_;
    ExtentValues& extents_;
    Input w_;
    std::vector<Input> v_;
    std::optional<Evaluation> value_, forward_, reverse_;
    double value_scale_ = 0;
};

// Funcs among the variables become Inputs, whose values can be moved.
struct Freed {
    Func y;
    std::vector<Input> by;
};
Freed freed(const Func& y, const std::vector<Wrt>& wrt) {
    std::map<const FuncState*, Input> cut;
    std::vector<Input> by;
    for (const Wrt& x : wrt) {
        if (x.input()) {
            by.emplace_back(std::const_pointer_cast<InputState>(x.input()));
            continue;
        }
        const Func f(x.func());
        by.emplace_back(f.name() + "/free", f.dtype(), f.dims(), f.state()->where);
        cut.emplace(f.state().get(), by.back());
    }
    if (cut.empty()) return {y, by};
    const auto replaced = [&](const Expr& access) -> Expr {
        const auto found = cut.find(access->target().func.get());
        if (found == cut.end()) return {};
        return make_access({found->second.state(), nullptr, access->target().boundary}, access->args, access.dtype(), 0,
                           access->where);
    };
    return {GraphRewrite(replaced)({y})[0], by};
}

const GradCheckRow* disagreeing(const std::vector<GradCheckRow>& rows) {
    for (const GradCheckRow& r : rows)
        if (!r.agrees()) return &r;
    return nullptr;
}

// The definitions on the way one after the other: the first that disagrees is the one whose own derivative is wrong.
void find_first(const Func& y, const std::vector<Input>& by, const GradCheckOptions& options, ExtentValues& extents,
                GradCheck& out) {
    const Algorithm algorithm({y}, arguments_of({y}));
    Variables variables;
    for (const Input& x : by) variables.inputs.insert(x.state().get());
    const Activity activity(algorithm.funcs(), algorithm.outputs(), variables);
    for (const Probe& p : probes_of(algorithm, true)) {
        if (p.func.components() > 1 || !activity.varies(*p.func.state()) || p.func.state() == y.state()) continue;
        std::vector<GradCheckRow> rows;
        Checker(p.cells("gradcheck/" + p.name()), by, options, extents).run(rows);
        if (const GradCheckRow* row = disagreeing(rows)) {
            out.first = p.name();
            out.where = p.func.state()->where;
            out.first_row = *row;
            return;
        }
    }
    out.first = y.name();
    out.where = y.state()->where;
    out.first_row = *disagreeing(out.rows);
}

}  // namespace

bool GradCheck::agrees() const { return disagreeing(rows) == nullptr; }

std::string GradCheck::text() const {
    std::string out;
    for (const GradCheckRow& r : rows)
        out += fmt::format("{} {}: {:.12g} and {:.12g}, relative error {:.1e} of {:.0e}\n", r.agrees() ? "  " : "->", r.what,
                           r.left, r.right, r.error, r.allowed);
    if (not_smooth > 0) out += fmt::format("   at {} of the points differences do not converge\n", not_smooth);
    if (agrees()) return out;
    out += fmt::format("error: the derivative of {} disagrees: {}, {:.12g} and {:.12g}\n", first, first_row->what,
                       first_row->left, first_row->right);
    if (where.known()) out += fmt::format("  --> {}:{}\n", where.file, where.line);
    return out;
}

GradCheck gradcheck(const Func& y, const std::vector<Wrt>& wrt, const GradCheckOptions& options) {
    check_differentiable({y}, wrt);
    const Freed program = freed(y, wrt);
    ExtentValues extents(options.extents, ExtentValues::Missing::chosen);
    GradCheck out;
    out.not_smooth = Checker(program.y, program.by, options, extents).run(out.rows);
    if (!out.agrees()) find_first(program.y, program.by, options, extents, out);
    return out;
}

}  // namespace tessera
