#include "schedule/default_contraction.h"

#include "base/json_text.h"
#include "expr/op_cost.h"
#include "schedule/default_updates.h"
#include "schedule/derived_stages.h"
#include "schedule/stage_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

namespace tessera {
namespace {

constexpr double least_reduced = 16;  // points of a sum that are worth register tiles
constexpr double enough_rows = 16;    // of an inner dim, so that tiles have their rows there
constexpr double most_tiled = 10;     // operations of a product in a register tile, its loads included

// Register tiles of an f32 contraction, rows x vectors: measured without spills and at the speed of vendor libraries.
struct RegisterTile {
    std::int64_t rows, vectors, block;
};

// Fewer columns leave registers for more rows.
RegisterTile register_tile(const CpuModel& model, std::int64_t vectors) {
    constexpr std::int64_t wide_rows[] = {14, 12, 8, 6}, narrow_rows[] = {8, 6, 4, 3};
    if (model.vector_bytes >= 64) return {wide_rows[vectors - 1], vectors, 128};
    return {narrow_rows[vectors - 1], vectors, 64};
}

bool varies_along(const Expr& e, const Dim& d) { return contains_dim(free_dims(e), d); }

// The tensors that the body of a sum reads.
std::vector<Expr> factors_of(const Stage& sum) {
    std::vector<Expr> out;
    for_each_node({sum.update->values[0]}, [&](const Expr& e) {
        if (e->op == Op::access && e->target().func != sum.func) out.push_back(e);
    });
    return out;
}

// Vectors side by side in a tile: as many as fit, or those that few columns fill with the least beyond their end.
std::int64_t tile_vectors(const Dim& n, std::int64_t width) {
    constexpr std::int64_t most = 4;
    const auto columns = n.extent().constant();
    const auto fitting = static_cast<std::int64_t>(estimated_extent(n)) / width;
    std::int64_t best = std::clamp<std::int64_t>(fitting, 1, most);
    if (!columns || *columns >= most * width || *columns < width) return best;
    const auto computed = [&](std::int64_t vectors) { return (*columns + vectors * width - 1) / (vectors * width) * vectors; };
    for (std::int64_t v = best + 1; v <= most; ++v)
        if (computed(v) < computed(best)) best = v;
    return best;
}

// Whether a sum of products has reuse in both directions of a tile over `m` and its last dim: one factor varies along `m` alone,
// another along the last dim alone.
bool forms_tiles(const Stage& sum, const Dim& m) {
    const Dim& n = sum.dims.back();
    bool by_n = false, by_m = false;
    for (const Expr& e : factors_of(sum)) {
        by_n = by_n || (varies_along(e, n) && !varies_along(e, m));
        by_m = by_m || (varies_along(e, m) && !varies_along(e, n));
    }
    return by_n && by_m;
}

// The dim whose loop forms the rows of a register tile, for a sum of products whose last dim gives the columns: the innermost
// that fills a tile, or the longest. Nothing where there is none.
std::optional<Dim> row_dim_of_contraction(const Stage& sum) {
    std::optional<Dim> found;
    for (std::size_t i = sum.dims.size() - 1; i-- > 0;) {
        const Dim& m = sum.dims[i];
        if (!forms_tiles(sum, m)) continue;
        if (!found || (estimated_extent(*found) < enough_rows && estimated_extent(m) > 2 * estimated_extent(*found))) found = m;
    }
    return found;
}

class Contraction {
public:
    Contraction(const Stage& c, const ContractionSum& sum, const Dim& row, const CpuModel& model)
        : c_(c), s_(sum.sum), written_(sum.written), m_(row), n_(c.dims.back()) {
        const std::int64_t bytes = dtype_bytes(s_.dtypes[0]);
        width_ = std::max<std::int64_t>(model.vector_bytes / bytes, 2);
        const double columns = estimated_extent(n_);
        // A part of a vector is worth one where the factor is copied into whole ones.
        ragged_ = columns < static_cast<double>(width_) && 2 * columns >= static_cast<double>(width_);
        vectors_ = ragged_ || columns >= static_cast<double>(width_);
        tile_ = register_tile(model, tile_vectors(n_, width_));
        n_tile_ = tile_.vectors * width_;
        n_block_ = std::max(tile_.block * 4 / bytes, n_tile_);
        wide_ = columns > static_cast<double>(n_tile_);
        blocks_ = columns > static_cast<double>(n_block_);
        // Blocks of k whose panels fill half of the second level of cache.
        k_block_ = std::max<std::int64_t>(model.l2_bytes / 2 / (n_block_ * bytes), 64);
        for (const Dim& d : c_.dims)
            if (d.id() != m_.id() && d.id() != n_.id()) outer_.push_back(d);
        order_reduced_dims();
    }

