#include "schedule/bound.h"

#include "base/closest_name.h"
#include "schedule/bind_loops.h"
#include "schedule/derived_stages.h"
#include "schedule/fuse_stages.h"
#include "schedule/held_reads.h"
#include "schedule/in_place.h"
#include "schedule/in_place_outputs.h"
#include "schedule/inline_stages.h"
#include "schedule/joined_reductions.h"
#include "schedule/joined_steps.h"
#include "schedule/routine_stages.h"
#include "schedule/target_support.h"
#include "schedule/tile_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

namespace tessera {
namespace {

class Binder {
public:
    Binder(const Algorithm& algorithm, Schedule schedule, Target::Kind target)
        : schedule_(std::move(schedule)), target_(target), bound_{make_stages(algorithm), {}, schedule_.kernels} {}

    BoundSchedule run() {
        verify(schedule_);
        require_support(schedule_, target_);
        check_names();
        check_routines();
        expand_tile_records(bound_.graph, schedule_);
        join_reductions(bound_.graph, schedule_, target_);
        apply_derived_stages(bound_.graph, schedule_);
        inline_definitions();
        join_steps(bound_.graph, schedule_);
        split_shared_reductions();
        drop_unread();
        sort_fused_together(graph(), schedule_);
        bound_.stages.resize(graph().stages.size());
        find_users();
        for (size_t i = graph().stages.size(); i-- > 0;) bind_stage(i);
        fuse_stages();
        for (size_t i = 0; i < graph().stages.size(); ++i)
            if (const auto& consumer = bound_.stages[i].storage.in)
                bound_.stages[i].stored_in = bind_in_place(bound_, i, *consumer);
        for (size_t i = 0; i < graph().stages.size(); ++i) check_placement(i);
        check_in_place_outputs(bound_);
        hold_reads_inside(bound_);
        return std::move(bound_);
    }

private:
    StageGraph& graph() { return bound_.graph; }
    const StageSpec* spec_of(const std::string& stage) const {
        const auto found = schedule_.stages.find(stage);
        return found == schedule_.stages.end() ? nullptr : &found->second;
    }

    void check_names() {
        for (const auto& [name, spec] : schedule_.stages) {
            if (spec.is_derived()) continue;
            if (!graph().find(name))
                throw Error(E0501_unknown_stage, {}, fmt::format("the schedule names stage {}, which does not exist", name),
                            {fix_spelling(name, graph().names()), note("the stages are " + join_names(graph().names()))});
        }
    }

    void check_routines() {
        for (size_t i = 0; i < graph().stages.size(); ++i) {
            const Stage& s = graph().stages[i];
            const bool routine = s.kind == Stage::Kind::routine;
            if (routine && target_ == Target::Kind::cuda)
                throw Limit(L0901_not_on_target, s.where,
                            fmt::format("{} is computed by routine {}, which runs on the CPU", s.name, s.symbol),
                            {fix("use its meaning"), fix("compile for host")});
            const StageSpec* spec = spec_of(s.name);
            if (!spec || !stands_at_root(graph(), i)) continue;
            const std::string what = routine ? fmt::format("{} is computed by routine {}", s.name, s.symbol)
                                             : fmt::format("{} is given to a routine", s.name);
            if (spec->compute && spec->compute->kind != Compute::Kind::root)
                throw Error(E0504_placement, s.where, what + " and is placed elsewhere than at root",
                            {fix("compute it at root")});
            if (routine && spec->loops && !spec->loops->empty())
                throw Error(E0502_unknown_loop, s.where, what + " and has no loops", {fix("remove \"loops\"")});
            if (spec->store.layout)
                throw Error(E0508_storage, s.where, what + " and is stored in a layout of its own", {fix("remove \"layout\"")});
        }
    }

    bool is_inline(const Stage& s) const {
        if (stands_at_root(bound_.graph, *bound_.graph.find(s.func.get()))) return false;
        const StageSpec* spec = spec_of(s.name);
        return !spec || !spec->compute || spec->compute->kind == Compute::Kind::inline_;
    }

    void inline_definitions() {
        for (size_t i = 0; i < graph().stages.size();) {
            const Stage& s = graph().stages[i];
            const bool definition = !s.update;
            if (!definition || s.output || !is_inline(s)) {
                ++i;
                continue;
            }
            inline_stage(graph(), i);
        }
        sort_producers_first(graph());
    }

