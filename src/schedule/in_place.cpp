#include "schedule/in_place.h"

#include "base/closest_name.h"
#include "schedule/derived_stages.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

// Each read is of the cell that the consumer writes.
bool reads_own_cell_only(const Stage& consumer, const Stage& stage) {
    bool good = consumer.dims.size() == stage.dims.size();
    for_each_node(consumer.values, [&](const Expr& n) {
        if (n->op != Op::access || n->target().func != stage.func) return;
        good = good && n->target().boundary == Boundary::none;
        for (size_t d = 0; good && d < n->index_count(); ++d)
            good = n->args[d]->op == Op::dim && n->args[d]->dim().id() == consumer.dims[d].id();
    });
    return good;
}

bool is_plain(const StoreSpec& storage) {
    return !storage.at && !storage.alloc && !storage.space && !storage.layout && storage.align.empty() && storage.fold.empty();
}

}  // namespace

bool shares_memory(const Schedule& schedule, const std::string& stage) {
    return std::any_of(schedule.stages.begin(), schedule.stages.end(), [&](const auto& entry) {
        return entry.second.store.in && (entry.first == stage || *entry.second.store.in == stage);
    });
}

size_t bind_in_place(const BoundSchedule& bound, size_t at, const std::string& consumer) {
    const StageGraph& graph = bound.graph;
    const Stage& s = graph.stages[at];
    const auto to = graph.find(consumer);
    if (!to)
        throw Error(E0501_unknown_stage, s.where,
                    fmt::format("store.in of {} names stage {}, which is not computed", s.name, consumer),
                    {fix_spelling(consumer, graph.names())});
    const Stage& c = graph.stages[*to];
    const auto refuse = [&](const std::string& reason, const std::string& repair) {
        throw Error(E0508_storage, s.where, fmt::format("{} is stored in {}, but {}", s.name, consumer, reason),
                    {note(c.where, fmt::format("{} is defined here", consumer)), fix(repair), fix("remove store.in")});
    };
    const BoundStage &mine = bound.stages[at], &theirs = bound.stages[*to];
    if (mine.users != std::vector<size_t>{*to}) {
        for (const size_t user : mine.users)
            if (user != *to)
                refuse(fmt::format("{} reads it too", graph.stages[user].name),
                       fmt::format("give {} a copy of its own: clone_of {}", graph.stages[user].name, s.name));
        refuse(fmt::format("{} does not read it", consumer), "name the stage that reads it");
    }
    if (s.output) refuse(fmt::format("{} is an output with memory of its own", s.name), "write a copy of it");
    if (c.update) refuse(fmt::format("{} combines values of it", consumer), "name a definition that reads each cell once");
    if (!reads_own_cell_only(c, s))
        refuse(fmt::format("{} reads it elsewhere than where it writes", consumer),
               fmt::format("read {} at the dims of {}", s.name, consumer));
    if (s.dtypes != c.dtypes)
        refuse(fmt::format("one holds {} and the other {}", dtype_name(s.dtypes[0]), dtype_name(c.dtypes[0])),
               "store values of one dtype");
    // What a scatter drops depends on its extents, so only the whole of them will do.
    const bool whole_scatter = s.kind == Stage::Kind::scatter && c.output;
    if (s.kind != Stage::Kind::definition && s.kind != Stage::Kind::copy && s.kind != Stage::Kind::reduction && !whole_scatter)
        throw Limit(L0903_schedule, s.where,
                    fmt::format("{} is stored in {}, but is computed further than {} reads it", s.name, consumer, consumer),
                    {fix("store definitions, reductions, and scatters that are outputs"), fix("remove store.in")});
    if (s.dtypes.size() > 1)
        throw Limit(L0903_schedule, s.where,
                    fmt::format("{} is stored in {}, but has {} components", s.name, consumer, s.dtypes.size()),
                    {fix("remove store.in")});
    if (mine.compute_at != theirs.compute_at)
        throw Error(E0504_placement, s.where,
                    fmt::format("{} is stored in {}, but is not computed at the same loop", s.name, consumer),
                    {fix(theirs.compute_at ? fmt::format("compute {} where {} is computed", s.name, consumer)
                                           : fmt::format("compute {} at root", s.name))});
    if (!is_plain(mine.storage)) refuse("its storage is given as well", fmt::format("give the storage of {} only", consumer));
    if (theirs.store_at || theirs.store_root)
        refuse(fmt::format("{} keeps what earlier iterations replaced", consumer),
               fmt::format("store {} where it is computed", consumer));
    if (mine.storage.in && theirs.storage.in)
        refuse(fmt::format("{} is stored in {} itself", consumer, *theirs.storage.in), "share memory between two stages only");
    for (size_t i = 0; i < bound.stages.size(); ++i)
        if (i != at && bound.stages[i].storage.in == consumer)
            refuse(fmt::format("so is {}", graph.stages[i].name), "let one stage live there");
    for (size_t i = 0; i < bound.stages.size(); ++i)
        if (const auto& fused = bound.stages[i].fused)
            for (const size_t each : {i, fused->leader})
                if (each == at || each == *to)
                    throw Limit(L0903_schedule, s.where,
                                fmt::format("{} is stored in {}, and {} shares loops with other stages", s.name, consumer,
                                            graph.stages[each].name),
                                {fix("remove store.in"), fix("remove fuse_with")});
    return *to;
}

bool only_renames_resident(const BoundSchedule& bound, size_t stage) {
    const auto resident = bound.resident_of(stage);
    if (!resident) return false;
    const Expr& value = bound.graph.stages[stage].values[0];
    return value->op == Op::access && value->target().func == bound.graph.stages[*resident].func;
}

}  // namespace tessera