    // `beside`: the other sums of the same definition, each over all of its k in tiles of its own.
    void run(std::span<const Contraction> beside, Schedule& out) const {
        const std::vector<Packed> packed = packed_factors(out), rows = gathered_factors(out);
        if (!beside.empty()) {
            whole(out, packed, rows);
            for (const Contraction& other : beside) other.stand_beside(out);
            return;
        }
        if (!rows.empty() && packed.empty() && !wide_ && vectors_ && reduced_.size() == 1 && c_.dtypes == s_.dtypes &&
            !s_.update->condition.defined() && estimated_extent(reduced_[0]) > static_cast<double>(steps)) {
            stepped(out);
            return;
        }
        if (packed.empty() || !packed[0].in_place || c_.dims.size() != 2 || reduced_.size() != 1 ||
            s_.update->condition.defined()) {
            whole(out, packed, rows);
            return;
        }
        const Dim& k = reduced_[0];
        const std::int64_t long_k = 4 * k_block_;  // panels of twice the second level of cache
        if (const auto extent = k.extent().constant()) {
            if (*extent >= long_k)
                blocked(out, packed, rows);
            else
                whole(out, packed, rows);
            return;
        }
        whole(out, packed, rows);
        Schedule deltas;
        blocked(deltas, packed, rows);
        deltas.clear.insert(fmt::format("/stages/{}/store/space", pointer_escape(s_.name)));
        const std::string when = fmt::format("{} >= {}", k.name(), long_k);
        for (Variant& v : out.variants)
            if (v.when == when) {
                v.stages.insert(deltas.stages.begin(), deltas.stages.end());
                v.clear.insert(deltas.clear.begin(), deltas.clear.end());
                return;
            }
        out.variant(when, deltas);
    }

private:
    // A factor that is copied: the name of the copy, what it is of, that tensor's dims, and the one among them that makes the
    // panels.
    struct Packed {
        std::string name, of, use;
        std::vector<Dim> dims;
        std::size_t column, outer;  // outer: so many of the outer dims it varies along
        bool contiguous;            // rows run along the columns
        bool in_place;              // a matrix of which blocks are taken as they are needed
    };

    // The sum runs through its dims so that the factor of the rows is read in the order of its memory.
    void order_reduced_dims() {
        reduced_ = s_.update->reduction_dims;
        std::map<const void*, std::size_t> place;
        for (const Expr& e : factors_of(s_)) {
            if (!varies_along(e, m_) || varies_along(e, n_)) continue;
            for (std::size_t i = 0; i < e->index_count(); ++i)
                for (const Dim& d : free_dims(e->args[i])) place[d.id()] = i;
        }
        std::stable_sort(reduced_.begin(), reduced_.end(),
                         [&](const Dim& a, const Dim& b) { return place[a.id()] < place[b.id()]; });
    }

    // Tiles of registers inside blocks of columns, each over all of k.
    void whole(Schedule& out, const std::vector<Packed>& packed, const std::vector<Packed>& rows) const {
        StageEdit edit = out.stage(c_.name);
        edit.root();
        for (const Dim& d : outer_) edit.parallel(d.name());
        const bool in_blocks = has_blocks(packed);
        if (in_blocks) edit.parallel(n_.name(), n_block_, "nb").tail(Tail::guard);
        // Few blocks of columns: blocks of rows keep all threads busy.
        double blocks = in_blocks ? estimated_extent(n_) / static_cast<double>(n_block_) : 1;
        for (const Dim& d : outer_) blocks *= estimated_extent(d);
        const bool packed_inside = std::any_of(packed.begin(), packed.end(), [&](const Packed& p) { return placed_inside(p); });
        if (blocks < least_blocks && !packed_inside && estimated_extent(m_) > static_cast<double>(8 * tile_.rows))
            edit.parallel(m_.name(), 8 * tile_.rows, "mb");
        if (wide_) edit.serial(n_.name(), n_tile_, "nt").tail(Tail::guard);
        edit.serial(m_.name(), tile_.rows, "mt").unroll(m_.name());
        const auto columns = n_.extent().constant();
        // A tile of one vector has no loop over vectors.
        if (wide_ && n_tile_ == width_)
            edit.vector(n_.name());
        else
            vectors(edit, columns && *columns % n_tile_ == 0 ? std::optional<Tail>() : Tail::guard);
        in_tiles(out, packed, rows, in_blocks);
    }

