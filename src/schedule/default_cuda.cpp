#include "schedule/default_cuda.h"

#include "schedule/derived_stages.h"
#include "schedule/inline_stages.h"
#include "schedule/loop_split.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <map>
#include <optional>

namespace tessera {
namespace {

constexpr double cheap_recompute = 8;  // operations that are not worth a store and a load
constexpr double short_reduction = 64;
constexpr std::int64_t row_threads = 256, series_threads = 64, scan_steps = 8;

LoopSpec loop(LoopKind kind, const Dim& d, std::int64_t tile = 0, std::string name = "") {
    LoopSpec out{.dim = d.name(), .as = kind, .name = std::move(name)};
    if (tile != 0) out.tile = tile;
    return out;
}

class CudaScheduler {
public:
    explicit CudaScheduler(const Algorithm& algorithm) : graph_(make_stages(algorithm)) {}

    Schedule run() {
        inline_definitions();
        home_.resize(graph_.stages.size());
        for (size_t i = graph_.stages.size(); i-- > 0;) {
            const Stage& s = graph_.stages[i];
            if (!s.update)
                schedule_definition(i);
            else if (s.update->sequential)
                schedule_series(i);
            else if (s.kind == Stage::Kind::scatter)
                out_.stage(s.name).root();
            else
                schedule_reduction(i);
        }
        return std::move(out_);
    }

private:
    // Consumers first, so that what they inline is counted where it ends up.
    void inline_definitions() {
        for (size_t i = 0; i < graph_.stages.size();) {
            const Stage& s = graph_.stages[i];
            if (s.update || s.output || keeps(i)) {
                ++i;
                continue;
            }
            inline_stage(graph_, i);
            sort_producers_first(graph_);
            i = 0;
        }
    }
    bool keeps(size_t i) const {
        double cost = cell_cost(graph_.stages[i]);
        for (const Stage& p : graph_.stages)
            if (p.update && reads(graph_.stages[i], p.func.get())) cost += cell_cost(p);
        bool wrapped = false;
        const std::vector<Read> all = reads_of(graph_, i);
        for (const Read& r : all) wrapped = wrapped || r.access->target().boundary != Boundary::none;
        return cost > 2 && (wrapped || cost * (reuse_of(graph_, i, all) - 1) > cheap_recompute);
    }

    void schedule_definition(size_t i) {
        const Stage& s = graph_.stages[i];
        StageEdit edit = out_.stage(s.name).root();
        home_[i] = i;
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.loop(loop(LoopKind::block, s.dims[d], 0, s.dims[d].name()));
        if (s.dims.empty()) return;
        edit.loop(loop(LoopKind::block, s.dims.back(), row_threads, "tile"));
        edit.loop(loop(LoopKind::thread, s.dims.back()));
    }

    // A thread a series where there are several; time is serial and innermost.
    void schedule_series(size_t i) {
        const Stage& s = graph_.stages[i];
        StageEdit edit = out_.stage(s.name).root();
        std::vector<LoopSpec> loops;
        const std::vector<Dim> carried = carried_dims(s);
        std::vector<Dim> free;
        for (const Dim& d : update_pure_dims(s))
            if (!contains_dim(carried, d)) free.push_back(d);
        if (threads_may_scan(s)) return share_scan(edit, s, free);
        if (!carried.empty() || free.empty()) return;
        for (size_t d = 0; d + 1 < free.size(); ++d) loops.push_back(loop(LoopKind::block, free[d], 0, free[d].name()));
        loops.push_back(loop(LoopKind::block, free.back(), series_threads, "tile"));
        loops.push_back(loop(LoopKind::thread, free.back()));
        for (const Dim& t : s.update->reduction_dims)
            if (contains_dim(s.dims, t)) loops.push_back(loop(LoopKind::serial, t));
        edit.init(with_dims_left(loops, s.dims));
        for (const Dim& t : s.update->reduction_dims)
            if (!contains_dim(s.dims, t)) loops.push_back(loop(LoopKind::serial, t));
        for (const LoopSpec& l : loops) edit.loop(l);
    }
    // Not where values are rounded to fewer bits than the threads' parts would keep apart.
    static bool threads_may_scan(const Stage& s) {
        if (s.kind != Stage::Kind::scan || !s.update->monoid->traits.associative) return false;
        if (std::any_of(s.dtypes.begin(), s.dtypes.end(), is_narrow_float)) return false;
        return estimated_extent(s.update->reduction_dims[0]) > short_reduction;
    }
    // A block a row, several steps a thread.
    static void share_scan(StageEdit edit, const Stage& s, const std::vector<Dim>& free) {
        const Dim& t = s.update->reduction_dims[0];
        std::vector<LoopSpec> rows;
        for (const Dim& d : free) rows.push_back(loop(LoopKind::block, d, 0, d.name()));
        std::vector<LoopSpec> init = rows;
        init.push_back(loop(LoopKind::thread, t));
        edit.method(Method::blocked).init(init);
        for (const LoopSpec& l : rows) edit.loop(l);
        edit.loop(loop(LoopKind::serial, t, row_threads * scan_steps, t.name() + ".round"));
        edit.loop(loop(LoopKind::thread, t, scan_steps, t.name() + ".own"));
        edit.loop(loop(LoopKind::serial, t));
    }
    // Dims without a loop would get one outside the blocks.
    static std::vector<LoopSpec> with_dims_left(std::vector<LoopSpec> loops, const std::vector<Dim>& dims) {
        for (const Dim& d : dims)
            if (std::none_of(loops.begin(), loops.end(), [&](const LoopSpec& l) { return l.dim == d.name(); }))
                loops.push_back(loop(LoopKind::serial, d));
        return loops;
    }

