#include "tile/online_rows.h"

#include "schedule/derived_stages.h"
#include "schedule/loop_split.h"
#include "tile/renaming.h"
#include "tile/row_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera::tile {
namespace {

using Names = std::map<const ExprNode*, Expr>;

bool holds(const Statement& s, const std::function<bool(const Statement&)>& wanted) {
    if (wanted(s)) return true;
    for (const StatementPtr& child : children(s))
        if (holds(*child, wanted)) return true;
    return false;
}

// One maximum of one kernel.
class OnlineMaximum {
public:
    OnlineMaximum(Program& program, size_t top, size_t leader)
        : program_(program), top_(top), leader_(leader), first_name_(loop_name(top)), second_name_(loop_name(leader)) {}

    /// Nothing where the kernel does not have it.
    StatementPtr run(const StatementPtr& s) {
        const auto* a = std::get_if<Alloc>(&s->node);
        if (!a || a->stage != top_) return map_children(s, [&](const StatementPtr& child) { return run(child); });
        memory_ = *a;
        note_starts(a->body, {});
        Alloc out = *a;
        out.body = without_first(a->body);
        if (!first_ || !combined_) refuse("it is not reduced by warps in a loop of its own");
        out.body = with_second(out.body);
        if (!done_) refuse(fmt::format("the loop of {} does not stand behind it", stage(leader_).name));
        return statement(std::move(out));
    }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }
    [[noreturn]] void refuse(const std::string& why) const {
        throw Limit(L0903_schedule, stage(top_).where,
                    fmt::format("{} does not run online in the loop of {}: {}", stage(top_).name, stage(leader_).name, why),
                    {fix("leave fuse_with out, which computes it first"),
                     fix("give both the same tiles, with frag loops over rows and columns, and each a clone_of what it reads")});
    }
    std::string loop_name(size_t i) const {
        const auto& online = *program_.bound.stages[top_].online;
        const size_t loop = i == top_ ? online.own : online.loop;
        return fmt::format("{}.{}", stage(i).name, program_.bound.stages[i].update[loop].name);
    }
    static bool is_loop(const Statement& s, const std::string& name) {
        const auto* f = std::get_if<For>(&s.node);
        return f && (name_of(f->variable) == name || name_of(f->variable) == name + ".at");
    }
    std::optional<size_t> stored_by(const Statement& s) const {
        const auto* a = std::get_if<Assign>(&s.node);
        const auto* m = std::get_if<Mma>(&s.node);
        return a ? std::optional(a->stage) : m ? std::optional(m->stage) : std::nullopt;
    }
    bool stores(const Statement& s, size_t i) const {
        return holds(s, [&](const Statement& inner) { return stored_by(inner) == i; });
    }
    bool reads_top(const Statement& s) const {
        return holds(s, [&](const Statement& inner) {
            bool found = false;
            for_each_node(expressions(inner),
                          [&](const Expr& n) { found = found || (n->op == Op::access && n->target().func == stage(top_).func); });
            return found;
        });
    }

    // Lets and loops that run once, on the way to a statement.
    using Way = std::vector<StatementPtr>;
    static StatementPtr along(const Way& way, StatementPtr s) {
        for (size_t i = way.size(); i-- > 0;) {
            if (const auto* l = std::get_if<Let>(&way[i]->node))
                s = statement(Let{l->variable, l->value, std::move(s)});
            else if (const auto* c = std::get_if<If>(&way[i]->node))
                s = statement(If{c->condition, std::move(s)});
            else
                s = statement(Let{std::get<For>(way[i]->node).variable, index_number(0), std::move(s)});
        }
        return s;
    }
    static bool is_way(const Statement& s) {
        const auto* f = std::get_if<For>(&s.node);
        return std::holds_alternative<Let>(s.node) || std::holds_alternative<If>(s.node) ||
               (f && integer_constant(f->extent) == 1);
    }

    // The nests that start registers outside both loops.
    void note_starts(const StatementPtr& s, Way way) {
        if (is_loop(*s, first_name_) || is_loop(*s, second_name_)) return;
        if (const auto* p = std::get_if<Spread>(&s->node)) {
            holds(*p->body, [&](const Statement& inner) {
                if (const auto i = stored_by(inner)) starts_.emplace(*i, along(way, s));
                return false;
            });
            return;
        }
        if (is_way(*s)) way.push_back(s);
        for (const StatementPtr& child : children(*s)) note_starts(child, way);
    }

    // ---- the loop of its own, which is left out

