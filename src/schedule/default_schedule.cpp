#include "schedule/default_schedule.h"

#include "expr/op_cost.h"
#include "schedule/default_contraction.h"
#include "schedule/default_copies.h"
#include "schedule/default_fusion.h"
#include "schedule/default_home_clones.h"
#include "schedule/default_inlining.h"
#include "schedule/default_joined_rows.h"
#include "schedule/default_lanes.h"
#include "schedule/default_levels.h"
#include "schedule/default_row_clones.h"
#include "schedule/default_row_factors.h"
#include "schedule/default_strips.h"
#include "schedule/default_sums.h"
#include "schedule/default_unrolling.h"
#include "schedule/default_updates.h"
#include "schedule/default_windows.h"
#include "schedule/derived_stages.h"
#include "schedule/in_place_outputs.h"
#include "schedule/routine_stages.h"
#include "schedule/row_window.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <set>

namespace tessera {
namespace {

constexpr std::int64_t rows_per_task = 32;
constexpr std::int64_t rows_per_window_task = 64;  // where each task computes rows that its neighbours compute as well
constexpr double most_recompute = 4;               // operations a cell, for values that then stay in registers
constexpr std::int64_t most_rows = 8;              // of a block computed together
constexpr std::int64_t most_unrolled = 4;
constexpr double most_written_out = 512;  // operations of rows computed together, whose code then stays in the cache
constexpr std::int64_t tall_window = 8;   // rows of one definition beside those of its readers
constexpr std::int64_t beside_rows = 4;   // registers for what rows are computed from and for a result

class Scheduler {
public:
    Scheduler(const Algorithm& algorithm, const CpuModel& model)
        : algorithm_(algorithm), graph_(make_stages(algorithm)), model_(model) {}

    // `clones`: of definitions, beside those that it finds itself.
    Schedule run(Schedule clones) {
        auto shared = join_column_sums(graph_);
        if (joins_rows_) find_joined_rows();
        clone_row_sums(graph_, model_, out_, [&](const std::string& output) { return joined_.count(output) != 0; });
        if (!clones.stages.empty()) {
            out_.stages.insert(clones.stages.begin(), clones.stages.end());
            apply_derived_stages(graph_, clones);
            sort_producers_first(graph_);
        }
        const StageGraph written = graph_;
        written_ = &written;
        inline_definitions(graph_);
        for (const auto& joined : join_step_values(graph_)) shared.push_back(joined);
        reads_ = all_reads(graph_);
        const size_t count = graph_.stages.size();
        placed_.assign(count, false);
        // Consumers first: a producer's place is a loop of a stage that has its loops.
        for (size_t i = count; i-- > 0;) schedule_stage(i);
        if (!parts_have_tasks()) {
            Scheduler apart(algorithm_, model_);
            apart.joins_rows_ = false;
            return apart.run(std::move(clones));
        }
        share_row_loops(graph_, out_);
        copy_wrapped_inputs(graph_, *written_, {rows_, steps_}, model_.vector_bytes, out_);
        narrow_windows(graph_, model_, reaches_, out_);
        share_all_loops(graph_, shared, out_);
        unroll_only_constant(algorithm_, graph_, out_);
        if (!clones.stages.empty()) return std::move(out_);
        const Schedule apart = clones_for_homes(written, graph_, out_);
        if (apart.stages.empty()) return std::move(out_);
        Schedule recomputed = Scheduler(algorithm_, model_).run(apart);
        return stand_in_homes(apart, recomputed) ? recomputed : std::move(out_);
    }

private:
    const Stage& stage(size_t i) const { return graph_.stages[i]; }

    // ---- outputs that are computed row by row together

