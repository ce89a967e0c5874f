#include "schedule/default_home_clones.h"

#include "schedule/default_inlining.h"
#include "schedule/derived_stages.h"
#include "schedule/stage_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace tessera {
namespace {

constexpr double most_again = 12;  // operations an element, inputs that are read among them; far less than storing and loading it
constexpr double few_cells = 4;    // of what is read, to one that is computed of it: that reading costs little

class Homes {
public:
    Homes(const StageGraph& written, const Schedule& schedule) : written_(written), schedule_(schedule) {
        const std::vector<std::vector<Read>> reads = all_reads(written);
        users_.resize(reads.size());
        for (size_t i = 0; i < reads.size(); ++i)
            for (const Read& r : reads[i]) users_[i].insert(r.user);
    }
    [[nodiscard]] const std::set<size_t>& users(size_t i) const { return users_[i]; }

    // The roots in whose loops a stage is computed: several where it is inline in stages of several.
    [[nodiscard]] std::set<std::string> of(size_t i) const {
        std::string name = written_.stages[i].name;
        while (true) {
            const auto found = schedule_.stages.find(name);
            if (found == schedule_.stages.end() || !found->second.compute) break;
            const Compute& at = *found->second.compute;
            if (at.kind == Compute::Kind::root) return {name};
            if (at.kind == Compute::Kind::inline_) break;
            name = at.at.stage;
        }
        std::set<std::string> out;
        for (const size_t u : users_[i]) out.merge(of(u));
        return out;
    }

private:
    const StageGraph& written_;
    const Schedule& schedule_;
    std::vector<std::set<size_t>> users_;
};

bool is_at_root(const Schedule& schedule, const std::string& stage) {
    const auto found = schedule.stages.find(stage);
    return found != schedule.stages.end() && found->second.compute && found->second.compute->kind == Compute::Kind::root;
}

// Whether the cells that it reads are few beside its own: a table, or a plane of which it has many.
bool reads_few(const StageGraph& graph, const Stage& s) {
    double cells = 1;
    for (const Dim& d : s.dims) cells *= estimated_extent(d);
    bool few = true;
    for_each_node(s.values, [&](const Expr& n) {
        if (n->op != Op::access) return;
        double places = 1, all = std::numeric_limits<double>::infinity();
        for (const Dim& d : free_dims(n)) places *= estimated_extent(d);
        if (n->target().func) {
            all = 1;
            for (const Dim& d : graph.stages[*graph.find(n->target().func.get())].dims) all *= estimated_extent(d);
        }
        few = few && std::min(places, all) * few_cells <= cells;
    });
    return few;
}

// Little work on what stands in memory anyway, whose result is large.
bool is_worth_it(const StageGraph& graph, const Schedule& schedule, const Stage& s, size_t homes) {
    if (s.update || s.output || s.kind != Stage::Kind::definition || s.values.size() != 1 || s.dims.size() < 2) return false;
    double bytes = static_cast<double>(dtype_bytes(s.dtypes[0]));
    for (const Dim& d : s.dims) bytes *= estimated_extent(d);
    bool there = bytes >= far_bytes;
    for_each_node(s.values, [&](const Expr& n) {
        if (n->op != Op::access || !n->target().func) return;
        const auto from = graph.find(n->target().func.get());
        there = there && from && is_at_root(schedule, graph.stages[*from].name);
    });
    if (!there) return false;
    const double again = cell_cost(s);
    return again <= most_again || (again * static_cast<double>(homes - 1) <= cheaper_than_memory && reads_few(graph, s));
}

}  // namespace

Schedule clones_for_homes(const StageGraph& written, const StageGraph& scheduled, const Schedule& schedule) {
    Schedule out;
    const Homes homes(written, schedule);
    for (size_t i = 0; i < written.stages.size(); ++i) {
        const std::string& name = written.stages[i].name;
        const auto after = scheduled.find(name);
        if (!after || !is_at_root(schedule, name)) continue;
        std::map<size_t, std::vector<std::string>> by_home;
        bool good = true;
        for (const size_t u : homes.users(i)) {
            const std::set<std::string> at = homes.of(u);
            const auto home = at.size() == 1 ? written.find(*at.begin()) : std::nullopt;
            good = good && home && !written.stages[*home].update;
            if (good) by_home[*home].push_back(written.stages[u].name);
        }
        if (!good || by_home.size() < 2 || !is_worth_it(scheduled, schedule, scheduled.stages[*after], by_home.size())) continue;
        by_home.erase(std::prev(by_home.end()));
        for (const auto& [home, users] : by_home)
            out.clone(fmt::format("{}.of.{}", name, written.stages[home].name), name, users);
    }
    return out;
}

bool stand_in_homes(const Schedule& clones, const Schedule& schedule) {
    return std::none_of(clones.stages.begin(), clones.stages.end(), [&](const auto& clone) {
        return is_at_root(schedule, clone.first) || is_at_root(schedule, *clone.second.clone_of);
    });
}

}  // namespace tessera
