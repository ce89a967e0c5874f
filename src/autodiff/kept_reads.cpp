#include "autodiff/kept_reads.h"

#include "autodiff/graph_of.h"
#include "autodiff/graph_rewrite.h"
#include "expr/index_build.h"

#include <algorithm>

namespace tessera {
namespace {

bool are_shown_inside(const std::vector<Func>& results) {
    const std::vector<Argument> arguments = arguments_of(results);
    // Ends that are numbers are compared.
    if (std::all_of(arguments.begin(), arguments.end(), [](const Argument& a) {
            const std::vector<Dim>& dims = a.state()->dims;
            return std::all_of(dims.begin(), dims.end(), [](const Dim& d) { return d.extent().constant().has_value(); });
        }))
        return true;
    try {
        static_cast<void>(Algorithm(results, arguments));
    } catch (const Error& e) {
        return e.code() != E0401_out_of_bounds;
    }
    return true;
}

Expr clamped(const Expr& index, const Interval& region) {
    return make_op(Op::min, DType::i64, {make_op(Op::max, DType::i64, {index, region.low}), region.high});
}

Expr kept_inside(const Expr& access, const RequiredRegions& regions) {
    const AccessTarget& target = access->target();
    if (target.boundary != Boundary::none) return {};
    std::vector<Interval> region;
    if (target.input) {
        for (const Dim& d : target.input->dims) region.push_back(whole_dim(d));
    } else {
        const auto known = regions.find(target.func.get());
        if (known == regions.end()) return {};
        region = known->second;
    }
    std::vector<Expr> args = access->args;
    for (size_t k = 0; k < region.size(); ++k) args[k] = clamped(args[k], region[k]);
    return with_args(access, std::move(args));
}

}  // namespace

void keep_reads_inside(const std::vector<Func>& results, const RequiredRegions& regions) {
    if (are_shown_inside(results)) return;
    for (const Func& f : reachable_funcs(results)) {
        FuncState& made = *f.state();
        if (regions.count(&made) || made.routine || made.rule) continue;
        NodeValues safe;
        for_each_node(definition_roots(made), [&](const Expr& n) {
            if (n->op != Op::access) return;
            if (const Expr kept = kept_inside(n, regions); kept.defined()) safe[n] = kept;
        });
        for (Expr& value : made.values) value = with_nodes(value, safe);
        if (made.init.defined()) made.init = with_nodes(made.init, safe);
    }
}

}  // namespace tessera
