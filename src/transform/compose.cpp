#include <tessera/transform.h>

#include "base/closest_name.h"
#include "transform/graph_copy.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

struct Fed {
    size_t output, argument;
};

std::vector<std::string> names_of_outputs(const AlgorithmState& a) {
    std::vector<std::string> names;
    for (const Func& f : a.outputs) names.push_back(f.name());
    return names;
}
std::vector<std::string> names_of_arguments(const AlgorithmState& a) {
    std::vector<std::string> names;
    for (const Argument& x : a.arguments) names.push_back(x.state()->name);
    return names;
}

size_t position(const std::vector<std::string>& names, const std::string& name, const std::string& of, std::string_view kind) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end())
        throw Error(E0307_missing_argument, {}, fmt::format("{} has no {} {}", of, kind, name),
                    {token("\"" + name + "\""), fix_spelling(name, names)});
    return static_cast<size_t>(found - names.begin());
}

std::vector<Fed> fed_of(const AlgorithmState& outer, const AlgorithmState& inner, const ComposeOptions& options) {
    std::vector<Fed> fed;
    for (const auto& [output, argument] : options.feed)
        fed.push_back({position(names_of_outputs(inner), output, inner.name, "output"),
                       position(names_of_arguments(outer), argument, outer.name, "argument")});
    if (!fed.empty()) return fed;
    size_t output = 0;
    for (size_t k = 0; k < outer.arguments.size() && output < inner.outputs.size(); ++k)
        if (!outer.arguments[k].state()->scalar) fed.push_back({output++, k});
    if (fed.empty())
        throw Error(E0307_missing_argument, outer.where,
                    fmt::format("{} has no tensor argument that {} could feed", outer.name, inner.name),
                    {token(outer.name), fix("swap the two")});
    return fed;
}

void check_fits(const Func& output, const InputState& argument) {
    const auto fail = [&](ErrorCode code, const std::string& what, const std::string& wanted, const std::string& got) {
        throw Error(code, output.state()->where, fmt::format("{} cannot be read as {}: {}", output.name(), argument.name, what),
                    {token(output.name()), expected(wanted), received(got),
                     note(argument.where, fmt::format("{} declared here", argument.name)),
                     fix("put a definition between that converts it")});
    };
    if (output.components() != 1) fail(E0305_tuple, "it is a tuple", "one value", std::to_string(output.components()));
    if (output.dtype() != argument.dtype)
        fail(E0201_dtype_mismatch, "their dtypes differ", std::string(dtype_name(argument.dtype)),
             std::string(dtype_name(output.dtype())));
    if (output.rank() != argument.dims.size())
        fail(E0301_rank, "their ranks differ", counted(argument.dims.size(), "dim"), counted(output.rank(), "dim"));
}

// Extents of what is fed: the dim stands for that of the output where it has no extent of its own, else both must be equal.
void join_dims(const Func& output, const InputState& argument, CopyChanges& changes, AlgorithmOptions& options) {
    for (size_t k = 0; k < argument.dims.size(); ++k) {
        const Dim &to = argument.dims[k], &from = output.dims()[k];
        if (to.id() == from.id()) continue;
        if (to.extent().constant() && from.extent().constant() && *to.extent().constant() != *from.extent().constant())
            throw Error(E0106_dim_mismatch, output.state()->where,
                        fmt::format("{} cannot be read as {}: dim {} has extent {}, {} has {}", output.name(), argument.name,
                                    from.name(), *from.extent().constant(), to.name(), *to.extent().constant()),
                        {token(output.name()), expected(std::to_string(*to.extent().constant())),
                         received(std::to_string(*from.extent().constant())),
                         note(argument.where, fmt::format("{} declared here", argument.name)), fix("give both one extent")});
        if (to.state().extent || changes.dims.count(to.id())) {
            options.require.emplace_back(from.extent(), to.extent());
            continue;
        }
        Dim joined(to.name(), from.extent(), to.state().where);
        joined.multiple_of(to.state().multiple_of);
        if (to.state().at_most) joined.at_most(*to.state().at_most);
        changes.dims.emplace(to.id(), joined);
    }
}

