#include "schedule/derived_stages.h"

#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera {

std::vector<Expr> exprs_of(const Stage& stage) {
    std::vector<Expr> out = stage.values;
    if (stage.update) {
        for (const Expr& e : stage.update->place) out.push_back(e);
        for (const Expr& e : stage.update->values) out.push_back(e);
        if (stage.update->condition.defined()) out.push_back(stage.update->condition);
    }
    return out;
}

bool reads(const Stage& stage, const FuncState* func) {
    if (stage.func.get() == func) return false;
    bool found = false;
    for_each_node(exprs_of(stage),
                  [&](const Expr& n) { found = found || (n->op == Op::access && n->target().func.get() == func); });
    return found;
}

void sort_producers_first(StageGraph& graph) {
    std::map<const FuncState*, size_t> index;
    for (size_t i = 0; i < graph.stages.size(); ++i) index[graph.stages[i].func.get()] = i;
    std::vector<int> state(graph.stages.size(), 0);
    std::vector<Stage> sorted;
    const auto visit = [&](const auto& self, size_t i) -> void {
        if (state[i] != 0) return;
        state[i] = 1;
        std::vector<size_t> producers;
        for_each_node(exprs_of(graph.stages[i]), [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) {
                const auto found = index.find(n->target().func.get());
                if (found != index.end() && found->second != i) producers.push_back(found->second);
            }
        });
        for (const size_t p : producers) self(self, p);
        sorted.push_back(graph.stages[i]);
    };
    for (size_t i = 0; i < graph.stages.size(); ++i) visit(visit, i);
    graph.stages = std::move(sorted);
}

namespace {

// A Dim of the compiler's own: its name may hold "k/256".
Dim inner_dim(std::string name, std::optional<Extent> extent, SourceLoc where) {
    auto state = std::make_shared<DimState>();
    state->name = std::move(name);
    state->extent = std::move(extent);
    state->where = where;
    return Dim(state);
}

Expr i64(std::int64_t value) { return make_constant(DType::i64, value); }

class Deriver {
public:
    Deriver(StageGraph& graph, Schedule& schedule) : graph_(graph), schedule_(schedule) {}

    void run() {
        std::set<std::string> pending;
        for (const auto& [name, spec] : schedule_.stages)
            if (spec.is_derived()) {
                if (graph_.find(name))
                    throw Error(E0509_derived_stage, {},
                                fmt::format("derived stage {} has the name of a stage of the algorithm", name),
                                {fix("rename the derived stage")});
                pending.insert(name);
            }
        while (!pending.empty()) {
            const size_t before = pending.size();
            for (auto it = pending.begin(); it != pending.end();) {
                if (ready(schedule_.stages.at(*it), pending)) {
                    derive(*it, schedule_.stages.at(*it));
                    it = pending.erase(it);
                } else
                    ++it;
            }
            if (pending.size() == before) unresolved(*pending.begin(), schedule_.stages.at(*pending.begin()));
        }
        std::vector<std::string> names;
        for (const auto& [name, spec] : schedule_.stages) names.push_back(name);
        for (const std::string& name : names)
            if (schedule_.stages.at(name).store.layout && graph_.find(name)) apply_layout(name);
        sort_producers_first(graph_);
    }

private:
    std::shared_ptr<const InputState> find_input(const std::string& name) const {
        for (const Argument& arg : graph_.algorithm.arguments())
            if (arg.state()->name == name && !arg.state()->scalar) return arg.state();
        return nullptr;
    }

    static std::string stage_of_use(const std::string& use) { return use.substr(0, use.find('#')); }

    // Partials change what the stages read: clones come before them, copies behind. Both wait for the stages that they are for,
    // and copies for clones of these, which read what is copied.
    bool ready(const StageSpec& spec, const std::set<std::string>& pending) const {
        const std::string& origin = spec.derived_from();
        if (!graph_.find(origin) && !find_input(origin)) return false;
        for (const std::string& name : pending) {
            const StageSpec& other = schedule_.stages.at(name);
            if (&other == &spec) continue;
            if (spec.copy_of && (other.partial_of || (other.clone_of && is_for(spec, *other.clone_of)))) return false;
            if (spec.partial_of && other.clone_of && (*other.clone_of == origin || is_for(other, origin)) &&
                !is_for_partial(other))
                return false;
        }
        if (spec.for_uses && !spec.partial_of)
            for (const std::string& use : *spec.for_uses)
                if (!graph_.find(stage_of_use(use))) return false;
        return true;
    }
    static bool is_for(const StageSpec& spec, const std::string& stage) {
        return spec.for_uses && std::any_of(spec.for_uses->begin(), spec.for_uses->end(),
                                            [&](const std::string& use) { return stage_of_use(use) == stage; });
    }
    bool is_for_partial(const StageSpec& spec) const {
        return std::any_of(schedule_.stages.begin(), schedule_.stages.end(),
                           [&](const auto& entry) { return entry.second.partial_of && is_for(spec, entry.first); });
    }

