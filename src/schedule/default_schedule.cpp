#include "schedule/default_schedule.h"

#include "schedule/derived_stages.h"
#include "schedule/inline_stages.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <set>

namespace tessera {
namespace {

constexpr double cheap_recompute = 8;  // operations that are not worth a store and a load
constexpr std::int64_t rows_per_task = 32;
constexpr double small_reduction = 32;  // points that are unrolled into straight code

// Register tiles of an f32 contraction, rows x vectors: measured without spills and at the speed of vendor libraries.
struct RegisterTile {
    std::int64_t rows, vectors, block;
};

class Scheduler {
public:
    Scheduler(const Algorithm& algorithm, const CpuModel& model) : graph_(make_stages(algorithm)), model_(model) {}

    Schedule run() {
        inline_definitions();
        const size_t count = graph_.stages.size();
        placed_.assign(count, false);
        // Consumers first: a producer's place is a loop of a stage that has its loops.
        for (size_t i = count; i-- > 0;) schedule_stage(i);
        return std::move(out_);
    }

private:
    const Stage& stage(size_t i) const { return graph_.stages[i]; }

    std::int64_t lanes(const Stage& s) const {
        std::int64_t bytes = 1;
        for (const DType t : s.dtypes) bytes = std::max<std::int64_t>(bytes, dtype_bytes(t));
        for (const Expr& e : exprs_of(s))
            for_each_node({e}, [&](const Expr& n) {
                if (n->op == Op::access || (is_scalar_op(n->op) && n->dtype != DType::i64))
                    bytes = std::max<std::int64_t>(bytes, dtype_bytes(n->dtype));
            });
        return std::max<std::int64_t>(model_.vector_bytes / std::max<std::int64_t>(bytes, 2), 4);
    }

    // ---- what is inline

    void inline_definitions() {
        std::set<std::string> kept;
        for (size_t i = 0; i < graph_.stages.size();) {
            const Stage& s = stage(i);
            if (s.update || s.output || keeps(i)) {
                ++i;
                continue;
            }
            inline_stage(graph_, i);
            sort_producers_first(graph_);
            i = 0;
        }
    }

    // A definition is stored when its cells are read several times and cost more than reading them back.
    bool keeps(size_t i) const {
        const Stage& s = stage(i);
        double cost = cell_cost(s);
        for (size_t p = 0; p < graph_.stages.size(); ++p)
            if (stage(p).update && reads(s, stage(p).func.get())) cost += cell_cost(stage(p));
        const double reuse = reuse_of(graph_, i);
        bool wrapped = false;
        for (const Read& r : reads_of(graph_, i)) wrapped = wrapped || r.access->target().boundary != Boundary::none;
        if (wrapped && cost > 2) return true;
        return cost * (reuse - 1) > cheap_recompute && cost > 2;
    }

    // ---- loops

    void schedule_stage(size_t i) {
        const Stage& s = stage(i);
        if (s.update)
            schedule_update(i);
        else
            schedule_definition(i);
        placed_[i] = true;
    }

    bool is_contraction(size_t sum) const {
        const Stage& s = stage(sum);
        if (s.kind != Stage::Kind::reduction || s.update->order.kind != Order::Kind::any || s.dims.size() < 2 ||
            s.update->condition.defined())
            return false;
        if (s.dtypes.size() != 1 || s.update->monoid->name != "sum") return false;
        double points = 1;
        for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
        if (points < small_reduction) return false;
        const auto reads = reads_of(graph_, sum);
        return reads.size() == 1 && !reads[0].in_init && is_pointwise(reads[0].access) && !stage(reads[0].user).update &&
               stage(reads[0].user).output && stage(reads[0].user).dims.size() == s.dims.size() && product_body(s);
    }

    // The last dim strides through one factor, the one before it through the other: reuse in both directions of a register tile.
    static bool product_body(const Stage& s) {
        const Expr& v = s.update->values[0];
        if (v->op != Op::fma && v->op != Op::add) return false;
        const Dim n = s.dims.back(), m = s.dims[s.dims.size() - 2];
        bool by_n = false, by_m = false;
        for_each_node({v}, [&](const Expr& e) {
            if (e->op != Op::access || e->target().func == s.func) return;
            const auto free = free_dims(e);
            by_n = by_n || (contains_dim(free, n) && !contains_dim(free, m));
            by_m = by_m || (contains_dim(free, m) && !contains_dim(free, n));
        });
        return by_n && by_m;
    }

