#include "schedule/loop_tree.h"

#include "base/match.h"
#include "schedule/routine_stages.h"

#include <fmt/format.h>

#include <set>

namespace tessera {
namespace {

class Verifier {
public:
    explicit Verifier(const LoopTree& tree) : tree_(tree), allocated_(count()), produced_(count()), in_production_(count()) {
        for (size_t i = 0; i < count(); ++i) allocated_[i] = stage(i).output.has_value();
    }

    void run() {
        visit(*tree_.root);
        for (size_t i = 0; i < count(); ++i)
            if (!ever_.count(i)) fail(fmt::format("{} is never produced", stage(i).name));
    }

private:
    [[nodiscard]] size_t count() const { return tree_.bound.graph.stages.size(); }
    const Stage& stage(size_t i) const { return tree_.bound.graph.stages[i]; }
    [[noreturn]] static void fail(const std::string& message) {
        throw Bug(B0951_internal, {}, message, {note("found in a loop tree")});
    }

    void bind(const Expr& variable) {
        if (!variable.defined() || variable->op != Op::variable) fail("a loop tree binds something that is no variable");
        if (!ever_bound_.insert(variable.get()).second) fail(fmt::format("variable {} is bound twice", name_of(variable)));
        bound_.insert(variable.get());
    }
    void release(const Expr& variable) { bound_.erase(variable.get()); }
    static const std::string& name_of(const Expr& v) { return std::get<std::shared_ptr<const Variable>>(v->attribute)->name; }

    void check(const std::vector<Expr>& exprs) {
        for_each_node(exprs, [&](const Expr& n) {
            if (n->op == Op::variable && !bound_.count(n.get()))
                fail(fmt::format("variable {} is used where it is not bound", name_of(n)));
            if (n->op == Op::dim) fail(fmt::format("dim {} is left over", n->dim().name()));
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter) fail("a reduction is left over");
            if (n->op != Op::access || !n->target().func) return;
            const auto i = tree_.bound.graph.find(n->target().func.get());
            if (!i) fail(fmt::format("{} is read but is no stage", n->target().func->name));
            if (!allocated_[tree_.bound.memory_of(*i)]) fail(fmt::format("{} is read outside its allocation", stage(*i).name));
            if (!produced_[*i] && !in_production_[*i]) fail(fmt::format("{} is read before it is produced", stage(*i).name));
        });
    }

    // What a body produced counts outside it while the allocation lasts.
    void visit(const Statement& s) {
        match(
            s.node,
            [&](const Block& b) {
                for (const StatementPtr& child : b.statements) visit(*child);
            },
            [&](const Loop& l) {
                check({l.begin, l.extent});
                bind(l.variable);
                visit(*l.body);
                release(l.variable);
            },
            [&](const Let& l) {
                check({l.value});
                bind(l.variable);
                visit(*l.body);
                release(l.variable);
            },
            [&](const Guard& g) {
                check({g.condition});
                visit(*g.body);
            },
            [&](const Allocate& a) {
                check(a.begin);
                check(a.extent);
                if (a.begin.size() != stage(a.stage).dims.size())
                    fail(fmt::format("the allocation of {} has another rank", stage(a.stage).name));
                if (allocated_[a.stage]) fail(fmt::format("{} is allocated inside its allocation", stage(a.stage).name));
                allocated_[a.stage] = true;
                for (size_t i = 0; i < count(); ++i)
                    if (tree_.bound.memory_of(i) == a.stage) produced_[i] = false;
                visit(*a.body);
                allocated_[a.stage] = false;
            },
            [&](const Produce& p) {
                check(p.begin);
                check(p.extent);
                if (!allocated_[tree_.bound.memory_of(p.stage)])
                    fail(fmt::format("{} is produced outside its allocation", stage(p.stage).name));
                if (in_production_[p.stage]) fail(fmt::format("{} is produced inside itself", stage(p.stage).name));
                ever_.insert(p.stage);
                in_production_[p.stage] = true;
                visit(*p.body);
                in_production_[p.stage] = false;
                produced_[p.stage] = true;
            },
            [&](const Store& w) {
                const Stage& target = stage(w.stage);
                if (!in_production_[w.stage]) fail(fmt::format("{} is stored outside its production", target.name));
                if (w.place.size() != target.dims.size() || w.values.size() != target.dtypes.size())
                    fail(fmt::format("a store of {} has another shape", target.name));
                for (size_t c = 0; c < w.values.size(); ++c)
                    if (w.values[c]->dtype != target.dtypes[c]) fail(fmt::format("a store of {} has another dtype", target.name));
                check(w.place);
                check(w.values);
            },
            [&](const CallRoutine& c) {
                if (!in_production_[c.stage]) fail(fmt::format("{} is called outside its production", stage(c.stage).symbol));
                for (const Expr& read : routine_operands(stage(c.stage)))
                    if (const auto i = tree_.bound.graph.find(read->target().func.get()); i && !produced_[*i])
                        fail(fmt::format("{} is given to {} before it is produced", stage(*i).name, stage(c.stage).symbol));
            });
    }

    const LoopTree& tree_;
    std::vector<bool> allocated_, produced_, in_production_;
    std::set<size_t> ever_;
    std::set<const ExprNode*> bound_, ever_bound_;
};

}  // namespace

void verify(const LoopTree& tree) { Verifier(tree).run(); }

}  // namespace tessera
