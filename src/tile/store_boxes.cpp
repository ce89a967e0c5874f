#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/environment.h"
#include "tile/lower.h"
#include "tile/renaming.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace tessera::tile {
namespace {

constexpr std::int64_t box_row_bytes = 128;
constexpr std::int64_t fragment_rows = 64;  // of a warpgroup

using Replacements = std::map<const ExprNode*, Expr>;

// Where an output waits for the copy engine.
struct Boxes {
    size_t stage = 0;
    std::int64_t groups = 0, count = 0, columns = 0;  // boxes of a warpgroup, and their columns
};

class BoxStoring {
public:
    BoxStoring(Program& program, std::map<size_t, Boxes>& found, std::int64_t consumers)
        : program_(program), found_(found), consumers_(consumers) {}

    StatementPtr run(const StatementPtr& body) {
        StatementPtr out = visit(body);
        for (const size_t stored : own_) out = allocated(found_.at(stored), out);
        return out;
    }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }
    [[noreturn]] void refuse(size_t i, const std::string& why, std::string instead) const {
        throw Limit(L0903_schedule, stage(i).where, fmt::format("the copy engine does not store {}: {}", stage(i).name, why),
                    {fix(std::move(instead)), fix("use engine auto")});
    }

    StatementPtr visit(const StatementPtr& s) {
        if (const auto* t = std::get_if<Tiles>(&s->node)) round_ = t->round;
        const auto* p = std::get_if<Spread>(&s->node);
        if (p && p->over == Scope::member)
            if (const auto stored = stored_by(*p->body)) return boxed(*p, *stored);
        if (!p || p->over != Scope::warpgroup) return map_children(s, [&](const StatementPtr& child) { return visit(child); });
        group_ = p;
        StatementPtr out = map_children(s, [&](const StatementPtr& child) { return visit(child); });
        group_ = nullptr;
        return out;
    }
    std::optional<size_t> stored_by(const Statement& s) const {
        if (const auto* a = std::get_if<Assign>(&s.node))
            return stage(a->stage).output && program_.bound.stages[a->stage].engine == Engine::tma ? std::optional(a->stage)
                                                                                                   : std::nullopt;
        for (const StatementPtr& child : children(s))
            if (const auto stored = stored_by(*child)) return stored;
        return std::nullopt;
    }

    // The nest of a fragment's cells, rows 8 u and columns 8 v + w of each thread, as stores to boxes.
    StatementPtr boxed(const Spread& nest, size_t stored) {
        const Stage& s = stage(stored);
        if (s.dtypes.size() != 1 || s.dims.size() < 2 || s.dims.size() > 3)
            refuse(stored, "it has not one component and two or three dims", "store its matrices one by one");
        stored_ = stored;
        columns_ = box_row_bytes / dtype_bytes(s.dtypes[0]);
        const auto groups = group_ ? positions(group_->axes, Environment()) : std::nullopt;
        groups_ = groups.value_or(0);
        if (!groups) refuse(stored, "how many warpgroups store it is not known", "give its warpgroup loops a constant extent");
        inside_.clear(), first_.clear();
        row_ = column_ = box_ = Expr();
        loops_ = 0, box_count_ = 0;
        for (const Axis& a : nest.axes) first_[a.variable.get()] = index_number(0);
        Spread out = nest;
        out.body = cells(nest.body);
        const size_t boxes = this->boxes().stage;
        const Stage& memory = stage(boxes);
        const Expr none = index_number(0);
        BoxStore put{stored, place_, read_stage(memory.func, {position(), none, none, none})};
        return sequence({statement(Reclaim{boxes}), statement(Barrier{Scope::member}), statement(std::move(out)),
                         statement(Fence{}), statement(Barrier{Scope::member}), statement(std::move(put))});
    }
    Expr position() const {
        Expr out = index_number(0);
        for (const Axis& a : group_->axes)
            out = index_sum(simplify_index(make_op(Op::mul, DType::i64, {out, a.extent})), a.variable);
        if (consumers_ == 1) return out;
        // Each consumer has boxes of its own; the round says which one runs.
        const Expr consumer = make_op(Op::mod, DType::i64, {round_, index_number(consumers_)});
        return index_sum(simplify_index(make_op(Op::mul, DType::i64, {consumer, index_number(groups_)})), out);
    }