    std::optional<size_t> contraction_of(size_t definition) const {
        for (size_t p = 0; p < definition; ++p)
            if (reads(stage(definition), stage(p).func.get()) && stage(p).update && is_contraction(p)) return p;
        return std::nullopt;
    }

    RegisterTile register_tile() const {
        if (model_.vector_bytes >= 64) return {6, 4, 256};
        return {3, 4, 64};
    }

    void schedule_definition(size_t i) {
        const Stage& s = stage(i);
        StageEdit edit = out_.stage(s.name);
        if (s.dims.empty()) {
            edit.root();
            return;
        }
        if (const auto sum = contraction_of(i)) {
            schedule_contraction(i, *sum);
            return;
        }
        if (!s.output && place_in_rows(i, edit)) {
            vector_loops(edit, s.dims, lanes(s));
            return;
        }
        edit.root();
        root_loops(edit, s, lanes(s));
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
        const auto small = [](const Dim& d) { return d.extent().constant() && *d.extent().constant() <= 16; };
        for (size_t d = 0; d + 2 < rank; ++d)
            if (!small(s.dims[d])) edit.parallel(s.dims[d].name());
        if (estimated_extent(y) > rows_per_task)
            edit.parallel(y.name(), rows_per_task, "task").serial(y.name(), 0, "row");
        else
            edit.serial(y.name(), 0, "row");
        for (size_t d = 0; d + 2 < rank; ++d)
            if (small(s.dims[d])) edit.serial(s.dims[d].name());
        columns(edit, s.dims.back(), width);
    }

    void columns(StageEdit& edit, const Dim& x, std::int64_t width) {
        if (estimated_extent(x) < static_cast<double>(width))
            edit.serial(x.name());
        else
            edit.serial(x.name(), width, "columns").vector(x.name());
    }

    void vector_loops(StageEdit& edit, const std::vector<Dim>& dims, std::int64_t width) {
        for (size_t d = 0; d + 1 < dims.size(); ++d) edit.serial(dims[d].name());
        columns(edit, dims.back(), width);
    }

    // ---- contractions

    void schedule_contraction(size_t i, size_t sum) {
        const Stage& c = stage(i);
        const Stage& s = stage(sum);
        const RegisterTile tile = register_tile();
        std::int64_t bytes = dtype_bytes(s.dtypes[0]);
        const std::int64_t width = std::max<std::int64_t>(model_.vector_bytes / bytes, 2);
        const std::int64_t n_tile = tile.vectors * width;
        const std::int64_t n_block = std::max(tile.block * 4 / bytes, n_tile);
        const Dim n = c.dims.back(), m = c.dims[c.dims.size() - 2];
        StageEdit edit = out_.stage(c.name);
        edit.root();
        for (size_t d = 0; d + 2 < c.dims.size(); ++d) edit.parallel(c.dims[d].name());
        const bool wide = estimated_extent(n) > static_cast<double>(n_tile);
        if (wide && n_block > n_tile) edit.parallel(n.name(), n_block, "nb").tail(Tail::guard);
        if (wide) edit.serial(n.name(), n_tile, "nt").tail(Tail::guard);
        edit.serial(m.name(), tile.rows, "mt").unroll(m.name());
        if (wide && n_tile > width)
            edit.unroll(n.name(), width, "nu").tail(Tail::guard).vector(n.name());
        else
            edit.serial(n.name());
        StageEdit inner = out_.stage(s.name);
        inner.at(c.name, "mt").space(Space::register_);
        for (const Dim& d : s.update->reduction_dims) inner.serial(d.name());
        for (size_t d = 0; d + 2 < s.dims.size(); ++d) inner.serial(s.dims[d].name());
        inner.unroll(m.name());
        if (wide && n_tile > width)
            inner.unroll(n.name(), width, "nu").vector(n.name());
        else
            inner.serial(n.name());
        placed_[sum] = true;
        if (wide && n_block > n_tile) pack_operand(c, s, n, n_tile);
    }