    // An inline reduction is computed where it is used: one instance per user.
    void split_shared_reductions() {
        for (size_t i = 0; i < graph().stages.size(); ++i) {
            const Stage s = graph().stages[i];
            if (!s.update || !is_inline(s)) continue;
            std::vector<std::string> users;
            for (const Stage& u : graph().stages)
                if (reads(u, s.func.get())) users.push_back(u.name);
            for (size_t k = 1; k < users.size(); ++k) {
                Schedule one;
                one.clone(fmt::format("{}@{}", s.name, users[k]), s.name, {users[k]});
                apply_derived_stages(graph(), one);
            }
        }
    }

    // Where clones took all the uses of a stage, nothing is left for it to compute.
    void drop_unread() {
        std::set<const FuncState*> unread;
        do {
            unread.clear();
            for (const Stage& s : graph().stages)
                if (!s.output && s.kind != Stage::Kind::routine &&
                    std::none_of(graph().stages.begin(), graph().stages.end(),
                                 [&](const Stage& u) { return u.func != s.func && reads(u, s.func.get()); }))
                    unread.insert(s.func.get());
            std::erase_if(graph().stages, [&](const Stage& s) { return unread.count(s.func.get()) != 0; });
        } while (!unread.empty());
    }

    void find_users() {
        std::map<const FuncState*, size_t> index;
        for (size_t i = 0; i < graph().stages.size(); ++i) index[graph().stages[i].func.get()] = i;
        for (size_t i = 0; i < graph().stages.size(); ++i)
            for_each_node(exprs_of(graph().stages[i]), [&](const Expr& n) {
                if (n->op != Op::access || !n->target().func) return;
                const size_t producer = index.at(n->target().func.get());
                auto& users = bound_.stages[producer].users;
                if (producer != i && std::find(users.begin(), users.end(), i) == users.end()) users.push_back(i);
            });
        for (BoundStage& b : bound_.stages) std::sort(b.users.begin(), b.users.end());
    }

    void bind_stage(size_t i) {
        const Stage& s = graph().stages[i];
        BoundStage& b = bound_.stages[i];
        const StageSpec* spec = spec_of(s.name);
        if (s.kind == Stage::Kind::routine) {
            if (spec) b.storage = spec->store;
            return;
        }
        const std::vector<LoopSpec> loops = spec && spec->loops ? *spec->loops : std::vector<LoopSpec>{};
        const NestKind kind = shares_memory(schedule_, s.name) || replaces_input(graph(), s) ? NestKind::in_place
                              : s.update                                                     ? NestKind::update
                                                                                             : NestKind::definition;
        if (s.update) {
            std::vector<Dim> pure = update_pure_dims(s);
            b.update = bind_loops(s, loops, pure, s.update->reduction_dims, kind, target_);
            put_steps_outside(s, b.update);
            check_order(s, b.update);
            check_scan(s, b.update, spec && spec->method ? *spec->method : Method::serial);
            b.pure = bind_loops(s, spec && spec->init ? *spec->init : init_loops(s, loops, pure), s.dims, {}, kind, target_);
        } else {
            if (spec && spec->init)
                throw Error(E0602_schema, s.where, fmt::format("{} has init loops but is no reduction", s.name),
                            {fix("remove \"init\"")});
            b.pure = bind_loops(s, loops, s.dims, {}, kind, target_);
        }
        check_constant_loops(s, bound_.main_nest(i), spec && spec->compute && spec->compute->kind == Compute::Kind::at);
        if (spec) b.storage = spec->store, b.method = spec->method;
        if (spec && spec->mma) b.mma = spec->mma->atom, b.in_flight = spec->mma->in_flight;
        if (spec && spec->engine) b.engine = *spec->engine;
        place(i, spec);
    }

    // A recurrence that reads its neighbours computes a whole step before the next: its loops over time go outside those over
    // such dims.
    static void put_steps_outside(const Stage& s, std::vector<BoundLoop>& nest) {
        if (!s.update->sequential) return;
        const std::vector<Dim> carried = carried_dims(s);
        std::stable_partition(nest.begin(), nest.end(), [&](const BoundLoop& loop) { return !contains_dim(carried, loop.dim); });
    }

    // The pure loops of the update; a reduction over pure dims starts its cells in the same order.
    static std::vector<LoopSpec> init_loops(const Stage& s, const std::vector<LoopSpec>& loops, const std::vector<Dim>& pure) {
        std::vector<LoopSpec> out;
        for (const LoopSpec& loop : loops)
            for (const Dim& d : pure)
                if (d.name() == loop.dim) {
                    out.push_back(loop);
                    if (s.kind != Stage::Kind::reduction) out.back().name.clear();
                }
        return out;
    }