    [[noreturn]] void unresolved(const std::string& name, const StageSpec& spec) const {
        std::vector<std::string> known = graph_.names();
        for (const Argument& arg : graph_.algorithm.arguments()) known.push_back(arg.state()->name);
        const std::string& origin = spec.derived_from();
        if (!graph_.find(origin) && !find_input(origin))
            throw Error(E0501_unknown_stage, {}, fmt::format("derived stage {} is of {}, which does not exist", name, origin),
                        {fix_spelling(origin, known)});
        if (spec.for_uses)
            for (const std::string& use : *spec.for_uses)
                if (!graph_.find(stage_of_use(use)))
                    throw Error(E0501_unknown_stage, {},
                                fmt::format("derived stage {} is for {}, which does not exist", name, use),
                                {fix_spelling(stage_of_use(use), graph_.names())});
        throw Error(E0509_derived_stage, {}, fmt::format("derived stage {} depends on itself", name),
                    {fix("remove one of the stages that refer to each other")});
    }

    void derive(const std::string& name, const StageSpec& spec) {
        if (spec.partial_of)
            add_partial(name, spec);
        else if (spec.copy_of)
            add_copy(name, spec);
        else
            add_clone(name, spec);
    }

    // ---- uses

    // The stages whose reads of `origin` become reads of the derived stage, with the read's number or none for all.
    std::vector<std::pair<size_t, std::optional<int>>> uses_of(const std::string& name, const StageSpec& spec,
                                                               const void* origin) const {
        std::vector<std::pair<size_t, std::optional<int>>> uses;
        if (spec.for_uses) {
            for (const std::string& use : *spec.for_uses) {
                const size_t hash = use.find('#');
                std::optional<int> number;
                if (hash != std::string::npos) number = std::atoi(use.c_str() + hash + 1);
                uses.emplace_back(*graph_.find(stage_of_use(use)), number);
            }
        } else {
            for (size_t i = 0; i < graph_.stages.size(); ++i)
                if (!accesses(graph_.stages[i], origin).empty()) uses.emplace_back(i, std::nullopt);
        }
        for (const auto& [stage, number] : uses) {
            const auto found = accesses(graph_.stages[stage], origin);
            if (found.empty() || (number && (*number < 0 || *number >= static_cast<int>(found.size()))))
                throw Error(
                    E0509_derived_stage, {},
                    fmt::format("{} is for {}, which does not read {}", name, graph_.stages[stage].name, spec.derived_from()),
                    {fix("remove it from 'for'")});
        }
        if (uses.empty())
            throw Error(E0509_derived_stage, {}, fmt::format("nothing reads {}, which {} is of", spec.derived_from(), name),
                        {fix("remove the derived stage")});
        return uses;
    }

    static std::vector<Expr> accesses(const Stage& stage, const void* origin) {
        std::vector<Expr> out;
        if (stage.func.get() == origin) return out;
        for_each_node(exprs_of(stage), [&](const Expr& n) {
            if (n->op == Op::access && (n->target().func.get() == origin || n->target().input.get() == origin)) out.push_back(n);
        });
        return out;
    }

    // A copy has the boundary condition in its own value; a clone is read through it.
    void rewire(Stage& stage, const void* origin, std::optional<int> number, const std::shared_ptr<FuncState>& to,
                bool keeps_boundary) {
        const std::vector<Expr> found = accesses(stage, origin);
        std::set<const ExprNode*> chosen;
        for (size_t i = 0; i < found.size(); ++i)
            if (!number || *number == static_cast<int>(i)) chosen.insert(found[i].get());
        // Matches by target, component and place: rewritten args change identity.
        edit_exprs(stage, [&](const Expr& e) { return rewire_expr(e, chosen, to, keeps_boundary); });
    }

