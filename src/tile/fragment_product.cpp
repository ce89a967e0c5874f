#include "tile/fragment_product.h"

#include <tessera/tf32.h>

#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"
#include "tile/loop_tree_walk.h"
#include "tile/row_reduction.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

// What an instruction multiplies, and how deep it is.
struct Atom {
    std::string_view name;
    std::vector<DType> factors;
    DType sums;
    std::int64_t depth;
    bool grouped;
};
const std::vector<Atom>& atoms() {
    static const std::vector<Atom> all{{"m16n8k16", {DType::bf16, DType::f16}, DType::f32, 16, false},
                                       {"m16n8k32", {DType::i8, DType::u8}, DType::i32, 32, false},
                                       {"m16n8k8", {DType::f32}, DType::f32, 8, false},
                                       {"wgmma", {DType::bf16, DType::f16}, DType::f32, 16, true},
                                       {"wgmma", {DType::f8e4m3, DType::f8e5m2}, DType::f32, 32, true},
                                       {"wgmma", {DType::i8}, DType::i32, 32, true}};
    return all;
}

// round_tf32(X(…)) -> X(…), which is what the instruction is given.
Expr rounded_factor(const Expr& e) {
    Expr read;
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::access) read = n;
    });
    const bool plain =
        read.defined() && read->dtype == DType::f32 && read->target().func && read->target().boundary == Boundary::none;
    return plain && e.same_as(round_tf32(read)) ? read : Expr();
}

// cast(f32, X(…)) -> X(…)
Expr factor_of(const Expr& e, const Atom& atom) {
    if (atom.factors[0] == DType::f32) return rounded_factor(e);
    const bool read = e->op == Op::cast && e->dtype == atom.sums && e->args[0]->op == Op::access && e->args[0]->target().func &&
                      e->args[0]->target().boundary == Boundary::none;
    const bool taken = read && std::find(atom.factors.begin(), atom.factors.end(), e->args[0]->dtype) != atom.factors.end();
    return taken ? e->args[0] : Expr();
}

bool reads_f8(const Expr& value) {
    bool found = false;
    for_each_node({value}, [&](const Expr& n) { found = found || (n->op == Op::access && is_f8(n->dtype)); });
    return found;
}

// a b + the sum so far: an fma of floats, of integers a sum.
std::pair<Expr, Expr> factors_of(const Expr& value, const FuncState* sum, const Atom& atom) {
    if (value->op == Op::fma) return {factor_of(value->args[0], atom), factor_of(value->args[1], atom)};
    if (value->op != Op::add) return {};
    for (const size_t i : {size_t{0}, size_t{1}}) {
        const Expr &self = value->args[i], &product = value->args[1 - i];
        if (self->op == Op::access && self->target().func.get() == sum && product->op == Op::mul)
            return {factor_of(product->args[0], atom), factor_of(product->args[1], atom)};
    }
    return {};
}

// How a factor stands to the loops over its rows and columns: (row, column) by its last two indices, each moved by what the loops
// leave alone, or (column, row); the other indices are none of theirs.
enum class Stance { none, straight, turned };
Stance stance(const Expr& access, const Expr& row, const Expr& column, const Expr& other) {
    const size_t rank = access->index_count();
    if (rank < 2) return Stance::none;
    const auto depends = [](const Expr& e, const Expr& variable) {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) { found = found || n.same_as(variable); });
        return found;
    };
    const auto moves_with = [&](size_t d, const Expr& variable) {
        if (!depends(access->args[d], variable)) return false;
        const auto split = split_linear(IndexAnalysis().normal(access->args[d]), variable);
        if (!split || split->factor.constant() != 1) return false;
        const Expr rest = split->rest.expr();
        return !depends(rest, row) && !depends(rest, column) && !depends(rest, other);
    };
    for (size_t d = 0; d + 2 < rank; ++d)
        if (depends(access->args[d], row) || depends(access->args[d], column) || depends(access->args[d], other))
            return Stance::none;
    if (moves_with(rank - 2, row) && moves_with(rank - 1, column)) return Stance::straight;
    return moves_with(rank - 2, column) && moves_with(rank - 1, row) ? Stance::turned : Stance::none;
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

