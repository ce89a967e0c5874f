#include "fuzz/nest_comparison.h"

#include "backend/cpu/loop_nest.h"
#include "base/match.h"
#include "expr/bounds.h"
#include "schedule/kept_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera::fuzz {
namespace {

struct AroundLoop {
    std::string stage, name;
    LoopKind kind = LoopKind::serial;
    bool empty = false;  // it never has an iteration: Halide may show what is inside or leave it out
    bool once = false;   // it may have one iteration only: Halide, where it proves that, leaves it out
};
using Path = std::vector<AroundLoop>;
/// "produce C", "store C", "compute C" -> the loops around it, once per nest of the stage.
using Paths = std::map<std::string, std::vector<Path>>;

std::string to_text(const Path& path) {
    std::string out;
    for (const AroundLoop& loop : path) out += fmt::format(" {} {}.{};", word(loop.kind), loop.stage, loop.name);
    return out;
}

// Extents of whole dims and of whole tiles are not, but where they are constant: Halide may know of a smaller part that is read.
bool may_be_once(const Expr& extent) {
    if (integer_constant(extent)) return true;
    bool cut = false;
    for_each_node({extent}, [&](const Expr& n) {
        cut = cut || n->op == Op::min || n->op == Op::max || n->op == Op::select || n->op == Op::div || n->op == Op::shr;
    });
    return cut;
}

class TreePaths {
public:
    explicit TreePaths(const LoopTree& tree) : bound_(tree.bound) { walk(tree.root); }
    Paths paths;

private:
    const std::string& name(size_t stage) const { return bound_.graph.stages[stage].name; }
    void note(const std::string& what, size_t stage) { paths[what + " " + name(stage)].push_back(around_); }

    void walk(const StatementPtr& s) {
        match(
            s->node,
            [&](const Block& b) {
                for (const StatementPtr& child : b.statements) walk(child);
            },
            [&](const Loop& l) {
                const std::string& stage = name(produced_.back());
                const std::string loop = l.name.substr(stage.size() + 1);
                const Expr extent = simplify_index(named_parts(l.extent));
                around_.push_back({stage, loop, l.kind, is_empty(extent),
                                   is_single(produced_.back(), loop) || may_be_once(extent) || at_most_once(extent)});
                const Expr begin = named_parts(l.begin), last = sum_of(sum_of(begin, extent), number(-1));
                ranges_[l.variable] = {bounds(begin, Domain(ranges_)).low, bounds(last, Domain(ranges_)).high};
                walk(l.body);
                around_.pop_back();
            },
            [&](const Let& l) {
                lets_[l.variable] = l.value;
                walk(l.body);
            },
            [&](const Guard& g) {
                const bool never = never_holds(g.condition) && !produced_.empty();
                if (never) around_.push_back({name(produced_.back()), "", LoopKind::serial, true, true});
                walk(g.body);
                if (never) around_.pop_back();
            },
            [&](const Allocate& a) {
                const BoundStage& b = bound_.stages[a.stage];
                // Halide says where values are stored when that is further out than where they are computed. Under a condition
                // only memory is.
                if (b.compute_at && !kept_under_condition(bound_, a.stage) &&
                    (b.store_root || (b.store_at && *b.store_at != *b.compute_at)))
                    note("store", a.stage);
                walk(a.body);
            },
            [&](const Produce& p) {
                note("produce", p.stage);
                produced_.push_back(p.stage);
                walk(p.body);
                produced_.pop_back();
            },
            [&](const Store& w) {
                const Stage& stored = bound_.graph.stages[w.stage];
                // Halide does not show the loops of an update to places that it cannot bound.
                if (stored.kind == Stage::Kind::scatter) return;
                // It leaves out an update whose condition it proves never to hold.
                const bool conditional = stored.update && stored.update->condition.defined();
                if (conditional) around_.push_back({stored.name, "", LoopKind::serial, true, true});
                note("compute", w.stage);
                if (conditional) around_.pop_back();
            },
            [](const CallRoutine&) {});
    }

