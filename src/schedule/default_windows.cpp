#include "schedule/default_windows.h"

#include "schedule/default_inlining.h"
#include "schedule/derived_stages.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace tessera {
namespace {

constexpr std::int64_t most_task_rows = 256;
constexpr std::int64_t usual_columns = 2048;  // of a photo
constexpr std::int64_t least_columns = 128;
constexpr std::int64_t input_bytes = 4;  // an element of a copied Input

// How often a position along dim `d` of a stage is computed where each position of its reader's outer dims computes what it
// reads.
double times_along(const Stage& user, const std::vector<Expr>& indices, const Dim& row) {
    double outer = static_cast<double>(indices.size()), taken = 1;
    bool moves = false;
    for (const Dim& d : free_dims(indices[0])) {
        if (d.id() == row.id() || d.id() == user.dims.back().id()) return 1;
        outer *= estimated_extent(d);
        moves = true;
    }
    for (const Expr& index : indices) taken = std::max(taken, positions_of(index));
    return moves ? std::max(outer / taken, 1.0) : 1;
}

bool stands_in_tasks(const StageSpec& spec, const std::string& root) {
    return spec.compute && spec.compute->kind == Compute::Kind::at && spec.compute->at.stage == root &&
           spec.compute->at.loop == "task";
}
bool slides_over(const StageSpec& spec, const std::string& root) {
    return spec.store.at && spec.store.at->stage == root && spec.store.at->loop == "task";
}

// Bytes of all windows over one column of the output.
std::int64_t column_bytes(const StageGraph& graph, const Schedule& schedule, const std::string& root, std::int64_t task_rows) {
    std::int64_t bytes = 0;
    for (const auto& [name, spec] : schedule.stages) {
        if (!slides_over(spec, root)) continue;
        std::int64_t element = 0;
        if (const auto i = graph.find(name))
            for (const DType t : graph.stages[*i].dtypes) element += dtype_bytes(t);
        else
            element = input_bytes;
        bytes += element * (spec.store.fold.empty() ? task_rows : spec.store.fold.begin()->second);
    }
    return bytes;
}

void compute_in_strips(Schedule& schedule, const std::string& root, const std::string& dim, std::int64_t columns) {
    auto& loops = *schedule.stages.at(root).loops;
    const auto task = std::find_if(loops.begin(), loops.end(), [](const LoopSpec& l) { return l.name == "task"; });
    loops.insert(task + 1, LoopSpec{.dim = dim, .tile = columns, .name = "strip"});
    for (auto& entry : schedule.stages)
        if (slides_over(entry.second, root)) entry.second.store.at->loop = "strip";
}

}  // namespace

bool is_shift(const Expr& e, const Dim& row) {
    bool good = true;
    for_each_node({e}, [&](const Expr& n) {
        const auto is_factor = [](const Expr& a) { return a->op == Op::constant && a->integer() > 0; };
        if (n->op == Op::div && is_factor(n->args[1])) return;
        if (n->op == Op::mul && (is_factor(n->args[0]) || is_factor(n->args[1]))) return;
        if (n->op == Op::dim && n->dim().id() != row.id() &&
            (!n->dim().extent().constant() || *n->dim().extent().constant() > 64))
            good = false;
        if (n->op != Op::add && n->op != Op::sub && n->op != Op::dim && n->op != Op::constant) good = false;
    });
    return good;
}

LoopSpec* loop_named(StageSpec& spec, std::string_view name) {
    if (!spec.loops) return nullptr;
    for (LoopSpec& l : *spec.loops)
        if (l.name == name) return &l;
    return nullptr;
}

std::optional<std::int64_t> task_rows_for(std::int64_t reach, std::int64_t task_rows) {
    const auto wanted =
        static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(4 * std::max<std::int64_t>(reach, 1))));
    if (wanted > most_task_rows) return {};
    return std::max(wanted, task_rows);
}