    static void check_constant_loops(const Stage& s, const std::vector<BoundLoop>& nest, bool inside) {
        std::map<const void*, bool> seen;
        bool in_vector = false;
        for (const BoundLoop& loop : nest) {
            const bool first = !seen[loop.dim.id()];
            seen[loop.dim.id()] = true;
            const bool constant = loop.kind == LoopKind::unroll || loop.kind == LoopKind::vector;
            if (constant && first && !inside && !loop.dim.extent().constant())
                throw Error(
                    E0506_loop_kind, s.where,
                    fmt::format("loop {} of {} is a {} loop over the whole dim {}, whose extent is known at run time only",
                                loop.name, s.name, word(loop.kind), loop.dim.name()),
                    {fix(fmt::format("tile it: {{\"dim\": \"{0}\", \"tile\": 8}}, {{\"dim\": \"{0}\", \"as\": \"{1}\"}}",
                                     loop.dim.name(), word(loop.kind))),
                     fix(fmt::format("make the extent static: Dim {0}(\"{0}\", 64)", loop.dim.name()))});
            if (in_vector && loop.kind == LoopKind::parallel)
                throw Error(E0506_loop_kind, s.where,
                            fmt::format("parallel loop {} of {} stands inside a vector loop", loop.name, s.name),
                            {fix("move the parallel loop outside")});
            in_vector = in_vector || loop.kind == LoopKind::vector;
        }
    }

    void fuse_stages() {
        for (size_t i = 0; i < graph().stages.size(); ++i) {
            const StageSpec* spec = spec_of(graph().stages[i].name);
            if (!spec || !spec->fuse_with) continue;
            if (spec->fuse_with->online)
                bound_.stages[i].online = bind_online_loop(bound_, i, *spec->fuse_with);
            else
                bound_.stages[i].fused = bind_fused_loops(bound_, i, *spec->fuse_with, target_);
        }
        check_shared_places(bound_);
    }

    // ---- placement

    LoopPosition resolve(const LoopRef& ref, const Stage& who, std::string_view field) {
        const auto at = graph().find(ref.stage);
        const std::string text = fmt::format("{} of {}", field, who.name);
        if (!at) {
            if (schedule_.stages.count(ref.stage) || make_stages(graph().algorithm).find(ref.stage))
                throw Error(E0504_placement, who.where,
                            fmt::format("{} is {}, which is inline and has no loops", text, ref.stage),
                            {fix(fmt::format("give {} a placement of its own", ref.stage)),
                             fix(fmt::format("place {} at a loop of a stage that is computed", who.name))});
            throw Error(E0501_unknown_stage, who.where, fmt::format("{} names stage {}, which does not exist", text, ref.stage),
                        {fix_spelling(ref.stage, graph().names())});
        }
        if (*at == *graph().find(who.func.get()))
            throw Error(E0504_placement, who.where, fmt::format("{} is a loop of {} itself", text, who.name),
                        {fix("name a loop of a stage that reads it")});
        if (*at < *graph().find(who.func.get()))
            throw Error(E0504_placement, who.where,
                        fmt::format("{} is a loop of {}, which comes before {} and does not read it", text, ref.stage, who.name),
                        {fix(fmt::format("name a loop of a stage that reads {}", who.name))});
        return {*at, find_loop(ref.stage, bound_.main_nest(*at), ref.loop, text)};
    }

    void place(size_t i, const StageSpec* spec) {
        const Stage& s = graph().stages[i];
        BoundStage& b = bound_.stages[i];
        const bool inlined = is_inline(s);
        if (inlined && !s.output && b.users.size() == 1) b.compute_at = innermost(b.users[0], i);
        if (!inlined && spec && spec->compute && spec->compute->kind == Compute::Kind::at)
            b.compute_at = resolve(spec->compute->at, s, "compute");
        if (b.compute_at && s.output)
            throw Error(
                E0504_placement, s.where,
                fmt::format("{} is an output and is computed at a loop of {}", s.name, graph().stages[b.compute_at->stage].name),
                {fix("compute outputs at root")});
        if (b.compute_at) {
            const BoundLoop& loop = bound_.main_nest(b.compute_at->stage)[b.compute_at->loop];
            if (loop.kind == LoopKind::vector)
                throw Error(E0504_placement, s.where,
                            fmt::format("{} is computed at the vector loop {} of {}", s.name, loop.name,
                                        graph().stages[b.compute_at->stage].name),
                            {fix("use the loop outside it")});
        }
        if (spec && spec->store.at && spec->store.at->stage == "root")
            b.store_root = b.compute_at.has_value();
        else if (spec && spec->store.at)
            b.store_at = resolve(*spec->store.at, s, "store.at");
        if (spec && spec->store.alloc) b.alloc_at = resolve(*spec->store.alloc, s, "store.alloc");
        for (const auto& level : {b.store_at, b.alloc_at})
            if (level && (!b.compute_at || !encloses(*level, *b.compute_at)))
                throw Error(E0508_storage, s.where,
                            fmt::format("{} is stored at a loop that does not enclose where it is computed", s.name),
                            {fix("store it at the same loop or one further out")});
        for (const auto& [dim, factor] : b.storage.fold) check_storage_dim(s, dim, factor, "fold");
        for (const auto& [dim, factor] : b.storage.align) check_storage_dim(s, dim, factor, "align");
    }