    // The input that strides along n is copied into panels of one register tile's columns.
    void pack_operand(const Stage& c, const Stage& s, const Dim& n, std::int64_t n_tile) {
        const Dim m = c.dims[c.dims.size() - 2];
        for_each_node({s.update->values[0]}, [&](const Expr& e) {
            if (e->op != Op::access || !e->target().input || e->target().boundary != Boundary::none) return;
            const InputState& input = *e->target().input;
            if (input.dims.size() != 2 || e->args.size() != 2 || !is_pointwise(e)) return;
            if (input.dims[1].id() != n.id() || contains_dim(free_dims(e), m)) return;
            const std::string name = input.name + ".p", k = input.dims[0].name();
            if (out_.stages.count(name)) return;
            const std::int64_t width = std::max<std::int64_t>(model_.vector_bytes / dtype_bytes(s.dtypes[0]), 2);
            out_.copy(name, input.name, {s.name})
                .at(c.name, "nb")
                .layout({n.name() + "/" + std::to_string(n_tile), k, n.name() + "%" + std::to_string(n_tile)})
                .serial(n.name(), n_tile, "panel")
                .serial(k)
                .unroll(n.name(), width, "nu")
                .vector(n.name());
        });
    }

    // ---- producers inside the rows of an output

    // The stage's dim that moves with `row` of the consumer chain, or none: all reads have exactly one index that depends on the
    // consumer's row dim, plus small reduced dims.
    std::optional<size_t> row_dim(size_t producer, const Dim& row, const std::string& root) const {
        std::optional<size_t> found;
        for (const Read& r : reads_of(graph_, producer)) {
            const Stage& user = stage(r.user);
            Dim user_row = row;
            if (user.name != root) {
                const auto at = rows_.find(user.name);
                if (at == rows_.end() || at->second.first != root) return std::nullopt;
                user_row = user.dims[at->second.second];
            }
            std::optional<size_t> here;
            for (size_t d = 0; d < r.access->index_count(); ++d) {
                const auto free = free_dims(r.access->args[d]);
                if (!contains_dim(free, user_row)) continue;
                if (here || !is_shift(r.access->args[d], user_row)) return std::nullopt;
                here = d;
            }
            if (!here || (found && *found != *here)) return std::nullopt;
            found = here;
        }
        return found;
    }

    // row + bounded terms: constants and small dims.
    static bool is_shift(const Expr& e, const Dim& row) {
        bool good = true;
        for_each_node({e}, [&](const Expr& n) {
            if (n->op == Op::dim && n->dim().id() != row.id() &&
                (!n->dim().extent().constant() || *n->dim().extent().constant() > 64))
                good = false;
            if (n->op != Op::add && n->op != Op::sub && n->op != Op::dim && n->op != Op::constant) good = false;
        });
        return good;
    }