    static Expr rewire_expr(const Expr& root, const std::set<const ExprNode*>& chosen, const std::shared_ptr<FuncState>& to,
                            bool keeps_boundary) {
        std::map<const ExprNode*, Expr> done;
        for_each_node({root}, [&](const Expr& n) {
            std::vector<Expr> args;
            for (const Expr& a : n->args) args.push_back(done.at(a.get()));
            if (chosen.count(n.get()) && keeps_boundary) {
                AccessTarget target = n->target();
                target.func = to;
                done[n.get()] = make_access(target, std::move(args), n->dtype, n->component(), n->where);
            } else if (chosen.count(n.get())) {
                args.resize(n->index_count());
                done[n.get()] = read_stage(to, std::move(args), n->component());
            } else
                done[n.get()] = args.empty() ? n : with_args(n, std::move(args));
        });
        return done.at(root.get());
    }

    // ---- copies and clones

    void add_copy(const std::string& name, const StageSpec& spec) {
        const auto origin_stage = graph_.find(*spec.copy_of);
        const auto input = origin_stage ? nullptr : find_input(*spec.copy_of);
        const void* origin = origin_stage ? static_cast<const void*>(graph_.stages[*origin_stage].func.get()) : input.get();
        const auto uses = uses_of(name, spec, origin);
        Boundary boundary = Boundary::none;
        Expr outside;
        bool first = true;
        for (const auto& [stage, number] : uses) {
            const auto found = accesses(graph_.stages[stage], origin);
            for (size_t i = 0; i < found.size(); ++i) {
                if (number && *number != static_cast<int>(i)) continue;
                const Boundary mode = found[i]->target().boundary;
                const Expr value = mode == Boundary::constant ? found[i]->args.back() : Expr();
                if (!first && (mode != boundary || (value.defined() && !value.same_as(outside))))
                    throw Error(E0509_derived_stage, {},
                                fmt::format("{} copies reads of {} with different boundary conditions", name, *spec.copy_of),
                                {fix("make one copy per boundary condition: 'for' takes \"stage#n\"")});
                boundary = mode;
                outside = value;
                first = false;
            }
        }
        Stage s;
        s.kind = Stage::Kind::copy;
        s.name = name;
        s.dims = origin_stage ? graph_.stages[*origin_stage].dims : input->dims;
        s.dtypes = origin_stage ? graph_.stages[*origin_stage].dtypes : std::vector<DType>{input->dtype};
        s.where = origin_stage ? graph_.stages[*origin_stage].where : input->where;
        s.func = make_stage_func(name, s.dims, s.dtypes, s.where);
        for (size_t c = 0; c < s.dtypes.size(); ++c) {
            AccessTarget target{input, origin_stage ? graph_.stages[*origin_stage].func : nullptr, boundary};
            std::vector<Expr> args = dim_exprs(s.dims);
            if (boundary == Boundary::constant) args.push_back(outside);
            s.values.push_back(make_access(target, std::move(args), s.dtypes[c], static_cast<int>(c), s.where));
        }
        for (const auto& [stage, number] : uses) rewire(graph_.stages[stage], origin, number, s.func, false);
        graph_.stages.push_back(std::move(s));
    }

    void add_clone(const std::string& name, const StageSpec& spec) {
        const auto origin_stage = graph_.find(*spec.clone_of);
        if (!origin_stage)
            throw Error(E0509_derived_stage, {}, fmt::format("{} clones the input {}", name, *spec.clone_of),
                        {fix("use copy_of for inputs")});
        const Stage origin = graph_.stages[*origin_stage];
        const auto uses = uses_of(name, spec, origin.func.get());
        Stage s = origin;
        s.name = name;
        s.output.reset();
        s.func = make_stage_func(name, s.dims, s.dtypes, s.where);
        edit_exprs(s, [&](const Expr& e) {
            return rewrite(e, [&](const Expr& n) -> Expr {
                if (n->op != Op::access || n->target().func != origin.func) return {};
                AccessTarget target = n->target();
                target.func = s.func;
                return make_access(target, n->args, n->dtype, n->component(), n->where);
            });
        });
        for (const auto& [stage, number] : uses) rewire(graph_.stages[stage], origin.func.get(), number, s.func, true);
        graph_.stages.push_back(std::move(s));
    }

    // ---- partials