    static Expr number(std::int64_t n) { return make_constant(DType::i64, n); }
    static Expr sum_of(const Expr& a, const Expr& b) { return make_op(Op::add, DType::i64, {a, b}); }
    bool never_holds(const Expr& condition) const {
        if (condition->op == Op::and_)
            return std::any_of(condition->args.begin(), condition->args.end(), [&](const Expr& a) { return never_holds(a); });
        if ((condition->op != Op::le && condition->op != Op::lt) || condition->args[0]->dtype != DType::i64) return false;
        const Expr low = named_parts(condition->args[0]), high = named_parts(condition->args[1]);
        const Expr least = condition->op == Op::lt ? sum_of(low, number(1)) : low;
        return is_empty(sum_of(make_op(Op::sub, DType::i64, {high, least}), number(1)));
    }
    // For every iteration of the loops around. Inside loops that have iterations extents are at least 1.
    bool is_empty(const Expr& extent) const {
        const Expr most = bounds(extent, Domain(ranges_)).high;
        return most.defined() &&
               proves_nonnegative(simplify_index(make_op(Op::neg, DType::i64, {most})), {.extents_positive = true});
    }
    bool at_most_once(const Expr& extent) const {
        const Expr most = bounds(extent, Domain(ranges_)).high;
        return most.defined() &&
               proves_nonnegative(simplify_index(make_op(Op::sub, DType::i64, {number(1), most})), {.extents_positive = true});
    }

    // A loop over a dim of one element, which Halide knows to be all that is read.
    bool is_single(size_t stage, const std::string& loop) const {
        for (const auto* nest : {&bound_.stages[stage].pure, &bound_.stages[stage].update})
            for (const BoundLoop& l : *nest)
                if (l.name == loop && l.dim.extent().constant() == std::optional<std::int64_t>(1)) return true;
        return false;
    }
    // With what the names of lets and the extents of dims along others stand for.
    Expr named_parts(const Expr& e) const {
        return rewrite(e, [&](const Expr& n) -> Expr {
            if (n->op == Op::extent && n->dim().state().extent)
                return named_parts(simplify_index(Expr(*n->dim().state().extent)));
            const auto let = lets_.find(n);
            return let == lets_.end() ? Expr() : named_parts(let->second);
        });
    }

    const BoundSchedule& bound_;
    Path around_;
    Ranges ranges_;  // of the variables of loops
    std::vector<size_t> produced_;
    std::map<Expr, Expr, NodeOrder> lets_;
};

class HalidePaths {
public:
    HalidePaths(const BoundSchedule& bound, const std::vector<cpu::NestNode>& nest) : bound_(bound) { walk(nest, ""); }
    Paths paths;

private:
    // `stage`: what is being produced, "" in the copy of an output.
    void walk(const std::vector<cpu::NestNode>& nest, const std::string& stage) {
        for (const cpu::NestNode& n : nest) {
            const bool ours = bound_.graph.find(n.name).has_value();
            switch (n.kind) {
                case cpu::NestNode::Kind::produce:
                    if (ours) paths["produce " + n.name].push_back(around_);
                    walk(n.body, ours ? n.name : "");
                    break;
                case cpu::NestNode::Kind::consume: walk(n.body, stage); break;
                case cpu::NestNode::Kind::store:
                    if (ours) paths["store " + n.name].push_back(around_);
                    walk(n.body, stage);
                    break;
                case cpu::NestNode::Kind::loop:
                    if (!stage.empty()) around_.push_back({stage, n.name, n.loop});
                    walk(n.body, stage);
                    if (!stage.empty()) around_.pop_back();
                    break;
                case cpu::NestNode::Kind::compute:
                    if (ours) paths["compute " + n.name].push_back(around_);
                    break;
            }
        }
    }

