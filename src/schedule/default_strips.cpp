#include "schedule/default_strips.h"

#include "schedule/default_updates.h"
#include "schedule/derived_stages.h"
#include "schedule/in_place_outputs.h"
#include "schedule/joined_reductions.h"
#include "schedule/row_window.h"

#include <algorithm>
#include <optional>
#include <set>

namespace tessera {
namespace {

constexpr double enough_strips = 16;        // that keep all threads busy to the end
constexpr double least_strip_columns = 16;  // that are worth strips
constexpr std::int64_t strip_vectors = 8;   // of outputs: a few lines of memory a step

// A recurrence in plain steps, each of which reads its own place of the steps before and no other; its time.
std::optional<Dim> plain_time_of(const Stage& s) {
    if (s.kind != Stage::Kind::recurrence || s.update->reduction_dims.size() != 1 || s.update->condition.defined() ||
        s.dims.size() < 2 || estimated_extent(s.dims.back()) < least_strip_columns || !carried_dims(s).empty())
        return {};
    const Dim& t = s.update->reduction_dims[0];
    if (!contains_dim(s.dims, t) || s.dims.back().id() == t.id()) return {};
    return t;
}

// The dim of the reader for each of the producer's; nothing for time, and no map at all where an index is more than a dim.
std::optional<std::vector<std::optional<Dim>>> dims_read(const Stage& producer, const Expr& access) {
    if (access->target().boundary != Boundary::none) return {};
    const Dim t = *plain_time_of(producer);
    std::vector<std::optional<Dim>> out;
    std::set<const void*> seen;
    for (size_t d = 0; d < producer.dims.size(); ++d) {
        const Expr& index = access->args[d];
        if (producer.dims[d].id() == t.id()) {
            out.emplace_back();
            continue;
        }
        if (index->op != Op::dim || !seen.insert(index->dim().id()).second) return {};
        out.emplace_back(index->dim());
    }
    return out;
}

bool reads_own_points(const Stage& producer, const std::vector<Read>& reads, const Stage& user) {
    const Dim t = *plain_time_of(producer);
    for (const Read& r : reads) {
        const auto dims = dims_read(producer, r.access);
        if (!dims) return false;
        for (size_t d = 0; d < dims->size(); ++d) {
            if ((*dims)[d] && !contains_dim(user.dims, *(*dims)[d])) return false;
            // All of what a definition writes for a strip is of the strip.
            const Expr& index = r.access->args[d];
            if (producer.dims[d].id() == t.id() && !user.update &&
                (index->op != Op::dim || !contains_dim(user.dims, index->dim())))
                return false;
        }
    }
    return true;
}

// Whether a recurrence that others read has their dims beside time, its vectors along theirs.
bool follows(const Stage& producer, const std::vector<Read>& reads, const Stage& user) {
    const auto own = plain_time_of(producer), theirs = plain_time_of(user);
    if (!own || !theirs || producer.dims.size() != user.dims.size() || !reads_own_points(producer, reads, user)) return false;
    return std::all_of(reads.begin(), reads.end(), [&](const Read& r) {
        const auto dims = *dims_read(producer, r.access);
        const bool along = dims.back()->id() == user.dims.back().id();
        return along && std::none_of(dims.begin(), dims.end(), [&](const auto& d) { return d && d->id() == theirs->id(); });
    });
}

// The reads of `producer` by one stage, and by no other.
bool reads_alone(const std::vector<Read>& reads, const std::set<size_t>& users) {
    return !reads.empty() && std::all_of(reads.begin(), reads.end(), [&](const Read& r) { return users.count(r.user) != 0; });
}

std::vector<Read> reads_by(const std::vector<Read>& reads, size_t user) {
    std::vector<Read> out;
    std::copy_if(reads.begin(), reads.end(), std::back_inserter(out), [&](const Read& r) { return r.user == user; });
    return out;
}

// The definition's dims along which a recurrence that it reads has its vectors and its time.
struct StripDims {
    Dim strip, time;
};
StripDims strip_dims(const Stage& recurrence, const Expr& access) {
    const Dim t = *plain_time_of(recurrence);
    size_t at = 0;
    while (recurrence.dims[at].id() != t.id()) ++at;
    return {access->args[recurrence.dims.size() - 1]->dim(), access->args[at]->dim()};
}

// `few`: all columns of a strip at once.
void member_loops(StageEdit& edit, const Stage& s, std::int64_t width, bool few) {
    const Dim t = *plain_time_of(s);
    std::vector<LoopSpec> first;
    for (const Dim& d : s.dims) {
        if (d.id() == s.dims.back().id()) continue;
        if (d.id() != t.id()) edit.serial(d.name());
        first.push_back({.dim = d.name()});
    }
    const std::string lanes = s.dims.back().name();
    first.push_back({.dim = lanes, .tile = width, .name = "columns"});
    first.push_back({.dim = lanes, .as = LoopKind::vector});
    edit.serial(t.name());
    if (few)
        edit.unroll(lanes, width, "columns");
    else
        edit.serial(lanes, 2 * width, "columns");
    edit.vector(lanes).init(first);
}

// The dim of `user` that is time where it reads the recurrence, all its steps at their own places: h(t - 1, x).
std::optional<Dim> time_read(const Stage& recurrence, const Read& read, const Stage& user) {
    const Dim t = *plain_time_of(recurrence);
    if (read.access->target().boundary != Boundary::none || user.dims.size() != recurrence.dims.size()) return {};
    std::optional<Dim> time;
    for (size_t d = 0; d < recurrence.dims.size(); ++d) {
        const Expr& index = read.access->args[d];
        if (recurrence.dims[d].id() == t.id()) {
            if (shift_from(index, user.dims[d])) time = user.dims[d];
        } else if (index->op != Op::dim || index->dim().id() != user.dims[d].id()) {
            return {};
        }
    }
    return time;
}

bool is_strip_output(const StageGraph& graph, size_t i) {
    const Stage& s = graph.stages[i];
    return s.output && s.kind == Stage::Kind::definition && s.dtypes.size() == 1 && !replaces_input(graph, s);
}

bool have_same_dims(const Stage& a, const Stage& b) {
    return std::equal(a.dims.begin(), a.dims.end(), b.dims.begin(), b.dims.end(),
                      [](const Dim& x, const Dim& y) { return x.id() == y.id(); });
}

// Bytes of a strip of `columns` columns over all steps.
double bytes_of_strip(const Stage& recurrence, std::int64_t columns) {
    double bytes = 0;
    for (const DType t : recurrence.dtypes) bytes += static_cast<double>(dtype_bytes(t));
    return bytes * static_cast<double>(columns) * estimated_extent(*plain_time_of(recurrence));
}

}  // namespace

std::vector<size_t> strip_members(const StageGraph& graph, size_t definition, const std::vector<std::vector<Read>>& reads) {
    const Stage& s = graph.stages[definition];
    std::vector<size_t> members;
    if (s.update || s.kind != Stage::Kind::definition) return members;
    for (size_t i = 0; i < graph.stages.size(); ++i)
        if (plain_time_of(graph.stages[i]) && reads_alone(reads[i], {definition}) &&
            s.dims.size() == graph.stages[i].dims.size() && reads_own_points(graph.stages[i], reads[i], s))
            members.push_back(i);
    if (members.size() != 1) return {};
    std::set<size_t> inside{members[0]};
    for (size_t m = 0; m < members.size(); ++m)
        for (size_t i = 0; i < graph.stages.size(); ++i) {
            if (inside.count(i) || !plain_time_of(graph.stages[i]) || !reads_alone(reads[i], inside)) continue;
            const bool along = std::all_of(inside.begin(), inside.end(), [&](size_t user) {
                const auto theirs = reads_by(reads[i], user);
                return theirs.empty() || follows(graph.stages[i], theirs, graph.stages[user]);
            });
            if (!along) continue;
            members.push_back(i);
            inside.insert(i);
        }
    if (members.size() < 2) return {};
    return members;
}

void schedule_strips(const StageGraph& graph, size_t definition, const std::vector<size_t>& members, std::int64_t width,
                     Schedule& out) {
    const Stage& s = graph.stages[definition];
    const auto [strip, time] = strip_dims(graph.stages[members[0]], reads_of(graph, members[0])[0].access);
    const Dim inner = s.dims.back();
    std::vector<Dim> others;
    for (const Dim& d : s.dims)
        if (d.id() != strip.id() && d.id() != time.id() && d.id() != inner.id()) others.push_back(d);
    StageEdit edit = out.stage(s.name);
    edit.root();
    // Outer dims are the tasks where there are too few strips.
    if (estimated_extent(strip) < enough_strips * static_cast<double>(2 * width))
        parallel_outside(edit, others);
    else
        for (const Dim& d : others) edit.serial(d.name());
    edit.parallel(strip.name(), 2 * width, "strip");
    if (time.id() != inner.id()) edit.serial(time.name());
    if (strip.id() != inner.id())
        edit.serial(inner.name(), width, "columns").unroll(strip.name()).vector(inner.name());
    else
        edit.unroll(strip.name(), width, "columns").vector(strip.name());
    for (const size_t m : members) {
        StageEdit member = out.stage(graph.stages[m].name);
        member.at(s.name, "strip");
        member_loops(member, graph.stages[m], width, true);
    }
}

OutputStrips output_strips(const StageGraph& graph, size_t leader, const std::vector<std::vector<Read>>& reads,
                           std::int64_t width, const CpuModel& model) {
    const Stage& s = graph.stages[leader];
    if (!is_strip_output(graph, leader)) return {};
    const auto needs = needed_stages(graph);
    std::vector<size_t> outputs{leader};
    for (size_t i = leader; i-- > 0;)
        if (is_strip_output(graph, i) && have_same_dims(graph.stages[i], s) &&
            std::none_of(outputs.begin(), outputs.end(), [&](size_t o) { return needs[o][i] || needs[i][o]; }))
            outputs.push_back(i);
    std::set<size_t> inside(outputs.begin(), outputs.end());
    std::vector<size_t> recurrences;
    std::optional<Dim> time;
    // Readers stand behind what they read.
    for (size_t i = leader; i-- > 0;) {
        const Stage& r = graph.stages[i];
        if (!plain_time_of(r) || !reads_alone(reads[i], inside)) continue;
        std::optional<Dim> at = time;
        const bool along = std::all_of(reads[i].begin(), reads[i].end(), [&](const Read& read) {
            const Stage& user = graph.stages[read.user];
            if (read.in_init) return false;
            if (user.update) return follows(r, {read}, user);
            const auto here = time_read(r, read, user);
            if (!here || here->id() == user.dims.back().id() || (at && at->id() != here->id())) return false;
            at = here;
            return true;
        });
        if (!along) continue;
        time = at;
        recurrences.push_back(i);
        inside.insert(i);
    }
    OutputStrips found{{}, recurrences};
    for (const size_t o : outputs)
        if (std::any_of(recurrences.begin(), recurrences.end(), [&](size_t r) { return !reads_by(reads[r], o).empty(); }))
            found.outputs.push_back(o);
    if (found.outputs.empty() || found.outputs[0] != leader) return {};
    double bytes = 0, tasks = estimated_extent(s.dims.back()) / static_cast<double>(strip_vectors * width);
    for (const size_t r : recurrences) bytes += bytes_of_strip(graph.stages[r], strip_vectors * width);
    for (const Dim& d : s.dims)
        if (d.id() != time->id() && d.id() != s.dims.back().id()) tasks *= estimated_extent(d);
    if (tasks < enough_strips || bytes > static_cast<double>(model.l2_bytes) / 2) return {};
    return found;
}

void schedule_output_strips(const StageGraph& graph, const OutputStrips& strips, std::int64_t width, Schedule& out) {
    const Stage& leader = graph.stages[strips.outputs[0]];
    const Dim columns = leader.dims.back();
    std::optional<Dim> time;
    for (const size_t r : strips.recurrences)
        for (const Read& read : reads_of(graph, r))
            if (!graph.stages[read.user].update) time = time_read(graph.stages[r], read, graph.stages[read.user]);
    for (const size_t i : strips.outputs) {
        StageEdit edit = out.stage(graph.stages[i].name);
        edit.root();
        for (const Dim& d : leader.dims)
            if (d.id() != time->id() && d.id() != columns.id()) edit.parallel(d.name());
        edit.parallel(columns.name(), strip_vectors * width, "strip").serial(time->name());
        edit.serial(columns.name(), width, "columns").vector(columns.name());
        if (i != strips.outputs[0]) edit.fuse_with({leader.name, time->name()});
    }
    for (const size_t r : strips.recurrences) {
        StageEdit edit = out.stage(graph.stages[r].name);
        edit.at(leader.name, "strip");
        member_loops(edit, graph.stages[r], width, false);
    }
}

}  // namespace tessera
