#include "schedule/bind_loops.h"

#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera {
namespace {

bool all_integers(const Stage& stage) {
    for (const DType t : stage.dtypes)
        if (is_float(t)) return false;
    return true;
}

// Whether the update combines to the same in any order.
bool may_reorder(const Stage& stage) {
    const Update& u = *stage.update;
    return !u.sequential && u.monoid && u.monoid->traits.associative && u.monoid->traits.commutative &&
           (stage.kind == Stage::Kind::scatter ? all_integers(stage) : u.order.kind == Order::Kind::any || all_integers(stage));
}

std::vector<std::string> names_of(const std::vector<Dim>& dims) {
    std::vector<std::string> out;
    for (const Dim& d : dims) out.push_back(d.name());
    return out;
}

// What the loop tiles of its dim are: a name for messages.
std::string spoken(const LoopSpec& spec) { return spec.name.empty() ? spec.dim : spec.name; }

// Several iterations write one cell: each kind has its own way out.
void check_reduction_kind(const Stage& stage, const LoopSpec& spec, const std::vector<Dim>& pure) {
    if (spec.as == LoopKind::block && stage.kind == Stage::Kind::scatter && may_reorder(stage)) return;
    if (spec.as == LoopKind::parallel || spec.as == LoopKind::vector || spec.as == LoopKind::block ||
        spec.as == LoopKind::cluster) {
        const std::int64_t width = spec.tile.value_or(8);
        throw Error(E0505_order, stage.where,
                    fmt::format("loop {} of {} is {} but reduces: its iterations write one cell", spoken(spec), stage.name,
                                word(spec.as)),
                    {fix(fmt::format("make a partial: \"partial_of\": \"{}\", \"keep\": [\"{}{}{}\"]", stage.name, spec.dim,
                                     spec.as == LoopKind::vector ? "%" : "/", width)),
                     fix(fmt::format("use {} over one of {}", word(spec.as), join_names(names_of(pure))))});
    }
    const bool threads = spec.as == LoopKind::thread || spec.as == LoopKind::warpgroup || spec.as == LoopKind::warp ||
                         spec.as == LoopKind::lane || spec.as == LoopKind::frag;
    if (!threads || (stage.kind == Stage::Kind::reduction && may_reorder(stage))) return;
    if (stage.kind == Stage::Kind::scan && (spec.as == LoopKind::thread || spec.as == LoopKind::lane)) return;  // check_scan()
    if (stage.kind == Stage::Kind::scatter && may_reorder(stage)) return;
    throw Error(E0505_order, stage.where,
                fmt::format("loop {} of {} is {} but combines in an order that is part of the algorithm", spoken(spec),
                            stage.name, word(spec.as)),
                {fix("run it serially and spread another dim over the threads"), fix("declare the reduction with order any")});
}

// Blocks outside, then warps, then lanes; or threads, which are both. Loops of one level with another kind between them would
// need a barrier inside the spread.
void check_kind_order(const Stage& stage, const std::vector<BoundLoop>& nest) {
    const auto level = [](LoopKind kind) {
        switch (kind) {
            case LoopKind::block: return 1;
            case LoopKind::cluster: return 2;
            case LoopKind::warpgroup:
            case LoopKind::warp: return 3;
            case LoopKind::thread: return 4;
            case LoopKind::lane: return 5;
            case LoopKind::frag: return 6;
            default: return 0;
        }
    };
    const BoundLoop* outer = nullptr;
    for (const BoundLoop& loop : nest) {
        const int here = level(loop.kind), before = outer ? level(outer->kind) : 0;
        if (here == 0) continue;
        if (here < before || (here == 5 && before == 4) || (here == 4 && before == 3) ||
            (here == 6 && (before == 4 || before == 5)))
            throw Error(
                E0506_loop_kind, stage.where,
                fmt::format("{} loop {} of {} stands inside {} loop {}", word(loop.kind), loop.name, stage.name,
                            word(outer->kind), outer->name),
                {expected(
                     "block outside of cluster outside of warp outside of lane, or block outside of cluster outside of thread"),
                 fix(fmt::format("move {} outside {}, or make it serial", loop.name, outer->name))});
        outer = &loop;
    }
}

void check_tail(const Stage& stage, const BoundLoop& loop, NestKind kind) {
    const auto refuse = [&](std::string_view reason, std::string_view instead) {
        throw Error(
            E0507_tail, stage.where, fmt::format("loop {} of {} has tail {}: {}", loop.name, stage.name, word(loop.tail), reason),
            {note(fmt::format("the loop tiles dim {} by {}", loop.dim.name(), loop.tile)), fix(fmt::format("use {}", instead))});
    };
    if (loop.tail == Tail::shift_inwards && kind == NestKind::in_place)
        refuse("cells would be replaced twice in the memory that it shares", "guard");
    if (loop.tail == Tail::shift_inwards && kind == NestKind::update)
        refuse("a reduction would combine some values twice", loop.reduction ? "guard" : "round_up or guard");
    if (loop.tail == Tail::round_up && loop.reduction) refuse("a reduction would read past its range", "guard");
    const bool divides = loop.dim.state().multiple_of % loop.tile == 0 ||
                         (loop.dim.extent().constant() && *loop.dim.extent().constant() % loop.tile == 0);
    if (loop.tail == Tail::round_up && stage.output && !divides)
        refuse("the caller's buffer ends at the extent",
               fmt::format("guard or shift_inwards, or promise Dim {}.multiple_of({})", loop.dim.name(), loop.tile));
    if ((loop.tail == Tail::round_up || loop.tail == Tail::pad) && kind == NestKind::in_place && !divides)
        refuse("the memory that it shares ends at the extent", "guard");
    if (loop.tail == Tail::pad && stage.kind != Stage::Kind::copy) refuse("only copies are padded", "guard");
}

}  // namespace