    // The output in whose rows all readers of the producer live, with that output's row dim.
    std::optional<std::pair<std::string, size_t>> home(size_t producer) const {
        std::set<std::string> roots;
        for (const Read& r : reads_of(graph_, producer)) {
            const Stage& user = stage(r.user);
            const auto at = rows_.find(user.name);
            if (at != rows_.end())
                roots.insert(at->second.first);
            else
                roots.insert(user.name);
            if (r.in_init && at == rows_.end()) return std::nullopt;
        }
        if (roots.size() != 1) return std::nullopt;
        const std::string root = *roots.begin();
        const Stage& r = stage(*graph_.find(root));
        if (r.update || !row_loop(root)) return std::nullopt;
        const size_t row = r.dims.size() - 2;
        const auto dim = row_dim(producer, r.dims[row], root);
        if (!dim) return std::nullopt;
        return std::pair{root, *dim};
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
    bool has_task_loop(const std::string& name) const {
        for (const LoopSpec& l : *out_.stages.at(name).loops)
            if (l.name == "task") return true;
        return false;
    }

    bool place_in_rows(size_t i, StageEdit& edit) {
        const auto where = home(i);
        if (!where) return false;
        edit.at(where->first, "row");
        bool shifted = false;
        for (const Read& r : reads_of(graph_, i)) shifted = shifted || !is_pointwise(r.access);
        // A sliding window: rows computed once per task are kept while later rows read them.
        if (shifted && has_task_loop(where->first)) edit.store_at(where->first, "task");
        rows_[stage(i).name] = {where->first, where->second};
        return true;
    }

    // ---- reductions and other updates

    void schedule_update(size_t i) {
        if (placed_[i]) return;
        const Stage& s = stage(i);
        double points = 1;
        for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
        const bool plain = s.kind == Stage::Kind::reduction;
        const auto all = reads_of(graph_, i);
        StageEdit edit = out_.stage(s.name);
        if (plain && points <= small_reduction && in_registers(i, all, edit)) return;
        if (plain && place_in_rows(i, edit)) {
            if (lanes_partial(i, edit)) return;
            reduction_loops(edit, s, lanes(s), points);
            return;
        }
        edit.root();
        if (!plain) {
            serial_update(edit, s);
            return;
        }
        if (s.dims.size() == 1 && lanes_partial(i, edit, true)) return;
        root_reduction(edit, s, points);
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
        const std::string root = at == rows_.end() ? user.name : at->second.first;
        const Dim row = user.dims[at == rows_.end() ? user.dims.size() - 2 : at->second.second];
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (access->args[d]->dim().id() == row.id()) rows_[s.name] = {root, d};
    }

    // A reduction per row along a long dim: partial results in lanes, then one short combination.
    bool lanes_partial(size_t i, StageEdit& edit, bool root = false) {
        const Stage& s = stage(i);
        const auto& u = *s.update;
        if (u.order.kind != Order::Kind::any || !u.monoid->traits.associative || !u.monoid->traits.commutative ||
            u.reduction_dims.empty())
            return false;
        const Dim& k = u.reduction_dims.back();
        const std::int64_t width = lanes(s) * 2;
        if (estimated_extent(k) < static_cast<double>(2 * width)) return false;
        for (const Dim& d : s.dims)
            if (root && d.id() != s.dims[0].id()) return false;
        const std::string kept = k.name() + "%" + std::to_string(width);
        const std::string name = s.name + ".lanes";
        if (root) {
            edit.parallel(s.dims[0].name());
            edit.serial(kept);
            out_.partial(name, s.name, {kept}).at(s.name, s.dims[0].name());
        } else {
            for (const Dim& d : s.dims) edit.serial(d.name());
            edit.serial(kept);
            const StageSpec& placed = out_.stages.at(s.name);
            out_.partial(name, s.name, {kept}).at(placed.compute->at.stage, placed.compute->at.loop);
        }
        StageEdit part = out_.stage(name);
        for (const Dim& d : s.dims) part.serial(d.name());
        for (const Dim& d : u.reduction_dims) part.serial(d.name());
        part.vector(kept);
        return true;
    }

    void reduction_loops(StageEdit& edit, const Stage& s, std::int64_t width, double points) {
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.serial(s.dims[d].name());
        const bool vector = !s.dims.empty() && estimated_extent(s.dims.back()) >= static_cast<double>(width);
        if (vector)
            edit.serial(s.dims.back().name(), width, "columns");
        else if (!s.dims.empty())
            edit.serial(s.dims.back().name());
        for (const Dim& d : s.update->reduction_dims) {
            if (points <= small_reduction && d.extent().constant())
                edit.unroll(d.name());
            else
                edit.serial(d.name());
        }
        if (vector) edit.vector(s.dims.back().name());
    }

    void root_reduction(StageEdit& edit, const Stage& s, double points) {
        if (s.dims.empty()) {
            for (const Dim& d : s.update->reduction_dims) edit.serial(d.name());
            return;
        }
        const std::int64_t width = lanes(s);
        if (s.dims.size() >= 2) {
            for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.parallel(s.dims[d].name());
            Stage last = s;
            last.dims = {s.dims.back()};
            reduction_loops(edit, last, width, points);
            return;
        }
        edit.parallel(s.dims[0].name(), 8 * width, "task");
        edit.serial(s.dims[0].name(), width, "columns");
        for (const Dim& d : s.update->reduction_dims) edit.serial(d.name());
        edit.vector(s.dims[0].name());
    }

    // Scans, recurrences and scatters run in order; what is free of that order runs in parallel outside.
    static void serial_update(StageEdit& edit, const Stage& s) {
        const auto pure = update_pure_dims(s);
        for (size_t d = 0; d < pure.size(); ++d) {
            if (d == 0)
                edit.parallel(pure[d].name());
            else
                edit.serial(pure[d].name());
        }
        for (const Dim& d : s.update->reduction_dims) edit.serial(d.name());
    }

    StageGraph graph_;
    CpuModel model_;
    Schedule out_;
    std::vector<bool> placed_;
    std::map<std::string, std::pair<std::string, size_t>> rows_;  // stage -> output in whose rows it lives, its dim that follows
};

}  // namespace

Schedule default_schedule(const Algorithm& algorithm, const CpuModel& model) { return Scheduler(algorithm, model).run(); }

}  // namespace tessera