    void find_joined_rows() {
        for (const JoinedRows& j : joined_rows(graph_, model_)) {
            joined_[j.leader] = j;
            for (const auto* names : {&j.outputs, &j.numbers, &j.sums})
                for (const std::string& name : *names) joined_[name] = j;
        }
    }
    // The stage whose rows a stage at root is computed in.
    const std::string& root_of(const std::string& name) const {
        const auto found = joined_.find(name);
        return found == joined_.end() ? name : found->second.leader;
    }
    void join_rows(const Stage& s, StageEdit& edit) {
        const auto found = joined_.find(s.name);
        if (found == joined_.end() || found->second.leader == s.name) return;
        const auto leader = out_.stages.find(found->second.leader);
        if (leader != out_.stages.end() && leader->second.loops && have_same_rows(*leader->second.loops, *edit.spec().loops))
            edit.fuse_with({leader->first, "row"});
        else
            joined_.erase(found);
    }
    // An output of one number for each of those rows.
    bool join_numbers(const Stage& s, StageEdit& edit) {
        const auto found = joined_.find(s.name);
        if (found == joined_.end()) return false;
        const JoinedRows rows = found->second;
        if (!std::count(rows.numbers.begin(), rows.numbers.end(), s.name)) return false;
        schedule_stage(*graph_.find(rows.leader));
        if (!row_loop(rows.leader)) return false;
        edit.spec().loops = loops_of_numbers(s, out_.stages.at(rows.leader));
        steps_[s.name] = steps_.at(rows.leader);
        return true;
    }
    // Whether a stage is computed for all rows of a task, as parts of column sums and levels of pyramids are.
    bool stands_in_task(const std::string& name, const std::string& root) const {
        if (const auto found = joined_.find(name); found != joined_.end())
            return std::count(found->second.sums.begin(), found->second.sums.end(), name) > 0;
        const Compute& at = *out_.stages.at(name).compute;
        if (at.kind != Compute::Kind::at) return false;
        return at.at.stage == root ? at.at.loop == "task" : stands_in_task(at.at.stage, root);
    }
    bool parts_have_tasks() const {
        return std::all_of(joined_.begin(), joined_.end(), [&](const auto& entry) {
            const LoopSpec* task = entry.second.sums.empty() ? nullptr : loop_named(out_.stages.at(entry.second.leader), "task");
            return entry.second.sums.empty() || (task && task->tile == entry.second.task_rows);
        });
    }

    std::int64_t lanes(const Stage& s) const { return lanes_of(s, model_); }

    void schedule_stage(size_t i) {
        if (placed_[i]) return;
        if (stage(i).update)
            schedule_update(i);
        else
            schedule_definition(i);
        placed_[i] = true;
    }

    void schedule_definition(size_t i) {
        const Stage& s = stage(i);
        StageEdit edit = out_.stage(s.name);
        if (s.dims.empty() || s.kind == Stage::Kind::routine) {
            edit.root();
            return;
        }
        if (const std::vector<size_t> contractions = contractions_of(graph_, i); !contractions.empty()) {
            std::vector<ContractionSum> sums;
            for (const size_t sum : contractions) {
                sums.push_back({stage(sum), written_->stages[*written_->find(stage(sum).name)]});
                placed_[sum] = true;
            }
            schedule_contraction(s, sums, model_, out_);
            return;
        }
        const auto placed = [&](const std::vector<size_t>& stages) {
            for (const size_t p : stages) placed_[p] = true, joined_.erase(stage(p).name);
            return !stages.empty();
        };
        if (const std::vector<size_t> members = strip_members(graph_, i, reads_); placed(members)) {
            joined_.erase(s.name);
            return schedule_strips(graph_, i, members, lanes(stage(members[0])), out_);
        }
        if (const OutputStrips strips = output_strips(graph_, i, reads_, lanes(s), model_); placed(strips.outputs)) {
            placed(strips.recurrences);
            return schedule_output_strips(graph_, strips, lanes(s), out_);
        }
        if (placed(place_row_factor(graph_, i, reads_, lanes(s), out_))) return;
        const bool alone = s.output || must_stand_alone(graph_, i) || stands_at_root(graph_, i);
        if (!alone && (place_in_registers(i, edit) || place_in_rows(i, edit))) return;
        edit.root();
        if (!join_numbers(s, edit)) root_loops(edit, s, lanes(s));
        join_rows(s, edit);
    }

