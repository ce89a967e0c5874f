#include <tessera/transform.h>

#include "base/closest_name.h"
#include "transform/graph_copy.h"

#include <fmt/format.h>

namespace tessera {
namespace {

// The Input, Func or Scalar that a tensor is nothing more than.
AccessTarget target_of(const Tensor& t) {
    if (t.func()) return {nullptr, t.func()->state(), Boundary::none};
    if (t.input()) return {t.input()->state(), nullptr, Boundary::none};
    if (t.value()->op == Op::access && t.value()->target().input && t.rank() == 0) return t.value()->target();
    throw Error(E0303_undefined, t.where(), "what is mapped is an expression",
                {expected("an Input, a Func or a Scalar"), fix("map the tensor that the expression reads")});
}

const std::string& name_of(const AccessTarget& t) { return t.input ? t.input->name : t.func->name; }
const std::vector<Dim>& dims_of(const AccessTarget& t) { return t.input ? t.input->dims : t.func->dims; }
DType dtype_of(const AccessTarget& t) { return t.input ? t.input->dtype : t.func->dtypes[0]; }

Replacement replacement_of(const Mapped& m, const Dim& dim) {
    const AccessTarget from = target_of(m.from);
    AccessTarget to;
    if (m.to.input() || m.to.func())
        to = target_of(m.to);
    else {
        Func f(name_of(from) + "/" + dim.name(), m.to.where());
        f.at(std::vector<Index>(m.to.dims().begin(), m.to.dims().end()), m.to.where()) = m.to.value();
        to.func = f.state();
    }
    const std::string& name = name_of(to);
    if (dtype_of(to) != dtype_of(from))
        throw Error(E0201_dtype_mismatch, m.to.where(),
                    fmt::format("{} of {} stands for {} of {}", name, dtype_name(dtype_of(to)), name_of(from),
                                dtype_name(dtype_of(from))),
                    {token(name), expected(std::string(dtype_name(dtype_of(from)))),
                     received(std::string(dtype_name(dtype_of(to)))), fix("give both one dtype")});
    if (!contains_dim(dims_of(to), dim))
        throw Error(E0103_unknown_dim, m.to.where(),
                    fmt::format("{} is mapped over {}, which it does not have", name, dim.name()),
                    {token(name), note(dim.state().where, fmt::format("dim {} declared here", dim.name())),
                     fix(fmt::format("leave {} out of what is mapped: it is the same at every point", name_of(from)))});
    Replacement r{to, {}};
    size_t matched = 0;
    for (const Dim& d : dims_of(to)) {
        r.position.emplace_back();
        for (size_t k = 0; k < dims_of(from).size() && d.id() != dim.id(); ++k)
            if (dims_of(from)[k].id() == d.id()) r.position.back() = k;
        if (d.id() == dim.id()) continue;
        if (!r.position.back())
            throw Error(E0106_dim_mismatch, m.to.where(),
                        fmt::format("{} has dim {}, which {} does not have", name, d.name(), name_of(from)),
                        {token(name), expected(fmt::format("the dims of {} and {}", name_of(from), dim.name())),
                         fix(fmt::format("declare {} with the dims of {}", name, name_of(from)))});
        ++matched;
    }
    if (matched != dims_of(from).size())
        throw Error(E0106_dim_mismatch, m.to.where(), fmt::format("{} lacks a dim of {}", name, name_of(from)),
                    {token(name), expected(fmt::format("the dims of {} and {}", name_of(from), dim.name())),
                     fix(fmt::format("leave {} out of what is mapped", name_of(from)))});
    return r;
}

}  // namespace

Func vmap(const Func& f, const Dim& dim, const std::vector<Mapped>& mapped) {
    CopyChanges changes{.added = dim, .suffix = "/" + dim.name()};
    for (const Mapped& m : mapped) {
        const AccessTarget from = target_of(m.from);
        const void* key = from.input ? static_cast<const void*>(from.input.get()) : from.func.get();
        if (!changes.tensors.emplace(key, replacement_of(m, dim)).second)
            throw Error(E0101_duplicate_name, m.from.where(), fmt::format("{} is mapped twice", name_of(from)),
                        {token(name_of(from)), fix("map it once")});
    }
    return std::make_shared<GraphCopy>(std::move(changes))->over_added({f})[0];
}

Algorithm vmap(const Algorithm& algorithm, const Dim& dim, const std::vector<MappedArgument>& arguments) {
    const AlgorithmState& a = algorithm.state();
    std::vector<MappedArgument> listed = arguments;
    std::vector<std::string> names;
    for (const Argument& x : a.arguments) {
        names.push_back(x.state()->name);
        if (arguments.empty() && !x.state()->scalar) listed.push_back({x.state()->name});
    }
    for (const MappedArgument& m : listed)
        if (std::find(names.begin(), names.end(), m.name) == names.end())
            throw Error(E0307_missing_argument, a.where, fmt::format("{} has no argument {}", a.name, m.name),
                        {token("\"" + m.name + "\""), fix_spelling(m.name, names)});
    CopyChanges changes{.added = dim};
    std::vector<Argument> made;
    for (const Argument& x : a.arguments) {
        const auto at = std::find_if(listed.begin(), listed.end(), [&](const auto& m) { return m.name == x.state()->name; });
        if (at == listed.end()) {
            made.push_back(x);
            continue;
        }
        const size_t rank = x.state()->dims.size();
        if (at->position > rank)
            throw Error(E0301_rank, a.where,
                        fmt::format("{} has {}; there is no position {}", at->name, counted(rank, "dim"), at->position),
                        {token("\"" + at->name + "\""), expected(fmt::format("at most {}", rank)),
                         received(std::to_string(at->position)), fix("position 0 is in front")});
        auto wide = std::make_shared<InputState>(*x.state());
        wide->scalar = false;
        wide->increasing = x.state()->increasing && at->position < rank;
        wide->dims.insert(wide->dims.begin() + static_cast<std::ptrdiff_t>(at->position), dim);
        Replacement r{{wide, nullptr, Boundary::none}, {}};
        for (size_t k = 0; k <= rank; ++k)
            r.position.push_back(k == at->position ? std::nullopt : std::optional(k < at->position ? k : k - 1));
        changes.tensors.emplace(x.state().get(), std::move(r));
        made.emplace_back(Input(wide));
    }
    AlgorithmOptions options{.name = a.name, .require = a.require};
    for (const InPlacePair& p : a.in_place)
        options.in_place.emplace_back(a.arguments[p.argument].state()->name, buffer_name(a.outputs[p.output], p.component));
    return Algorithm((*std::make_shared<GraphCopy>(std::move(changes)))(a.outputs), made, options, a.where);
}

}  // namespace tessera