    // On the threads of the block that has the row of its reader; unlisted, in the thread that reads it; at root where its
    // readers may need more of it than a thread holds.
    void schedule_reduction(size_t i) {
        const Stage& s = graph_.stages[i];
        double points = 1;
        for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
        const Update& u = *s.update;
        const bool any_order =
            u.order.kind == Order::Kind::any && u.monoid && u.monoid->traits.associative && u.monoid->traits.commutative;
        const std::vector<Read> all = reads_of(graph_, i);
        const auto reader = home_of_readers(all);
        if (points <= short_reduction || !any_order || !reader || !takes_row(i, *reader)) {
            home_[i] = reader;
            if (!reader && !needs_few_cells(all)) schedule_at_root(i);
            return;
        }
        home_[i] = *reader;
        const Stage& r = graph_.stages[*reader];
        const std::vector<LoopSpec>& loops = *out_.stages.at(r.name).loops;
        std::string row;
        for (const LoopSpec& l : loops)
            if (l.as == LoopKind::block) row = l.name;
        StageEdit edit = out_.stage(s.name).at(r.name, row);
        // Under a condition the extent of one dim may depend on where another one is, which threads cannot share.
        const bool joint = !u.condition.defined();
        for (const Dim& d : u.reduction_dims)
            edit.loop(loop(joint || d.id() == u.reduction_dims.back().id() ? LoopKind::thread : LoopKind::serial, d));
    }

    void schedule_at_root(size_t i) {
        const Stage& s = graph_.stages[i];
        StageEdit edit = out_.stage(s.name).root();
        std::vector<LoopSpec> loops;
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) loops.push_back(loop(LoopKind::block, s.dims[d], 0, s.dims[d].name()));
        if (!s.dims.empty()) {
            loops.push_back(loop(LoopKind::block, s.dims.back(), row_threads, "tile"));
            loops.push_back(loop(LoopKind::thread, s.dims.back()));
        }
        edit.init(loops);
        for (const LoopSpec& l : loops) edit.loop(l);
        for (const Dim& d : s.update->reduction_dims) edit.loop(loop(LoopKind::serial, d));
    }

    // A cell of the reader reads one cell, that of the same dims.
    bool is_own_cell(const Read& r) const {
        if (r.in_init || !is_pointwise(r.access) || r.access->target().boundary != Boundary::none) return false;
        const std::vector<Dim>& own = graph_.stages[r.user].dims;
        return std::all_of(r.access->args.begin(), r.access->args.begin() + static_cast<std::ptrdiff_t>(r.access->index_count()),
                           [&](const Expr& index) { return contains_dim(own, index->dim()); });
    }

    // The definition inside whose rows all readers are.
    std::optional<size_t> home_of_readers(const std::vector<Read>& all) const {
        std::optional<size_t> home;
        for (const Read& r : all) {
            if (!home_[r.user] || (home && home != home_[r.user]) || !is_own_cell(r)) return std::nullopt;
            home = home_[r.user];
        }
        return home;
    }

    // Every reader meets cells a constant way apart wherever its loops are, so that its thread holds few of them.
    static bool needs_few_cells(const std::vector<Read>& all) {
        std::map<size_t, const Expr*> first;
        for (const Read& r : all) {
            if (r.in_init || r.access->target().boundary != Boundary::none) return false;
            const Expr& with = *first.emplace(r.user, &r.access).first->second;
            for (size_t d = 0; d < r.access->index_count(); ++d) {
                const Expr& index = r.access->args[d];
                bool plain = true;
                for_each_node({index}, [&](const Expr& n) {
                    plain = plain && n->op != Op::access && n->op != Op::min && n->op != Op::max && n->op != Op::select;
                });
                if (!plain || !integer_constant(index_difference(index, with->args[d]))) return false;
            }
        }
        return first.size() == 1;
    }

    // Gives the reader a block a row, unless its rows are others already or a thread a cell serves it better.
    bool takes_row(size_t i, size_t reader) {
        const Stage &s = graph_.stages[i], &r = graph_.stages[reader];
        if (r.dims.empty()) return false;
        const bool whole = contains_dim(s.dims, r.dims.back());
        for (const Dim& d : s.dims)
            if (!contains_dim(r.dims, d)) return false;
        if (!whole && r.dims.size() < 2) return false;
        if (whole && reads_two_inputs(s) && s.dims.size() > 1) return false;
        const auto known = rows_.find(reader);
        if (known != rows_.end()) return known->second == whole;
        rows_[reader] = whole;
        std::vector<LoopSpec> loops;
        for (size_t d = 0; d + 1 < r.dims.size(); ++d) loops.push_back(loop(LoopKind::block, r.dims[d], 0, r.dims[d].name()));
        loops.push_back(loop(whole ? LoopKind::block : LoopKind::thread, r.dims.back(), 0, whole ? "last" : ""));
        out_.stages.at(r.name).loops = std::move(loops);
        return true;
    }
    static bool reads_two_inputs(const Stage& s) {
        std::vector<const InputState*> inputs;
        for_each_node(s.update->values, [&](const Expr& n) {
            if (n->op != Op::access || !n->target().input || n->index_count() == 0) return;
            const InputState* input = n->target().input.get();
            if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) inputs.push_back(input);
        });
        return inputs.size() > 1;
    }

    StageGraph graph_;
    Schedule out_;
    std::vector<std::optional<size_t>> home_;  // the definition in whose kernel a stage is computed
    std::map<size_t, bool> rows_;              // definitions with a block a row; true: a block a cell
};

}  // namespace

Schedule default_cuda_schedule(const Algorithm& algorithm) { return CudaScheduler(algorithm).run(); }

}  // namespace tessera