    // Blocks make tasks and hold panels: none where other dims make the tasks and nothing is packed.
    [[nodiscard]] bool has_blocks(const std::vector<Packed>& packed) const {
        return blocks_ && (outer_.empty() || !packed.empty());
    }

    // The sum inside the tiles, and the copies of its factors.
    void in_tiles(Schedule& out, const std::vector<Packed>& packed, const std::vector<Packed>& rows, bool in_blocks) const {
        StageEdit inner = out.stage(s_.name);
        inner.at(c_.name, "mt").space(Space::register_);
        for (const Dim& d : reduced_) inner.serial(d.name());
        for (const Dim& d : outer_) inner.serial(d.name());
        inner.unroll(m_.name());
        vectors(inner);
        for (const Packed& p : packed)
            if (placed_inside(p) && (in_blocks || !outer_.empty()))
                pack(out, p, c_.name, in_blocks ? "nb" : outer_.back().name());
            else
                pack(out, p, "", "");
        for (const Packed& p : rows) gather_rows(out, p);
        copy_bounded(out);
    }

    void stand_beside(Schedule& out) const {
        const std::vector<LoopSpec>& loops = *out.stages.at(c_.name).loops;
        const bool in_blocks = std::any_of(loops.begin(), loops.end(), [](const LoopSpec& l) { return l.name == "nb"; });
        in_tiles(out, packed_factors(out), gathered_factors(out), in_blocks);
    }

    // Register tiles over one block of k, added to the sum, which lives in the result.
    void blocked(Schedule& out, const std::vector<Packed>& packed, const std::vector<Packed>& rows) const {
        const std::string k = reduced_[0].name(), kept = fmt::format("{}/{}", k, k_block_), part = s_.name + ".part";
        StageEdit edit = out.stage(c_.name);
        edit.root()
            .parallel(m_.name(), 4 * tile_.rows, "mb")
            .tail(Tail::guard)
            .serial(m_.name())
            .serial(n_.name(), width_, "nv")
            .tail(Tail::guard)
            .vector(n_.name());
        StageEdit sum = out.stage(s_.name);
        sum.root()
            .parallel(n_.name(), n_block_, "nb")
            .tail(Tail::guard)
            .serial(kept, 0, "kb")
            .serial(n_.name(), n_tile_, "nt")
            .tail(Tail::guard);
        sum.serial(m_.name(), tile_.rows, "mt").tail(Tail::guard).unroll(m_.name(), 0, "mi");
        vectors(sum, Tail::guard);
        if (c_.dtypes == s_.dtypes) sum.live_in(c_.name);
        sum.init({{.dim = m_.name(), .tile = 4 * tile_.rows, .as = LoopKind::parallel, .name = "mb", .tail = Tail::guard},
                  {.dim = m_.name()},
                  {.dim = n_.name(), .tile = width_, .name = "nv", .tail = Tail::guard},
                  {.dim = n_.name(), .as = LoopKind::vector}});
        out.partial(part, s_.name, {kept}).at(s_.name, "mt").space(Space::register_).serial(k).unroll(m_.name());
        StageEdit inner = out.stage(part);
        vectors(inner);
        for (const Packed& p : packed) {
            Packed of_part = p;
            of_part.use = part + p.use.substr(s_.name.size());
            pack(out, of_part, s_.name, "kb");
        }
        for (const Packed& p : rows) {
            Packed of_part = p;
            of_part.use = part + p.use.substr(s_.name.size());
            gather_rows(out, of_part);
        }
    }

