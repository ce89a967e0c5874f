#include "schedule/default_contraction.h"

#include "schedule/stage_cost.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

// Register tiles of an f32 contraction, rows x vectors: measured without spills and at the speed of vendor libraries.
struct RegisterTile {
    std::int64_t rows, vectors, block;
};

RegisterTile register_tile(const CpuModel& model) {
    if (model.vector_bytes >= 64) return {6, 4, 256};
    return {3, 4, 64};
}

class Contraction {
public:
    Contraction(const Stage& c, const Stage& sum, const CpuModel& model)
        : c_(c), s_(sum), tile_(register_tile(model)), m_(c.dims[c.dims.size() - 2]), n_(c.dims.back()) {
        const std::int64_t bytes = dtype_bytes(sum.dtypes[0]);
        width_ = std::max<std::int64_t>(model.vector_bytes / bytes, 2);
        n_tile_ = tile_.vectors * width_;
        n_block_ = std::max(tile_.block * 4 / bytes, n_tile_);
        wide_ = estimated_extent(n_) > static_cast<double>(n_tile_);
        // Blocks of k whose panels fill half of the second level of cache.
        k_block_ = std::max<std::int64_t>(model.l2_bytes / 2 / (n_block_ * bytes), 64);
    }

    void run(Schedule& out) const {
        auto packed = wide_ && n_block_ > n_tile_ ? packed_operand() : std::nullopt;
        if (packed && out.stages.count(packed->name)) packed->name = fmt::format("{}.{}", s_.name, packed->name);
        if (!packed || c_.dims.size() != 2 || s_.update->reduction_dims.size() != 1) {
            whole(out, packed);
            return;
        }
        const Dim& k = s_.update->reduction_dims[0];
        const std::int64_t long_k = 8 * k_block_;
        if (const auto extent = k.extent().constant()) {
            if (*extent >= long_k)
                blocked(out, *packed);
            else
                whole(out, packed);
            return;
        }
        whole(out, packed);
        Schedule deltas;
        blocked(deltas, *packed);
        deltas.clear.insert(fmt::format("/stages/{}/store/space", s_.name));
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
    struct Packed {
        std::string name, input, k;
    };

    // Tiles of registers inside blocks of columns, each over all of k.
    void whole(Schedule& out, const std::optional<Packed>& packed) const {
        StageEdit edit = out.stage(c_.name);
        edit.root();
        for (size_t d = 0; d + 2 < c_.dims.size(); ++d) edit.parallel(c_.dims[d].name());
        if (wide_ && n_block_ > n_tile_) edit.parallel(n_.name(), n_block_, "nb").tail(Tail::guard);
        if (wide_) edit.serial(n_.name(), n_tile_, "nt").tail(Tail::guard);
        edit.serial(m_.name(), tile_.rows, "mt").unroll(m_.name());
        vectors(edit, Tail::guard);
        StageEdit inner = out.stage(s_.name);
        inner.at(c_.name, "mt").space(Space::register_);
        for (const Dim& d : s_.update->reduction_dims) inner.serial(d.name());
        for (size_t d = 0; d + 2 < s_.dims.size(); ++d) inner.serial(s_.dims[d].name());
        inner.unroll(m_.name());
        vectors(inner);
        if (packed) pack(out, *packed, s_.name, c_.name, "nb");
    }

    // Register tiles over one block of k, added to the sum, which lives in the result.
    void blocked(Schedule& out, const Packed& packed) const {
        const std::string k = s_.update->reduction_dims[0].name(), kept = fmt::format("{}/{}", k, k_block_),
                          part = s_.name + ".part";
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
        pack(out, packed, part, s_.name, "kb");
    }

    void vectors(StageEdit& edit, std::optional<Tail> tail = {}) const {
        if (!wide_ || n_tile_ == width_) {
            edit.serial(n_.name());
            return;
        }
        edit.unroll(n_.name(), width_, "nu");
        if (tail) edit.tail(*tail);
        edit.vector(n_.name());
    }

    // The input that strides along n.
    [[nodiscard]] std::optional<Packed> packed_operand() const {
        std::optional<Packed> found;
        for_each_node({s_.update->values[0]}, [&](const Expr& e) {
            if (found || e->op != Op::access || !e->target().input || e->target().boundary != Boundary::none) return;
            const InputState& input = *e->target().input;
            if (input.dims.size() != 2 || e->args.size() != 2 || !is_pointwise(e)) return;
            if (input.dims[1].id() != n_.id() || contains_dim(free_dims(e), m_)) return;
            found = {input.name + ".p", input.name, input.dims[0].name()};
        });
        return found;
    }

    // Panels of one register tile's columns.
    void pack(Schedule& out, const Packed& packed, const std::string& user, const std::string& at,
              const std::string& loop) const {
        out.copy(packed.name, packed.input, {user})
            .at(at, loop)
            .layout({fmt::format("{}/{}", n_.name(), n_tile_), packed.k, fmt::format("{}%{}", n_.name(), n_tile_)})
            .serial(n_.name(), n_tile_, "panel")
            .serial(packed.k)
            .unroll(n_.name(), width_, "nu")
            .vector(n_.name());
    }

    const Stage &c_, &s_;
    RegisterTile tile_;
    Dim m_, n_;
    std::int64_t width_ = 0, n_tile_ = 0, n_block_ = 0, k_block_ = 0;
    bool wide_ = false;
};

}  // namespace

void schedule_contraction(const Stage& c, const Stage& sum, const CpuModel& model, Schedule& out) {
    Contraction(c, sum, model).run(out);
}

}  // namespace tessera
