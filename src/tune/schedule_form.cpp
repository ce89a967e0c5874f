#include "tune/schedule_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

namespace tessera::tune {
namespace {

bool is_divided(const std::string& dim) { return dim.find_first_of("/%") != std::string::npos; }

class Resizing {
public:
    Resizing(const Schedule& written, const Choose& choose) : written_(written), choose_(choose), out_(written) {}

    Schedule run() {
        for (const auto& [name, spec] : written_.stages)
            for (const LoopSpec& l : spec.loops.value_or(std::vector<LoopSpec>{})) {
                gpu_ = gpu_ || l.as >= LoopKind::block;
                if (l.as == LoopKind::warpgroup && l.tile == 64) grouped_.insert(l.dim);
            }
        for (auto& [name, spec] : out_.stages) {
            for (const std::string& entry : spec.store.layout.value_or(std::vector<std::string>{})) fix(name, entry);
            for (const std::string& entry : spec.keep.value_or(std::vector<std::string>{})) {
                fix(name, entry);
                fix(spec.derived_from(), entry);
            }
        }
        for (auto& [name, spec] : out_.stages)
            if (spec.loops) resize(name, spec);
        for (auto& [name, spec] : out_.stages)
            if (spec.loops && spec.fuse_with) follow(spec);
        for (auto& [name, spec] : out_.stages) grow_rings(spec);
        return std::move(out_);
    }

private:
    // Loops over a dim whose blocks are part of a layout or of partial results keep the sizes that these name.
    void fix(const std::string& stage, const std::string& entry) {
        if (is_divided(entry)) fixed_.insert({stage, parse_layout_entry(entry).dim});
    }

    // How many loops of a stage belong to the nest that it is fused with.
    size_t shared_loops(const StageSpec& spec) const {
        if (!spec.fuse_with) return 0;
        const auto owner = written_.stages.find(spec.fuse_with->stage);
        if (owner == written_.stages.end() || !owner->second.loops) return 0;
        const auto& loops = *owner->second.loops;
        for (size_t l = 0; l < loops.size(); ++l)
            if (loops[l].name == spec.fuse_with->loop || (loops[l].name.empty() && loops[l].dim == spec.fuse_with->loop))
                return std::min(l + 1, spec.loops->size());
        return 0;
    }

    void resize(const std::string& stage, StageSpec& spec) {
        std::vector<LoopSpec>& loops = *spec.loops;
        for (size_t l = loops.size(); l-- > shared_loops(spec);) {
            LoopSpec& loop = loops[l];
            if (!loop.tile || *loop.tile < 2 || is_divided(loop.dim) || fixed_.count({stage, loop.dim})) continue;
            const LoopSpec* inner = nullptr;
            for (size_t i = l + 1; i < loops.size() && !inner; ++i)
                if (loops[i].dim == loop.dim) inner = &loops[i];
            if (gpu_) {
                scale(stage, loop, inner);
                continue;
            }
            const auto sizes = domain(*loop.tile, inner);
            const std::int64_t size = choose_(decision_of(stage, loop), sizes);
            // A ring lives inside a task.
            if (loop.as != LoopKind::parallel) growth_[loop.dim] += std::max<std::int64_t>(size - *loop.tile, 0);
            loop.tile = size;
        }
    }
    static std::string decision_of(const std::string& stage, const LoopSpec& loop) {
        return fmt::format("{}.{}.tile", stage, loop.name.empty() ? loop.dim : loop.name);
    }

    // Who deals out a dim, and how often, stays: all sizes along it grow by one factor. What one thread moves at once stays as
    // well.
    void scale(const std::string& stage, LoopSpec& loop, const LoopSpec* inner) {
        if (grouped_.count(loop.dim) || (inner && !inner->tile && inner->as == LoopKind::vector)) return;
        const auto known = factors_.find(loop.dim);
        if (known != factors_.end()) {
            loop.tile = std::max<std::int64_t>(*loop.tile * known->second.first / known->second.second, 1);
            return;
        }
        std::vector<std::int64_t> sizes;
        for (const std::int64_t quarters : {1, 2, 4, 8, 16})
            if (*loop.tile * quarters % 4 == 0 && *loop.tile * quarters / 4 >= 2) sizes.push_back(*loop.tile * quarters / 4);
        const std::int64_t size = sizes.empty() ? *loop.tile : choose_(decision_of(stage, loop), sizes);
        factors_[loop.dim] = {size, *loop.tile};
        loop.tile = size;
    }

    // Sizes from a quarter to four times, whole blocks of the loop inside.
    static std::vector<std::int64_t> domain(std::int64_t size, const LoopSpec* inner) {
        const bool vector = inner && !inner->tile && inner->as == LoopKind::vector;
        std::vector<std::int64_t> quarters{2, 4, 8};
        if (!vector) quarters = {1, 2, 3, 4, 6, 8, 16};
        const std::int64_t block = inner ? inner->tile.value_or(1) : 1;
        std::vector<std::int64_t> out;
        for (const std::int64_t q : quarters) {
            const std::int64_t rounded = std::max<std::int64_t>((size * q / 4 + block - 1) / block, 1) * block;
            if (rounded >= 2 && (out.empty() || rounded > out.back())) out.push_back(rounded);
        }
        return out;
    }

    void follow(StageSpec& spec) {
        const std::vector<LoopSpec>& owner = *out_.stages.at(spec.fuse_with->stage).loops;
        for (size_t l = 0; l < shared_loops(spec); ++l) (*spec.loops)[l].tile = owner[l].tile;
    }

    // As many rows more as all blocks together have grown: enough, whichever of them the ring serves.
    void grow_rings(StageSpec& spec) {
        for (auto& [dim, rows] : spec.store.fold) {
            const auto more = growth_.find(dim);
            if (more == growth_.end() || more->second == 0) continue;
            const bool power = std::has_single_bit(static_cast<std::uint64_t>(rows));
            rows += more->second;
            if (power) rows = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(rows)));
        }
    }

    const Schedule& written_;
    const Choose& choose_;
    Schedule out_;
    std::set<std::pair<std::string, std::string>> fixed_;  // stage, dim
    std::map<std::string, std::int64_t> growth_;           // of blocks along each dim
    bool gpu_ = false;
    std::set<std::string> grouped_;                                         // dims that warpgroups deal out, 64 cells each
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> factors_;  // of a dim: chosen size, written size
};

}  // namespace

Schedule resized(const Schedule& written, const Choose& choose) { return Resizing(written, choose).run(); }

std::map<std::string, std::int64_t> sizes_of(const Schedule& written) {
    std::map<std::string, std::int64_t> out;
    for (const auto& [name, spec] : written.stages)
        for (const LoopSpec& l : spec.loops.value_or(std::vector<LoopSpec>{}))
            if (l.tile) out[fmt::format("{}.{}.tile", name, l.name.empty() ? l.dim : l.name)] = *l.tile;
    return out;
}

}  // namespace tessera::tune