    // A factor whose rows are gathered for one tile of columns is not worth a copy. Register tiles over a few steps of the sum
    // find its lines in the first cache, where the last tile left them; the sum lives in the result.
    void stepped(Schedule& out) const {
        const std::string k = reduced_[0].name(), kept = fmt::format("{}/{}", k, steps), part = s_.name + ".part";
        const auto over_outer = [&](StageEdit& edit) {
            for (const Dim& d : outer_) edit.parallel(d.name());
        };
        StageEdit edit = out.stage(c_.name);
        over_outer(edit.root());
        edit.serial(m_.name()).serial(n_.name(), width_, "nv").tail(Tail::guard).vector(n_.name());
        StageEdit sum = out.stage(s_.name);
        over_outer(sum.root());
        double tasks = 1;
        for (const Dim& d : outer_) tasks *= estimated_extent(d);
        if (tasks < least_blocks && estimated_extent(m_) > static_cast<double>(8 * tile_.rows))
            sum.parallel(m_.name(), 8 * tile_.rows, "mb").tail(Tail::guard);
        sum.serial(kept, 0, "kb").serial(m_.name(), tile_.rows, "mt").tail(Tail::guard).unroll(m_.name(), 0, "mi");
        vectors(sum, Tail::guard);
        sum.live_in(c_.name);
        std::vector<LoopSpec> init;
        for (const Dim& d : outer_) init.push_back({.dim = d.name(), .as = LoopKind::parallel});
        init.push_back({.dim = m_.name()});
        init.push_back({.dim = n_.name(), .tile = width_, .name = "nv", .tail = Tail::guard});
        init.push_back({.dim = n_.name(), .as = LoopKind::vector});
        sum.init(init);
        out.partial(part, s_.name, {kept}).at(s_.name, "mt").space(Space::register_).serial(k).unroll(m_.name());
        StageEdit inner = out.stage(part);
        vectors(inner);
        copy_bounded(out);
    }

    void vectors(StageEdit& edit, std::optional<Tail> tail = {}) const {
        if (!vectors_) {
            edit.serial(n_.name());
            return;
        }
        edit.unroll(n_.name(), width_, "nu");
        if (tail) edit.tail(*tail);
        edit.vector(n_.name());
    }

    // Whether the sum reads the tensor itself, and not through a definition that is inlined.
    [[nodiscard]] bool reads_itself(const Expr& access) const {
        bool found = false;
        for_each_node(exprs_of(written_), [&](const Expr& e) { found = found || e.same_as(access); });
        return found;
    }

    // What a copy of the tensor that `access` reads is of, and the use that it serves.
    [[nodiscard]] Packed copy_for(const Expr& access, const std::string& suffix, const Schedule& out) const {
        Packed p;
        const AccessTarget& target = access->target();
        p.of = target.input ? target.input->name : target.func->name;
        p.dims = target.input ? target.input->dims : target.func->dims;
        p.use = s_.name;
        p.name = p.of + suffix;
        if (out.stages.count(p.name)) p.name = fmt::format("{}.{}", s_.name, p.name);
        int number = 0, others = 0;
        for_each_node(exprs_of(written_), [&](const Expr& e) {
            if (e->op != Op::access || e->target().input != target.input || e->target().func != target.func) return;
            if (e.same_as(access)) number = others;
            ++others;
        });
        if (others > 1) p.use += fmt::format("#{}", number);
        return p;
    }

    // The factors that vary along the columns, where a copy in panels is better than themselves: their columns are not
    // contiguous, or their rows are far apart.
    [[nodiscard]] std::vector<Packed> packed_factors(const Schedule& out) const {
        std::vector<Packed> found;
        if (!vectors_) return found;
        for (const Expr& e : factors_of(s_)) {
            if (!reads_itself(e) || !varies_along(e, n_) || varies_along(e, m_) || e->target().boundary != Boundary::none ||
                !is_pointwise(e))
                continue;
            if (e->target().func && e->target().func->dtypes.size() != 1) continue;
            std::size_t column = 0;
            while (e->args[column]->dim().id() != n_.id()) ++column;
            const bool contiguous = column + 1 == e->index_count();
            if (contiguous && !ragged_ && !(blocks_ && tile_.vectors == 4 && e->target().input && e->index_count() == 2))
                continue;
            Packed p = copy_for(e, ".p", out);
            p.column = column;
            p.outer = static_cast<std::size_t>(
                std::count_if(outer_.begin(), outer_.end(), [&](const Dim& d) { return varies_along(e, d); }));
            p.contiguous = contiguous;
            p.in_place = contiguous && blocks_;
            if (!is_among(found, p.name)) found.push_back(p);
        }
        return found;
    }
    static bool is_among(const std::vector<Packed>& copies, const std::string& name) {
        return std::any_of(copies.begin(), copies.end(), [&](const Packed& p) { return p.name == name; });
    }

