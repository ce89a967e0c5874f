#include "schedule/inline_stages.h"

#include "base/check.h"
#include "schedule/derived_stages.h"

namespace tessera {

Expr boundary_index(Boundary boundary, const Expr& index, const Expr& extent) {
    const Expr end = extent - 1;
    switch (boundary) {
        case Boundary::none: return index;
        case Boundary::constant:
        case Boundary::clamp: return max(min(index, end), 0);
        case Boundary::periodic: return index % extent;
        case Boundary::mirror: {
            const Expr m = index % (extent * 2);
            return select(m < extent, m, extent * 2 - 1 - m);
        }
        case Boundary::mirror_interior: {
            const Expr period = max(extent * 2 - 2, 1);
            const Expr m = index % period;
            return select(m < extent, m, period - m);
        }
    }
    TESSERA_CHECK(false, "unknown boundary");
    return index;
}

void inline_stage(StageGraph& graph, size_t stage) {
    const Stage inlined = graph.stages[stage];
    graph.stages.erase(graph.stages.begin() + static_cast<std::ptrdiff_t>(stage));
    const auto strong = [](const Expr& e) { return e->weak ? resolve_weak(e, DType::i64, {}) : e; };
    for (Stage& user : graph.stages) {
        if (!reads(user, inlined.func.get())) continue;
        edit_exprs(user, [&](const Expr& e) {
            return rewrite(e, [&](const Expr& n) -> Expr {
                if (n->op != Op::access || n->target().func != inlined.func) return {};
                const Boundary boundary = n->target().boundary;
                std::vector<Expr> indices;
                Expr inside;
                for (size_t i = 0; i < inlined.dims.size(); ++i) {
                    const Expr extent = strong(Expr(inlined.dims[i].extent()));
                    const Expr& read = n->args[i];
                    const bool wide = boundary == Boundary::none || read->dtype == DType::i64;
                    const Expr index = wide ? read : make_op(Op::cast, DType::i64, {read});
                    indices.push_back(strong(boundary_index(boundary, index, extent)));
                    if (boundary != Boundary::constant) continue;
                    const Expr within = index >= 0 && index < extent;
                    inside = inside.defined() ? inside && within : within;
                }
                const Expr value = substitute_dims(inlined.values[static_cast<size_t>(n->component())], inlined.dims, indices);
                return inside.defined() ? select(inside, value, n->args.back()) : value;
            });
        });
    }
}

}  // namespace tessera