std::vector<BoundLoop> bind_loops(const Stage& stage, const std::vector<LoopSpec>& specs, const std::vector<Dim>& pure,
                                  const std::vector<Dim>& reduction, NestKind kind, Target::Kind target) {
    std::vector<Dim> all = pure;
    all.insert(all.end(), reduction.begin(), reduction.end());
    const auto find_dim = [&](const std::string& name) -> const Dim* {
        for (const Dim& d : all)
            if (d.name() == name) return &d;
        return nullptr;
    };
    std::vector<BoundLoop> nest;
    std::map<const void*, int> count;
    for (const Dim& d : all) {
        bool listed = false;
        for (const LoopSpec& spec : specs) listed = listed || spec.dim == d.name();
        if (!listed) nest.push_back({.name = d.name(), .dim = d, .reduction = contains_dim(reduction, d)});
    }
    for (const LoopSpec& spec : specs) {
        const Dim* d = find_dim(spec.dim);
        if (!d)
            throw Error(E0502_unknown_loop, stage.where,
                        fmt::format("{} has a loop over {}, which is none of its dims", stage.name, spec.dim),
                        {fix_spelling(spec.dim, names_of(all)), note("its dims are " + join_names(names_of(all)))});
        ++count[d->id()];
        const bool reduces = contains_dim(reduction, *d);
        if (reduces) check_reduction_kind(stage, spec, pure);
        nest.push_back({.name = spec.name,
                        .dim = *d,
                        .tile = spec.tile.value_or(1),
                        .parts = spec.parts,
                        .kind = spec.as,
                        .tail = spec.tail.value_or(reduces || kind == NestKind::in_place ||
                                                           (target == Target::Kind::cuda && kind != NestKind::update)
                                                       ? Tail::guard
                                                   : kind == NestKind::update ? Tail::round_up
                                                                              : Tail::shift_inwards),
                        .partition = spec.partition,
                        .prefetch = spec.prefetch,
                        .reduction = reduces});
        BoundLoop& made = nest.back();
        if (!spec.tail && stage.kind == Stage::Kind::copy && made.tail == Tail::shift_inwards) made.tail = Tail::guard;
        if (made.tile < 1)
            throw Error(E0503_tile, stage.where,
                        fmt::format("loop {} of {} tiles {} by {}", spec.name.empty() ? spec.dim : spec.name, stage.name,
                                    spec.dim, made.tile),
                        {expected("a tile >= 1"), fix("use 1, or remove the tile")});
    }
    // Names, and tiles that strictly decrease per dim; one warp or warpgroup may run all of a tile.
    std::map<const void*, std::int64_t> innermost;
    std::map<const void*, size_t> at;
    std::set<std::string> names;
    for (size_t i = 0; i < nest.size(); ++i) {
        BoundLoop& loop = nest[i];
        if (loop.name.empty())
            loop.name = count[loop.dim.id()] == 1 ? loop.dim.name() : fmt::format("{}.{}", loop.dim.name(), loop.tile);
        if (!names.insert(loop.name).second)
            throw Error(E0502_unknown_loop, stage.where, fmt::format("{} has two loops named {}", stage.name, loop.name),
                        {fix("give each loop a name of its own")});
        const auto outer = innermost.find(loop.dim.id());
        if (outer != innermost.end() && loop.parts)
            throw Error(
                E0503_tile, stage.where,
                fmt::format("loop {} of {} has parts but is not the first loop over {}", loop.name, stage.name, loop.dim.name()),
                {fix("give it a tile")});
        const bool alone = loop.kind == LoopKind::warp || loop.kind == LoopKind::warpgroup;
        if (outer != innermost.end() && (alone && loop.tile > 1 ? loop.tile > outer->second : loop.tile >= outer->second))
            throw Error(
                E0503_tile, stage.where,
                fmt::format("loop {} of {} tiles {} by {} inside a tile of {}", loop.name, stage.name, loop.dim.name(), loop.tile,
                            outer->second),
                {expected(outer->second > 1 ? fmt::format("a tile below {}", outer->second) : "no further loop over this dim"),
                 fix("remove the loop, or give the outer one a larger tile")});
        innermost[loop.dim.id()] = loop.parts ? std::numeric_limits<std::int64_t>::max() : loop.tile;
        at[loop.dim.id()] = i;
    }
    for (const auto& [dim, tile] : innermost)
        if (tile > 1) {
            const BoundLoop& loop = nest[at[dim]];
            throw Error(E0503_tile, stage.where,
                        fmt::format("the loops of {} over {} end with a tile of {}; nothing runs over its positions", stage.name,
                                    loop.dim.name(), tile),
                        {fix(fmt::format("add an inner loop {{\"dim\": \"{}\"}}", loop.dim.name()))});
        }
    for (const BoundLoop& loop : nest)
        if (loop.tile > 1 || loop.parts) check_tail(stage, loop, kind);
    if (target != Target::Kind::cpu) check_kind_order(stage, nest);
    return nest;
}

