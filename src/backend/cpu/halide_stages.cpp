// Stages as Halide Funcs: dims reversed, indices in int32, reads held inside the inputs.
#include "backend/cpu/halide_ir.h"
#include "backend/cpu/halide_math_builder.h"
#include "backend/cpu/held_dims.h"
#include "backend/cpu/index_width.h"
#include "backend/cpu/placed_extents.h"
#include "backend/cpu/recurrence_start.h"
#include "backend/cpu/zero_rows.h"
#include "base/check.h"
#include "expr/bounds.h"
#include "schedule/in_place.h"
#include "schedule/stage_region.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_set>

namespace tessera::cpu {
namespace {

using E = Halide::Expr;

std::string plain(const std::string& name) {
    std::string out;
    for (const char c : name) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return out;
}

/// What an expression is translated for: the values of a definition or init, or an update.
struct Scope {
    const Stage* stage = nullptr;
    std::map<const void*, E> index;  // of dims by id
    std::set<const void*> over;      // dims that may run past what is read: reads by them are held inside inputs
    // The dims of vector, unrolled and innermost loops: holding an index at their edges is worth a loop of its own.
    std::set<const void*> divided;
    // By nodes that they keep alive: of one that is gone, another may have the address.
    std::map<Expr, E, NodeOrder> values, indices;
    std::unordered_set<const ExprNode*> guarded;  // accesses under a select: its other branch may be out of bounds
};

class Translator {
public:
    Translator(const BoundSchedule& bound, KernelChecks checks)
        : bound_(bound), graph_(bound.graph), checks_(checks), placed_(bound), held_(bound) {}

    Translation run() {
        declare_parameters();
        out_.stages.resize(graph_.stages.size());
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            index_of_[graph_.stages[i].func.get()] = i;
            define(i);
        }
        declare_outputs();
        return std::move(out_);
    }

private:
    // ---- parameters

    void declare_parameters() {
        out_.parameters = parameters(bound_);
        const auto& algorithm = graph_.algorithm;
        for (const Parameter& p : out_.parameters) {
            if (p.kind == Parameter::Kind::output) continue;
            const std::string name = fmt::format("p{}_", out_.arguments.size());
            if (p.kind == Parameter::Kind::dim) {
                const Dim& d = algorithm.state().dims[p.index];
                Halide::Param<std::int32_t> extent(name + plain(d.name()));
                extent.set_min_value(0);
                out_.arguments.push_back(extent);
                const int factor = static_cast<int>(d.state().multiple_of);
                out_.extents[d.id()] = factor > 1 ? E(extent) / factor * factor : E(extent);
                continue;
            }
            const auto& input = algorithm.arguments()[p.index].state();
            if (input->scalar) {
                Halide::Param<> scalar(value_type(input->dtype), name + plain(input->name));
                out_.arguments.push_back(scalar);
                scalars_[input.get()] = scalar;
                continue;
            }
            Halide::ImageParam image(value_type(input->dtype), static_cast<int>(input->dims.size()), name + plain(input->name));
            for (int d = 0; d < image.dimensions(); ++d) image.dim(d).set_min(0);
            out_.arguments.push_back(image);
            out_.images[input->name] = image;
        }
    }

    E extent_of(const Dim& d) {
        const auto found = out_.extents.find(d.id());
        if (found != out_.extents.end()) return found->second;
        TESSERA_CHECK(d.state().extent.has_value(), fmt::format("the extent of {} is no parameter", d.name()));
        Scope none;
        return out_.extents[d.id()] = index(Expr(*d.state().extent), none);
    }

    void declare_outputs() {
        const auto& outputs = graph_.algorithm.outputs();
        out_.outputs.resize(outputs.size());
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            const Stage& s = graph_.stages[i];
            if (!s.output) continue;
            Halide::Func f = out_.stages[i].func;
            if (!is_exact(i)) f = copy_out(i);
            // The components of a tuple share the bounds of the first.
            Halide::OutputImageParam buffer = f.output_buffers()[0];
            for (size_t d = 0; d < s.dims.size(); ++d) buffer.dim(halide_dim(s, d)).set_bounds(0, extent_of(s.dims[d]));
            out_.outputs[*s.output] = f;
        }
    }