    // What a cell of the stage reads, the reductions of few points that are computed with it included.
    std::vector<Expr> values_of(const Stage& s) const {
        std::vector<Expr> out = s.values;
        for (const Stage& p : graph_.stages) {
            double points = 1;
            if (p.kind != Stage::Kind::reduction || !reads(s, p.func.get())) continue;
            for (const Dim& d : p.update->reduction_dims) points *= estimated_extent(d);
            if (points <= small_reduction) out.insert(out.end(), p.update->values.begin(), p.update->values.end());
        }
        return out;
    }
    std::int64_t rows_of(const Stage& s, const Dim& row, std::int64_t most) const {
        const std::vector<Expr> values = values_of(s);
        double cost = 1;
        for_each_node(values, [&](const Expr& n) { cost += op_cost(*n); });
        const auto fitting = static_cast<std::int64_t>(
            std::bit_floor(std::max<std::uint64_t>(static_cast<std::uint64_t>(most_written_out / cost), 1)));
        return rows_together(row_streams(values, row), model_.vector_registers - 2, std::min(most, fitting));
    }
    // Whether definitions are kept in windows that slide over an output's rows.
    bool keeps_rows() const {
        return std::any_of(graph_.stages.begin(), graph_.stages.end(),
                           [](const Stage& p) { return !p.update && !p.output && p.dims.size() >= 2; });
    }

    // Parallel over blocks of rows (or of elements), vectors along the last dim.
    void root_loops(StageEdit& edit, const Stage& s, std::int64_t width) {
        const size_t rank = s.dims.size();
        if (rank == 1) {
            const Dim& x = s.dims[0];
            if (estimated_extent(x) <= static_cast<double>(width)) {
                edit.serial(x.name());
                return;
            }
            edit.parallel(x.name(), 64 * width, "task").serial(x.name(), width, "row").vector(x.name());
            return;
        }
        const Dim& y = s.dims[rank - 2];
        // Small leading dims (colours) run inside a row, so that what does not depend on them is computed once.
        const auto small = [&](const Dim& d) {
            return d.extent().constant() && *d.extent().constant() <= 16 && needs_what_lacks(graph_, s, d);
        };
        for (size_t d = 0; d + 2 < rank; ++d)
            if (!small(s.dims[d])) edit.parallel(s.dims[d].name());
        const auto joined = joined_.find(s.name);
        const std::int64_t together = joined != joined_.end() && joined->second.task_rows > 0      ? joined->second.task_rows
                                      : keeps_rows() && estimated_extent(y) > rows_per_window_task ? rows_per_window_task
                                                                                                   : rows_per_task;
        const bool many = estimated_extent(y) > rows_per_task,
                   wide = estimated_extent(s.dims.back()) >= static_cast<double>(width);
        const std::int64_t rows = many && wide ? rows_of(s, y, most_rows) : 1;
        steps_[s.name] = rows;
        if (many) edit.parallel(y.name(), together, "task");
        edit.serial(y.name(), rows > 1 ? rows : 0, "row");
        if (wide) edit.serial(s.dims.back().name(), width, "columns");
        if (rows > 1) edit.unroll(y.name(), 0, "line");
        for (size_t d = 0; d + 2 < rank; ++d) {
            if (!small(s.dims[d])) continue;
            if (wide && *s.dims[d].extent().constant() <= most_unrolled)
                edit.unroll(s.dims[d].name());
            else
                edit.serial(s.dims[d].name());
        }
        if (wide)
            edit.vector(s.dims.back().name());
        else
            edit.serial(s.dims.back().name());
    }

    void columns(StageEdit& edit, const Dim& x, std::int64_t width) {
        if (estimated_extent(x) < static_cast<double>(width))
            edit.serial(x.name());
        else
            edit.serial(x.name(), width, "columns").vector(x.name());
    }

    // ---- producers inside the rows of an output

