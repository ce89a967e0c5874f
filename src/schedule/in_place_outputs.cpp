#include "schedule/in_place_outputs.h"

#include "schedule/derived_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

namespace tessera {
namespace {

// Of each stage the first output that needs it, in the algorithm's order: what an earlier output needs is computed before what
// only later ones need.
std::vector<size_t> first_outputs(const StageGraph& graph) {
    constexpr size_t none = std::numeric_limits<size_t>::max();
    std::vector<size_t> first(graph.stages.size(), none);
    for (size_t o = 0; o < graph.algorithm.outputs().size(); ++o)
        for (size_t i = graph.stages.size(); i-- > 0;) {
            std::vector<size_t> stack;
            if (graph.stages[i].output == o) stack.push_back(i);
            while (!stack.empty()) {
                const size_t at = stack.back();
                stack.pop_back();
                if (first[at] != none) continue;
                first[at] = o;
                for (size_t made = 0; made < graph.stages.size(); ++made)
                    if (first[made] == none && made != at && reads(graph.stages[at], graph.stages[made].func.get()))
                        stack.push_back(made);
            }
        }
    return first;
}

class InPlaceCheck {
public:
    InPlaceCheck(const BoundSchedule& bound, size_t output, const InputState& input)
        : bound_(bound), output_(output), input_(input), first_(first_outputs(bound.graph)) {
        find_needed(output);
    }

    void run() const {
        for (size_t i = 0; i < bound_.graph.stages.size(); ++i)
            for (const Expr& e : exprs_of(stage(i)))
                for_each_node(e.defined() ? std::vector<Expr>{e} : std::vector<Expr>{}, [&](const Expr& n) {
                    if (n->op == Op::access && n->target().input.get() == &input_) check(i, n);
                });
    }

private:
    const Stage& stage(size_t i) const { return bound_.graph.stages[i]; }

    void find_needed(size_t from) {
        if (!needed_.insert(from).second) return;
        for (size_t i = 0; i < bound_.stages.size(); ++i)
            if (std::find(bound_.stages[i].users.begin(), bound_.stages[i].users.end(), from) != bound_.stages[i].users.end())
                find_needed(i);
    }

    // The root stage in whose nest a stage is computed.
    size_t nest_of(size_t i) const {
        while (bound_.stages[i].compute_at) i = bound_.stages[i].compute_at->stage;
        return i;
    }
    // Stages that share the loops of one leader.
    size_t leader_of(size_t root) const { return bound_.stages[root].fused ? bound_.stages[root].fused->leader : root; }

    bool leads(size_t root) const {
        return std::any_of(bound_.stages.begin(), bound_.stages.end(),
                           [&](const BoundStage& b) { return b.fused && b.fused->leader == root; });
    }

    bool at_own_cell(const Expr& access) const {
        const std::vector<Dim>& dims = stage(output_).dims;
        bool same = access->index_count() == dims.size();
        for (size_t d = 0; same && d < dims.size(); ++d)
            same = access->args[d]->op == Op::dim && access->args[d]->dim().id() == dims[d].id();
        return same;
    }

    // In one iteration the stage is computed at the cells that the output writes in it, and nowhere else.
    bool follows_output(size_t i) const {
        if (i == output_) return true;
        if (!bound_.stages[i].compute_at) {
            bool same = stage(i).dims.size() == stage(output_).dims.size();
            for (size_t d = 0; same && d < stage(i).dims.size(); ++d) same = stage(i).dims[d].id() == stage(output_).dims[d].id();
            return same;
        }
        return std::all_of(bound_.stages[i].users.begin(), bound_.stages[i].users.end(), [&](size_t user) {
            bool pointwise = true;
            for (const Expr& e : exprs_of(stage(user)))
                for_each_node({e}, [&](const Expr& n) {
                    if (n->op != Op::access || n->target().func != stage(i).func) return;
                    pointwise = pointwise && n->target().boundary == Boundary::none;
                    for (size_t d = 0; pointwise && d < stage(i).dims.size(); ++d)
                        pointwise = n->args[d]->op == Op::dim && n->args[d]->dim().id() == stage(i).dims[d].id();
                });
            return pointwise && follows_output(user);
        });
    }

