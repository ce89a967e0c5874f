#include "unit/autodiff/derivative_cases.h"

#include "autodiff/graph_of.h"
#include "autodiff/reverse.h"

#include <cmath>

namespace tessera::autodiff_test {
namespace {

std::int64_t extent_value(const Expr& e, const std::map<std::string, std::int64_t>& extents) {
    const auto arg = [&](size_t i) { return extent_value(e->args[i], extents); };
    if (e->op == Op::constant) return e->integer();
    if (e->op == Op::extent) {
        const Dim d = e->dim();
        if (d.state().extent) return extent_value(Expr(*d.state().extent), extents);
        return extents.at(d.name());
    }
    if (e->op == Op::add) return arg(0) + arg(1);
    if (e->op == Op::sub) return arg(0) - arg(1);
    if (e->op == Op::mul) return arg(0) * arg(1);
    if (e->op == Op::div)
        return arg(1) == 0 ? 0 : static_cast<std::int64_t>(std::floor(static_cast<double>(arg(0)) / static_cast<double>(arg(1))));
    if (e->op == Op::max) return std::max(arg(0), arg(1));
    if (e->op == Op::min) return std::min(arg(0), arg(1));
    throw Bug(B0951_internal, {}, "an extent that the test does not know");
}

std::vector<std::int64_t> shape(const std::vector<Dim>& dims, const Program& p) {
    std::vector<std::int64_t> out;
    for (const Dim& d : dims) out.push_back(extent_value(Expr(d.extent()), p.extents));
    return out;
}

struct Random {
    std::uint64_t state;
    double next(double low, double high) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return low + (high - low) * (static_cast<double>(state >> 11) * 0x1p-53);
    }
};

template <class T>
std::vector<double> as_doubles(const AnyBuffer& buffer) {
    std::vector<double> out;
    Buffer<T>(buffer).for_each([&](const T& v) { out.push_back(static_cast<double>(v)); });
    return out;
}
std::vector<double> doubles_of(const AnyBuffer& buffer) {
    switch (buffer.dtype()) {
        case TESSERA_F64: return as_doubles<double>(buffer);
        case TESSERA_F32: return as_doubles<float>(buffer);
        case TESSERA_BF16: return as_doubles<bfloat16>(buffer);
        case TESSERA_I32: return as_doubles<std::int32_t>(buffer);
        default: return as_doubles<std::int64_t>(buffer);
    }
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}
double magnitude(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] * b[i]);
    return sum;
}

struct Directions {
    Input w;
    std::vector<Input> v;
};
Directions directions(const Program& p) {
    Directions d{Input("w_given", p.y.dtype(), p.y.dims()), {}};
    for (const Input& x : p.wrt) d.v.emplace_back("v_" + x.name(), x.dtype(), x.dims());
    return d;
}

Values moved(const Program& p, const Values& values, double step) {
    Values out = values;
    for (const Input& x : p.wrt) {
        const Buffer<double> from(values.at(x.name())), to(from.copy()), v(values.at("v_" + x.name()));
        for (std::int64_t i = 0; i < from.size(); ++i) to.data()[i] = from.data()[i] + step * v.data()[i];
        out[x.name()] = to.any();
    }
    return out;
}

}  // namespace

Values random_values(const Program& program, const std::vector<Func>& outputs, unsigned seed) {
    Values values;
    for (const Argument& a : arguments_of(outputs)) {
        const InputState& x = *a.state();
        const std::vector<std::int64_t> extents = shape(x.dims, program);
        if (is_integer(x.dtype)) {
            const Buffer<std::int32_t> buffer(extents);
            const auto& given = program.integers.at(x.name);
            for (std::int64_t i = 0; i < buffer.size(); ++i)
                buffer.data()[i] = static_cast<std::int32_t>(given.at(static_cast<size_t>(i) % given.size()));
            values[x.name] = buffer.any();
            continue;
        }
        const Buffer<double> buffer(extents);
        Random random{seed * 7919u};
        for (const char c : x.name) random.state = random.state * 31 + static_cast<std::uint64_t>(c);
        random.next(0, 1);
        const bool direction = x.name.starts_with("v_") || x.name == "w_given";
        const auto given = program.floats.find(x.name);
        for (std::int64_t i = 0; i < buffer.size(); ++i) {
            buffer.data()[i] = direction ? random.next(-1, 1) : random.next(program.low, program.high);
            if (given != program.floats.end()) buffer.data()[i] = given->second.at(static_cast<size_t>(i) % given->second.size());
        }
        values[x.name] = buffer.any();
    }
    return values;
}