    // Those of the nest; made at their first use.
    const Boxes& boxes() {
        const auto known = found_.find(stored_);
        if (known != found_.end()) {
            if (known->second.groups != groups_ || known->second.count != box_count_ || !own_.count(stored_))
                refuse(stored_, "two nests store it in boxes of different sizes", "store it in one nest");
            return known->second;
        }
        const Stage& s = stage(stored_);
        Stage memory;
        memory.kind = Stage::Kind::copy;
        memory.name = s.name + ".boxes";
        while (program_.bound.graph.find(memory.name)) memory.name += "'";
        memory.dims = {Dim("group"), Dim("box"), Dim("row"), Dim("column")};
        memory.dtypes = s.dtypes;
        memory.values = s.values;
        memory.where = s.where;
        memory.func = make_stage_func(memory.name, memory.dims, s.dtypes, s.where);
        program_.bound.graph.stages.push_back(std::move(memory));
        program_.bound.stages.emplace_back();
        own_.insert(stored_);
        return found_[stored_] = {program_.bound.stages.size() - 1, groups_, box_count_, columns_};
    }

    StatementPtr cells(const StatementPtr& s) {
        return match(
            s->node, [&](const For& f) { return loop(f); },
            [&](const Let& l) {
                inside_[l.variable.get()] = substitute(l.value, inside_);
                const bool moves = mentions_nest(l.value);
                if (moves && loops_ == 1 && !row_.defined()) row_ = l.variable;
                if (moves && loops_ == 4 && !column_.defined()) column_ = l.variable;
                return statement(Let{l.variable, l.value, cells(l.body)});
            },
            [&](const If& i) {
                check_guard(i.condition);
                return statement(If{i.condition, cells(i.body)});
            },
            [&](const Assign& a) { return cell(a); },
            [&](const auto&) -> StatementPtr {
                refuse(stored_, "its nest has other statements than its store", "fuse nothing into it");
            });
    }
    // Of rows, of boxes and of their columns, of a pair.
    StatementPtr loop(const For& f) {
        if (++loops_ != 2) {
            first_[f.variable.get()] = index_number(0);
            return statement(For{f.variable, f.extent, f.unrolled, cells(f.body)});
        }
        const std::int64_t steps = columns_ / 8, all = integer_constant(f.extent).value_or(0);
        if (all == 0 || all % steps != 0)
            refuse(stored_, fmt::format("its frag loop covers {} columns, and a box has {}", 8 * all, columns_),
                   fmt::format("let the frag loop cover a multiple of {} columns", columns_));
        box_count_ = all / steps;
        const Expr box = make_variable(name_of(f.variable) + ".box", DType::i64);
        const Expr step = make_variable(name_of(f.variable) + ".step", DType::i64);
        for (const Expr& variable : {box, step}) first_[variable.get()] = index_number(0);
        box_ = box;
        ++loops_;
        const Expr at = index_sum(simplify_index(make_op(Op::mul, DType::i64, {box, index_number(steps)})), step);
        StatementPtr body = cells(renamed(f.body, {{f.variable.get(), at}}));
        body = statement(For{step, index_number(steps), true, std::move(body)});
        return statement(For{box, index_number(box_count_), true, std::move(body)});
    }
    bool mentions_nest(const Expr& e) const {
        const Expr whole = substitute(e, inside_);
        return std::any_of(first_.begin(), first_.end(), [&](const auto& variable) {
            bool found = false;
            for_each_node({whole}, [&](const Expr& n) { found = found || n.get() == variable.first; });
            return found;
        });
    }
    // Cells that are left out must lie outside the output, where the copy engine stores nothing.
    void check_guard(const Expr& condition) const {
        if (condition->op == Op::and_) {
            for (const Expr& c : condition->args) check_guard(c);
            return;
        }
        const std::vector<Dim>& dims = stage(stored_).dims;
        for (size_t d = dims.size() - 2; d < dims.size(); ++d) {
            const Expr& index = d + 1 == dims.size() ? column_ : row_;
            const Expr extent = resolve_weak(Expr(dims[d].extent()), DType::i64, {});
            if (condition->op == Op::lt && index.defined() && condition->args[0].same_as(index) &&
                condition->args[1].same_as(extent))
                return;
        }
        refuse(stored_, "its loops leave out cells that are inside it", "use tail guard or round_up");
    }
    StatementPtr cell(const Assign& a) {
        const size_t rank = a.place.size();
        if (!row_.defined() || !column_.defined() || !a.place[rank - 2].same_as(row_) || !a.place[rank - 1].same_as(column_))
            refuse(stored_, "its frag loops are not those of its two last dims",
                   "make the two last dims frag loops, rows outside");
        place_.clear();
        for (const Expr& e : a.place) place_.push_back(simplify_index(substitute(substitute(e, inside_), first_)));
        if (rank == 3 && mentions_nest(a.place[0])) refuse(stored_, "a fragment lies in several matrices", "use engine auto");
        const auto from_first = [&](size_t d) { return index_difference(substitute(a.place[d], inside_), place_[d]); };
        const Expr column =
            index_difference(from_first(rank - 1), simplify_index(make_op(Op::mul, DType::i64, {box_, index_number(columns_)})));
        return statement(Assign{boxes().stage, {position(), box_, from_first(rank - 2), column}, a.values, false});
    }