    const BoundSchedule& bound_;
    Path around_;
};

// Equal, but for loops of one iteration and pairs of neighbouring parallel loops of one stage, which are one loop there that has
// the inner one's name.
bool same_loops(const Path& tree, const Path& halide) {
    size_t h = 0;
    for (size_t t = 0; t < tree.size(); ++t) {
        if (h < halide.size() && tree[t].stage == halide[h].stage && tree[t].name == halide[h].name &&
            tree[t].kind == halide[h].kind) {
            ++h;
            continue;
        }
        const bool joined = t + 1 < tree.size() && tree[t].kind == LoopKind::parallel && tree[t + 1].kind == LoopKind::parallel &&
                            tree[t].stage == tree[t + 1].stage;
        if (!joined && !tree[t].once) return false;
    }
    return h == halide.size();
}

bool never_runs(const Path& path) {
    return std::any_of(path.begin(), path.end(), [](const AroundLoop& l) { return l.empty; });
}

// One after the other, with or without what never runs.
bool same_paths(const std::vector<Path>& tree, const std::vector<Path>& halide, size_t t = 0, size_t h = 0) {
    if (t == tree.size()) return h == halide.size();
    if (h < halide.size() && same_loops(tree[t], halide[h]) && same_paths(tree, halide, t + 1, h + 1)) return true;
    return never_runs(tree[t]) && same_paths(tree, halide, t + 1, h);
}

std::string to_text(const std::vector<Path>& paths) {
    std::string out;
    for (const Path& path : paths) out += fmt::format("\n {}", to_text(path));
    return out;
}

// Stages that an output depends on: Halide computes no others.
std::set<std::string> live_stages(const BoundSchedule& bound) {
    std::set<std::string> out;
    for (size_t i = bound.graph.stages.size(); i-- > 0;) {
        bool live = bound.graph.stages[i].output.has_value();
        for (const size_t user : bound.stages[i].users) live = live || out.count(bound.graph.stages[user].name);
        if (live) out.insert(bound.graph.stages[i].name);
    }
    return out;
}

bool is_scatter(const BoundSchedule& bound, const std::string& stage) {
    return bound.graph.stages[*bound.graph.find(stage)].kind == Stage::Kind::scatter;
}

// Where nothing lies before the steps of a recurrence, the backend has no loops that start it.
bool same_steps(const BoundSchedule& bound, const std::string& stage, const std::vector<Path>& tree,
                const std::vector<Path>& there) {
    return bound.graph.stages[*bound.graph.find(stage)].kind == Stage::Kind::recurrence && tree.size() > 1 &&
           same_paths({tree.begin() + 1, tree.end()}, there);
}

}  // namespace

std::string nest_difference(const LoopTree& tree) {
    for (const BoundStage& b : tree.bound.stages)
        if (b.fused || b.stored_in) return {};
    const Paths expected = TreePaths(tree).paths;
    const std::vector<cpu::NestNode> nest = cpu::loop_nest(tree.bound);
    const Paths got = HalidePaths(tree.bound, nest).paths;
    const auto whole = [&] { return "\n" + to_text(tree) + "\n" + cpu::to_text(nest); };
    const std::set<std::string> live = live_stages(tree.bound);
    for (const auto& [what, paths] : expected) {
        const std::string stage = what.substr(what.find(' ') + 1);
        if (!live.count(stage)) continue;
        const auto found = got.find(what);
        const std::vector<Path> there = found == got.end() ? std::vector<Path>{} : found->second;
        if (!same_paths(paths, there) && !same_steps(tree.bound, stage, paths, there))
            return fmt::format("{} stands {} times in the backend, inside{}\nand {} times in the tree, inside{}", what,
                               there.size(), to_text(there), paths.size(), to_text(paths)) +
                   whole();
    }
    for (const auto& [what, paths] : got)
        if (!expected.count(what) && !is_scatter(tree.bound, what.substr(what.find(' ') + 1)))
            return fmt::format("the backend has a {}", what) + whole();
    return {};
}

}  // namespace tessera::fuzz