std::vector<std::vector<double>> evaluated(const std::vector<Func>& outputs, const Program& program, const Values& values) {
    const std::vector<Argument> arguments = arguments_of(outputs);
    // Inputs that only give extents.
    std::vector<Argument> all = arguments;
    for (const Input& x : program.wrt) {
        bool listed = false;
        for (const Argument& a : all) listed = listed || a.state() == x.state();
        if (!listed) all.emplace_back(x);
    }
    const auto built = [&] {
        try {
            return Algorithm(outputs, all);
        } catch (const Error& e) {
            if (e.code() != E0308_unused_argument) throw;
            return Algorithm(outputs, arguments);
        }
    };
    const Algorithm algorithm = built();
    interpreter::Inputs inputs;
    for (const Argument& a : algorithm.arguments()) inputs[a.state()->name] = values.at(a.state()->name);
    interpreter::Outputs out;
    std::vector<AnyBuffer> buffers;
    for (const Func& f : algorithm.outputs()) {
        const std::vector<std::int64_t> extents = shape(f.dims(), program);
        const tessera_dtype t = f.dtype() == f64    ? TESSERA_F64
                                : f.dtype() == f32  ? TESSERA_F32
                                : f.dtype() == bf16 ? TESSERA_BF16
                                : f.dtype() == i32  ? TESSERA_I32
                                                    : TESSERA_I64;
        buffers.emplace_back(t, extents);
        out[f.name()] = buffers.back();
    }
    interpreter::evaluate(algorithm, inputs, out);
    std::vector<std::vector<double>> results;
    for (const AnyBuffer& b : buffers) results.push_back(doubles_of(b));
    return results;
}

void check_derivative(const Program& p, unsigned seed, bool finite_differences) {
    const Directions d = directions(p);
    std::vector<Wrt> wrt(p.wrt.begin(), p.wrt.end());
    std::vector<Tangent> tangents;
    for (size_t i = 0; i < p.wrt.size(); ++i) tangents.push_back({p.wrt[i], d.v[i]});
    const std::vector<Func> back = vjp({{p.y, d.w}}, wrt, {.check_inverses = true});
    const Func forward = jvp(p.y, tangents);
    // Every direction is an input of one graph or the other.
    Values values = random_values(p, back, seed);
    for (const auto& [name, buffer] : random_values(p, {forward}, seed)) values.emplace(name, buffer);
    for (const auto& [name, buffer] : random_values(p, {p.y}, seed)) values.emplace(name, buffer);
    for (const Input& x : d.v) {
        Func all("all");
        all.at(std::vector<Index>(x.dims().begin(), x.dims().end())) = x.at(std::vector<Index>(x.dims().begin(), x.dims().end()));
        for (const auto& [name, buffer] : random_values(p, {all}, seed)) values.emplace(name, buffer);
    }
    {
        Func all("all");
        all.at(std::vector<Index>(d.w.dims().begin(), d.w.dims().end())) =
            d.w.at(std::vector<Index>(d.w.dims().begin(), d.w.dims().end()));
        for (const auto& [name, buffer] : random_values(p, {all}, seed)) values.emplace(name, buffer);
    }
    const std::vector<double> jv = evaluated({forward}, p, values)[0];
    const auto jw = evaluated(back, p, values);
    const std::vector<double> w = doubles_of(values.at("w_given"));
    const double left = dot(w, jv);
    double right = 0, size = magnitude(w, jv);
    for (size_t i = 0; i < p.wrt.size(); ++i) {
        const std::vector<double> v = doubles_of(values.at("v_" + p.wrt[i].name()));
        right += dot(jw[i], v);
        size += magnitude(jw[i], v);
    }
    EXPECT_TRUE(std::isfinite(left)) << "<w, J v> of " << p.y.name();
    EXPECT_NEAR(left, right, 1e-12 * std::max(size, 1e-30)) << "<w, J v> and <J' w, v> of " << p.y.name();
    if (!finite_differences) return;
    const auto value = [&](double step) { return dot(w, evaluated({p.y}, p, moved(p, values, step))[0]); };
    const double h = 1e-3;
    const double coarse = (value(h) - value(-h)) / (2 * h), fine = (value(h / 2) - value(-h / 2)) / h;
    EXPECT_NEAR((4 * fine - coarse) / 3, left, 1e-6 * std::max(size, 1e-3)) << "finite differences of " << p.y.name();
}

void check_against_scatter(const Program& p, unsigned seed) {
    const Directions d = directions(p);
    const std::vector<Wrt> wrt(p.wrt.begin(), p.wrt.end());
    const auto back = [&](bool force) {
        NormalGraph g = normal_graph({p.y}, wrt);
        Reverse reverse(*g.graph, {.order = {}, .force_scatter = force});
        const std::vector<Index> indices(p.y.dims().begin(), p.y.dims().end());
        reverse.seed(g.outputs[0], 0, d.w.at(indices));
        reverse.run();
        std::vector<Func> out;
        for (const Input& x : p.wrt) out.push_back(reverse.result(x.state()));
        return out;
    };
    const std::vector<Func> inverted = back(false), scattered = back(true);
    Values values = random_values(p, {p.y}, seed);
    for (const auto& graph : {inverted, scattered})
        for (const auto& [name, buffer] : random_values(p, graph, seed)) values.emplace(name, buffer);
    const auto a = evaluated(inverted, p, values), b = evaluated(scattered, p, values);
    for (size_t i = 0; i < a.size(); ++i)
        for (size_t e = 0; e < a[i].size(); ++e)
            ASSERT_NEAR(a[i][e], b[i][e], 1e-13 * std::max(1.0, std::abs(b[i][e])))
                << p.y.name() << " by " << p.wrt[i].name() << ", element " << e;
}

}  // namespace tessera::autodiff_test