    // The stage's dim that moves with `row` of the consumer chain, or none: all reads have exactly one index that depends on the
    // consumer's row dim, plus small reduced dims.
    std::optional<size_t> row_dim(size_t producer, const Dim& row, const std::string& root) const {
        std::optional<size_t> found;
        for (const Read& r : reads_[producer]) {
            const Stage& user = stage(r.user);
            Dim user_row = row;
            if (root_of(user.name) != root) {
                const auto at = rows_.find(user.name);
                if (at == rows_.end() || at->second.first != root) return std::nullopt;
                user_row = user.dims[at->second.second];
            }
            std::optional<size_t> here;
            for (size_t d = 0; d < r.access->index_count(); ++d) {
                const auto free = free_dims(r.access->args[d]);
                if (!contains_dim(free, user_row) || depends_on_values(r.access->args[d])) continue;
                if (here || !is_shift(r.access->args[d], user_row)) return std::nullopt;
                here = d;
            }
            if (!here || (found && *found != *here)) return std::nullopt;
            found = here;
        }
        return found;
    }

    // The output in whose rows all readers of the producer live, with that output's row dim.
    std::optional<std::pair<std::string, size_t>> home(size_t producer) const {
        std::set<std::string> roots;
        for (const Read& r : reads_[producer]) {
            const Stage& user = stage(r.user);
            const auto at = rows_.find(user.name);
            if (at != rows_.end())
                roots.insert(at->second.first);
            else
                roots.insert(root_of(user.name));
            if (r.in_init && at == rows_.end()) return std::nullopt;
            if (joined_.count(*roots.begin()) && !is_pointwise(r.access)) return std::nullopt;
        }
        if (roots.size() != 1) return std::nullopt;
        const std::string root = *roots.begin();
        const Stage& r = stage(*graph_.find(root));
        if (r.update || !row_loop(root)) return std::nullopt;
        const size_t row = r.dims.size() - 2;
        const auto dim = row_dim(producer, r.dims[row], root);
        if (!dim || is_computed_again(graph_, producer, *dim, reads_[producer])) return std::nullopt;
        return std::pair{root, *dim};
    }

    // Whether tasks over the rows of its home do not compute much of it again; notes what they need of it.
    bool is_near(size_t i, const std::pair<std::string, size_t>& where) {
        const Stage &s = stage(i), &root = stage(*graph_.find(where.first));
        std::optional<RowReach> all;
        const size_t root_row = root.dims.size() - 2;
        for (const Read& r : reads_[i]) {
            const Stage& user = stage(r.user);
            const bool is_root = root_of(user.name) == where.first;
            const Dim& row = is_root ? root.dims[root_row] : user.dims[rows_.at(user.name).second];
            const RowReach reach = reach_through(is_root ? RowReach() : reaches_[user.name], r.access->args[where.second], row);
            all = all ? joined(*all, reach) : reach;
        }
        const LoopSpec* const task = loop_named(out_.stages.at(where.first), "task");
        const double rows = task ? static_cast<double>(*task->tile) : estimated_extent(root.dims[root_row]);
        if (all->level && !reaches_little(*all, cells_of_row(s, where.second), cells_of_row(root, root_row), rows)) return false;
        reaches_[s.name] = *all;
        return true;
    }

    bool row_loop(const std::string& name) const {
        const auto found = out_.stages.find(name);
        if (found == out_.stages.end() || !found->second.loops) return false;
        const Stage& s = stage(*graph_.find(name));
        if (s.dims.size() < 2) return false;
        for (const LoopSpec& l : *found->second.loops)
            if (l.name == "row" && l.dim == s.dims[s.dims.size() - 2].name()) return true;
        return false;
    }
    bool has_task_loop(const std::string& name) const { return loop_named(out_.stages.at(name), "task") != nullptr; }