    // Whether every iteration of the outer loops needs panels of its own; others are packed once.
    [[nodiscard]] bool placed_inside(const Packed& packed) const {
        return packed.outer == outer_.size() && (blocks_ || !outer_.empty());
    }

    // Panels of one register tile's columns, at a loop or, without a stage, at root.
    void pack(Schedule& out, const Packed& packed, const std::string& at, const std::string& loop) const {
        const std::string column = packed.dims[packed.column].name();
        StageEdit edit = out.copy(packed.name, packed.of, {packed.use});
        std::vector<std::string> layout;
        std::vector<std::string> others;
        for (std::size_t i = 0; i < packed.dims.size(); ++i)
            if (i != packed.column) others.push_back(packed.dims[i].name());
        layout.push_back(fmt::format("{}/{}", column, n_tile_));
        layout.insert(layout.end(), others.begin(), others.end());
        layout.push_back(fmt::format("{}%{}", column, n_tile_));
        edit.layout(layout);
        if (at.empty())
            edit.root().parallel(column, n_tile_, "panel");
        else
            edit.at(at, loop).serial(column, n_tile_, "panel");
        if (packed.contiguous) {
            for (const std::string& d : others) edit.serial(d);
            if (n_tile_ > width_) edit.unroll(column, width_, "nu");
            edit.vector(column);
            return;
        }
        // A transpose goes through small squares, of which every line of memory is used up before the next.
        for (std::size_t i = 0; i + 1 < others.size(); ++i) edit.serial(others[i]);
        edit.serial(others.back(), square, "square").serial(column).serial(others.back());
    }

    // Factors whose rows follow each other in memory, so that a step of the sum takes them from one line to another far away:
    // copies in which a register tile's rows lie together.
    [[nodiscard]] std::vector<Packed> gathered_factors(const Schedule& out) const {
        std::vector<Packed> found;
        for (const Expr& e : factors_of(s_)) {
            if (!reads_itself(e) || !varies_along(e, m_) || varies_along(e, n_) || e->target().boundary != Boundary::none ||
                !is_pointwise(e))
                continue;
            if (e->target().func && e->target().func->dtypes.size() != 1) continue;
            const std::size_t last = e->index_count() - 1;
            if (e->args[last]->dim().id() != m_.id() || last == 0 || !contains_dim(reduced_, e->args[last - 1]->dim())) continue;
            const double bytes = estimated_extent(m_) * static_cast<double>(dtype_bytes(e->dtype));
            if (bytes < (wide_ ? far_bytes_of_tiles : far_bytes)) continue;
            Packed p = copy_for(e, ".rows", out);
            p.column = last;
            if (!is_among(found, p.name)) found.push_back(p);
        }
        return found;
    }
    void gather_rows(Schedule& out, const Packed& p) const {
        const std::size_t last = p.column;
        const std::string row = p.dims[last].name(), step = p.dims[last - 1].name();
        StageEdit edit = out.copy(p.name, p.of, {p.use});
        std::vector<std::string> layout;
        edit.root();
        for (std::size_t i = 0; i + 1 < last; ++i) {
            layout.push_back(p.dims[i].name());
            edit.parallel(p.dims[i].name());
        }
        layout.push_back(fmt::format("{}/{}", row, tile_.rows));
        layout.push_back(step);
        layout.push_back(fmt::format("{}%{}", row, tile_.rows));
        edit.layout(layout).parallel(step, square, "task").serial(row, tile_.rows, "panel").serial(step).unroll(row);
    }

