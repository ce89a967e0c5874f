#pragma once

#include <tessera/autodiff.h>

#include "algorithm/extent_values.h"
#include "algorithm/required_region.h"
#include "autodiff/recurrence_segments.h"

#include <memory>
#include <unordered_set>

namespace tessera {

/// What the backward part reads of the forward one: kept as buffers, or computed once more.
class Residuals {
public:
    /// `forward`: in normal form; `backward`: the results, which read its definitions. Throws E0303 for a name of the policy that
    /// is no definition, E0103 for a dim whose extent a budget needs, L0904 for a budget that cannot be met.
    Residuals(const Algorithm& forward, const std::vector<Func>& backward, const SavePolicy& policy, NameSupply& names);

    /// What the forward part has as further outputs, and the inputs that they are for the backward part.
    [[nodiscard]] const std::vector<Func>& outputs() const { return outputs_; }
    [[nodiscard]] const std::vector<Input>& inputs() const { return inputs_; }
    /// `funcs` with the reads of what is kept replaced.
    [[nodiscard]] std::vector<Func> reading_saved(const std::vector<Func>& funcs);

private:
    // Which definitions are kept, in the order of the algorithm, and which recurrences by segments.
    struct Choice {
        std::vector<Func> kept;
        std::vector<size_t> segments;
    };
    [[nodiscard]] Choice chosen_with(const std::unordered_set<const FuncState*>& dropped) const;
    void need_reads(const FuncState& f, bool init_alone, std::unordered_set<const FuncState*>& needed) const;
    void check_names() const;
    [[nodiscard]] bool is_storable(const Func& f) const;
    [[nodiscard]] bool is_wanted(const Func& f) const;
    [[nodiscard]] bool is_output(const FuncState& f) const;
    void segment(const Recurrence& recurrence, std::int64_t steps);
    void keep_every();
    void meet_budget();
    [[nodiscard]] double bytes_of(const Choice& choice, ExtentValues& extents) const;
    [[nodiscard]] bool coarsen(const Choice& choice, ExtentValues& extents);
    void save(const Func& f);

    [[nodiscard]] Func started_by(const FuncState& f);
    [[nodiscard]] Expr replaced(const Expr& access, bool states);

    const Algorithm& forward_;
    const SavePolicy& policy_;
    NameSupply& names_;
    RequiredRegions regions_;
    std::unordered_set<const FuncState*> primal_, needed_at_first_, dropped_;
    std::optional<std::unordered_set<const FuncState*>> only_;  // every k-th: what may be kept
    struct Group {
        const Recurrence* recurrence;
        std::int64_t steps;
        std::unique_ptr<RecurrenceSegments> segments;
    };
    std::vector<Group> groups_;
    std::map<const FuncState*, size_t> group_of_;
    std::unordered_set<size_t> used_groups_;
    std::map<const FuncState*, std::vector<Input>> saved_;
    std::vector<Func> outputs_;
    std::vector<Input> inputs_;
    std::map<const FuncState*, Func> starts_;
};

/// Operations to compute all of a definition.
[[nodiscard]] double work_of(const FuncState& f, ExtentValues& extents);

}  // namespace tessera