size_t find_loop(const std::string& stage, const std::vector<BoundLoop>& nest, const std::string& name, const std::string& who) {
    std::vector<std::string> names;
    std::optional<size_t> by_dim;
    int dims = 0;
    for (size_t i = 0; i < nest.size(); ++i) {
        if (nest[i].name == name) return i;
        names.push_back(nest[i].name);
        if (nest[i].dim.name() == name) {
            by_dim = i;
            ++dims;
        }
    }
    if (dims == 1) return *by_dim;
    if (dims > 1)
        throw Error(E0502_unknown_loop, {},
                    fmt::format("{} refers to loop {} of {}, but that dim has {} loops", who, name, stage, dims),
                    {fix("name one of its loops: " + join_names(names))});
    throw Error(E0502_unknown_loop, {}, fmt::format("{} refers to loop {} of {}, which does not exist", who, name, stage),
                {fix_spelling(name, names), note(fmt::format("the loops of {} are {}", stage, join_names(names)))});
}

void check_scan(const Stage& stage, const std::vector<BoundLoop>& nest, Method method) {
    const auto spread = [](const BoundLoop& l) { return l.kind == LoopKind::thread || l.kind == LoopKind::lane; };
    const auto dealt = std::find_if(nest.begin(), nest.end(), [&](const BoundLoop& l) { return l.reduction && spread(l); });
    if (stage.kind != Stage::Kind::scan || method != Method::blocked) {
        if (method == Method::blocked)
            throw Error(E0505_order, stage.where, fmt::format("{} has method blocked but is no scan", stage.name),
                        {fix("leave the method out")});
        if (stage.kind != Stage::Kind::scan || dealt == nest.end()) return;
        throw Error(E0505_order, stage.where,
                    fmt::format("loop {} of {} is {}, whose iterations need what those before them combined", dealt->name,
                                stage.name, word(dealt->kind)),
                    {fix("use method blocked"), fix("run it serially and spread another dim over the threads")});
    }
    if (dealt == nest.end())
        throw Error(
            E0506_loop_kind, stage.where,
            fmt::format("{} has method blocked but no thread or lane loop over {}", stage.name,
                        stage.update->reduction_dims[0].name()),
            {fix("leave the method out"), fix("deal the time out to threads, several steps to each: thread outside serial")});
    if (!stage.update->monoid->traits.associative)
        throw Error(E0505_order, stage.where,
                    fmt::format("{} is scanned by threads but its monoid {} may not be regrouped", stage.name,
                                stage.update->monoid->name),
                    {fix("leave the method out and run its time serially")});
    for (auto l = nest.begin(); l != nest.end(); ++l)
        if (!l->reduction && (l > dealt || spread(*l)))
            throw Error(
                E0506_loop_kind, stage.where,
                fmt::format("loop {} of {} stands {} {} loop {}, over which its threads scan together", l->name, stage.name,
                            l > dealt ? "inside" : "beside", word(dealt->kind), dealt->name),
                {fix(l->kind == LoopKind::thread ? fmt::format("make {} a warp loop and {} a lane loop", l->name, dealt->name)
                                                 : fmt::format("move {} outside, as a serial, block or warp loop", l->name))});
}

void check_order(const Stage& stage, const std::vector<BoundLoop>& nest) {
    if (may_reorder(stage)) return;
    const Update& u = *stage.update;
    // In definition order: all loops of an earlier dim stand outside those of a later one.
    size_t reached = 0;
    std::string previous;
    for (const BoundLoop& loop : nest) {
        if (!loop.reduction) continue;
        size_t at = 0;
        while (u.reduction_dims[at].id() != loop.dim.id()) ++at;
        if (at < reached) {
            const std::string why = u.sequential ? "it carries values from step to step"
                                    : u.monoid && !(u.monoid->traits.associative && u.monoid->traits.commutative)
                                        ? fmt::format("its monoid {} may not be reordered", u.monoid->name)
                                        : "its order is part of the algorithm";
            throw Error(
                E0505_order, stage.where,
                fmt::format("loop {} of {} stands inside {}, which reorders the reduction: {}", loop.name, stage.name, previous,
                            why),
                {fix(fmt::format("move {} outside {}", loop.name, previous)), fix("declare the reduction with order any")});
        }
        reached = at;
        previous = loop.name;
    }
}

}  // namespace tessera