class Product {
public:
    Product(const BoundSchedule& bound, bool grouped, const std::array<const tessera::Loop*, 3>& loops,
            const tessera::Store& store, const std::array<std::int64_t, 3>& extents)
        : bound_(bound), grouped_(grouped), loops_(loops), store_(store), extents_(extents),
          stage_(bound.graph.stages[store.stage]), atom_(atom()) {}

    Mma run() {
        const Expr& value = store_.values[0];
        const size_t rank = stage_.dims.size();
        if (store_.values.size() != 1 || stage_.dtypes[0] != atom_.sums || rank < 2)
            refuse_product(stage_, fmt::format("it is no {} sum", dtype_name(atom_.sums)));
        if (stage_.update->condition.defined()) refuse_product(stage_, "it has a predicate");
        const auto [a, b] = factors_of(value, stage_.func.get(), atom_);
        if (!grouped_ && reads_f8(value))
            refuse_product(stage_,
                           "its factors are 8-bit floats, which warpgroups multiply (atom wgmma, cuda-sm_90a) or, as bf16, "
                           "warps: make copies of cast(bf16, A(m, k))");
        if (!a.defined() || !b.defined() || a->dtype != b->dtype)
            refuse_product(stage_, grouped_ ? "its factors are no reads of one dtype, bf16, f16, f8e4m3, f8e5m2 or i8"
                                   : atom_.factors[0] == DType::f32
                                       ? "its factors are no reads of f32 under round_tf32"
                                       : fmt::format("its factors are no reads of {} or {}", dtype_name(atom_.factors[0]),
                                                     dtype_name(atom_.factors[1])));
        const bool swapped = find_stances(b, a);
        if (!swapped && !find_stances(a, b)) refuse_product(stage_, "its factors are not (m, k) and (k, n), or turned ones");
        const Expr &left = swapped ? b : a, &right = swapped ? a : b;
        if (!store_.place[rank - 2].same_as(loops_[0]->variable) || !store_.place[rank - 1].same_as(loops_[1]->variable))
            refuse_product(stage_, "its last dims are not m and n, the outer frag loops");
        if (extents_[2] % atom_.depth != 0)
            refuse_product(stage_, fmt::format("its frag loop over the sum covers {} positions, no multiple of {}", extents_[2],
                                               atom_.depth));
        if (dtype_bytes(a->dtype) != 2 && (left_ == Stance::turned || right_ == Stance::straight))
            refuse_product(stage_, fmt::format("factors of {} are multiplied along the last dims of both, (m, k) and (n, k)",
                                               dtype_name(a->dtype)));
        if (grouped_) require_grouped(left, right);
        require_padding(left, left_ == Stance::straight ? 1 : 2);
        require_padding(right, right_ == Stance::straight ? 2 : 1);
        std::map<const ExprNode*, Expr> first;
        for (const tessera::Loop* l : loops_) first[l->variable.get()] = l->begin;
        Mma out{store_.stage, {},          substitute(left, first), substitute(right, first), extents_[0],
                extents_[1],  extents_[2], left_ == Stance::turned, right_ == Stance::turned, grouped_};
        for (const Expr& e : store_.place) out.place.push_back(substitute(e, first));
        return out;
    }

private:
    const Atom& atom() const {
        const Atom* named = nullptr;
        for (const Atom& a : atoms()) {
            if (bound_.stages[store_.stage].mma != a.name || a.grouped != grouped_) continue;
            if (!named || factors_of(store_.values[0], stage_.func.get(), a).first.defined()) named = &a;
        }
        if (named) return *named;
        refuse_product(stage_, grouped_
                                   ? "its loops are of warpgroups, but its mma atom is not wgmma (bf16, f16, f8e4m3, f8e5m2, i8)"
                                   : "its mma atom is none of m16n8k16 (bf16, f16), m16n8k8 (f32 as tf32) and m16n8k32 (i8, u8)");
    }
    void require_grouped(const Expr& left, const Expr& right) const {
        if (left_ != Stance::straight || right_ != Stance::turned)
            refuse_product(stage_, "warpgroups multiply along the last dims of both factors, (m, k) and (n, k)");
        if (extents_[0] != 64 || extents_[1] > 256)
            refuse_product(stage_, fmt::format("a warpgroup multiplies 64 x up to 256, not {} x {}", extents_[0], extents_[1]));
        for (const Expr& factor : {left, right}) {
            const size_t copy = bound_.graph.find(factor->target().func.get()).value();
            const Swizzle swizzle = bound_.stages[copy].storage.swizzle.value_or(Swizzle::none);
            if (bound_.stages[copy].engine != Engine::tma || swizzle != Swizzle::bytes128)
                refuse_product(stage_,
                               fmt::format("{} is not copied by engine tma with swizzle 128B", bound_.graph.stages[copy].name));
        }
    }
    bool find_stances(const Expr& left, const Expr& right) {
        const Expr &m = loops_[0]->variable, &n = loops_[1]->variable, &k = loops_[2]->variable;
        left_ = stance(left, m, k, n), right_ = stance(right, k, n, m);
        return left_ != Stance::none && right_ != Stance::none;
    }
    void require_padding(const Expr& factor, size_t from_end) const {
        const Dim* sum = nullptr;
        for (const BoundLoop& l : bound_.stages[store_.stage].update)
            if (l.reduction && l.kind == LoopKind::frag) sum = &l.dim;
        if (!sum) refuse_product(stage_, "its sum has no frag loop");
        const size_t copy = bound_.graph.find(factor->target().func.get()).value();
        const size_t d = bound_.graph.stages[copy].dims.size() - from_end;
        if (!is_padded(bound_, *sum, copy, d, extents_[2]))
            refuse_product(stage_, fmt::format("{} is not padded with zeros along {} (tail pad)", bound_.graph.stages[copy].name,
                                               bound_.graph.stages[copy].dims[d].name()));
    }