    static void check_storage_dim(const Stage& s, const std::string& dim, std::int64_t factor, std::string_view field) {
        std::vector<std::string> names;
        for (const Dim& d : s.dims) names.push_back(d.name());
        if (std::find(names.begin(), names.end(), dim) == names.end())
            throw Error(E0508_storage, s.where,
                        fmt::format("store.{} of {} names {}, which is none of its dims", field, s.name, dim),
                        {fix_spelling(dim, names)});
        if (factor < 1)
            throw Error(E0508_storage, s.where, fmt::format("store.{} of {} along {} is {}", field, s.name, dim, factor),
                        {expected("at least 1")});
        if (s.output)
            throw Error(E0508_storage, s.where,
                        fmt::format("store.{} of {}: outputs are stored as the caller says", field, s.name), {fix("remove it")});
    }

    // Just outside the vector loops of the user; where the user itself is computed when it has no such loop.
    std::optional<LoopPosition> innermost(size_t user, size_t producer) {
        const Stage& u = graph().stages[user];
        if (u.update) {
            bool in_init = false;
            for_each_node(u.values, [&](const Expr& n) {
                in_init = in_init || (n->op == Op::access && n->target().func == graph().stages[producer].func);
            });
            if (in_init) return bound_.stages[user].compute_at;
        }
        const auto& nest = bound_.main_nest(user);
        size_t loops = 0;
        while (loops < nest.size() && nest[loops].kind != LoopKind::vector) ++loops;
        if (loops == 0) return bound_.stages[user].compute_at;
        return LoopPosition{user, loops - 1};
    }

    // Whether the body of `outer` contains the place `inner` (a loop position), following placements outwards.
    bool encloses(const LoopPosition& outer, LoopPosition inner) const {
        while (true) {
            if (bound_.runs_in(inner.stage, outer)) return inner.loop >= outer.loop;
            const auto& next = bound_.stages[inner.stage].compute_at;
            if (!next) return false;
            inner = *next;
        }
    }

    void check_placement(size_t i) {
        const BoundStage& b = bound_.stages[i];
        if (!b.compute_at) return;
        const Stage& s = graph().stages[i];
        const std::string loop = fmt::format("{}.{}", graph().stages[b.compute_at->stage].name,
                                             bound_.main_nest(b.compute_at->stage)[b.compute_at->loop].name);
        if (b.users.empty())
            throw Error(E0504_placement, s.where, fmt::format("{} is computed at {} but nothing reads it", s.name, loop),
                        {fix("remove it from the schedule")});
        for (const size_t user : b.users) {
            const Stage& u = graph().stages[user];
            bool inside = false;
            if (bound_.runs_in(user, *b.compute_at)) {
                inside = true;
                if (u.update) {
                    bool in_init = false;
                    for_each_node(u.values, [&](const Expr& n) {
                        in_init = in_init || (n->op == Op::access && n->target().func == s.func);
                    });
                    inside = !in_init;
                }
            } else if (bound_.stages[user].compute_at)
                inside = encloses(*b.compute_at, *bound_.stages[user].compute_at);
            if (!inside)
                throw Error(E0504_placement, s.where,
                            fmt::format("{} is computed at {}, but {} reads it elsewhere", s.name, loop, u.name),
                            {note(u.where, fmt::format("{} is defined here", u.name)),
                             fix(fmt::format("compute {} at root, or at a loop that contains all of {}", s.name, users_text(b))),
                             fix(fmt::format("give {} its own instance: clone_of {}", u.name, s.name))});
        }
    }

    std::string users_text(const BoundStage& b) {
        std::vector<std::string> names;
        for (const size_t u : b.users) names.push_back(graph().stages[u].name);
        return join_names(names);
    }

    Schedule schedule_;
    Target::Kind target_;
    BoundSchedule bound_;
};

}  // namespace

BoundSchedule bind(const Algorithm& algorithm, const Schedule& schedule, const Target& target) {
    return Binder(algorithm, schedule, target.kind).run();
}

}  // namespace tessera
