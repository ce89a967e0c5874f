#include "schedule/stages.h"

namespace tessera {

std::optional<size_t> StageGraph::find(const FuncState* func) const {
    for (size_t i = 0; i < stages.size(); ++i)
        if (stages[i].func.get() == func) return i;
    return std::nullopt;
}
std::optional<size_t> StageGraph::find(const std::string& name) const {
    for (size_t i = 0; i < stages.size(); ++i)
        if (stages[i].name == name) return i;
    return std::nullopt;
}
std::vector<std::string> StageGraph::names() const {
    std::vector<std::string> out;
    for (const Stage& s : stages) out.push_back(s.name);
    return out;
}

Expr substitute(const Expr& e, const std::map<const ExprNode*, Expr>& replacements) {
    return rewrite(e, [&](const Expr& n) {
        const auto found = replacements.find(n.get());
        return found == replacements.end() ? Expr() : found->second;
    });
}
Expr substitute_dims(const Expr& e, const std::vector<Dim>& dims, const std::vector<Expr>& indices) {
    std::map<const ExprNode*, Expr> replacements;
    std::vector<Expr> keys;  // keeps the dims' nodes alive while their addresses are keys
    for (size_t i = 0; i < dims.size(); ++i) {
        keys.push_back(make_dim(dims[i]));
        replacements[keys.back().get()] = indices[i];
    }
    return substitute(e, replacements);
}

std::shared_ptr<FuncState> make_stage_func(std::string name, std::vector<Dim> dims, std::vector<DType> dtypes, SourceLoc where) {
    auto f = std::make_shared<FuncState>();
    f->name = std::move(name);
    f->dims = std::move(dims);
    f->dtypes = std::move(dtypes);
    f->where = where;
    f->defined = true;
    return f;
}

Expr read_stage(const std::shared_ptr<FuncState>& func, std::vector<Expr> indices, int component) {
    return make_access({nullptr, func, Boundary::none}, std::move(indices), func->dtypes.at(static_cast<size_t>(component)),
                       component, {});
}

std::vector<Expr> dim_exprs(const std::vector<Dim>& dims) {
    std::vector<Expr> out;
    for (const Dim& d : dims) out.push_back(make_dim(d));
    return out;
}

std::vector<Dim> update_pure_dims(const Stage& stage) {
    std::vector<Dim> out;
    for (size_t i = 0; i < stage.dims.size(); ++i) {
        const Expr& place = stage.update->place[i];
        if (place->op == Op::dim && place->dim().id() == stage.dims[i].id() &&
            !contains_dim(stage.update->reduction_dims, stage.dims[i]))
            out.push_back(stage.dims[i]);
    }
    return out;
}

std::vector<Dim> carried_dims(const Stage& stage) {
    std::vector<Dim> out;
    for (const Dim& d : update_pure_dims(stage)) {
        size_t at = 0;
        while (stage.dims[at].id() != d.id()) ++at;
        for_each_node(stage.update->values, [&](const Expr& n) {
            if (n->op != Op::access || n->target().func != stage.func) return;
            const Expr& index = n->args[at];
            if ((index->op != Op::dim || index->dim().id() != d.id() || n->target().boundary != Boundary::none) &&
                !contains_dim(out, d))
                out.push_back(d);
        });
    }
    return out;
}

}  // namespace tessera
