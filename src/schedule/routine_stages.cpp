#include "schedule/routine_stages.h"

#include "algorithm/called_routine.h"

namespace tessera {
namespace {

using Computed = std::function<std::shared_ptr<FuncState>(const std::shared_ptr<FuncState>&)>;

// Says what the routine reads; nothing evaluates it.
Expr all_operands(const RoutineCall& routine, DType dtype, const Computed& computed) {
    Expr all;
    for (const Wrt& x : routine.operands) {
        const AccessTarget target{x.input(), x.func() ? computed(x.func()) : nullptr, Boundary::none};
        const DType own = x.input() ? x.input()->dtype : x.func()->dtypes[0];
        const Expr read = make_access(target, dim_exprs(x.input() ? x.input()->dims : x.func()->dims), own, 0, {});
        const Expr value = own == dtype ? read : make_op(Op::cast, dtype, {read});
        all = all.defined() ? make_op(dtype == DType::bool_ ? Op::or_ : Op::add, dtype, {all, value}) : value;
    }
    return all.defined() ? all : make_constant(dtype, std::int64_t{0});
}

}  // namespace

Stage make_routine_stage(const std::shared_ptr<FuncState>& func, const Computed& computed) {
    Stage s;
    s.kind = Stage::Kind::routine;
    s.func = func;
    s.name = func->name;
    s.dims = func->dims;
    s.dtypes = func->dtypes;
    s.where = func->where;
    s.symbol = func->routine->symbol;
    for (const DType t : s.dtypes) s.values.push_back(all_operands(*func->routine, t, computed));
    return s;
}

std::vector<Expr> routine_operands(const Stage& routine) {
    std::vector<Expr> out;
    for_each_node(routine.values, [&](const Expr& n) {
        if (n->op == Op::access) out.push_back(n);
    });
    return out;
}

bool stands_at_root(const StageGraph& graph, size_t stage) {
    const Stage& s = graph.stages[stage];
    if (s.kind == Stage::Kind::routine) return true;
    for (const Stage& user : graph.stages) {
        if (user.kind != Stage::Kind::routine) continue;
        for (const Expr& read : routine_operands(user))
            if (read->target().func == s.func) return true;
    }
    return false;
}

}  // namespace tessera