    StatementPtr without_first(const StatementPtr& s) {
        if (is_loop(*s, first_name_)) {
            first_ = std::get<For>(s->node);
            note_memory(*s, inside_first_);
            update_ = update_in(first_->body, {});
            return statement(Sequence{});
        }
        if (is_loop(*s, second_name_)) return s;
        if (std::holds_alternative<Let>(s->node) || std::holds_alternative<If>(s->node) ||
            std::holds_alternative<Spread>(s->node)) {
            const bool combines = holds(*s, [&](const Statement& inner) {
                const auto* c = std::get_if<Combine>(&inner.node);
                return c && c->stage == top_;
            });
            if (combines && !holds(*s, [&](const Statement& inner) { return is_loop(inner, second_name_); })) {
                combined_ = s;
                return statement(Sequence{});
            }
        }
        return map_children(s, [&](const StatementPtr& child) { return without_first(child); });
    }
    static void note_memory(const Statement& s, std::set<size_t>& out) {
        if (const auto* a = std::get_if<Alloc>(&s.node)) out.insert(a->stage);
        for (const StatementPtr& child : children(s)) note_memory(*child, out);
    }
    StatementPtr update_in(const StatementPtr& s, Way way) {
        if (std::holds_alternative<Spread>(s->node)) return stores(*s, top_) ? along(way, s) : nullptr;
        if (is_way(*s)) way.push_back(s);
        for (const StatementPtr& child : children(*s))
            if (StatementPtr found = update_in(child, way)) return found;
        return nullptr;
    }

    // ---- the loop of the sums

    StatementPtr with_second(const StatementPtr& s) {
        if (!done_ && !is_loop(*s, second_name_) && std::holds_alternative<Spread>(s->node) && reads_top(*s))
            refuse("something else reads it before that loop");
        if (!is_loop(*s, second_name_)) return map_children(s, [&](const StatementPtr& child) { return with_second(child); });
        For second = std::get<For>(s->node);
        if (!update_) refuse("its update stands in no nest of warps");
        note_memory(*s, inside_second_);
        second.body = with_update(second.body, second);
        done_ = true;
        return statement(std::move(second));
    }
    // Before what reads the maximum first.
    StatementPtr with_update(const StatementPtr& s, const For& second) {
        if (!reads_top(*s)) refuse(fmt::format("{} does not read it", stage(leader_).name));
        if (const auto* q = std::get_if<Sequence>(&s->node)) {
            std::vector<StatementPtr> out = q->statements;
            for (StatementPtr& child : out)
                if (reads_top(*child)) {
                    child = with_update(child, second);
                    break;
                }
            return sequence(std::move(out));
        }
        if (!std::holds_alternative<Alloc>(s->node) && !std::holds_alternative<Let>(s->node))
            return sequence({running(second), s});
        return map_children(s, [&](const StatementPtr& child) { return with_update(child, second); });
    }

    // { before = top; top = max(top, …); combine; factor = exp(before - top); sums *= factor }: a factor a row
    StatementPtr running(const For& second) {
        const size_t before = add_rows(".before", read_stage(stage(top_).func, dim_exprs(stage(top_).dims)));
        std::vector<StatementPtr> out{restarted(top_, [&](const Assign& a) {
            return Assign{before, a.place, {read(top_, a.place)}, false};
        })};
        const Names names{{first_->variable.get(), second.variable}};
        out.push_back(renamed(with_counterparts(update_), names, ".online"));
        out.push_back(renamed(combined_, {}, ".online"));
        std::vector<std::pair<Expr, size_t>> factors;
        for (const auto& [sum, start] : starts_) {
            if (sum == top_ || inside_second_.count(sum) || !stores(*second.body, sum)) continue;
            const auto scaling = row_scaling(program_.bound.graph, sum, top_);
            if (!scaling) continue;
            const std::vector<Expr> rows = dim_exprs(stage(top_).dims);
            const Expr value = scaling->factor(read(before, rows), read(top_, rows));
            auto known =
                std::find_if(factors.begin(), factors.end(), [&](const auto& factor) { return factor.first.same_as(value); });
            if (known == factors.end()) {
                const size_t made = add_rows(".factor", value);
                known = factors.insert(factors.end(), {value, made});
                out.push_back(restarted(top_, [&](const Assign& a) {
                    return Assign{made, a.place, {scaling->factor(read(before, a.place), read(top_, a.place))}, false};
                }));
            }
            const size_t factor = known->second;
            out.push_back(restarted(sum, [&](const Assign& a) { return rescaled(a, factor); }));
        }
        StatementPtr body = sequence(std::move(out));
        for (const auto& [value, factor] : factors) body = in_memory(factor, std::move(body));
        return in_memory(before, std::move(body));
    }
    // As that of the maximum.
    StatementPtr in_memory(size_t i, StatementPtr body) const {
        Alloc memory = memory_;
        memory.stage = i;
        memory.body = std::move(body);
        return statement(std::move(memory));
    }
    Expr read(size_t i, const std::vector<Expr>& place) const { return read_stage(stage(i).func, place); }
    Assign rescaled(const Assign& a, size_t scaled_by) const {
        std::vector<Expr> row;
        for (const Dim& d : stage(top_).dims)
            for (size_t k = 0; k < stage(a.stage).dims.size(); ++k)
                if (stage(a.stage).dims[k].id() == d.id()) row.push_back(a.place[k]);
        if (row.size() != stage(top_).dims.size()) refuse(fmt::format("{} has not all of its dims", stage(a.stage).name));
        const Expr factor = read(scaled_by, row), self = read(a.stage, a.place);
        if (self->dtype != factor->dtype) refuse(fmt::format("{} has another dtype", stage(a.stage).name));
        return {a.stage, a.place, {make_op(Op::mul, self->dtype, {self, factor})}, false};
    }
    // The nest that starts a stage, with other stores.
    StatementPtr restarted(size_t i, const std::function<Assign(const Assign&)>& store) const {
        const std::function<StatementPtr(const StatementPtr&)> with = [&](const StatementPtr& s) {
            const auto* a = std::get_if<Assign>(&s->node);
            return a && a->stage == i ? statement(store(*a)) : map_children(s, with);
        };
        return renamed(with(starts_.at(i)), {}, ".online");
    }
    // A stage of the maximum's rows.
    size_t add_rows(const std::string& name, const Expr& value) {
        Stage rows;
        rows.name = stage(top_).name + name;
        while (program_.bound.graph.find(rows.name)) rows.name += "'";
        rows.dims = stage(top_).dims, rows.dtypes = {value->dtype}, rows.where = stage(top_).where;
        rows.func = make_stage_func(rows.name, rows.dims, rows.dtypes, rows.where);
        rows.values = {value};
        program_.bound.graph.stages.push_back(std::move(rows));
        program_.bound.stages.emplace_back();
        return program_.bound.stages.size() - 1;
    }

