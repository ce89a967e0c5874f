#include "schedule/default_row_clones.h"

#include "expr/op_cost.h"
#include "schedule/default_updates.h"
#include "schedule/derived_stages.h"
#include "schedule/routine_stages.h"
#include "schedule/stage_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera {
namespace {

constexpr double most_cloned = 24;  // operations an element, all that is computed again; about what storing and loading it takes
constexpr double least_row = 64;    // elements

class RowClones {
public:
    RowClones(const StageGraph& graph, size_t output) : graph_(graph), output_(output), users_(graph.stages.size()) {
        const std::vector<std::vector<Read>> reads = all_reads(graph);
        for (size_t i = 0; i < reads.size(); ++i)
            for (const Read& r : reads[i]) users_[i].insert(r.user);
        reached_.insert(output);
        for (size_t i = graph.stages.size(); i-- > 0;)
            if (!graph.stages[i].output && any_user(i, reached_)) reached_.insert(i);
        for (size_t i = graph.stages.size(); i-- > 0;) {
            if (i == output || !reached_.count(i)) continue;
            const bool read_elsewhere =
                std::any_of(users_[i].begin(), users_[i].end(), [&](size_t u) { return !reached_.count(u); });
            if (read_elsewhere || any_user(i, shared_)) shared_.insert(i);
        }
    }

    // Whether there is a sum along rows among what is shared, and nothing that is not worth computing again.
    [[nodiscard]] bool are_worth_it(const CpuModel& model) const {
        const std::vector<Dim>& dims = graph_.stages[output_].dims;
        const double row = estimated_extent(dims.back());
        double cost = 0, arrays = 1;
        bool sums = false;
        for (const size_t i : shared_) {
            const Stage& s = graph_.stages[i];
            if (stands_at_root(graph_, i) || s.kind == Stage::Kind::routine) return false;
            if (s.update) {
                if (s.kind != Stage::Kind::reduction || !reduces_contiguously(s) || !are_leading(s.dims, dims)) return false;
                sums = true;
                ++arrays;
                cost += cost_along(s.update->values, s.update->reduction_dims[0]);
            } else if (s.dims.size() >= dims.size()) {
                cost += cost_along(s.values, s.dims.back());
            }
        }
        return sums && row >= least_row && row * arrays * 8 <= static_cast<double>(model.l2_bytes) / 2 && cost <= most_cloned;
    }

    /// Whether a stage that it shares is needed by other outputs than `among`.
    [[nodiscard]] bool is_needed_elsewhere(const std::set<std::string>& among) const {
        std::set<size_t> users = shared_;
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            const bool is_user = std::any_of(users.begin(), users.end(), [&](size_t u) { return users_[u].count(i) != 0; });
            if (!is_user && !users.count(i)) continue;
            users.insert(i);
            if (graph_.stages[i].output && !among.count(graph_.stages[i].name)) return true;
        }
        return false;
    }

    [[nodiscard]] Schedule clones() const {
        Schedule out;
        for (const size_t i : shared_) {
            std::vector<std::string> uses;
            for (const size_t u : users_[i])
                if (reached_.count(u)) uses.push_back(shared_.count(u) ? name_of(u) : graph_.stages[u].name);
            out.clone(name_of(i), graph_.stages[i].name, uses);
        }
        return out;
    }

private:
    [[nodiscard]] bool any_user(size_t i, const std::set<size_t>& among) const {
        return std::any_of(users_[i].begin(), users_[i].end(), [&](size_t u) { return among.count(u) != 0; });
    }
    // What does not change along `row` is computed outside of its loop.
    static double cost_along(const std::vector<Expr>& values, const Dim& row) {
        double cost = 0;
        for_each_node(values, [&](const Expr& n) { cost += contains_dim(free_dims(n), row) ? op_cost(*n) : 0; });
        return cost;
    }
    static bool are_leading(const std::vector<Dim>& dims, const std::vector<Dim>& of) {
        if (dims.size() + 1 != of.size()) return false;
        for (size_t d = 0; d < dims.size(); ++d)
            if (dims[d].id() != of[d].id()) return false;
        return true;
    }
    [[nodiscard]] std::string name_of(size_t i) const {
        return fmt::format("{}.of.{}", graph_.stages[i].name, graph_.stages[output_].name);
    }

    const StageGraph& graph_;
    size_t output_;
    std::vector<std::set<size_t>> users_;
    std::set<size_t> reached_, shared_;
};

std::optional<std::string> find_kept(const StageGraph& graph, const std::set<std::string>& outputs) {
    for (const std::string& name : outputs)
        if (RowClones(graph, *graph.find(name)).is_needed_elsewhere(outputs)) return name;
    return {};
}

}  // namespace

void clone_row_sums(StageGraph& graph, const CpuModel& model, Schedule& out,
                    const std::function<bool(const std::string&)>& is_joined) {
    std::set<std::string> outputs;
    for (size_t i = 0; i < graph.stages.size(); ++i) {
        const Stage& s = graph.stages[i];
        if (s.output && !s.update && s.dims.size() >= 2 && !is_joined(s.name) && RowClones(graph, i).are_worth_it(model))
            outputs.insert(s.name);
    }
    // What something else needs too is computed for all rows anyway, and each output reads a number of it a row.
    while (const auto kept = find_kept(graph, outputs)) outputs.erase(*kept);
    for (const std::string& name : outputs) {
        const RowClones found(graph, *graph.find(name));
        Schedule clones = found.clones();
        out.stages.insert(clones.stages.begin(), clones.stages.end());
        apply_derived_stages(graph, clones);
        sort_producers_first(graph);
    }
}

}  // namespace tessera