    // Factors that are read through a boundary condition: with a copy that reaches outside no condition is left inside.
    void copy_bounded(Schedule& out) const {
        std::vector<std::string> done;
        for (const Expr& e : factors_of(s_)) {
            if (e->target().boundary == Boundary::none || !reads_itself(e)) continue;
            const Packed p = copy_for(e, ".padded", out);
            if (std::find(done.begin(), done.end(), p.of) != done.end()) continue;
            done.push_back(p.of);
            StageEdit edit = out.copy(p.name, p.of, {p.use});
            edit.root();
            for (std::size_t i = 0; i + 1 < p.dims.size(); ++i)
                if (i == 0)
                    edit.parallel(p.dims[i].name());
                else
                    edit.serial(p.dims[i].name());
            edit.serial(p.dims.back().name(), width_, "columns").tail(Tail::guard).vector(p.dims.back().name());
        }
    }

    static constexpr double least_blocks = 8;
    static constexpr std::int64_t steps = 128;  // of a sum, whose lines and pages are in the nearest caches together
    static constexpr std::int64_t square = 16;  // elements along a side: lines of 64 bytes
    // Rows of one tile of columns are far apart where each has a page, and all share a set of the cache; those of several tiles
    // where four have a page: the steps of a sum are in more pages than are near, for every tile.
    static constexpr double far_bytes = 4096, far_bytes_of_tiles = 1024;
    const Stage &c_, &s_, &written_;
    Dim m_, n_;
    std::vector<Dim> outer_, reduced_;
    RegisterTile tile_{};
    std::int64_t width_ = 0, n_tile_ = 0, n_block_ = 0, k_block_ = 0;
    bool vectors_ = false, ragged_ = false, wide_ = false, blocks_ = false;
};

// Operations on floats of the body, which a tile's code has some tens of times.
double tiled_cost(const Stage& sum) {
    double cost = 0;
    for_each_node({sum.update->values[0]}, [&](const Expr& n) { cost += n.dtype() != DType::i64 ? op_cost(*n) : 0; });
    return cost;
}

}  // namespace

// A sum of products with reuse in both directions of a register tile, read at its own point by one definition.
bool is_contraction(const StageGraph& graph, size_t sum) {
    const Stage& s = graph.stages[sum];
    if (s.kind != Stage::Kind::reduction || s.update->order.kind != Order::Kind::any || s.dims.size() < 2) return false;
    if (s.dtypes.size() != 1 || s.update->monoid->name != "sum") return false;
    const Op body = s.update->values[0]->op;
    if (body != Op::fma && body != Op::add) return false;
    double points = 1;
    for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
    if (points < least_reduced || tiled_cost(s) > most_tiled) return false;
    const auto reads = reads_of(graph, sum);
    if (reads.size() != 1 || reads[0].in_init || !is_pointwise(reads[0].access) || graph.stages[reads[0].user].update)
        return false;
    const std::vector<Dim>& dims = graph.stages[reads[0].user].dims;
    for (size_t i = 0; i < s.dims.size(); ++i)
        if (dims.size() != s.dims.size() || dims[i].id() != s.dims[i].id() ||
            reads[0].access->args[i]->dim().id() != dims[i].id())
            return false;
    return row_dim_of_contraction(s).has_value();
}

bool computes_row_factor(const StageGraph& graph, size_t sum, const Expr& access, double operations) {
    constexpr double few_columns = 64;
    const Stage& s = graph.stages[sum];
    return is_contraction(graph, sum) && !varies_along(access, s.dims.back()) && s.dims.back().extent().constant() &&
           estimated_extent(s.dims.back()) <= few_columns && tiled_cost(s) - op_cost(*access) + operations <= most_tiled;
}

std::vector<size_t> contractions_of(const StageGraph& graph, size_t definition) {
    std::vector<size_t> found;
    std::optional<Dim> rows;
    for (size_t p = 0; p < definition; ++p) {
        const Stage& sum = graph.stages[p];
        if (!reads(graph.stages[definition], sum.func.get()) || !sum.update || !is_contraction(graph, p)) continue;
        if (!rows) rows = row_dim_of_contraction(sum);
        if (forms_tiles(sum, *rows)) found.push_back(p);
    }
    return found;
}

void schedule_contraction(const Stage& c, const std::vector<ContractionSum>& sums, const CpuModel& model, Schedule& out) {
    const Dim row = *row_dim_of_contraction(sums[0].sum);
    std::vector<Contraction> all;
    for (const ContractionSum& s : sums) all.emplace_back(c, s, row, model);
    all[0].run(std::span<const Contraction>(all).subspan(1), out);
}

}  // namespace tessera