    // C.sum(dims) over k  ->  P(dims, k/256) over k inside a block;  C.sum(dims) over k/256 of P.
    void add_partial(const std::string& name, const StageSpec& spec) {
        const auto origin = graph_.find(*spec.partial_of);
        if (!origin || graph_.stages[*origin].kind != Stage::Kind::reduction)
            throw Error(E0509_derived_stage, {},
                        fmt::format("{} is a partial of {}, which is no reduction", name, *spec.partial_of),
                        {fix("name a reduction stage, such as C.sum")});
        if (!spec.keep || spec.keep->empty())
            throw Error(E0509_derived_stage, {}, fmt::format("partial {} keeps nothing", name),
                        {fix("say what stays free: \"keep\": [\"k/256\"]")});
        Stage whole = graph_.stages[*origin];
        const Update& u = *whole.update;
        const auto& traits = u.monoid->traits;
        if (u.order.kind != Order::Kind::any || !traits.associative)
            throw Error(
                E0505_order, whole.where,
                fmt::format("{} may not be split: {}", whole.name,
                            !traits.associative ? "its monoid is not associative" : "its order is part of the algorithm"),
                {note(fmt::format("{} splits it", name)), fix("give the reduction order any"), fix("remove the partial")});
        Stage part = whole;
        part.name = name;
        part.output.reset();
        part.update->reduction_dims.clear();
        std::vector<Dim> outer;  // of the whole
        std::map<const ExprNode*, Expr> inside;
        std::vector<Expr> alive;
        Expr condition = u.condition;
        for (const Dim& d : u.reduction_dims) {
            const auto entry = std::find_if(spec.keep->begin(), spec.keep->end(),
                                            [&](const std::string& k) { return parse_layout_entry(k).dim == d.name(); });
            if (entry == spec.keep->end()) {
                part.update->reduction_dims.push_back(d);
                continue;
            }
            split_dim(name, d, parse_layout_entry(*entry), *entry, part, outer, inside, alive, condition, traits.commutative);
        }
        for (const std::string& k : *spec.keep) {
            bool known = false;
            for (const Dim& d : u.reduction_dims) known = known || d.name() == parse_layout_entry(k).dim;
            if (!known)
                throw Error(E0502_unknown_loop, {},
                            fmt::format("partial {} keeps {}, but {} does not reduce over {}", name, k, whole.name,
                                        parse_layout_entry(k).dim),
                            {fix_spelling(parse_layout_entry(k).dim, dim_names(u.reduction_dims))});
        }
        part.func = make_stage_func(name, part.dims, part.dtypes, part.where);
        const std::vector<Expr> place = dim_exprs(part.dims);
        const auto into_part = [&](const Expr& e) {
            const Expr moved = substitute(e, inside);
            return rewrite(moved, [&](const Expr& n) -> Expr {
                if (n->op != Op::access || n->target().func != whole.func) return {};
                return read_stage(part.func, place, n->component());
            });
        };
        for (Expr& e : part.update->values) e = into_part(e);
        part.update->place = place;
        part.update->condition = condition.defined() ? substitute(condition, inside) : Expr();
        // The whole combines partials: combine(self, P(dims, kept)).
        std::vector<Expr> left, right;
        for (size_t c = 0; c < whole.dtypes.size(); ++c) {
            left.push_back(read_stage(whole.func, dim_exprs(whole.dims), static_cast<int>(c)));
            right.push_back(read_stage(part.func, place, static_cast<int>(c)));
        }
        Update combine;
        combine.reduction_dims = outer;
        combine.place = dim_exprs(whole.dims);
        combine.order = u.order;
        combine.monoid = u.monoid;
        const Tuple combined = u.monoid->combine(Tuple(left), Tuple(right));
        for (size_t c = 0; c < combined.size(); ++c)
            combine.values.push_back(resolve_weak(combined[c], whole.dtypes[c], whole.where));
        whole.update = std::move(combine);
        graph_.stages[*origin] = std::move(whole);
        graph_.stages.push_back(std::move(part));
    }

    static std::vector<std::string> dim_names(const std::vector<Dim>& dims) {
        std::vector<std::string> out;
        for (const Dim& d : dims) out.push_back(d.name());
        return out;
    }

    // Lanes that were kept of a dim before lie closer together than what is kept of their steps, and stay innermost.
    static std::vector<Dim>::iterator first_lane_of(std::vector<Dim>& dims, const Dim& d) {
        auto at = dims.end();
        while (at != dims.begin() && std::prev(at)->name().starts_with(d.name() + "%")) --at;
        return at;
    }

    // A block has all of its cells before the next: its vectors lie along the dims of the whole.
    static void keep_outside(const Dim& kept, Stage& part, std::vector<Dim>& outer) {
        part.dims.insert(part.dims.begin(), kept);
        outer.push_back(kept);
    }

