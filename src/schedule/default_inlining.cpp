#include "schedule/default_inlining.h"

#include "expr/index_build.h"
#include "expr/op_cost.h"
#include "schedule/default_contraction.h"
#include "schedule/default_strips.h"
#include "schedule/derived_stages.h"
#include "schedule/in_place_outputs.h"
#include "schedule/inline_stages.h"
#include "schedule/routine_stages.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace tessera {
namespace {

constexpr double cheaper_than_cache = 12;  // the same where the next passes find it in the first two caches
constexpr double longest_row = 32768;      // elements that stay there
constexpr double most_reads_in_pass = 4;   // of a cell, on average; products of matrices read it more often
constexpr double lane_by_lane = 8;         // loads that one at places which depend on values is worth
constexpr double rows_together = 4;        // of an output, about what registers hold
constexpr double once_a_row = 8;           // operations that a row of vectors begins with

/// A graph and who reads what in it.
struct Reading {
    const StageGraph& graph;
    std::vector<std::vector<Read>> by_producer;
    explicit Reading(const StageGraph& of) : graph(of), by_producer(all_reads(of)) {}
    [[nodiscard]] const Stage& stage(size_t i) const { return graph.stages[i]; }
};

// One operation on what other definitions hold at the same point: no dearer than reading the result back.
bool is_light(const StageGraph& graph, const Stage& s) {
    double operations = 0;
    bool same_point = true;
    for_each_node(s.values, [&](const Expr& n) {
        if (n->op != Op::access) {
            operations += op_cost(*n);
            return;
        }
        same_point = same_point && n->target().func && n->index_count() == s.dims.size() && is_pointwise(n) &&
                     !graph.stages[*graph.find(n->target().func.get())].update;
    });
    return same_point && operations <= 1;
}

// What a recurrence or a scatter gives, unchanged: that is at root as a whole, and is read from there.
bool is_copy_of_whole(const StageGraph& graph, const Stage& s) {
    if (s.update || s.values.size() != 1 || s.values[0]->op != Op::access || !s.values[0]->target().func) return false;
    const auto from = graph.find(s.values[0]->target().func.get());
    if (!from) return false;
    const Stage& whole = graph.stages[*from];
    return whole.kind == Stage::Kind::recurrence || whole.kind == Stage::Kind::scatter;
}

bool is_reduced(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    return std::any_of(reads.begin(), reads.end(), [&](const Read& r) { return in.stage(r.user).update && !r.in_init; });
}

bool is_scattered(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    return std::any_of(reads.begin(), reads.end(),
                       [&](const Read& r) { return in.stage(r.user).kind == Stage::Kind::scatter && !r.in_init; });
}

bool is_read_at_own_points(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    return std::all_of(reads.begin(), reads.end(), [](const Read& r) { return !r.in_init && is_pointwise(r.access); });
}

// How many passes read a definition at its own points, definitions that are themselves read only so looked through.
size_t passes_over(const Reading& in, size_t definition) {
    std::set<size_t> passes, seen;
    std::vector<size_t> open{definition};
    while (!open.empty()) {
        const size_t i = open.back();
        open.pop_back();
        for (const Read& r : in.by_producer[i]) {
            if (!seen.insert(r.user).second) continue;
            const Stage& user = in.stage(r.user);
            if (!user.update && !user.output && !is_scattered(in, r.user) && is_read_at_own_points(in, r.user))
                open.push_back(r.user);
            else
                passes.insert(r.user);
        }
    }
    return passes.size();
}

// Whether all that is read of it for a row of one output is that row, which is then summed and read again while it is in a cache.
bool is_read_in_rows(const Reading& in, size_t i) {
    const Stage& s = in.stage(i);
    if (s.dims.size() < 2 || estimated_extent(s.dims.back()) > longest_row) return false;
    std::optional<size_t> output;
    for (const Read& r : in.by_producer[i]) {
        const Stage& user = in.stage(r.user);
        const bool whole_row = user.kind == Stage::Kind::reduction && !r.in_init && user.dims.size() + 1 == s.dims.size() &&
                               user.update->reduction_dims.size() == 1;
        const bool again = user.output && !user.update && user.dims.size() == s.dims.size() && output.value_or(r.user) == r.user;
        if (!is_pointwise(r.access) || (!whole_row && !again)) return false;
        std::vector<Dim> at = user.dims;
        if (whole_row) at.push_back(user.update->reduction_dims[0]);
        for (size_t d = 0; d < at.size(); ++d)
            if (r.access->args[d]->dim().id() != at[d].id()) return false;
        if (again) output = r.user;
    }
    return output.has_value();
}

// Whether one other definition alone reads it, at its own points: what is worth storing is that one, which has this inside.
bool is_part_of_reader(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    const Stage& s = in.stage(i);
    if (reads.empty() || !is_read_at_own_points(in, i)) return false;
    const Stage& user = in.stage(reads[0].user);
    if (user.update || user.values.size() > 1 || user.dims.size() != s.dims.size()) return false;
    return std::all_of(reads.begin(), reads.end(), [&](const Read& r) {
        bool same = r.user == reads[0].user;
        for (size_t d = 0; d < user.dims.size(); ++d) same = same && r.access->args[d]->dim().id() == user.dims[d].id();
        return same;
    });
}

// Whether it is little and the same all along the rows of its readers, which compute it once for each.
bool is_once_a_row(const Reading& in, size_t i, double cost) {
    if (cost > once_a_row || in.stage(i).update) return false;
    const auto& reads = in.by_producer[i];
    return std::all_of(reads.begin(), reads.end(), [&](const Read& r) {
        const Stage& user = in.stage(r.user);
        return !user.update && !user.dims.empty() && is_pointwise(r.access) &&
               std::none_of(r.access->args.begin(), r.access->args.end(),
                            [&](const Expr& index) { return contains_dim(free_dims(index), user.dims.back()); });
    });
}

// Whether sums alone read it, at its own points, register tiles of few columns among them: they compute it where they would load
// it from far away.
bool is_factor_of_rows(const Reading& in, size_t i, double cost) {
    const Stage& s = in.stage(i);
    if (s.update || s.values.size() > 1 || !is_read_at_own_points(in, i)) return false;
    double bytes = static_cast<double>(dtype_bytes(s.dtypes[0]));
    for (const Dim& d : s.dims) bytes *= estimated_extent(d);
    if (bytes < far_bytes) return false;
    bool factor = false;
    for (const Read& r : in.by_producer[i]) {
        if (in.stage(r.user).kind != Stage::Kind::reduction) return false;
        const bool here = computes_row_factor(in.graph, r.user, r.access, cost);
        if (!here && is_contraction(in.graph, r.user)) return false;
        factor = factor || here;
    }
    return factor;
}

// Whether one other stage alone reads it, all components at one place: there it is computed once.
bool is_read_at_one_place(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    if (reads.empty() || reads[0].in_init) return false;
    return std::all_of(reads.begin(), reads.end(), [&](const Read& r) {
        bool same = r.user == reads[0].user && !r.in_init && r.access->args.size() == reads[0].access->args.size();
        for (size_t d = 0; same && d < r.access->args.size(); ++d) same = r.access->args[d].same_as(reads[0].access->args[d]);
        return same;
    });
}

// Whether it is read at places that depend on values: what it reads would be, too, where it is computed at each of them.
bool is_looked_up(const Reading& in, size_t i) {
    const auto& reads = in.by_producer[i];
    return std::any_of(reads.begin(), reads.end(), [](const Read& r) {
        return std::any_of(r.access->args.begin(), r.access->args.begin() + static_cast<std::ptrdiff_t>(r.access->index_count()),
                           depends_on_values);
    });
}

// Whether recurrences can be computed in strips of it, and not in those of what reads it.
bool ends_strips(const Reading& in, size_t i) {
    if (strip_members(in.graph, i, in.by_producer).empty()) return false;
    const auto& reads = in.by_producer[i];
    const Stage& user = in.stage(reads[0].user);
    return user.update || user.kind != Stage::Kind::definition || user.dims.size() != in.stage(i).dims.size() ||
           std::any_of(reads.begin(), reads.end(),
                       [&](const Read& r) { return r.user != reads[0].user || !is_pointwise(r.access); });
}

// Readers take one component each: inline they share no operations, but neither store nor load any.
bool keeps_tuple(const Reading& in, size_t i, double reuse) {
    const Stage& s = in.stage(i);
    const double load = is_looked_up(in, i) ? lane_by_lane : 1;
    const auto cost = [&](const std::vector<Expr>& values) {
        double sum = 0;
        // What does not change along the last dim is computed outside of its loop.
        for_each_node(values, [&](const Expr& n) {
            if (contains_dim(free_dims(n), s.dims.back())) sum += n->op == Op::access ? load : op_cost(*n);
        });
        return sum;
    };
    if (s.dims.empty()) return true;
    const auto& reads = in.by_producer[i];
    double apart = 0;
    for (const Read& r : reads)
        apart += cost({s.values[static_cast<size_t>(r.access->component())]}) * reuse / static_cast<double>(reads.size());
    return apart - cost(s.values) > cheap_recompute * static_cast<double>(s.values.size());
}

// How far apart the rows are of a definition that the rows of one output alone read, at their own places otherwise.
std::optional<std::int64_t> rows_reached(const Reading& in, size_t i, size_t output) {
    const Stage& user = in.stage(output);
    const size_t row = user.dims.size() - 2;
    std::optional<std::int64_t> first, last;
    for (const Read& r : in.by_producer[i]) {
        if (r.user != output || r.in_init || r.access->index_count() != user.dims.size()) return {};
        for (size_t d = 0; d < user.dims.size(); ++d) {
            const auto apart = integer_constant(simplified_op(Op::sub, r.access->args[d], Expr(user.dims[d])));
            if (!apart || (d != row && *apart != 0)) return {};
            if (d == row) first = std::min(first.value_or(*apart), *apart), last = std::max(last.value_or(*apart), *apart);
        }
    }
    return first ? std::optional(*last - *first) : std::nullopt;
}

// How often the cells are computed of definitions that the rows of one output alone read, where it has them inside: rows that are
// computed together share what they need of other rows. Of one or two definitions those rows fit in registers by themselves; of
// more they would be windows in memory.
std::map<std::string, double> computed_in_rows(const StageGraph& graph) {
    const Reading in(graph);
    std::map<std::string, double> all;
    for (size_t output = 0; output < graph.stages.size(); ++output) {
        const Stage& s = in.stage(output);
        if (s.update || !s.output || s.dims.size() < 2) continue;
        if (estimated_extent(s.dims[s.dims.size() - 2]) < 4 * rows_together) continue;
        std::map<std::string, double> shared;
        for (size_t i = 0; i < graph.stages.size(); ++i) {
            const std::int64_t reached = rows_reached(in, i, output).value_or(0);
            if (reached > 0) shared[in.stage(i).name] = (rows_together + static_cast<double>(reached)) / rows_together;
        }
        if (shared.size() > 2) all.insert(shared.begin(), shared.end());
    }
    return all;
}

// A definition is stored when its cells are read several times and cost more than reading them back.
bool keeps(const Reading& in, size_t i, const std::map<std::string, double>& in_rows) {
    const Stage& s = in.stage(i);
    const double cost = cost_with_reductions(in.graph, i);
    const double reuse = reuse_of(in.graph, i, in.by_producer[i]);
    bool wrapped = false;
    for (const Read& r : in.by_producer[i]) wrapped = wrapped || r.access->target().boundary != Boundary::none;
    if (wrapped && cost > 2) return true;
    if (must_stand_alone(in.graph, i)) return true;
    if (is_copy_of_whole(in.graph, s)) return ends_strips(in, i);
    // A contraction has its register tiles in a definition; reductions that read it add nothing to them.
    if (!contractions_of(in.graph, i).empty() && is_reduced(in, i)) return true;
    if (is_light(in.graph, s)) return false;
    if (s.values.size() > 1 && is_read_at_one_place(in, i) && reuse <= static_cast<double>(in.by_producer[i].size()) &&
        !is_scattered(in, i))
        return false;
    if (s.values.size() > 1 && !s.update) return keeps_tuple(in, i, reuse);
    // A scatter runs element by element: what it reads is computed in vectors before.
    if (cost > 2 && is_scattered(in, i)) return true;
    if (is_once_a_row(in, i, cost)) return false;
    if (is_factor_of_rows(in, i, cost)) return false;
    // Passes over the same points at different times: in between, values are in memory.
    const size_t passes = is_read_at_own_points(in, i) ? passes_over(in, i) : 0;
    if (passes > 1 && is_part_of_reader(in, i)) return false;
    if (passes > 1 && reuse <= most_reads_in_pass * static_cast<double>(passes))
        return cost * static_cast<double>(passes - 1) > (is_read_in_rows(in, i) ? cheaper_than_cache : cheaper_than_memory);
    const auto shared = in_rows.find(s.name);
    const double again = shared == in_rows.end() ? reuse : std::min(reuse, shared->second);
    return cost * (again - 1) > cheap_recompute && cost > 2;
}

}  // namespace