    // An output that other stages read may be needed outside [0, extent): the caller's buffer gets a copy.
    Halide::Func copy_out(size_t i) {
        const StageFunc& from = out_.stages[i];
        Halide::Func to(halide_name(bound_, i) + "_out");
        const std::vector<Halide::Var> args(from.vars.rbegin(), from.vars.rend());
        const std::vector<E> at(args.begin(), args.end());
        std::vector<E> values;
        for (size_t c = 0; c < graph_.stages[i].dtypes.size(); ++c) values.push_back(component(from.func, at, c));
        define_as(to, args, values);
        if (!args.empty()) to.vectorize(args[0], 8, Halide::TailStrategy::GuardWithIf);
        return to;
    }

    [[nodiscard]] bool is_exact(size_t i) const {
        const size_t memory = bound_.memory_of(i);
        return graph_.stages[memory].output.has_value() && bound_.stages[memory].users.empty();
    }

    // ---- definitions

    static int halide_dim(const Stage& s, size_t d) { return static_cast<int>(s.dims.size() - 1 - d); }

    static E component(const Halide::Func& f, const std::vector<E>& args, size_t c) {
        const Halide::FuncRef ref = f(args);
        return f.outputs() > 1 ? E(ref[static_cast<int>(c)]) : E(ref);
    }

    static void define_as(Halide::Func& f, const std::vector<Halide::Var>& args, const std::vector<E>& values) {
        if (values.size() == 1)
            f(args) = values[0];
        else
            f(args) = Halide::Tuple(values);
    }

    // Halide shares loops of one name only: the dims of shared loops are called as the leader's are.
    std::string variable_name(size_t i, size_t d) const {
        const Dim& dim = graph_.stages[i].dims[d];
        const auto& fused = bound_.stages[i].fused;
        for (size_t l = 0; fused && l <= fused->loop; ++l)
            if (bound_.main_nest(i)[l].dim.id() == dim.id()) {
                const Dim& theirs = bound_.main_nest(fused->leader)[l].dim;
                const auto& dims = graph_.stages[fused->leader].dims;
                for (size_t k = 0; k < dims.size(); ++k)
                    if (dims[k].id() == theirs.id()) return out_.stages[fused->leader].vars[k].name();
            }
        return fmt::format("{}{}_{}", fused ? 'o' : 'd', d, plain(dim.name()));
    }

    void define(size_t i) {
        const Stage& s = graph_.stages[i];
        StageFunc& made = out_.stages[i];
        const auto resident = bound_.resident_of(i);
        made.func = resident ? out_.stages[*resident].func : Halide::Func(halide_name(bound_, i));
        Scope scope;
        scope.stage = &s;
        for (size_t d = 0; d < s.dims.size(); ++d) {
            made.vars.push_back(resident ? out_.stages[*resident].vars[d] : Halide::Var(variable_name(i, d)));
            scope.index[s.dims[d].id()] = made.vars.back();
            if (!is_exact(i)) scope.over.insert(s.dims[d].id());
        }
        if (only_renames_resident(bound_, i)) return;
        if (s.kind == Stage::Kind::routine) return define_routine(bound_, i, out_, [this](const Dim& d) { return extent_of(d); });
        note_divided(bound_.stages[i].pure, scope);
        note_guarded(s.values, scope);
        std::vector<E> values;
        for (const Expr& v : s.values)
            values.push_back(started(bound_, i, made.vars,
                                     filled_forwards(bound_, i, out_.images, with_named_parts(v, value(v, scope))),
                                     [this](const Dim& d) { return extent_of(d); }));
        define_as(made.func, {made.vars.rbegin(), made.vars.rend()}, values);
        if (s.update) define_update(i);
    }

    static void note_divided(const std::vector<BoundLoop>& nest, Scope& scope) {
        if (!nest.empty()) scope.divided.insert(nest.back().dim.id());
        for (const BoundLoop& loop : nest)
            if (loop.kind == LoopKind::vector || loop.kind == LoopKind::unroll) scope.divided.insert(loop.dim.id());
    }

