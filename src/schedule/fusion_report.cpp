#include <tessera/schedule_default.h>

#include "schedule/derived_stages.h"
#include "schedule/stage_cost.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

namespace tessera {
namespace {

class FusionReport {
public:
    FusionReport(const Algorithm& algorithm, const Schedule& schedule)
        : graph_(make_stages(algorithm)), reads_(all_reads(graph_)), schedule_(schedule) {}

    std::string text() const {
        std::string out;
        for (size_t i = 0; i < graph_.stages.size(); ++i) out += fmt::format("{}: {}\n", stage(i).name, line_of(i));
        return out;
    }

private:
    const Stage& stage(size_t i) const { return graph_.stages[i]; }
    const StageSpec* spec_of(size_t i) const {
        const auto found = schedule_.stages.find(stage(i).name);
        return found == schedule_.stages.end() ? nullptr : &found->second;
    }
    bool is_inline(size_t i) const {
        const StageSpec* spec = spec_of(i);
        return !stage(i).output && (!spec || !spec->compute || spec->compute->kind == Compute::Kind::inline_);
    }

    std::set<std::string> readers(size_t i) const {
        std::set<std::string> names;
        for (const Read& r : reads_[i]) names.insert(stage(r.user).name);
        return names;
    }

    // The nests that read a stage: readers that are inline or computed inside others stand for those.
    std::set<std::string> nests_that_read(size_t i) const {
        std::set<std::string> nests;
        for (const Read& r : reads_[i]) {
            if (is_inline(r.user))
                nests.merge(nests_that_read(r.user));
            else
                nests.insert(nest_of(r.user));
        }
        return nests;
    }
    std::string nest_of(size_t i) const {
        std::string name = stage(i).name;
        for (auto at = schedule_.stages.find(name);
             at != schedule_.stages.end() && at->second.compute && at->second.compute->kind == Compute::Kind::at;
             at = schedule_.stages.find(name))
            name = at->second.compute->at.stage;
        return name;
    }

    std::string line_of(size_t i) const {
        if (is_inline(i)) return fmt::format("fused: inline in {}", fmt::join(readers(i), ", "));
        const StageSpec* spec = spec_of(i);
        const std::string shared = spec && spec->fuse_with
                                       ? fmt::format("; shares the loop {} of {}", spec->fuse_with->loop, spec->fuse_with->stage)
                                       : "";
        if (!spec || !spec->compute || spec->compute->kind == Compute::Kind::root) {
            if (stage(i).output) return "an output, a nest of its own" + shared;
            if (spec && spec->store.in) return fmt::format("fused: lives in the memory of {}", *spec->store.in) + shared;
            return "not fused: " + why_apart(i) + shared;
        }
        return fmt::format("fused: in the loop {} of {}{}", spec->compute->at.loop, spec->compute->at.stage, kept(*spec)) +
               shared;
    }

    static std::string kept(const StageSpec& spec) {
        if (spec.store.space == Space::register_) return ", in registers";
        if (!spec.store.at) return "";
        std::string text = fmt::format(", kept over {}", spec.store.at->loop);
        for (const auto& [dim, rows] : spec.store.fold) text += fmt::format(" in a ring of {} {}", rows, dim);
        return text;
    }

    std::string why_apart(size_t i) const {
        const Stage& s = stage(i);
        if (s.update && (s.update->sequential || s.kind == Stage::Kind::scatter))
            return fmt::format("a {} is complete only after its last step",
                               s.kind == Stage::Kind::scatter ? "scatter" : "recurrence");
        const auto nests = nests_that_read(i);
        if (nests.size() > 1) return fmt::format("{} read it, one after the other", fmt::join(nests, " and "));
        for (const Read& r : reads_[i])
            if (stage(r.user).update && !r.in_init &&
                (stage(r.user).update->sequential || stage(r.user).kind == Stage::Kind::scatter))
                return fmt::format("{} goes through it element by element", stage(r.user).name);
        for (const Read& r : reads_[i])
            for (const Expr& index : r.access->args)
                if (reads_values(index)) return fmt::format("{} reads it where values say", stage(r.user).name);
        if (s.update) return fmt::format("{} needs all of it at every point", fmt::join(nests, ", "));
        return fmt::format("in the rows of {} more of it would be computed twice than storing it costs", fmt::join(nests, ", "));
    }

    static bool reads_values(const Expr& index) {
        bool found = false;
        for_each_node({index}, [&](const Expr& n) { found = found || n->op == Op::access; });
        return found;
    }

    StageGraph graph_;
    std::vector<std::vector<Read>> reads_;
    const Schedule& schedule_;
};

}  // namespace

std::string fusion_report(const Algorithm& algorithm, const Schedule& schedule) {
    return FusionReport(algorithm, schedule).text();
}

}  // namespace tessera