    // ---- what the loop of its own computes as the other one does

    StatementPtr with_counterparts(const StatementPtr& s) {
        const auto* a = std::get_if<Assign>(&s->node);
        if (!a) return map_children(s, [&](const StatementPtr& child) { return with_counterparts(child); });
        Assign out = *a;
        for (Expr& e : out.values) e = of_second(e, {});
        return statement(std::move(out));
    }
    Expr of_second(const Expr& e, const std::map<const FuncState*, size_t>& own) {
        return rewrite(e, [&](const Expr& n) -> Expr {
            if (n->op != Op::access || !n->target().func) return {};
            const auto self = own.find(n->target().func.get());
            const auto i = program_.bound.graph.find(n->target().func.get());
            if (self == own.end() && (!i || !inside_first_.count(*i))) return {};
            AccessTarget target = n->target();
            target.func = stage(self != own.end() ? self->second : counterpart(*i)).func;
            return make_access(target, n->args, n->dtype, n->component(), n->where);
        });
    }
    size_t counterpart(size_t i) {
        if (const auto known = counterparts_.find(i); known != counterparts_.end()) return known->second;
        const Stage& s = stage(i);
        for (const size_t k : inside_second_) {
            const Stage& other = stage(k);
            if (other.kind != s.kind || other.dtypes != s.dtypes || other.dims.size() != s.dims.size()) continue;
            Stage same = s;
            edit_exprs(same, [&](const Expr& e) {
                return of_second(substitute_dims(e, s.dims, dim_exprs(other.dims)), {{s.func.get(), k}});
            });
            const std::vector<Expr> a = exprs_of(same), b = exprs_of(other);
            if (std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Expr& x, const Expr& y) { return x.same_as(y); }))
                return counterparts_[i] = k;
        }
        refuse(fmt::format("{}, which it reads, is not computed in the loop of {}", s.name, stage(leader_).name));
    }

    Program& program_;
    size_t top_, leader_;
    std::string first_name_, second_name_;
    Alloc memory_;
    std::map<size_t, StatementPtr> starts_;
    std::optional<For> first_;
    StatementPtr update_, combined_;
    std::set<size_t> inside_first_, inside_second_;
    std::map<size_t, size_t> counterparts_;
    bool done_ = false;
};

}  // namespace

Program run_online(Program program) {
    const size_t count = program.bound.stages.size();
    for (size_t i = 0; i < count; ++i) {
        if (!program.bound.stages[i].online) continue;
        const size_t leader = program.bound.stages[i].online->leader;
        for (Kernel& k : program.kernels) k.body = OnlineMaximum(program, i, leader).run(k.body);
    }
    return program;
}

}  // namespace tessera::tile
