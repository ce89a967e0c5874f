#include "tile/fragment_product.h"

#include <fmt/format.h>

namespace tessera::tile {
namespace {

// cast(f32, X(…)) -> X(…)
Expr factor_of(const Expr& e) {
    const bool half = e->op == Op::cast && e->dtype == DType::f32 && e->args[0]->op == Op::access && e->args[0]->target().func &&
                      (e->args[0]->dtype == DType::bf16 || e->args[0]->dtype == DType::f16);
    return half && e->args[0]->target().boundary == Boundary::none ? e->args[0] : Expr();
}

bool ends_in(const Expr& access, const Expr& x, const Expr& y) {
    const size_t rank = access->index_count();
    return rank >= 2 && access->args[rank - 2].same_as(x) && access->args[rank - 1].same_as(y);
}

// Every position of the fragment along the sum, dim number `d` of the copy, holds a value or 0.
bool is_padded(const BoundSchedule& bound, const Dim& sum, size_t copy, size_t d, std::int64_t depth) {
    if (sum.extent().constant() ? *sum.extent().constant() % depth == 0 : sum.state().multiple_of % depth == 0) return true;
    const Stage& s = bound.graph.stages[copy];
    if (s.kind != Stage::Kind::copy) return false;
    for (const BoundLoop& l : bound.stages[copy].pure)
        if (l.dim.id() == s.dims[d].id()) return l.tail == Tail::pad && l.tile > 1 && l.tile % depth == 0;
    return false;
}

}  // namespace

void refuse_product(const Stage& stage, std::string_view why) {
    throw Limit(
        L0903_schedule, stage.where, fmt::format("no product of fragments computes {}: {}", stage.name, why),
        {fix("sum cast(f32, A(m, k)) * cast(f32, B(k, n)) of bf16 or f16 copies in shared memory, with frag loops m, n, k"),
         fix("use thread and unroll loops")});
}

Mma fragment_product(const BoundSchedule& bound, const std::array<const tessera::Loop*, 3>& loops, const tessera::Store& store,
                     const std::array<std::int64_t, 3>& extents) {
    const Stage& s = bound.graph.stages[store.stage];
    const auto refuse = [&](std::string_view why) { refuse_product(s, why); };
    if (bound.stages[store.stage].mma != "m16n8k16") refuse("its mma atom is not m16n8k16");
    const Expr& value = store.values[0];
    if (store.values.size() != 1 || value->op != Op::fma || s.dtypes[0] != DType::f32 || s.dims.size() < 2)
        refuse("it is no f32 sum of products");
    if (s.update->condition.defined()) refuse("it has a predicate");
    const Expr a = factor_of(value->args[0]), b = factor_of(value->args[1]);
    if (!a.defined() || !b.defined() || a->dtype != b->dtype) refuse("its factors are no reads of bf16 or f16");
    const Expr &m = loops[0]->variable, &n = loops[1]->variable, &k = loops[2]->variable;
    const bool swapped = ends_in(b, m, k) && ends_in(a, k, n);
    const Expr &left = swapped ? b : a, &right = swapped ? a : b;
    const size_t rank = s.dims.size();
    if (!ends_in(left, m, k) || !ends_in(right, k, n) || !store.place[rank - 2].same_as(m) || !store.place[rank - 1].same_as(n))
        refuse("its factors are not (m, k) and (k, n)");
    const Dim* sum = nullptr;
    for (const BoundLoop& l : bound.stages[store.stage].update)
        if (l.reduction && l.kind == LoopKind::frag) sum = &l.dim;
    if (!sum) refuse("its sum has no frag loop");
    for (const auto& [factor, from_end] : {std::pair{&left, size_t{1}}, std::pair{&right, size_t{2}}}) {
        const size_t copy = bound.graph.find((*factor)->target().func.get()).value();
        const size_t d = bound.graph.stages[copy].dims.size() - from_end;
        if (!is_padded(bound, *sum, copy, d, extents[2]))
            refuse(fmt::format("{} is not padded with zeros along {} (tail pad)", bound.graph.stages[copy].name,
                               bound.graph.stages[copy].dims[d].name()));
    }
    const std::map<const ExprNode*, Expr> first{
        {m.get(), loops[0]->begin}, {n.get(), loops[1]->begin}, {k.get(), loops[2]->begin}};
    Mma out{store.stage, {}, substitute(left, first), substitute(right, first), extents[0], extents[1], extents[2]};
    for (const Expr& e : store.place) out.place.push_back(substitute(e, first));
    return out;
}

}  // namespace tessera::tile