    void check(size_t reader, const Expr& access) const {
        const size_t nest = nest_of(reader);
        if (leader_of(nest) == leader_of(nest_of(output_))) {
            // In one iteration what stands before the output reads before it writes.
            if (at_own_cell(access) && follows_output(reader) &&
                (nest == output_ ? !stage(reader).update || reader != output_ : nest < output_))
                return;
            refuse(reader, "elsewhere than at the cell that is written, in the same loops",
                   fmt::format("compute {} at root, before {}", stage(reader).name, stage(output_).name));
        }
        const bool shares_loops = bound_.stages[output_].fused || bound_.stages[nest].fused || leads(output_) || leads(nest);
        if (!needed_.count(nest) && (shares_loops || first_[nest] >= first_[output_]))
            refuse(reader, "and nothing says that it is computed before",
                   fmt::format("list the output that {} is for before {}", stage(reader).name, stage(output_).name));
    }

    [[noreturn]] void refuse(size_t reader, const std::string& how, const std::string& repair) const {
        throw Error(E0314_in_place, stage(output_).where,
                    fmt::format("{} takes the memory of {}, which {} reads {}", stage(output_).name, input_.name,
                                stage(reader).name, how),
                    {token(stage(output_).name), note(stage(reader).where, fmt::format("{} is defined here", stage(reader).name)),
                     fix(repair), fix(fmt::format("leave ({}, {}) out of in_place", input_.name, stage(output_).name))});
    }

    const BoundSchedule& bound_;
    size_t output_;
    const InputState& input_;
    std::vector<size_t> first_;
    std::set<size_t> needed_;
};

bool is_needed_by_output(const StageGraph& graph, size_t from, size_t output) {
    std::set<size_t> seen;
    std::vector<size_t> stack{from};
    while (!stack.empty()) {
        const size_t at = stack.back();
        stack.pop_back();
        if (!seen.insert(at).second) continue;
        if (graph.stages[at].output == output) return true;
        for (size_t user = 0; user < graph.stages.size(); ++user)
            if (user != at && reads(graph.stages[user], graph.stages[at].func.get())) stack.push_back(user);
    }
    return false;
}

}  // namespace

bool must_stand_alone(const StageGraph& graph, size_t stage) {
    const AlgorithmState& algorithm = graph.algorithm.state();
    std::vector<size_t> first;
    for (const InPlacePair& p : algorithm.in_place) {
        const InputState* input = algorithm.arguments[p.argument].state().get();
        bool reads_input = false;
        for (const Expr& e : exprs_of(graph.stages[stage]))
            for_each_node({e}, [&](const Expr& n) {
                reads_input = reads_input || (n->op == Op::access && n->target().input.get() == input);
            });
        if (!reads_input) continue;
        if (first.empty()) first = first_outputs(graph);
        size_t replaced_at = p.output;
        for (size_t i = 0; i < graph.stages.size(); ++i)
            if (graph.stages[i].output == p.output) replaced_at = first[i];
        for (size_t user = 0; user < graph.stages.size(); ++user)
            if (user != stage && reads(graph.stages[user], graph.stages[stage].func.get()) && first[user] >= replaced_at &&
                !is_needed_by_output(graph, user, p.output))
                return true;
    }
    return false;
}

bool replaces_input(const StageGraph& graph, const Stage& stage) {
    if (!stage.output) return false;
    const auto& pairs = graph.algorithm.state().in_place;
    return std::any_of(pairs.begin(), pairs.end(), [&](const InPlacePair& p) { return p.output == *stage.output; });
}

void check_in_place_outputs(const BoundSchedule& bound) {
    const AlgorithmState& algorithm = bound.graph.algorithm.state();
    for (const InPlacePair& p : algorithm.in_place)
        for (size_t i = 0; i < bound.graph.stages.size(); ++i)
            if (bound.graph.stages[i].output == p.output) InPlaceCheck(bound, i, *algorithm.arguments[p.argument].state()).run();
}

}  // namespace tessera