    // A definition whose readers all stand in one block of an output's rows and columns, at the same columns: computed there, for
    // the block's rows and those that it reaches further, so that it stays in registers.
    bool place_in_registers(size_t i, StageEdit& edit) {
        const Stage& s = stage(i);
        const auto where = home(i);
        if (!where || s.dims.size() < 2 || !is_near(i, *where)) return false;
        const StageSpec& block = out_.stages.at(where->first);
        const Stage& root = stage(*graph_.find(where->first));
        if (!loop_named(block, "columns") || where->second + 1 == s.dims.size()) return false;
        const LoopSpec* line = loop_named(block, "line");
        const std::int64_t rows = line ? loop_named(block, "row")->tile.value_or(1) : 1;
        std::int64_t low = 0, high = 0;
        bool first = true;
        for (const Read& r : reads_[i]) {
            const Stage& user = stage(r.user);
            const Compute& at = *out_.stages.at(user.name).compute;
            const bool in_block = user.name == root.name || (user.update && at.kind == Compute::Kind::at &&
                                                             at.at.stage == root.name && at.at.loop != "row");
            if (!in_block || r.in_init || r.access->target().boundary != Boundary::none) return false;
            for (size_t d = 0; d < s.dims.size(); ++d) {
                const Expr& index = r.access->args[d];
                if (d == where->second) {
                    const Dim& row = user.dims[user.name == root.name ? root.dims.size() - 2 : rows_.at(user.name).second];
                    const auto shift = shift_from(index, row);
                    if (!shift) return false;
                    low = first ? shift->low : std::min(low, shift->low);
                    high = first ? shift->high : std::max(high, shift->high);
                    first = false;
                } else if (index->op == Op::constant && d + 1 < s.dims.size()) {
                    continue;
                } else if (index->op != Op::dim || (d + 1 == s.dims.size()) != (index->dim().id() == user.dims.back().id())) {
                    return false;
                }
            }
        }
        const auto span = static_cast<double>(high - low);
        if (rows + high - low + beside_rows > model_.vector_registers ||
            cost_with_reductions(graph_, i) * span > most_recompute * static_cast<double>(rows))
            return false;
        edit.at(root.name, span == 0 && line ? "line" : "columns");
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) {
            if (d == where->second && span > 0)
                edit.unroll(s.dims[d].name());
            else
                edit.serial(s.dims[d].name());
        }
        edit.vector(s.dims.back().name());
        rows_[s.name] = *where;
        steps_[s.name] = rows + high - low;
        return true;
    }