bool is_computed_again(const StageGraph& graph, size_t producer, size_t row_dim, const std::vector<Read>& reads) {
    const Stage& s = graph.stages[producer];
    double again = 1;
    for (size_t d = 0; d + 1 < s.dims.size(); ++d) {
        if (d == row_dim) continue;
        std::map<size_t, std::vector<Expr>> read_at;  // by reader
        for (const Read& r : reads) {
            const Expr& index = r.access->args[d];
            auto& seen = read_at[r.user];
            if (!depends_on_values(index) &&
                std::none_of(seen.begin(), seen.end(), [&](const Expr& e) { return e.same_as(index); }))
                seen.push_back(index);
        }
        double most = 1;
        for (const Read& r : reads) {
            const auto& indices = read_at.at(r.user);
            const auto rows = free_dims(r.access->args[row_dim]);
            if (!indices.empty() && !rows.empty()) most = std::max(most, times_along(graph.stages[r.user], indices, rows[0]));
        }
        again *= most;
    }
    return cost_with_reductions(graph, producer) * (again - 1) > cheaper_than_memory;
}

bool needs_what_lacks(const StageGraph& graph, const Stage& stage, const Dim& dim) {
    struct Need {
        const Stage* stage;
        Dim dim;
    };
    std::vector<Need> open{{&stage, dim}};
    std::set<std::pair<const FuncState*, const void*>> seen;
    bool stored = false;
    for (size_t i = 0; i < open.size(); ++i) {
        const Stage* const user = open[i].stage;
        const Dim d = open[i].dim;
        bool lacks = false;
        for_each_node(exprs_of(*user), [&](const Expr& e) {
            if (e->op != Op::access || e->index_count() < 2 || e->target().func == user->func) return;
            const auto producer = e->target().func ? graph.find(e->target().func.get()) : std::nullopt;
            // Sums of another stage are seen where this stage itself reads them, Inputs where stages before it do.
            if (i == 0 ? !producer : producer && graph.stages[*producer].update) return;
            stored = stored || i == 0;
            lacks = lacks || (producer && graph.stages[*producer].update) || !contains_dim(free_dims(e), d);
            if (lacks || !producer) return;
            const Stage& p = graph.stages[*producer];
            for (size_t k = 0; k < p.dims.size(); ++k)
                if (e->args[k]->op == Op::dim && e->args[k]->dim().id() == d.id() &&
                    seen.emplace(p.func.get(), p.dims[k].id()).second)
                    open.push_back({&p, p.dims[k]});
        });
        if (lacks) return true;
    }
    return !stored;
}

void narrow_windows(const StageGraph& graph, const CpuModel& model, const std::map<std::string, RowReach>& reaches,
                    Schedule& schedule) {
    for (const Stage& s : graph.stages) {
        const auto found = schedule.stages.find(s.name);
        if (s.update || s.dims.size() < 2 || found == schedule.stages.end()) continue;
        const LoopSpec* task = loop_named(found->second, "task");
        const LoopSpec* columns = loop_named(found->second, "columns");
        if (!task || !columns || task->dim == columns->dim || columns->dim != s.dims.back().name()) continue;
        const bool of_levels = std::any_of(reaches.begin(), reaches.end(), [&](const auto& entry) {
            const auto placed = schedule.stages.find(entry.first);
            return entry.second.level && placed != schedule.stages.end() &&
                   (slides_over(placed->second, s.name) || stands_in_tasks(placed->second, s.name));
        });
        if (of_levels) continue;
        const std::int64_t bytes = column_bytes(graph, schedule, s.name, task->tile.value_or(1));
        if (bytes * usual_columns <= model.l2_bytes) continue;
        const auto fitting = std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(model.l2_bytes / 2 / bytes, 1)));
        const std::int64_t width = std::max(static_cast<std::int64_t>(fitting), std::max(least_columns, *columns->tile));
        compute_in_strips(schedule, s.name, columns->dim, width);
    }
}

}  // namespace tessera
