#include "schedule/default_row_factors.h"

#include "schedule/default_contraction.h"
#include "schedule/default_updates.h"
#include "schedule/default_windows.h"
#include "schedule/derived_stages.h"

#include <algorithm>
#include <optional>

namespace tessera {
namespace {

constexpr double tile_bytes = 16 << 10;  // of the cells for one register tile: half of the first cache

struct RowFactor {
    std::string contraction, tiles;  // the definition in whose loops it is computed, and which of them
    std::size_t row;                 // its dim that the rows of a tile run along
    std::int64_t rows;
};

// The sums of few points that the definition reads, each at its own point and alone.
std::optional<std::vector<size_t>> small_sums(const StageGraph& graph, size_t i, const std::vector<std::vector<Read>>& reads) {
    std::vector<size_t> found;
    for (size_t p = 0; p < graph.stages.size(); ++p) {
        const Stage& sum = graph.stages[p];
        if (!sum.update || !tessera::reads(graph.stages[i], sum.func.get())) continue;
        double points = 1;
        for (const Dim& d : sum.update->reduction_dims)
            points *= d.extent().constant() ? estimated_extent(d) : small_reduction + 1;
        if (sum.kind != Stage::Kind::reduction || points > small_reduction || sum.dims.size() != graph.stages[i].dims.size())
            return {};
        for (const Read& r : reads[p]) {
            if (r.user != i || !is_pointwise(r.access)) return {};
            for (size_t d = 0; d < sum.dims.size(); ++d)
                if (r.access->args[d]->dim().id() != graph.stages[i].dims[d].id()) return {};
        }
        found.push_back(p);
    }
    if (found.empty()) return {};
    return found;
}

std::optional<RowFactor> row_factor(const StageGraph& graph, const Stage& s, const std::vector<Read>& reads, std::int64_t width,
                                    Schedule& out) {
    if (s.update || s.output || s.kind != Stage::Kind::definition || s.dtypes.size() != 1 || reads.size() != 1) return {};
    const Read& read = reads[0];
    if (read.in_init || !is_pointwise(read.access) || !is_contraction(graph, read.user)) return {};
    const Stage& sum = graph.stages[read.user];
    const auto placed = out.stages.find(sum.name);
    if (placed == out.stages.end() || !placed->second.compute || placed->second.compute->at.loop != "mt") return {};
    RowFactor found{placed->second.compute->at.stage, "mt", 0, 0};
    StageSpec& spec = out.stages.at(found.contraction);
    const LoopSpec* const tile = loop_named(spec, "mt");
    const auto c = graph.find(found.contraction);
    if (!tile || !c) return {};
    found.rows = tile->tile.value_or(1);
    double cells = 1;
    bool constant = true, along_rows = false;
    const auto& index = read.access->args;
    for (size_t d = 0; d < s.dims.size(); ++d) {
        const Dim& at = index[d]->dim();
        if (at.name() == tile->dim) {
            found.row = d;
            along_rows = true;
            cells *= static_cast<double>(found.rows);
        } else if (contains_dim(sum.update->reduction_dims, at)) {
            constant = constant && s.dims[d].extent().constant().has_value();
            cells *= estimated_extent(at);
        } else if (at.id() == sum.dims.back().id()) {
            return {};
        }
    }
    const Dim& last = index[s.dims.size() - 1]->dim();
    if (!along_rows || !contains_dim(sum.update->reduction_dims, last) ||
        estimated_extent(s.dims.back()) < static_cast<double>(width))
        return {};
    // Outside of the tiles there are no loops over columns, for each of which it would be computed again.
    std::optional<std::string> around;
    for (const LoopSpec& l : *spec.loops) {
        const bool outer = l.dim != tile->dim && l.dim != sum.dims.back().name();
        if (l.name == "mt" && constant && cells * static_cast<double>(dtype_bytes(s.dtypes[0])) <= tile_bytes) return found;
        if (!outer) break;
        around = l.name.empty() ? l.dim : l.name;
    }
    if (!around) return {};
    found.tiles = *around;
    return found;
}

}  // namespace

std::vector<size_t> place_row_factor(const StageGraph& graph, size_t i, const std::vector<std::vector<Read>>& reads,
                                     std::int64_t width, Schedule& out) {
    const Stage& s = graph.stages[i];
    const auto factor = row_factor(graph, s, reads[i], width, out);
    if (!factor) return {};
    const auto sums = small_sums(graph, i, reads);
    if (!sums) return {};
    const Dim& row = s.dims[factor->row];
    const auto others = [&](StageEdit& edit) {
        for (size_t d = 0; d + 1 < s.dims.size(); ++d)
            if (d != factor->row) edit.serial(s.dims[d].name());
    };
    StageEdit edit = out.stage(s.name);
    edit.at(factor->contraction, factor->tiles);
    others(edit);
    if (factor->tiles != "mt") edit.serial(row.name(), factor->rows, "rows").tail(Tail::round_up);
    edit.serial(s.dims.back().name(), width, "columns").unroll(row.name()).vector(s.dims.back().name());
    std::vector<size_t> placed{i};
    for (const size_t p : *sums) {
        const Stage& sum = graph.stages[p];
        StageEdit inner = out.stage(sum.name);
        inner.at(s.name, "columns").space(Space::register_);
        others(inner);
        for (const Dim& d : sum.update->reduction_dims) inner.unroll(d.name());
        inner.unroll(row.name()).vector(s.dims.back().name());
        placed.push_back(p);
    }
    return placed;
}

}  // namespace tessera
