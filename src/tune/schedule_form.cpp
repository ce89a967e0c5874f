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
    Resizing(const Schedule& written, const Choose& choose, const IsLegal& is_legal)
        : written_(written), choose_(choose), is_legal_(is_legal), out_(written) {}

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
        if (gpu_) scale_dims();
        for (auto& [name, spec] : out_.stages)
            if (spec.loops && !gpu_) resize(name, spec);
        for (auto& [name, spec] : out_.stages)
            if (spec.loops && spec.fuse_with && !gpu_) follow(spec, out_);
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
    struct ScaledDim {
        std::string decision;
        std::int64_t size = 0;            // as written, of the first loop that is met
        std::vector<std::int64_t> sizes;  // from a quarter to four times
    };
    using Factors = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;  // of a dim: chosen size, written size

    template <class Visit>
    void for_scaled(Schedule& schedule, const Visit& visit) const {
        for (auto& [stage, spec] : schedule.stages) {
            if (!spec.loops) continue;
            std::vector<LoopSpec>& loops = *spec.loops;
            for (size_t l = loops.size(); l-- > shared_loops(spec);) {
                LoopSpec& loop = loops[l];
                if (!loop.tile || *loop.tile < 2 || is_divided(loop.dim) || fixed_.count({stage, loop.dim})) continue;
                const auto inner = std::find_if(loops.begin() + static_cast<std::ptrdiff_t>(l) + 1, loops.end(),
                                                [&](const LoopSpec& i) { return i.dim == loop.dim; });
                const bool moved_at_once = inner != loops.end() && !inner->tile && inner->as == LoopKind::vector;
                if (!moved_at_once && !grouped_.count(loop.dim)) visit(stage, loop);
            }
        }
    }
    Schedule scaled(const Factors& factors) const {
        Schedule out = written_;
        for_scaled(out, [&](const std::string&, LoopSpec& loop) {
            const auto factor = factors.find(loop.dim);
            if (factor != factors.end())
                loop.tile = std::max<std::int64_t>(*loop.tile * factor->second.first / factor->second.second, 1);
        });
        for (auto& [name, spec] : out.stages)
            if (spec.loops && spec.fuse_with) follow(spec, out);
        return out;
    }

    // A size stays in its domain if what follows, all of it as written, halved or quartered, makes a legal schedule of it: so the
    // next domain has a value too.
    void scale_dims() {
        std::vector<std::string> dims;
        std::map<std::string, ScaledDim> found;
        Schedule written = written_;
        for_scaled(written, [&](const std::string& stage, LoopSpec& loop) {
            const auto [at, fresh] = found.emplace(loop.dim, ScaledDim{decision_of(stage, loop), *loop.tile, {}});
            if (!fresh) return;
            dims.push_back(loop.dim);
            for (const std::int64_t quarters : {1, 2, 4, 8, 16})
                if (*loop.tile * quarters % 4 == 0 && *loop.tile * quarters / 4 >= 2)
                    at->second.sizes.push_back(*loop.tile * quarters / 4);
        });
        Factors factors;
        for (size_t d = 0; d < dims.size(); ++d) {
            const ScaledDim& dim = found.at(dims[d]);
            const auto leads_on = [&](std::int64_t size) {
                factors[dims[d]] = {size, dim.size};
                for (const std::int64_t parts : {1, 2, 4}) {
                    Factors all = factors;
                    bool same = parts > 1;
                    for (size_t rest = d + 1; rest < dims.size(); ++rest) {
                        const ScaledDim& other = found.at(dims[rest]);
                        const bool has =
                            std::find(other.sizes.begin(), other.sizes.end(), other.size / parts) != other.sizes.end();
                        all[dims[rest]] = {has ? other.size / parts : other.size, other.size};
                        same = same && !has;
                    }
                    if (!same && is_legal_(scaled(all))) return true;
                }
                return false;
            };
            std::vector<std::int64_t> sizes = dim.sizes;
            if (is_legal_) std::erase_if(sizes, [&](std::int64_t size) { return !leads_on(size); });
            if (sizes.empty()) sizes = {dim.size};
            factors[dims[d]] = {choose_(dim.decision, sizes), dim.size};
        }
        out_ = scaled(factors);
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

    void follow(StageSpec& spec, const Schedule& in) const {
        const std::vector<LoopSpec>& owner = *in.stages.at(spec.fuse_with->stage).loops;
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
    const IsLegal& is_legal_;
    Schedule out_;
    std::set<std::pair<std::string, std::string>> fixed_;  // stage, dim
    std::map<std::string, std::int64_t> growth_;           // of blocks along each dim
    bool gpu_ = false;
    std::set<std::string> grouped_;  // dims that warpgroups deal out, 64 cells each
};

}  // namespace

Schedule resized(const Schedule& written, const Choose& choose, const IsLegal& is_legal) {
    return Resizing(written, choose, is_legal).run();
}

std::map<std::string, std::int64_t> sizes_of(const Schedule& written) {
    std::map<std::string, std::int64_t> out;
    for (const auto& [name, spec] : written.stages)
        for (const LoopSpec& l : spec.loops.value_or(std::vector<LoopSpec>{}))
            if (l.tile) out[fmt::format("{}.{}.tile", name, l.name.empty() ? l.dim : l.name)] = *l.tile;
    return out;
}

}  // namespace tessera::tune
