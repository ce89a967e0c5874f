#include "autodiff/rule_batch.h"

#include "autodiff/guarded.h"
#include "autodiff/names.h"
#include "transform/graph_copy.h"

namespace tessera {
namespace {

// A Func that stands for `f` without its first dims, from number `first` on.
Func stand_in(const Func& f, size_t first) {
    const std::vector<Dim> dims(f.dims().begin() + static_cast<std::ptrdiff_t>(first), f.dims().end());
    return made_func(f.name() + "/each", dims, {zero_of(f.dtype())}, f.state()->where);
}

}  // namespace

std::vector<Func> called_per(const std::vector<Dim>& parameters, const std::vector<Func>& given, const RuleCall& call) {
    if (parameters.empty()) return call(given);
    std::vector<Func> inner;
    for (const Func& g : given) inner.push_back(stand_in(g, parameters.size()));
    std::vector<Func> results = call(inner);
    // The last parameter first: each stands in front of what there is.
    for (size_t k = parameters.size(); k-- > 0;) {
        CopyChanges changes{.added = parameters[k], .suffix = "/" + parameters[k].name()};
        std::vector<Func> outer;
        for (size_t g = 0; g < given.size(); ++g) {
            outer.push_back(k == 0 ? given[g] : stand_in(given[g], k));
            Replacement r{{nullptr, outer.back().state(), Boundary::none}, {std::nullopt}};
            for (size_t d = 0; d < inner[g].rank(); ++d) r.position.emplace_back(d);
            changes.tensors.emplace(inner[g].state().get(), std::move(r));
        }
        results = std::make_shared<GraphCopy>(std::move(changes))->over_added(results);
        inner = std::move(outer);
    }
    return results;
}

}  // namespace tessera