// Dims of `outer` with the names of other dims of `inner` get other names.
void separate_dims(const AlgorithmState& outer, const AlgorithmState& inner, CopyChanges& changes) {
    std::set<std::string> taken;
    for (const auto* a : {&outer, &inner})
        for (const Dim& d : a->dims) taken.insert(d.name());
    for (const Dim& d : outer.dims) {
        const auto joined = changes.dims.find(d.id());
        const Dim made = joined == changes.dims.end() ? d : joined->second;
        const auto named = [&](const Dim& e) { return e.name() == d.name(); };
        if (contains_dim(inner.dims, made) || std::none_of(inner.dims.begin(), inner.dims.end(), named)) continue;
        std::string name = d.name() + "_1";
        for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", d.name(), i);
        const DimState& from = made.state();
        Dim other = from.extent    ? Dim(name, *from.extent, from.where)
                    : from.dynamic ? Dim::dynamic(name, from.where)
                                   : Dim(name, from.where);
        other.multiple_of(from.multiple_of);
        if (from.at_most) other.at_most(*from.at_most);
        changes.dims.insert_or_assign(d.id(), other);
    }
}

// Names of the inner definitions that the outer algorithm has too.
std::map<const FuncState*, std::string> other_names(const AlgorithmState& outer, const AlgorithmState& inner) {
    std::set<std::string> outer_names, taken;
    std::set<const FuncState*> shared;
    for (const Func& f : outer.funcs) {
        outer_names.insert(f.name());
        shared.insert(f.state().get());
    }
    taken = outer_names;
    for (const Func& f : inner.funcs) taken.insert(f.name());
    std::map<const FuncState*, std::string> names;
    for (const Func& f : inner.funcs) {
        if (!outer_names.count(f.name()) || shared.count(f.state().get())) continue;
        std::string name = inner.name + "/" + f.name();
        for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}/{}.{}", inner.name, f.name(), i);
        names.emplace(f.state().get(), name);
    }
    return names;
}

}  // namespace

Algorithm compose(const Algorithm& outer, const Algorithm& inner, const ComposeOptions& given) {
    const AlgorithmState &f = outer.state(), &g = inner.state();
    const std::vector<Fed> fed = fed_of(f, g, given);
    AlgorithmOptions options{.name = given.name.empty() ? f.name + "." + g.name : given.name, .require = g.require};
    const auto renamed = std::make_shared<GraphCopy>(CopyChanges{.names = other_names(f, g)});
    const std::vector<Func> made = (*renamed)(g.outputs);
    CopyChanges changes;
    std::set<size_t> fed_outputs, fed_arguments;
    for (const Fed& x : fed) {
        const InputState& argument = *f.arguments[x.argument].state();
        check_fits(made[x.output], argument);
        if (!fed_arguments.insert(x.argument).second)
            throw Error(E0101_duplicate_name, f.where, fmt::format("argument {} is fed twice", argument.name),
                        {token(argument.name), fix("feed it once")});
        fed_outputs.insert(x.output);
        join_dims(made[x.output], argument, changes, options);
        Replacement r{{nullptr, made[x.output].state(), Boundary::none}, {}};
        for (size_t k = 0; k < argument.dims.size(); ++k) r.position.emplace_back(k);
        changes.tensors.emplace(&argument, std::move(r));
    }
    separate_dims(f, g, changes);
    const auto copy = std::make_shared<GraphCopy>(std::move(changes));
    std::vector<Func> outputs = (*copy)(f.outputs);
    for (size_t i = 0; i < made.size(); ++i)
        if (!fed_outputs.count(i)) outputs.push_back(made[i]);
    std::vector<Argument> arguments = g.arguments;
    for (size_t k = 0; k < f.arguments.size(); ++k) {
        if (fed_arguments.count(k)) continue;
        const auto state = std::const_pointer_cast<InputState>(copy->input(f.arguments[k].state()));
        if (std::none_of(arguments.begin(), arguments.end(), [&](const Argument& x) { return x.state() == state; }))
            arguments.emplace_back(Input(state));
    }
    for (auto& [a, b] : options.require) b = copy->extent(b);
    for (const auto& [a, b] : f.require) options.require.emplace_back(copy->extent(a), copy->extent(b));
    for (const InPlacePair& p : f.in_place)
        if (!fed_arguments.count(p.argument))
            options.in_place.emplace_back(f.arguments[p.argument].state()->name, buffer_name(f.outputs[p.output], p.component));
    for (const InPlacePair& p : g.in_place)
        options.in_place.emplace_back(g.arguments[p.argument].state()->name, buffer_name(made[p.output], p.component));
    return Algorithm(outputs, arguments, options, f.where);
}

