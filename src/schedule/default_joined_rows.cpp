#include "schedule/default_joined_rows.h"

#include "schedule/default_contraction.h"
#include "schedule/default_updates.h"
#include "schedule/derived_stages.h"
#include "schedule/in_place_outputs.h"
#include "schedule/joined_reductions.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <bit>
#include <set>

namespace tessera {
namespace {

constexpr double least_joined_row = 64;  // elements
constexpr std::int64_t most_part_rows = 32, least_part_rows = 8;

bool are_same_dims(const std::vector<Dim>& a, const std::vector<Dim>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Dim& x, const Dim& y) { return x.id() == y.id(); });
}

class RowOutputs {
public:
    RowOutputs(const StageGraph& graph, const CpuModel& model) : graph_(graph), model_(model), needs_(needed_stages(graph)) {}

    std::vector<JoinedRows> run() {
        std::vector<JoinedRows> all;
        for (size_t i = graph_.stages.size(); i-- > 0;) {
            if (taken_.count(i) || !is_candidate(i)) continue;
            std::vector<size_t> members{i};
            for (size_t k = i; k-- > 0;)
                if (!taken_.count(k) && is_candidate(k) && are_same_dims(stage(i).dims, stage(k).dims) && share_row_sum(i, k) &&
                    are_apart(members, k))
                    members.push_back(k);
            JoinedRows found{.leader = stage(i).name};
            for (const size_t m : members)
                if (m != i) found.outputs.push_back(stage(m).name);
            add_column_sums(members, found);
            for (size_t k = 0; k < graph_.stages.size(); ++k)
                if (is_number_of_row(k, i) && share_row_sum(i, k) && are_apart(members, k)) {
                    found.numbers.push_back(stage(k).name);
                    taken_.insert(k);
                }
            if (found.outputs.empty() && found.sums.empty() && found.numbers.empty()) continue;
            taken_.insert(members.begin(), members.end());
            all.push_back(found);
        }
        return all;
    }

private:
    [[nodiscard]] const Stage& stage(size_t i) const { return graph_.stages[i]; }
    [[nodiscard]] std::vector<Dim> rows_of(size_t i) const { return {stage(i).dims.begin(), stage(i).dims.end() - 1}; }

    [[nodiscard]] bool is_candidate(size_t i) const {
        const Stage& s = stage(i);
        return s.output && s.kind == Stage::Kind::definition && s.dims.size() >= 2 && s.values.size() == 1 &&
               estimated_extent(s.dims.back()) >= least_joined_row && !replaces_input(graph_, s) &&
               contractions_of(graph_, i).empty();
    }
    // What a scatter or a recurrence gives stands at root as a whole before, in the number's own memory where that is all it is.
    [[nodiscard]] bool reads_whole(size_t i) const {
        for (const Stage& p : graph_.stages)
            if ((p.kind == Stage::Kind::scatter || p.kind == Stage::Kind::recurrence) && reads(stage(i), p.func.get()))
                return true;
        return false;
    }
    [[nodiscard]] bool is_number_of_row(size_t i, size_t leader) const {
        const Stage& s = stage(i);
        if (reads_whole(i)) return false;
        return s.output && s.kind == Stage::Kind::definition && s.values.size() == 1 && !taken_.count(i) &&
               are_same_dims(s.dims, rows_of(leader)) && !replaces_input(graph_, s) && contractions_of(graph_, i).empty();
    }
    [[nodiscard]] bool is_row_sum(size_t i, const std::vector<Dim>& rows) const {
        return stage(i).kind == Stage::Kind::reduction && are_same_dims(stage(i).dims, rows) && reduces_contiguously(stage(i));
    }
    [[nodiscard]] bool share_row_sum(size_t a, size_t b) const {
        for (size_t i = 0; i < graph_.stages.size(); ++i)
            if (needs_[a][i] && needs_[b][i] && is_row_sum(i, rows_of(a))) return true;
        return false;
    }
    [[nodiscard]] bool are_apart(const std::vector<size_t>& members, size_t i) const {
        return std::none_of(members.begin(), members.end(), [&](size_t m) { return needs_[m][i] || needs_[i][m]; });
    }

    [[nodiscard]] bool is_column_sum_of(size_t i, const std::vector<Dim>& dims) const {
        const Stage& s = stage(i);
        if (s.kind != Stage::Kind::reduction || s.dims.size() != 1 || s.dims[0].id() != dims.back().id()) return false;
        const auto& u = *s.update;
        if (u.order.kind != Order::Kind::any || u.condition.defined() || !u.monoid || !u.monoid->traits.associative ||
            !u.monoid->traits.commutative || u.reduction_dims.size() + 1 != dims.size())
            return false;
        return std::all_of(dims.begin(), dims.end() - 1, [&](const Dim& d) { return contains_dim(u.reduction_dims, d); });
    }