    static void note_guarded(const std::vector<Expr>& values, Scope& scope) {
        std::vector<Expr> branches;
        for_each_node(values, [&](const Expr& n) {
            if (n->op == Op::select) branches.insert(branches.end(), n->args.begin() + 1, n->args.end());
            if (n->op == Op::and_ || n->op == Op::or_) branches.push_back(n->args[1]);
        });
        for_each_node(branches, [&](const Expr& n) {
            if (n->op == Op::access) scope.guarded.insert(n.get());
        });
    }

    void define_update(size_t i) {
        const Stage& s = graph_.stages[i];
        const Update& u = *s.update;
        StageFunc& made = out_.stages[i];
        Scope scope;
        scope.stage = &s;
        const std::vector<Dim> carried = carried_dims(s);
        for (size_t d = 0; d < s.dims.size(); ++d) {
            if (contains_dim(carried, s.dims[d])) continue;
            scope.index[s.dims[d].id()] = made.vars[d];
            scope.over.insert(s.dims[d].id());
        }
        const std::vector<BoundLoop>& nest = bound_.stages[i].update;
        const E inside = make_domain(i, nest, carried, scope);
        note_divided(nest, scope);
        std::vector<Expr> all = u.values;
        all.insert(all.end(), u.place.begin(), u.place.end());
        note_guarded(all, scope);
        std::vector<E> place(s.dims.size());
        for (size_t d = 0; d < s.dims.size(); ++d)
            place[static_cast<size_t>(halide_dim(s, d))] = landing_place(s, nest, d, scope);
        std::vector<E> values;
        E condition = inside, edges;
        for (const Expr& c : conjuncts(u.condition)) {
            E& of = width_.is_edge(c) ? edges : condition;
            const E one = value(c, scope);
            of = both(of, Comparison::is_misread(one, made.domain) ? Comparison::hidden(one) : one);
        }
        for (size_t c = 0; c < u.values.size(); ++c) {
            E v = show_reads(s, made, c, place, with_named_parts(u.values[c], value(u.values[c], scope)));
            if (u.condition.defined() && !made.domain.defined())
                v = Halide::select(both(condition, edges), v, component(made.func, place, c));
            values.push_back(c == 0 ? show_domain(made.domain, v) : v);
        }
        // Halide simplifies a predicate when it gets it, before it makes the program strict: x - x is 0 there, also of
        // infinities.
        if (condition.defined() && made.domain.defined())
            made.domain.where(Halide::strict_float(reads_promised(u.values) ? Comparison::hidden(condition) : condition));
        if (edges.defined() && made.domain.defined()) made.domain.where(Halide::likely(edges));
        if (values.size() == 1)
            made.func(place) = values[0];
        else
            made.func(place) = Halide::Tuple(values);
    }