Algorithm pipe(const std::vector<Algorithm>& steps, const std::string& name) {
    if (steps.empty()) throw Error(E0303_undefined, {}, "a pipe of no algorithms", {fix("list at least one")});
    Algorithm all = steps[0];
    for (size_t i = 1; i < steps.size(); ++i)
        all =
            compose(steps[i], all, {.name = i + 1 == steps.size() && !name.empty() ? name : steps[i].name() + "." + all.name()});
    return all;
}

namespace {

Dim bound_dim(const Dim& d, const BoundValue& value) {
    const auto extent = integer_constant(value.value.expr);
    const auto fail = [&](const std::string& what, const std::string& wanted) {
        throw Error(
            E0105_extent, value.value.where, fmt::format("the extent of {} {}", d.name(), what),
            {token("\"" + d.name() + "\""), expected(wanted),
             note(d.state().where, fmt::format("dim {} declared here", d.name())), fix("bind another value, or leave it open")});
    };
    if (!extent || *extent < 0) fail("is bound to something else than a number of elements", "an integer >= 0");
    if (d.state().extent) fail("follows from others", "a dim that buffers give an extent");
    if (*extent % d.state().multiple_of != 0)
        fail(fmt::format("is bound to {}", *extent), fmt::format("a multiple of {}", d.state().multiple_of));
    if (d.state().at_most && *extent > *d.state().at_most)
        fail(fmt::format("is bound to {}", *extent), fmt::format("at most {}", *d.state().at_most));
    return Dim(d.name(), *extent, d.state().where);
}

Expr bound_argument(const InputState& x, const BoundValue& value) {
    const Expr& e = value.value.expr;
    const auto fail = [&](const std::string& wanted) {
        throw Error(E0203_literal, value.value.where, fmt::format("{} is bound to a value that it cannot have", x.name),
                    {token("\"" + x.name + "\""), expected(wanted), note(x.where, fmt::format("{} declared here", x.name)),
                     fix("bind another value")});
    };
    if (!is_constant(e) || !e.is_weak()) fail("a literal");
    static_cast<void>(resolve_weak(e, x.dtype, value.value.where));
    const auto number = integer_constant(e);
    if (x.values && number) {
        const auto low = x.values->first.constant(), high = x.values->second.constant();
        if ((low && *number < *low) || (high && *number >= *high)) fail("what values_in() promises");
    }
    return e;
}

}  // namespace

Algorithm curry(const Algorithm& algorithm, const std::vector<BoundValue>& values, const std::string& name) {
    const AlgorithmState& a = algorithm.state();
    CopyChanges changes;
    std::set<const InputState*> bound;
    for (const BoundValue& v : values) {
        bool found = false;
        for (const Argument& x : a.arguments)
            if (x.state()->name == v.name && bound.insert(x.state().get()).second)
                found = changes.constants.emplace(x.state().get(), bound_argument(*x.state(), v)).second;
        for (const Dim& d : a.dims)
            if (!found && d.name() == v.name) found = changes.dims.emplace(d.id(), bound_dim(d, v)).second;
        if (found) continue;
        std::vector<std::string> all = names_of_arguments(a);
        for (const Dim& d : a.dims) all.push_back(d.name());
        throw Error(E0307_missing_argument, v.value.where,
                    fmt::format("{} has no argument or dim {} that is open", a.name, v.name),
                    {token("\"" + v.name + "\""), fix_spelling(v.name, all)});
    }
    return std::make_shared<GraphCopy>(std::move(changes))->algorithm(a, name.empty() ? a.name : name, bound);
}

}  // namespace tessera