    void add_column_sums(const std::vector<size_t>& members, JoinedRows& found) {
        const std::vector<Dim>& dims = stage(members[0]).dims;
        std::vector<size_t> sums;
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            if (!is_column_sum_of(i, dims) || !share_row_sum(members[0], i) || !are_apart(members, i)) continue;
            if (are_apart(sums, i)) sums.push_back(i);
        }
        if (sums.empty()) return;
        std::vector<size_t> all = members;
        all.insert(all.end(), sums.begin(), sums.end());
        const double fitting = static_cast<double>(model_.l2_bytes) / 2 / bytes_of_row(all, dims.back());
        const std::int64_t rows = std::min<std::int64_t>(
            static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(fitting))), most_part_rows);
        if (rows < least_part_rows || estimated_extent(dims[dims.size() - 2]) < static_cast<double>(4 * most_part_rows)) return;
        found.task_rows = rows;
        for (const size_t i : sums) found.sums.push_back(stage(i).name);
    }

    // Of the arrays that `users` read and write row by row.
    [[nodiscard]] double bytes_of_row(const std::vector<size_t>& users, const Dim& columns) const {
        std::set<const void*> inputs;
        double bytes = 0;
        for (const size_t u : users) bytes += stage(u).output ? static_cast<double>(dtype_bytes(stage(u).dtypes[0])) : 0;
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            const bool inside = std::any_of(users.begin(), users.end(), [&](size_t u) { return u == i || needs_[u][i]; });
            if (!inside) continue;
            for_each_node(exprs_of(stage(i)), [&](const Expr& n) {
                if (n->op != Op::access || n->target().func || n->index_count() < 2) return;
                if (inputs.insert(n->target().input.get()).second) bytes += static_cast<double>(dtype_bytes(n->dtype));
            });
        }
        return bytes * estimated_extent(columns);
    }

    const StageGraph& graph_;
    const CpuModel& model_;
    std::vector<std::vector<bool>> needs_;
    std::set<size_t> taken_;
};

}  // namespace

std::vector<JoinedRows> joined_rows(const StageGraph& graph, const CpuModel& model) { return RowOutputs(graph, model).run(); }

std::vector<LoopSpec> loops_of_numbers(const Stage& s, const StageSpec& leader) {
    std::vector<LoopSpec> loops;
    for (const LoopSpec& l : *leader.loops) {
        loops.push_back(l);
        if (l.name == "row") break;
    }
    for (const Dim& d : s.dims) {
        const auto innermost = std::find_if(loops.rbegin(), loops.rend(), [&](const LoopSpec& l) { return l.dim == d.name(); });
        if (innermost == loops.rend() || innermost->tile) loops.push_back({.dim = d.name(), .name = "each_" + d.name()});
    }
    return loops;
}

bool have_same_rows(const std::vector<LoopSpec>& a, const std::vector<LoopSpec>& b) {
    for (size_t l = 0; l < a.size() && l < b.size() && a[l] == b[l]; ++l)
        if (a[l].name == "row") return true;
    return false;
}

void schedule_parts(const Stage& s, const JoinedRows& rows, const std::vector<Dim>& dims, std::int64_t width, Schedule& out) {
    const Dim &columns = s.dims[0], &row = dims[dims.size() - 2];
    const std::string block = row.name() + "/" + std::to_string(rows.task_rows);
    // Small dims run inside the leader's rows: those are added up in a part.
    const std::vector<LoopSpec>& tasks = *out.stages.at(rows.leader).loops;
    const auto task = std::find_if(tasks.begin(), tasks.end(), [](const LoopSpec& l) { return l.name == "task"; });
    std::vector<std::string> kept, inside;
    for (size_t d = 0; d + 2 < dims.size(); ++d) {
        const bool outside = std::any_of(tasks.begin(), task, [&](const LoopSpec& l) { return l.dim == dims[d].name(); });
        (outside ? kept : inside).push_back(dims[d].name());
    }
    StageEdit whole = out.stage(s.name);
    whole.root();
    if (estimated_extent(columns) > static_cast<double>(8 * width)) whole.parallel(columns.name(), 8 * width, "task");
    for (const std::string& outer : kept) whole.serial(outer);
    whole.serial(block).serial(columns.name(), width, "columns").vector(columns.name());
    std::vector<std::string> blocks = kept;
    blocks.push_back(block);
    StageEdit part = out.partial(s.name + ".parts", s.name, blocks);
    part.root();
    for (const std::string& outer : kept) part.parallel(outer);
    part.parallel(block, 0, "task").serial(row.name());
    for (const std::string& inner : inside) part.serial(inner);
    part.serial(columns.name(), width, "columns").vector(columns.name());
    part.fuse_with({rows.leader, "task"});
}

}  // namespace tessera