double cost_with_reductions(const StageGraph& graph, size_t i) {
    double cost = cell_cost(graph.stages[i]);
    for (const Stage& p : graph.stages)
        if (p.update && reads(graph.stages[i], p.func.get())) cost += cell_cost(p);
    return cost;
}

void inline_definitions(StageGraph& graph) {
    std::map<std::string, double> in_rows;
    const auto candidate = [&](bool light) -> std::optional<size_t> {
        const Reading in(graph);
        for (size_t i = 0; i < graph.stages.size(); ++i) {
            const Stage& s = graph.stages[i];
            if (s.update || s.output || stands_at_root(graph, i) || keeps(in, i, in_rows)) continue;
            if (light && (!is_light(graph, s) || is_read_at_own_points(in, i))) continue;
            return i;
        }
        return {};
    };
    const auto inline_all = [&](bool light) {
        while (const auto i = candidate(light)) {
            inline_stage(graph, *i);
            sort_producers_first(graph);
        }
    };
    // The products of slopes that a stencil sums first: it reads the slopes at those points then, and no product is a pass of
    // its own in which they could be computed.
    inline_all(true);
    inline_all(false);
    // Which stages an output reads is known once the others are inside of it.
    in_rows = computed_in_rows(graph);
    if (!in_rows.empty()) inline_all(false);
}

}  // namespace tessera