    void split_dim(const std::string& name, const Dim& d, const LayoutEntry& entry, const std::string& text, Stage& part,
                   std::vector<Dim>& outer, std::map<const ExprNode*, Expr>& inside, std::vector<Expr>& alive, Expr& condition,
                   bool commutative) {
        const Extent whole = d.extent();
        const auto key = make_dim(d);
        alive.push_back(key);
        Expr position;
        bool exact = false;
        if (entry.div == 1 && entry.mod == 0) {
            const Dim kept = inner_dim(text, whole, d.state().where);
            keep_outside(kept, part, outer);
            position = make_dim(kept);
            exact = true;
        } else if (entry.mod == 0) {
            const Dim kept = inner_dim(text, (whole + (entry.div - 1)) / entry.div, d.state().where);
            const Dim rest = inner_dim(d.name(), Extent(entry.div), d.state().where);
            keep_outside(kept, part, outer);
            part.update->reduction_dims.push_back(rest);
            position = make_dim(kept) * i64(entry.div) + make_dim(rest);
            exact = whole.constant() ? *whole.constant() % entry.div == 0 : d.state().multiple_of % entry.div == 0;
        } else if (entry.div == 1) {
            if (!commutative)
                throw Error(E0505_order, {},
                            fmt::format("partial {} keeps {}, which interleaves a monoid that is not commutative", name, text),
                            {fix(fmt::format("keep blocks: \"{}/{}\"", d.name(), entry.mod))});
            const Dim kept = inner_dim(text, Extent(entry.mod), d.state().where);
            const Dim rest = inner_dim(d.name(), (whole + (entry.mod - 1)) / entry.mod, d.state().where);
            part.dims.insert(first_lane_of(part.dims, d), kept);
            outer.push_back(kept);
            part.update->reduction_dims.push_back(rest);
            position = make_dim(rest) * i64(entry.mod) + make_dim(kept);
            exact = whole.constant() ? *whole.constant() % entry.mod == 0 : d.state().multiple_of % entry.mod == 0;
            exact = exact || ended_.count(d.id()) != 0;
            if (!exact || ended_.count(d.id()) != 0) ended_.insert(rest.id());
        } else {
            throw Limit(L0903_schedule, {}, fmt::format("partial {} keeps {}: a block and a remainder at once", name, text),
                        {fix("keep one of them and make a partial of the partial")});
        }
        inside[key.get()] = position;
        if (!exact) {
            const Expr within = position < Expr(whole);
            condition = condition.defined() ? condition && within : within;
        }
    }

    // ---- layouts

    // A stage stored as [n/16, k, n%16] becomes a stage over those dims; users divide their indices; loops follow.
    void apply_layout(const std::string& name) {
        Stage& s = graph_.stages[*graph_.find(name)];
        StageSpec& spec = schedule_.stages.at(name);
        std::vector<LayoutEntry> entries;
        for (const std::string& text : *spec.store.layout) entries.push_back(parse_layout_entry(text));
        if (s.output)
            throw Error(E0508_storage, s.where, fmt::format("{} is an output; its layout is the caller's", name),
                        {fix("write a copy of it")});
        if (s.update)
            throw Limit(L0903_schedule, s.where, fmt::format("the layout of {} is changed, but it is a reduction", name),
                        {fix(fmt::format("change the layout of a copy: copy_of {}", name))});
        const std::vector<Dim> old = s.dims;
        std::vector<Dim> dims;
        std::vector<Expr> position(old.size());
        std::vector<std::vector<std::pair<LayoutEntry, Dim>>> parts(old.size());
        for (size_t e = 0; e < entries.size(); ++e) {
            size_t at = old.size();
            for (size_t i = 0; i < old.size(); ++i)
                if (old[i].name() == entries[e].dim) at = i;
            if (at == old.size())
                throw Error(E0508_storage, s.where,
                            fmt::format("the layout of {} names {}, which is none of its dims", name, entries[e].dim),
                            {fix_spelling(entries[e].dim, dim_names(old))});
            const bool plain = entries[e].div == 1 && entries[e].mod == 0;
            const Dim made =
                plain ? old[at]
                      : inner_dim(to_text(entries[e]), entries[e].mod ? std::optional<Extent>(entries[e].mod) : std::nullopt,
                                  old[at].state().where);
            dims.push_back(made);
            parts[at].emplace_back(entries[e], made);
        }
        for (size_t i = 0; i < old.size(); ++i) position[i] = layout_position(name, s, old[i], parts[i]);
        for (Expr& v : s.values) v = substitute_dims(v, old, position);
        const auto func = make_stage_func(name, dims, s.dtypes, s.where);
        const FuncState* before = s.func.get();
        for (Stage& user : graph_.stages)
            if (&user != &s)
                edit_exprs(user, [&](const Expr& e) {
                    return rewrite(e, [&](const Expr& n) -> Expr {
                        if (n->op != Op::access || n->target().func.get() != before) return {};
                        if (n->target().boundary != Boundary::none)
                            throw Limit(
                                L0903_schedule, n->where,
                                fmt::format("the layout of {} is changed, but it is read through a boundary condition", name),
                                {fix("change the layout of a copy")});
                        std::vector<Expr> indices;
                        for (const LayoutEntry& entry : entries) {
                            Expr index;
                            for (size_t i = 0; i < old.size(); ++i)
                                if (old[i].name() == entry.dim) index = n->args[i];
                            if (entry.div > 1) index = index / i64(entry.div);
                            if (entry.mod > 0) index = index % i64(entry.mod);
                            indices.push_back(index);
                        }
                        return read_stage(func, std::move(indices), n->component());
                    });
                });
        s.func = func;
        s.dims = dims;
        if (spec.loops) spec.loops = divided_loops(*spec.loops, old, parts);
        spec.store.layout.reset();
    }