    // Halide 21 stores the components of a tuple one after the other where it sees no read of one in another's value, and it does
    // not see reads inside calls, which strict arithmetic is made of: each such read is repeated in plain sight, in a branch
    // never taken.
    E show_reads(const Stage& s, const StageFunc& made, size_t c, const std::vector<E>& place, E v) {
        if (s.dtypes.size() < 2) return v;
        std::set<size_t> others;
        for_each_node({s.update->values[c]}, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func == s.func && static_cast<size_t>(n->component()) != c)
                others.insert(static_cast<size_t>(n->component()));
        });
        const E unknown = never();
        if (!others.empty() && !unknown.defined())
            throw Limit(L0901_not_on_target, s.where,
                        fmt::format("{} combines tuples in an algorithm without inputs and symbolic dims", s.name),
                        {fix("make an extent symbolic"), fix("evaluate with the interpreter target")});
        for (const size_t other : others) {
            const E read = component(made.func, place, other);
            v = Halide::select(unknown, read.type() == v.type() ? read : Halide::cast(v.type(), read), v);
        }
        return v;
    }

    // False whatever the arguments, which Halide does not know; undefined where there are none.
    E never() const {
        for (const auto& [name, image] : out_.images)
            if (image.dimensions() > 0) return image.dim(0).extent() == -1;
        for (const Dim& d : graph_.algorithm.state().dims)
            if (!d.state().extent) return out_.extents.at(d.id()) == -1;
        return {};
    }

    // One variable per reduction loop, in the order of the nest: Halide reorders only what it proves associative.
    E make_domain(size_t i, const std::vector<BoundLoop>& nest, const std::vector<Dim>& carried, Scope& scope) {
        StageFunc& made = out_.stages[i];
        std::map<size_t, E> tiles;  // per reduction loop
        std::map<const void*, std::vector<size_t>> loops_of;
        for (size_t l = 0; l < nest.size(); ++l) {
            if (!nest[l].reduction && !contains_dim(carried, nest[l].dim)) continue;
            loops_of[nest[l].dim.id()].push_back(l);
        }
        if (loops_of.empty()) return {};
        Halide::Region region;
        std::vector<E> extents(nest.size());
        const auto ranges = carried_ranges(i, carried);
        const auto extent_here = [&](const Dim& d) { return ranges.count(d.id()) ? ranges.at(d.id()).second : extent_of(d); };
        for (const auto& [id, loops] : loops_of) {
            E outer = extent_here(nest[loops[0]].dim);
            for (size_t k = 0; k < loops.size(); ++k) {
                const BoundLoop& loop = nest[loops[k]];
                E tile = static_cast<int>(loop.tile);
                if (loop.parts) {
                    const int next = k + 1 < loops.size() ? static_cast<int>(nest[loops[k + 1]].tile) : 1;
                    const int parts = static_cast<int>(*loop.parts);
                    tile = Halide::max((((outer + parts - 1) / parts + next - 1) / next) * next, next);
                }
                tiles[loops[k]] = tile;
                extents[loops[k]] = Halide::Internal::is_const_one(tile) ? outer : (outer + tile - 1) / tile;
                outer = tile;
            }
        }
        for (size_t l = nest.size(); l-- > 0;)
            if (extents[l].defined()) {
                made.domain_position[l] = region.size();
                region.emplace_back(0, Halide::Internal::simplify(extents[l]));
            }
        made.domain = Halide::RDom(region, "r");
        E inside;
        for (const auto& [id, loops] : loops_of) {
            E position;
            for (size_t k = loops.size(); k-- > 0;) {
                const E variable = made.domain[static_cast<int>(made.domain_position.at(loops[k]))];
                const E step = Halide::Internal::is_const_one(tiles[loops[k]]) ? variable : variable * tiles[loops[k]];
                position = position.defined() ? step + position : step;
                if (k == 0 || divides(tiles, loops, k, tiles[loops[k - 1]])) continue;
                inside = both(inside, position < tiles[loops[k - 1]]);
            }
            const Dim& d = nest[loops[0]].dim;
            const E whole = extent_here(d);
            if (loops.size() > 1 && !divides(tiles, loops, 0, whole)) {
                inside = both(inside, position < whole);
                position = held_promise(position, whole);
            }
            scope.index[d.id()] = ranges.count(d.id()) ? ranges.at(d.id()).first + position : position;
        }
        return inside;
    }

    static E both(const E& a, const E& b) { return a.defined() ? a && b : b; }

    // An index that is inside [0, extent) wherever its value is used. A check of that may be lifted out of the condition under
    // which it holds: kernels with checks hold it there instead.
    [[nodiscard]] E held_promise(const E& at, const E& low, const E& high) const {
        return checks_ == KernelChecks::none ? Halide::unsafe_promise_clamped(at, low, high) : Halide::clamp(at, low, high);
    }
    [[nodiscard]] E held_promise(const E& at, const E& extent) const { return held_promise(at, 0, Halide::max(extent - 1, 0)); }

    // First index and extent of the dims whose positions read each other, where more than [0, extent) is needed of them.
    std::map<const void*, std::pair<E, E>> carried_ranges(size_t i, const std::vector<Dim>& carried) {
        std::map<const void*, std::pair<E, E>> out;
        if (carried.empty()) return out;
        RegionsInside regions(bound_, {}, {});
        const std::vector<Interval>& region = regions.required(i);
        Scope none;
        for (const Dim& d : carried)
            for (size_t k = 0; k < region.size(); ++k) {
                const Dim& own = graph_.stages[i].dims[k];
                if (own.id() != d.id()) continue;
                const Interval whole = whole_dim(own);
                if (region[k].low.same_as(whole.low) && region[k].high.same_as(whole.high)) continue;
                out[d.id()] = {index(region[k].low, none), index(tessera::extent_of(region[k]), none)};
            }
        return out;
    }

    // Whether the tile of loop `k` cuts `outer` into whole pieces.
    static bool divides(const std::map<size_t, E>& tiles, const std::vector<size_t>& loops, size_t k, const E& outer) {
        const auto tile = Halide::Internal::as_const_int(tiles.at(loops[k]));
        if (!tile) return false;
        return *tile == 1 || Halide::Internal::can_prove(outer % static_cast<int>(*tile) == 0);
    }

    // A computed place is inside wherever the update's condition holds; so is what the update reads of itself there.
    E place_index(const Expr& e, const Dim& d, Scope& scope) {
        const E at = index(e, scope);
        return e->op == Op::dim ? at : held_promise(at, extent_of(d));
    }

    // A scatter that drops nothing has no condition: where its own loops are rounded up it reads indices that nobody computed.
    E landing_place(const Stage& s, const std::vector<BoundLoop>& nest, size_t d, Scope& scope) {
        const E at = place_index(s.update->place[d], s.dims[d], scope);
        const bool unknown = s.update->place[d]->op != Op::dim && s.kind == Stage::Kind::scatter &&
                             !s.update->condition.defined() &&
                             std::any_of(nest.begin(), nest.end(), [](const BoundLoop& l) { return l.tail == Tail::round_up; });
        return unknown ? Halide::clamp(at, 0, Halide::max(extent_of(s.dims[d]) - 1, 0)) : at;
    }

    // ---- indices

    // An index that depends on values, held in the range that it has for every value: how much of a stage it reads. A dim whose
    // extent is known only where it is computed stays as it is.
    E in_range(const Expr& e, const E& at, Scope& scope) {
        Ranges ranges;
        for_each_node({e}, [&](const Expr& n) {
            if (n->op != Op::dim) return;
            const Expr extent(n->dim().extent());
            if (!n->dim().state().extent && !out_.extents.count(n->dim().id())) return;
            ranges[n] = {make_constant(DType::i64, std::int64_t{0}), resolve_weak(extent - 1, DType::i64, {})};
        });
        const Interval range = bounds(e, ranges);
        if (!range.bounded()) return at;
        return Halide::clamp(at, index(range.low, scope), index(range.high, scope));
    }

    static bool depends_on(const Expr& e, const std::set<const void*>& dims) {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) { found = found || (n->op == Op::dim && dims.count(n->dim().id())); });
        return found;
    }

    E index(const Expr& e, Scope& scope) {
        const auto known = scope.indices.find(e);
        if (known != scope.indices.end()) return known->second;
        return scope.indices[e] = compute_index(e, scope);
    }

    E compute_index(const Expr& e, Scope& scope) {
        const auto arg = [&](size_t i) { return index(e->args[i], scope); };
        if (e->dtype != DType::i64) {
            const E v = value(e, scope);
            return dtype_bits(e->dtype) < 32 || e->dtype == DType::i32 ? Halide::cast<std::int32_t>(v) : narrowed(v);
        }
        if (e->op == Op::dim) {
            const auto at = scope.index.find(e->dim().id());
            TESSERA_CHECK(at != scope.index.end(),
                          fmt::format("dim {} is free in {}", e->dim().name(), scope.stage ? scope.stage->name : "an extent"));
            return at->second;
        }
        if (e->op == Op::extent) return extent_of(e->dim());
        if (e->op == Op::constant && e->integer() == static_cast<std::int32_t>(e->integer()))
            return static_cast<int>(e->integer());
        if (e->op == Op::add) return arg(0) + arg(1);
        if (e->op == Op::sub) return arg(0) - arg(1);
        if (e->op == Op::mul) return arg(0) * arg(1);
        if (e->op == Op::neg) return 0 - arg(0);
        if (e->op == Op::min || e->op == Op::max) {
            const E a = marked(e->args[0], e->args[1], scope), b = marked(e->args[1], e->args[0], scope);
            return e->op == Op::min ? Halide::min(a, b) : Halide::max(a, b);
        }
        if (e->op == Op::select) return Halide::select(value(e->args[0], scope), arg(1), arg(2));
        if (e->op == Op::cast && is_integer(e->args[0]->dtype)) return arg(0);
        if ((e->op == Op::div || e->op == Op::mod) && width_.fits_int32(e)) {
            if (e->args[1]->op == Op::extent)
                return e->op == Op::div ? arg(0) / arg(1) : arg(0) % arg(1);  // not negative; Halide's x / 0 is 0
            return e->op == Op::div ? floor_division(arg(0), arg(1)) : floor_remainder(arg(0), arg(1));
        }
        if (e->op == Op::access && e->target().input && e->target().input->values && e->target().boundary != Boundary::constant) {
            const auto& [low, high] = *e->target().input->values;
            Scope none;
            return Halide::unsafe_promise_clamped(Halide::cast<std::int32_t>(value(e, scope)), index(Expr(low), none),
                                                  index(Expr(high), none) - 1);
        }
        return narrowed(value(e, scope));
    }

    // A clamp by something that stands still holds only at the edges.
    E marked(const Expr& e, const Expr& other, Scope& scope) {
        const E at = index(e, scope);
        return depends_on(e, scope.divided) && !depends_on(other, scope.divided) && width_.is_affine(e) ? Halide::likely(at) : at;
    }

    static E narrowed(const E& v) {
        const Halide::Type t = v.type();
        const E high = Halide::Internal::make_const(t, std::int64_t{std::numeric_limits<std::int32_t>::max()});
        if (t.is_uint()) return Halide::cast<std::int32_t>(Halide::min(v, high));
        return Halide::cast<std::int32_t>(
            Halide::clamp(v, Halide::Internal::make_const(t, std::int64_t{std::numeric_limits<std::int32_t>::min()}), high));
    }

    // ---- values

    E value(const Expr& root, Scope& scope) {
        // Args first, so that deep definitions need no deep stack.
        for_each_node({root}, [&](const Expr& n) {
            if (!scope.values.count(n)) scope.values[n] = compute_value(n, scope);
        });
        return scope.values.at(root);
    }

    E compute_value(const Expr& e, Scope& scope) {
        if (e->op == Op::constant) return constant_value(e->dtype, e->bits);
        if (e->op == Op::dim || e->op == Op::extent) return Halide::cast<std::int64_t>(index(e, scope));
        if (e->op == Op::access) return access(e, scope);
        TESSERA_CHECK(is_scalar_op(e->op),
                      fmt::format("{} is left in stage {}", op_row(e->op).name, scope.stage ? scope.stage->name : "an extent"));
        const bool comparison = e->op == Op::eq || e->op == Op::ne || e->op == Op::lt || e->op == Op::le;
        if (comparison && width_.fits_int32(e->args[0]) && width_.fits_int32(e->args[1]))
            return scalar_op(e->op, DType::i32, DType::bool_, {index(e->args[0], scope), index(e->args[1], scope)});
        if (e->op == Op::cast && width_.fits_int32(e->args[0]) && width_.weight(e->args[0]) <= 1 + 0x1p-16)
            return scalar_op(Op::cast, DType::i32, e->dtype, {index(e->args[0], scope)});
        std::vector<E> args;
        for (const Expr& a : e->args) args.push_back(scope.values.at(a));
        const size_t typed = e->op == Op::select ? 1 : 0;
        if (typed == 1 && reads_promised({e->args[1], e->args[2]})) args[0] = Comparison::hidden(args[0]);
        return scalar_op(e->op, e->args[typed]->dtype, e->dtype, args);
    }

    // ---- accesses

    // A stage whose extents are promised is needed in full, also where a condition leaves some of its cells out.
    bool reads_promised(const std::vector<Expr>& exprs) {
        bool found = false;
        for_each_node(exprs, [&](const Expr& n) {
            if (found || n->op != Op::access || !n->target().func) return;
            const auto i = index_of_.find(n->target().func.get());
            found = i != index_of_.end() && placed_.promises(i->second);
        });
        return found;
    }

    E access(const Expr& e, Scope& scope) {
        const AccessTarget& target = e->target();
        if (target.input && target.input->scalar) return scalars_.at(target.input.get());
        const size_t rank = e->index_count();
        const std::vector<Dim>& dims = target.input ? target.input->dims : target.func->dims;
        const bool guarded = scope.guarded.count(e.get()) != 0;
        const bool self = scope.stage && target.func == scope.stage->func;
        std::vector<E> args(rank);
        E outside;
        for (size_t d = 0; d < rank; ++d) {
            const Expr& at = e->args[d];
            E i = index(at, scope);
            const bool edge = depends_on(at, scope.divided) && width_.is_affine(at);
            if (target.boundary != Boundary::none) {
                const E extent = extent_of(dims[d]);
                if (target.boundary == Boundary::constant)
                    outside = outside.defined() ? outside || i < 0 || i >= extent : i < 0 || i >= extent;
                i = bounded_index(target.boundary, i, extent, edge);
            } else if (target.input && (guarded || depends_on(at, scope.over)))
                i = held_index(i, extent_of(dims[d]), edge);
            else if (target.input && !width_.is_affine(at))
                i = Halide::unsafe_promise_clamped(i, 0, extent_of(dims[d]) - 1);
            else if (target.func && !self && !width_.is_affine(at))
                i = in_range(at, i, scope);
            else if (self && (!width_.is_affine(at) || (scope.stage->update && at.same_as(scope.stage->update->place[d]))))
                i = place_index(at, dims[d], scope);
            if (target.func && !self) i = in_held_dim(e, d, i, scope);
            if (target.input && target.boundary != Boundary::none && checks_ == KernelChecks::all) i = shown_inside(i, dims[d]);
            args[rank - 1 - d] = i;
        }
        E loaded;
        if (target.input)
            loaded = out_.images.at(target.input->name)(args);
        else
            loaded = component(out_.stages[stage_of(target, e)].func, args, static_cast<size_t>(e->component()));
        if (target.boundary != Boundary::constant || !outside.defined()) return loaded;
        return Halide::select(outside, scope.values.at(e->args[rank]), Halide::likely(loaded));
    }

    // Where conditions trim loops Halide drops what holds an index, and then does not see any more that it is inside: kernels
    // with checks hold it once more, at ends that look as if they were not known.
    [[nodiscard]] E shown_inside(const E& i, const Dim& d) {
        const E unknown = never();
        if (!unknown.defined()) return i;
        const E none = Halide::select(unknown, 1, 0);
        return Halide::max(Halide::min(i, extent_of(d) - 1 - none), none);
    }

    // The index `i` of a read of a stage along its dim, inside what is computed of the stage.
    E in_held_dim(const Expr& access, size_t d, const E& i, const Scope& scope) {
        const size_t read = stage_of(access->target(), access);
        const auto held = held_.of(read, d);
        const Expr& at = access->args[d];
        const bool plain = access->target().boundary == Boundary::none;
        if (!held || !scope.stage) return i;
        const E low = static_cast<int>(held->range.low), high = static_cast<int>(held->range.high);
        const E unknown = held->hidden ? never() : E();
        const E one_more = unknown.defined() ? Halide::select(unknown, 1, 0) : E(0);
        out_.stages[read].held[d] = {low, high - low + 1 + one_more};
        if (plain && held_.stays_inside(index_of_.at(scope.stage->func.get()), at, held->range)) return i;
        if (!scope.guarded.count(access.get()) && !depends_on(at, scope.over)) return held_promise(i, low, high);
        return Halide::clamp(depends_on(at, scope.divided) && width_.is_affine(at) ? Halide::likely(i) : i, low, high);
    }

    size_t stage_of(const AccessTarget& target, const Expr& e) {
        const auto found = index_of_.find(target.func.get());
        TESSERA_CHECK(found != index_of_.end(), fmt::format("{} is read before it is computed", e->target().func->name));
        return found->second;
    }

    const BoundSchedule& bound_;
    const StageGraph& graph_;
    KernelChecks checks_;
    Translation out_;
    std::map<const InputState*, E> scalars_;
    std::map<const FuncState*, size_t> index_of_;
    PlacedExtents placed_;
    HeldDims held_;
    IndexWidth width_;
};

}  // namespace

std::string halide_name(const BoundSchedule& bound, size_t stage) {
    return fmt::format("{}_s{}", plain("f_" + bound.graph.stages[stage].name), stage);
}

Translation translate(const BoundSchedule& bound, KernelChecks checks) { return Translator(bound, checks).run(); }

}  // namespace tessera::cpu