    const BoundSchedule& bound_;
    bool grouped_;
    const std::array<const tessera::Loop*, 3>& loops_;
    const tessera::Store& store_;
    const std::array<std::int64_t, 3>& extents_;
    const Stage& stage_;
    const Atom& atom_;
    Stance left_ = Stance::none, right_ = Stance::none;
};

}  // namespace

void refuse_product(const Stage& stage, std::string_view why) {
    throw Limit(
        L0903_schedule, stage.where, fmt::format("no product of fragments computes {}: {}", stage.name, why),
        {fix("sum cast(f32, A(m, k)) * cast(f32, B(k, n)) of bf16 or f16 copies in shared memory, with frag loops m, n, k"),
         fix("use thread and unroll loops")});
}

bool is_product(const BoundSchedule& bound, const tessera::Loop& loop) {
    bool reduces = false;
    visit_tree(*loop.body, [&](const tessera::Statement& t) {
        const auto* w = std::get_if<tessera::Store>(&t.node);
        if (!w || reduces_rows(bound.graph.stages[w->stage], bound.stages[w->stage])) return;
        const Stage& s = bound.graph.stages[w->stage];
        for_each_node(w->values, [&](const Expr& n) {
            reduces = reduces || (s.update && n->op == Op::access && n->target().func == s.func);
        });
    });
    return reduces;
}

ProductNest product_nest(const tessera::Loop& outer, const Stage& root) {
    ProductNest out;
    std::vector<const tessera::Loop*> loops{&outer};
    const tessera::Statement* at = outer.body.get();
    while (!out.store) {
        if (const auto* l = std::get_if<tessera::Loop>(&at->node); l && l->kind == LoopKind::frag) {
            loops.push_back(l);
            at = l->body.get();
        } else if (const auto* let = std::get_if<tessera::Let>(&at->node)) {
            out.lets.push_back(let);
            at = let->body.get();
        } else if (const auto* g = std::get_if<tessera::Guard>(&at->node)) {
            at = g->body.get();  // of the sum's range: checked to be padded by zeros
        } else {
            out.store = std::get_if<tessera::Store>(&at->node);
            if (!out.store) refuse_product(root, "other loops stand inside its frag loops");
        }
    }
    if (loops.size() != 3) refuse_product(root, "it has not three frag loops");
    std::copy(loops.begin(), loops.end(), out.loops.begin());
    return out;
}

Mma fragment_product(const BoundSchedule& bound, bool grouped, const std::array<const tessera::Loop*, 3>& loops,
                     const tessera::Store& store, const std::array<std::int64_t, 3>& extents) {
    return Product(bound, grouped, loops, store, extents).run();
}

}  // namespace tessera::tile