    bool place_in_rows(size_t i, StageEdit& edit) {
        const auto where = home(i);
        if (!where || !is_near(i, *where)) return false;
        const Stage& s = stage(i);
        const auto step = rows_needed(i, *where);
        const bool has_tasks = has_task_loop(where->first);
        if (step && has_tasks && !fit_task(i, where->first, *step)) return false;
        bool shifted = false, in_task = false, behind = false;
        for (const Read& r : reads_[i]) {
            const Compute& at = *out_.stages.at(stage(r.user).name).compute;
            shifted = shifted || !is_pointwise(r.access);
            behind = behind || (at.kind == Compute::Kind::at && at.at.stage == where->first && at.at.loop == "row");
            in_task = in_task || stands_in_task(stage(r.user).name, where->first);
        }
        // Of a window behind a window over rows at another rate, steps take more rows than are new, and none can be forgotten;
        // and rows that are made in turns want to be made together. So all rows of a task are, and the first window reads them.
        const bool in_turns = !s.update && row_period(s, s.dims[where->second]) > 1;
        in_task = in_task || (has_tasks && shifted && behind && (in_turns || (!step && reaches_[s.name].level)));
        const std::int64_t together = row_loops(i, *where, in_task, edit);
        if (step && !in_task) steps_[s.name] = (*step + together - 1) / together * together;
        edit.at(where->first, in_task ? "task" : "row");
        // The memory of a row of unknown length is asked for once a task.
        if (!shifted && !in_task && !s.update && !s.dims.back().extent().constant() && has_tasks &&
            where->second + 1 != s.dims.size())
            edit.alloc_at(where->first, "task");
        // A sliding window: rows computed once per task are kept while later rows read them.
        if (shifted && !in_task && has_tasks) {
            edit.store_at(where->first, "task");
            if (step)
                edit.fold(s.dims[where->second].name(),
                          static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(steps_[s.name]))));
        }
        rows_[s.name] = *where;
        return true;
    }

    // Whether windows of `step` rows are worth it. Every task computes what they reach beyond its rows again: a tall window gets
    // larger tasks, a long chain of small ones is cut.
    bool fit_task(size_t i, const std::string& root, std::int64_t step) {
        const auto own = steps_.find(root);
        const std::int64_t reach = step - (own == steps_.end() ? 1 : own->second);
        LoopSpec* const task = loop_named(out_.stages.at(root), "task");
        const auto rows = task_rows_for(reach, *task->tile);
        if (rows == task->tile) return true;
        std::int64_t readers = 1;
        for (const Read& r : reads_[i])
            if (const auto of = steps_.find(stage(r.user).name); of != steps_.end()) readers = std::max(readers, of->second);
        if (!rows || step - readers < tall_window) return false;
        task->tile = *rows;
        return true;
    }

    // Rows of a stage that one step over the output's rows needs, where all reads are at a fixed distance from one row.
    std::optional<std::int64_t> rows_needed(size_t i, const std::pair<std::string, size_t>& where) const {
        std::optional<Dim> row;
        std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = std::numeric_limits<std::int64_t>::min();
        const Stage& root = stage(*graph_.find(where.first));
        for (const Read& r : reads_[i]) {
            const Stage& user = stage(r.user);
            const auto step = steps_.find(user.name);
            // The steps of a recurrence run for all rows where they are computed.
            const bool all_at_once = user.update && user.update->sequential;
            if (r.access->target().boundary != Boundary::none || step == steps_.end() || all_at_once) return {};
            const bool is_root = root_of(user.name) == where.first;
            const Dim& moving = is_root ? root.dims[root.dims.size() - 2] : user.dims[rows_.at(user.name).second];
            // A stage whose last dim is the row may take many of them as the lanes of a vector.
            if (!is_root && moving.id() == user.dims.back().id()) return {};
            const Expr& index = r.access->args[where.second];
            const auto shift = shift_from(index, moving);
            if (!shift || free_dims(index).size() != 1 || (row && row->id() != moving.id())) return {};
            row = moving;
            low = std::min(low, shift->low);
            high = std::max(high, shift->high + step->second);
        }
        return row ? std::optional(high - low) : std::nullopt;
    }

    // As many rows of a definition together as the output takes in one step, if they share what they read, or, of all rows of a
    // task, as are made in turns; returns how many.
    std::int64_t row_loops(size_t i, const std::pair<std::string, size_t>& where, bool in_task, StageEdit& edit) {
        const Stage& s = stage(i);
        if (s.update) return 1;
        const Dim &row = s.dims[where.second], &x = s.dims.back();
        const std::int64_t width = lanes(s);
        const StageSpec& block = out_.stages.at(where.first);
        const bool wide = estimated_extent(x) >= static_cast<double>(width) && row.id() != x.id();
        std::int64_t rows = wide && loop_named(block, "line") ? rows_of(s, row, loop_named(block, "row")->tile.value_or(1)) : 1;
        if (wide && in_task) rows = std::lcm(rows, row_period(s, row));
        for (size_t d = 0; d + 1 < s.dims.size(); ++d)
            if (d != where.second || rows == 1) edit.serial(s.dims[d].name());
        if (!wide) {
            edit.serial(x.name());
            return 1;
        }
        // Its own storage has room for whole blocks of rows.
        if (rows > 1) edit.serial(row.name(), rows, "rows").tail(Tail::round_up);
        edit.serial(x.name(), width, "columns");
        if (rows > 1) edit.unroll(row.name(), 0, "line");
        edit.vector(x.name());
        return rows;
    }

    // ---- reductions and other updates

    void schedule_update(size_t i) {
        const Stage& s = stage(i);
        double points = 1;
        for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
        const bool plain = s.kind == Stage::Kind::reduction;
        const auto& all = reads_[i];
        if (const auto found = joined_.find(s.name); found != joined_.end()) {
            schedule_stage(*graph_.find(found->second.leader));
            schedule_parts(s, found->second, stage(*graph_.find(found->second.leader)).dims, lanes(s), out_);
            return;
        }
        StageEdit edit = out_.stage(s.name);
        if (plain && points <= small_reduction && in_registers(i, all, edit)) return;
        if (plain && place_in_rows(i, edit)) {
            if (sum_in_lanes(s, lanes(s), false, out_)) return;
            // One row at a time has no vector along the rows.
            const bool along_rows = rows_.at(s.name).second + 1 == s.dims.size();
            reduction_loops(edit, s, along_rows ? std::numeric_limits<std::int64_t>::max() : lanes(s));
            return;
        }
        edit.root();
        if (!plain) {
            serial_update(edit, s, lanes(s));
            if (const auto output = output_that_renames(i)) edit.live_in(*output);
            return;
        }
        if (sum_in_lanes(s, lanes(s), true, out_)) return;
        root_reduction(edit, s, lanes(s));
    }

    // The output that is this scatter and nothing else: its memory will do.
    std::optional<std::string> output_that_renames(size_t i) const {
        const Stage& s = stage(i);
        const auto& reads = reads_[i];
        if (s.kind != Stage::Kind::scatter || reads.size() != 1 || reads[0].in_init || s.dtypes.size() != 1) return std::nullopt;
        const Stage& user = stage(reads[0].user);
        if (!user.output || user.update || user.dtypes != s.dtypes || !user.values[0].same_as(reads[0].access))
            return std::nullopt;
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (user.dims.size() != s.dims.size() || user.dims[d].id() != s.dims[d].id() || !is_pointwise(reads[0].access) ||
                reads[0].access->args[d]->dim().id() != s.dims[d].id())
                return std::nullopt;
        return user.name;
    }

    // One user that reads the same point: the accumulators are the registers of the user's vector.
    bool in_registers(size_t i, const std::vector<Read>& all, StageEdit& edit) {
        std::set<size_t> users;
        for (const Read& r : all) {
            if (r.in_init || !is_pointwise(r.access)) return false;
            users.insert(r.user);
        }
        if (users.size() != 1) return false;
        const Stage& user = stage(*users.begin());
        const auto found = out_.stages.find(user.name);
        if (user.update || found == out_.stages.end() || !found->second.loops || found->second.loops->empty()) return false;
        const auto& loops = *found->second.loops;
        if (loops.back().as != LoopKind::vector || loops.size() < 2) return false;
        const Stage& s = stage(i);
        if (s.dims.empty() || s.dims.back().name() != loops.back().dim) return false;
        const LoopSpec& outside = loops[loops.size() - 2];
        edit.at(user.name, outside.name.empty() ? outside.dim : outside.name).space(Space::register_);
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.serial(s.dims[d].name());
        for (const Dim& d : s.update->reduction_dims) {
            if (d.extent().constant())
                edit.unroll(d.name());
            else
                edit.serial(d.name());
        }
        edit.vector(s.dims.back().name());
        follow_user(s, user, all[0].access);
        return true;
    }

    // A stage computed inside `user` lives in the same output's rows.
    void follow_user(const Stage& s, const Stage& user, const Expr& access) {
        if (user.dims.size() < 2) return;
        const auto at = rows_.find(user.name);
        const std::string root = at == rows_.end() ? root_of(user.name) : at->second.first;
        const Dim row = user.dims[at == rows_.end() ? user.dims.size() - 2 : at->second.second];
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (access->args[d]->dim().id() == row.id()) rows_[s.name] = {root, d}, reaches_[s.name] = reaches_[user.name];
    }

    const Algorithm& algorithm_;
    StageGraph graph_;
    const StageGraph* written_ = nullptr;  // before definitions were inlined
    CpuModel model_;
    Schedule out_;
    bool joins_rows_ = true;
    std::map<std::string, JoinedRows> joined_;  // by each stage that takes part
    std::vector<bool> placed_;
    std::map<std::string, std::pair<std::string, size_t>> rows_;  // stage -> output in whose rows it lives, its dim that follows
    std::vector<std::vector<Read>> reads_;                        // of each stage by others
    std::map<std::string, RowReach> reaches_;                     // of a stage for the rows of its home
    std::map<std::string, std::int64_t> steps_;                   // rows of a stage that one step over those rows takes
};

}  // namespace

Schedule default_schedule(const Algorithm& algorithm, const CpuModel& model) { return Scheduler(algorithm, model).run({}); }

}  // namespace tessera