    StatementPtr allocated(const Boxes& b, const StatementPtr& body) const {
        Alloc memory;
        memory.stage = b.stage;
        memory.begin.assign(4, index_number(0));
        memory.extent = {consumers_ * b.groups, b.count, fragment_rows, b.columns};
        memory.swizzled = memory.grouped = true;
        memory.body = with_end(body, statement(Reclaim{b.stage}));
        return statement(std::move(memory));
    }
    // Behind all that the threads that store do.
    static StatementPtr with_end(const StatementPtr& s, const StatementPtr& end) {
        if (!has_roles(*s)) return sequence({s, end});
        if (const auto* r = std::get_if<Roles>(&s->node)) {
            Roles out = *r;
            out.rest = sequence({r->rest, end});
            return statement(std::move(out));
        }
        return map_children(s, [&](const StatementPtr& child) { return has_roles(*child) ? with_end(child, end) : child; });
    }
    static bool has_roles(const Statement& s) {
        if (std::holds_alternative<Roles>(s.node)) return true;
        for (const StatementPtr& child : children(s))
            if (has_roles(*child)) return true;
        return false;
    }

    Program& program_;
    std::map<size_t, Boxes>& found_;  // by the output
    std::set<size_t> own_;            // outputs of this kernel
    std::int64_t consumers_;
    Expr round_;                     // of the tiles around
    const Spread* group_ = nullptr;  // around the nest
    // Of the nest:
    size_t stored_ = 0;
    std::int64_t groups_ = 0, columns_ = 0, box_count_ = 0;
    int loops_ = 0;
    Replacements inside_, first_;  // its lets; its variables at its first cell
    Expr row_, column_, box_;
    std::vector<Expr> place_;
};

}  // namespace

Program store_boxes(Program program) {
    std::map<size_t, Boxes> found;
    const size_t stages = program.bound.graph.stages.size();
    for (Kernel& k : program.kernels) k.body = BoxStoring(program, found, k.consumers).run(k.body);
    for (size_t i = 0; i < stages; ++i) {
        const Stage& s = program.bound.graph.stages[i];
        if (s.output && program.bound.stages[i].engine == Engine::tma && found.count(i) == 0)
            throw Limit(
                L0903_schedule, s.where,
                fmt::format("the copy engine does not store {}: no warpgroups compute its fragments", s.name),
                {fix("give it warpgroup loops with a tile of 64 rows and frag loops inside them"), fix("use engine auto")});
    }
    return program;
}

}  // namespace tessera::tile