    static Expr layout_position(const std::string& name, const Stage& s, const Dim& d,
                                const std::vector<std::pair<LayoutEntry, Dim>>& parts) {
        if (parts.size() == 1 && parts[0].first.div == 1 && parts[0].first.mod == 0) return make_dim(d);
        if (parts.size() == 2)
            for (const auto& [block, place] : {std::pair{parts[0], parts[1]}, std::pair{parts[1], parts[0]}})
                if (block.first.mod == 0 && block.first.div > 1 && place.first.div == 1 && place.first.mod == block.first.div)
                    return make_dim(block.second) * i64(block.first.div) + make_dim(place.second);
        throw Error(E0508_storage, s.where, fmt::format("the layout of {} does not cover dim {} exactly once", name, d.name()),
                    {expected(fmt::format("\"{0}\", or \"{0}/16\" and \"{0}%16\"", d.name()))});
    }

    // Loops over n of [n/16, n%16]: tiles of at least 16 run over n/16, smaller ones over n%16.
    static std::vector<LoopSpec> divided_loops(const std::vector<LoopSpec>& loops, const std::vector<Dim>& old,
                                               const std::vector<std::vector<std::pair<LayoutEntry, Dim>>>& parts) {
        std::vector<LoopSpec> out;
        std::set<std::string> crossed;
        for (const LoopSpec& loop : loops) {
            std::int64_t block = 0;
            for (size_t i = 0; i < old.size(); ++i)
                if (old[i].name() == loop.dim && parts[i].size() == 2)
                    block = std::max({parts[i][0].first.div, parts[i][1].first.div});
            if (block == 0) {
                out.push_back(loop);
                continue;
            }
            const std::string outer = fmt::format("{}/{}", loop.dim, block), inner = fmt::format("{}%{}", loop.dim, block);
            const std::int64_t tile = loop.tile.value_or(1);
            LoopSpec made = loop;
            if (tile >= block) {
                if (tile % block != 0)
                    throw Error(
                        E0503_tile, {},
                        fmt::format("a loop over {} has tile {}, which cuts the layout's blocks of {}", loop.dim, tile, block),
                        {fix(fmt::format("use a multiple of {}", block))});
                made.dim = outer;
                made.tile = tile == block ? std::optional<std::int64_t>() : tile / block;
                if (tile == block) crossed.insert(loop.dim);
                out.push_back(made);
                continue;
            }
            if (crossed.insert(loop.dim).second) {
                LoopSpec blocks;
                blocks.dim = outer;
                blocks.as = loop.as == LoopKind::vector ? LoopKind::serial : loop.as;
                out.push_back(blocks);
            }
            made.dim = inner;
            out.push_back(made);
        }
        return out;
    }

    StageGraph& graph_;
    Schedule& schedule_;
    std::set<const void*> ended_;  // steps of lanes: the condition that ends the lanes ends them too
};

}  // namespace

void apply_derived_stages(StageGraph& graph, Schedule& schedule) { Deriver(graph, schedule).run(); }

}  // namespace tessera
