#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/first_copies.h"
#include "tile/lower.h"
#include "tile/renaming.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace tessera::tile {
namespace {

// The body of a loop as what starts copies and what uses them.
struct Halves {
    StatementPtr copies, rest;  // null: nothing
};

class Pipelining {
public:
    Pipelining(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {}

    StatementPtr run() { return kernel_.producers > 0 ? with_roles(kernel_.body) : visit(kernel_.body); }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }

    StatementPtr visit(const StatementPtr& s) {
        if (const auto* a = std::get_if<Alloc>(&s->node); a && a->buffers > 1)
            throw Limit(L0903_schedule, stage(a->stage).where,
                        fmt::format("{} has {} buffers, but no serial loop around it fills one after the other",
                                    stage(a->stage).name, a->buffers),
                        {fix("compute it at a serial loop, of the sum"), fix("use buffers 1")});
        if (const auto* f = std::get_if<For>(&s->node)) {
            std::vector<Alloc> rings;
            find_rings(*f->body, rings);
            if (!rings.empty()) return pipelined(s, *f, rings);
            if (integer_constant(f->extent) != 1) {
                const bool outside = repeated_;
                repeated_ = true;
                StatementPtr out = map_children(s, [&](const StatementPtr& child) { return visit(child); });
                repeated_ = outside;
                return out;
            }
        }
        if (const auto* c = std::get_if<BoxCopy>(&s->node)) return box_alone(s, c->stage);
        if (const auto* q = std::get_if<Sequence>(&s->node)) {
            std::vector<StatementPtr> out;
            for (size_t i = 0; i < q->statements.size(); ++i) {
                const FirstCopies copies = first_copies(*q, i);
                if (copies.statements.empty()) {
                    out.push_back(visit(q->statements[i]));
                    continue;
                }
                i += copies.statements.size() - 1;
                const auto behind = q->statements.begin() + static_cast<std::ptrdiff_t>(i) + 1;
                if (const Statement* loop = loop_that_uses(program_, {behind, q->statements.end()}, copies.stages))
                    first_copies_[loop] = copies;
                else
                    out.push_back(awaited(copies));
            }
            return with_boxes_together(std::move(out));
        }
        if (const auto* a = std::get_if<Alloc>(&s->node)) memory_[a->stage] = bytes_of(*a);
        if (const FirstCopies copies = first_copies({{s}}, 0); !copies.statements.empty()) return awaited(copies);
        return map_children(s, [&](const StatementPtr& child) { return visit(child); });
    }

    std::int64_t bytes_of(const Alloc& a) const {
        std::int64_t bytes = dtype_bytes(stage(a.stage).dtypes[0]);
        for (const std::int64_t e : a.extent) bytes *= e;
        return bytes;
    }
    // Once, as its barrier counts one copy.
    StatementPtr box_alone(const StatementPtr& box, size_t stage) const {
        if (repeated_)
            throw Limit(L0903_schedule, this->stage(stage).where,
                        fmt::format("the copy engine fills the one buffer of {} in a loop", this->stage(stage).name),
                        {fix("give it 2 or more buffers"), fix("copy it before the loop")});
        return sequence({statement(Commit{{stage}, index_number(0), memory_.at(stage)}), box,
                         statement(Await{{stage}, index_number(0), {}, 1})});
    }

    // Boxes that stand one behind the other are all started before the first is awaited.
    static StatementPtr with_boxes_together(std::vector<StatementPtr> statements) {
        std::vector<StatementPtr> out, awaits;
        for (const StatementPtr& s : statements) {
            const auto* q = std::get_if<Sequence>(&s->node);
            if (q && q->statements.size() == 3 && std::holds_alternative<BoxCopy>(q->statements[1]->node)) {
                out.insert(out.end(), q->statements.begin(), q->statements.begin() + 2);
                awaits.push_back(q->statements[2]);
                continue;
            }
            out.insert(out.end(), awaits.begin(), awaits.end());
            awaits.clear();
            out.push_back(s);
        }
        out.insert(out.end(), awaits.begin(), awaits.end());
        return sequence(std::move(out));
    }

    // With equally many buffers each.
    std::vector<size_t> stages_of(const std::vector<Alloc>& rings) const {
        std::vector<size_t> stages;
        for (const Alloc& a : rings) {
            stages.push_back(a.stage);
            if (a.buffers != rings[0].buffers) refuse_buffers(a, rings[0]);
        }
        return stages;
    }
    // What an iteration copies into the stages, and its use of them, both of the buffer `index_`.
    Halves halves_of(const For& f, const std::vector<size_t>& stages) {
        index_ = make_variable(name_of(f.variable) + ".buffer", DType::i64);
        const bool outside = std::exchange(repeated_, true);
        Halves halves = split(f.body, {stages.begin(), stages.end()});
        repeated_ = outside;
        if (!halves.copies || !halves.rest) refuse_place(stages[0]);
        return halves;
    }

    // for i: { copy; use }  ->  copy 0 .. N-2 ahead; for i: { await i; copy i + N-1 into the buffer that i-1 used; use i }
    // Where the use is a product in flight, which reads until that of i + 1 has started, copies run an iteration less ahead.
    StatementPtr pipelined(const StatementPtr& s, const For& f, const std::vector<Alloc>& rings) {
        const std::int64_t buffers = rings[0].buffers;
        const std::vector<size_t> stages = stages_of(rings);
        const Halves halves = halves_of(f, stages);
        check_source(*halves.copies, stages[0]);
        const auto place = [&](const StatementPtr& half, const Expr& iteration) {
            const Expr buffer = simplify_index(make_op(Op::mod, DType::i64, {iteration, index_number(buffers)}));
            return renamed(half, {{f.variable.get(), iteration}, {index_.get(), buffer}});
        };
        const std::int64_t bytes = engine_bytes(*halves.copies, rings);
        if (bytes > 0 && repeated_)
            throw Limit(
                L0903_schedule, stage(stages[0]).where,
                fmt::format("the copy engine fills buffers of {} in a loop that runs several times", stage(stages[0]).name),
                {fix("use engine cp_async"), fix("use one serial loop around the product")});
        std::optional<size_t> sums = product_alone(*halves.rest);
        // What is written says itself what stays in flight.
        if (sums && (!stage(*sums).update || !stays_in_flight(*sums, buffers > 2))) sums.reset();
        const std::int64_t distance = buffers - (sums ? 2 : 1);
        const auto start = [&](const Expr& iteration) {
            const Expr inside = make_op(Op::lt, DType::bool_, {iteration, f.extent});
            if (bytes > 0)
                return statement(
                    If{inside, sequence({statement(Commit{stages, iteration, bytes}), place(halves.copies, iteration)})});
            return sequence({statement(If{inside, place(halves.copies, iteration)}), statement(Commit{stages, iteration})});
        };
        For ahead{make_variable(name_of(f.variable) + ".first", DType::i64), index_number(distance), true, nullptr};
        ahead.body = start(ahead.variable);
        For loop = f;
        loop.body = sequence({statement(Await{stages, f.variable, {}, bytes > 0 ? buffers : 0}),
                              start(index_sum(f.variable, index_number(distance))),
                              with_buffer(sums ? by_all(halves.rest, true) : halves.rest,
                                          simplify_index(make_op(Op::mod, DType::i64, {f.variable, index_number(buffers)})))});
        std::vector<StatementPtr> parts;
        if (const auto first = first_copies_.find(s.get()); first != first_copies_.end()) {
            const Expr any = make_op(Op::lt, DType::bool_, {index_number(0), f.extent});
            parts.push_back(distance > 0 ? statement(If{any, sequence(first->second.statements)}) : awaited(first->second));
        }
        parts.insert(parts.end(), {statement(std::move(ahead)), statement(std::move(loop))});
        if (sums) parts.push_back(statement(Settle{*sums}));
        StatementPtr out = sequence(std::move(parts));
        for (size_t i = rings.size(); i-- > 0;) out = allocated(rings[i], std::move(out));
        return out;
    }
    // As the schedule says, or else where that is possible.
    bool stays_in_flight(size_t sums, bool possible) const {
        return possible && program_.bound.stages[sums].in_flight.value_or(1) != 0;
    }
    // The sums of the product of warpgroups that is all that happens in an iteration.
    static std::optional<size_t> product_alone(const Statement& s) {
        if (const auto* m = std::get_if<Mma>(&s.node)) return m->grouped ? std::optional(m->stage) : std::nullopt;
        if (std::holds_alternative<For>(s.node)) return std::nullopt;
        const std::vector<StatementPtr> inside = children(s);
        return inside.size() == 1 ? product_alone(*inside[0]) : std::nullopt;
    }
    // All warpgroups multiply: those behind the end of a dim multiply zeros, which nobody reads. ptxas lets products of some
    // warpgroups only wait for each other.
    static StatementPtr by_all(const StatementPtr& s, bool in_flight, std::set<const ExprNode*> dealt = {}) {
        if (const auto* m = std::get_if<Mma>(&s->node)) {
            Mma out = *m;
            out.in_flight = in_flight;
            return statement(std::move(out));
        }
        if (const auto* p = std::get_if<Spread>(&s->node))
            for (const Axis& a : p->axes) dealt.insert(a.variable.get());
        const auto* guard = std::get_if<If>(&s->node);
        if (guard && guard->condition->op == Op::lt && dealt.count(guard->condition->args[0].get()) != 0)
            return by_all(guard->body, in_flight, dealt);
        return map_children(s, [&](const StatementPtr& child) { return by_all(child, in_flight, dealt); });
    }
    // What the copy engine moves in one iteration; 0 where threads copy.
    std::int64_t engine_bytes(const Statement& copies, const std::vector<Alloc>& rings) const {
        std::int64_t bytes = 0;
        size_t boxes = 0;
        for (const Alloc& a : rings) {
            if (!has_box(copies, a.stage)) continue;
            bytes += bytes_of(a);
            ++boxes;
        }
        if (boxes == 0 || boxes == rings.size()) return bytes;
        throw Limit(L0903_schedule, stage(rings[0].stage).where,
                    fmt::format("the copy engine moves some of what is copied in the loop with {}, and threads the rest",
                                stage(rings[0].stage).name),
                    {fix("give all copies of the loop engine tma, or all engine cp_async")});
    }
    static bool has_box(const Statement& s, size_t stage) {
        const auto* c = std::get_if<BoxCopy>(&s.node);
        if (c && c->stage == stage) return true;
        for (const StatementPtr& child : children(s))
            if (has_box(*child, stage)) return true;
        return false;
    }
    // The half that stays where it was keeps its names.
    StatementPtr with_buffer(const StatementPtr& s, const Expr& buffer) const {
        if (const auto* b = std::get_if<InBuffer>(&s->node); b && b->index.same_as(index_)) {
            InBuffer out = *b;
            out.index = buffer;
            out.body = with_buffer(b->body, buffer);
            return statement(std::move(out));
        }
        return map_children(s, [&](const StatementPtr& child) { return with_buffer(child, buffer); });
    }

    Halves split(const StatementPtr& s, const std::set<size_t>& rings) {
        std::set<size_t> copied;
        copied_stages(*s, copied);
        const bool ahead = std::any_of(copied.begin(), copied.end(), [&](size_t i) { return rings.count(i) != 0; });
        const auto* alloc = std::get_if<Alloc>(&s->node);
        if (!ahead && !(alloc && rings.count(alloc->stage))) return {nullptr, visit(s)};
        const auto both = [&](auto node, const StatementPtr& body) {
            Halves halves = split(body, rings);
            for (StatementPtr* half : {&halves.copies, &halves.rest}) {
                if (!*half) continue;
                node.body = *half;
                *half = statement(node);
            }
            return halves;
        };
        return match(
            s->node, [&](const Sequence& q) { return split_sequence(q, rings); }, [&](const Let& l) { return both(l, l.body); },
            [&](const If& i) { return both(i, i.body); },
            [&](const Alloc& a) {
                if (rings.count(a.stage)) return both(InBuffer{a.stage, index_, a.begin, nullptr}, a.body);
                Halves halves = split(a.body, rings);
                Alloc kept = a;
                kept.body = halves.rest ? halves.rest : sequence({});
                halves.rest = statement(std::move(kept));
                return halves;
            },
            // The nest of a copy itself: what is computed in a loop inside has its memory there.
            [&](const Spread&) {
                return Halves{s, nullptr};
            },
            [&](const For&) {
                return Halves{s, nullptr};
            },
            [&](const Assign&) {
                return Halves{nullptr, s};
            },
            [&](const Combine&) {
                return Halves{nullptr, s};
            },
            [&](const Mma&) {
                return Halves{nullptr, s};
            },
            [&](const AsyncCopy& c) -> Halves { refuse_place(c.stage); },
            [&](const InBuffer&) {
                return Halves{nullptr, s};
            },
            [&](const BoxCopy&) {
                return Halves{s, nullptr};
            },
            [&](const Fence&) {
                return Halves{nullptr, s};
            },
            [&](const BoxStore&) {
                return Halves{nullptr, s};
            },
            [&](const Reclaim&) {
                return Halves{nullptr, s};
            },
            [&](const Settle&) {
                return Halves{nullptr, s};
            },
            [&](const Commit&) {
                return Halves{nullptr, s};
            },
            [&](const Await&) {
                return Halves{nullptr, s};
            },
            [&](const Roles&) {
                return Halves{nullptr, s};
            },
            [&](const Tiles&) {
                return Halves{nullptr, s};
            },
            [&](const Acquire&) {
                return Halves{nullptr, s};
            },
            [&](const Release&) {
                return Halves{nullptr, s};
            },
            [&](const TakeTurn&) {
                return Halves{nullptr, s};
            },
            [&](const PassTurn&) {
                return Halves{nullptr, s};
            },
            [&](const Barrier&) {
                return Halves{nullptr, s};
            });
    }
    Halves split_sequence(const Sequence& q, const std::set<size_t>& rings) {
        std::vector<StatementPtr> copies, rest;
        for (const StatementPtr& child : q.statements) {
            const Halves halves = split(child, rings);
            if (halves.copies) copies.push_back(halves.copies);
            if (halves.rest) rest.push_back(halves.rest);
        }
        return {copies.empty() ? nullptr : sequence(std::move(copies)), rest.empty() ? nullptr : sequence(std::move(rest))};
    }

    // ---- roles

    // { a; for i: { copy; use }; b }  ->  roles { for i: { acquire i; copy } } { a; for i: { await i; use; release i - 1 }; b }
    StatementPtr with_roles(const StatementPtr& s) {
        if (kernel_.persistent) round_ = make_variable(kernel_.name + ".round", DType::i64);
        const Halves halves = split_roles(s, {});
        if (!halves.copies) refuse_roles({}, "it has no copies of engine tma into several buffers");
        Roles roles{kernel_.producer_registers, kernel_.consumer_registers, with_parts(halves.copies, {}), halves.rest};
        if (kernel_.persistent)
            for (StatementPtr* role : {&roles.copies, &roles.rest}) *role = statement(Tiles{round_, *role});
        StatementPtr out = statement(std::move(roles));
        for (size_t i = rings_.size(); i-- > 0;) out = allocated(rings_[i], std::move(out));
        for (size_t i = around_.size(); i-- > 0;) out = allocated(around_[i], std::move(out));
        return out;
    }

    static StatementPtr allocated(Alloc ring, StatementPtr body) {
        for (Expr& e : ring.begin) e = index_number(0);
        ring.body = std::move(body);
        return statement(std::move(ring));
    }
    static bool has_ring(const Statement& s) {
        const auto* a = std::get_if<Alloc>(&s.node);
        if (a && a->buffers > 1) return true;
        for (const StatementPtr& child : children(s))
            if (has_ring(*child)) return true;
        return false;
    }

    // Every position of the grid takes part in the copies and in the product, so that tokens are counted alike: beyond the end of
    // a dim they are of zeros. What stands beside them stays behind the conditions around them.
    Halves split_roles(const StatementPtr& s, std::vector<Expr> conditions) {
        if (!has_ring(*s)) {
            check_alone(*s);
            StatementPtr out = visit(s);
            for (size_t i = conditions.size(); i-- > 0;) out = statement(If{conditions[i], std::move(out)});
            return {nullptr, std::move(out)};
        }
        if (const auto* q = std::get_if<Sequence>(&s->node)) {
            Halves out;
            std::vector<StatementPtr> rest;
            std::optional<size_t> start;
            for (const StatementPtr& child : q->statements) {
                const Halves own = split_roles(child, conditions);
                if (own.copies && out.copies) refuse_roles({}, "it has two loops of copies");
                if (!own.copies && !out.copies && starts_zeros(*child)) start = rest.size();
                rest.push_back(own.rest);
                if (!own.copies) continue;
                out.copies = own.copies;
                if (!start || !replaces_) continue;
                // The first product replaces the sums; where there is none they start with zeros.
                const StatementPtr zeros = rest[*start];
                rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(*start));
                rest.push_back(statement(If{make_op(Op::lt, DType::bool_, {rounds_, index_number(1)}), zeros}));
            }
            out.rest = with_boxes_together(std::move(rest));
            return out;
        }
        if (const auto* l = std::get_if<Let>(&s->node)) {
            Halves own = split_roles(l->body, conditions);
            for (StatementPtr* half : {&own.copies, &own.rest}) *half = statement(Let{l->variable, l->value, *half});
            return own;
        }
        if (const auto* i = std::get_if<If>(&s->node)) {
            conditions.push_back(i->condition);
            return split_roles(i->body, conditions);
        }
        if (const auto* a = std::get_if<Alloc>(&s->node); a && a->space == Space::shared && a->buffers == 1) {
            // Filled once, as persistent blocks would do again.
            if (kernel_.persistent) refuse_roles(a->stage, "it is in shared memory beside the copies");
            around_.push_back(*a);
            memory_[a->stage] = bytes_of(*a);
            return split_roles(a->body, conditions);
        }
        if (const auto* a = std::get_if<Alloc>(&s->node); a && a->space == Space::register_) {
            Alloc kept = *a;
            Halves own = split_roles(a->body, conditions);
            kept.body = own.rest;
            own.rest = statement(std::move(kept));
            return own;
        }
        const auto* f = std::get_if<For>(&s->node);
        std::vector<Alloc> rings;
        if (f) find_rings(*f->body, rings);
        if (rings.empty()) refuse_roles({}, "its loop of copies stands inside other loops");
        return roles_of(*f, rings, !conditions.empty());
    }

    // Stores zeros to the registers of sums, and nothing else.
    bool starts_zeros(const Statement& s) const {
        if (const auto* a = std::get_if<Assign>(&s.node)) {
            const Stage& of = stage(a->stage);
            return of.update && of.dtypes.size() == 1 && is_constant(a->values[0]) && a->values[0]->bits == 0;
        }
        const std::vector<StatementPtr> inside = children(s);
        return !inside.empty() &&
               std::all_of(inside.begin(), inside.end(), [&](const StatementPtr& child) { return starts_zeros(*child); });
    }
    static StatementPtr fresh_where(const StatementPtr& s, const Expr& first) {
        if (const auto* m = std::get_if<Mma>(&s->node)) {
            Mma out = *m;
            out.fresh = first;
            return statement(std::move(out));
        }
        return map_children(s, [&](const StatementPtr& child) { return fresh_where(child, first); });
    }

    // `conditional`: conditions stand around the loop, which are those of the ends of dims.
    Halves roles_of(const For& f, const std::vector<Alloc>& rings, bool conditional) {
        const std::int64_t buffers = rings[0].buffers;
        const std::vector<size_t> stages = stages_of(rings);
        const Halves halves = halves_of(f, stages);
        const std::int64_t bytes = engine_bytes(*halves.copies, rings);
        const auto sums = product_alone(*halves.rest);
        rounds_ = f.extent;
        if (bytes == 0) refuse_roles(stages[0], "its copies are not of engine tma");
        // What a schedule has is the product alone; what is written may do more, and starts its own sums.
        replaces_ = sums && stage(*sums).update;
        if (!replaces_ && (conditional || kernel_.persistent || !kernel_.cluster.empty()))
            refuse_roles(stages[0], "its loop does more than multiply by warpgroups");
        if (replaces_ && (!is_constant(stage(*sums).values[0]) || stage(*sums).values[0]->bits != 0))
            refuse_roles(*sums, "its sums start with other values than zeros");
        for_each_node({f.extent}, [&](const Expr& n) {
            if (replaces_ && (n->op == Op::variable || (n->op == Op::access && n->index_count() > 0)))
                refuse_roles(stages[0], "its blocks sum over different numbers of copies");
        });
        rings_ = rings;
        const Expr copied = make_variable(name_of(f.variable) + ".copied", DType::i64);
        const auto token = [&](const Expr& iteration) {
            if (!round_.defined()) return iteration;
            const Expr before = simplify_index(make_op(Op::mul, DType::i64, {round_, f.extent}));
            return index_sum(before, iteration);
        };
        const auto slot = [&](const Expr& number) {
            return simplify_index(make_op(Op::mod, DType::i64, {number, index_number(buffers)}));
        };
        For fill{copied, f.extent, false, nullptr};
        fill.body = sequence({statement(Acquire{stages, token(copied), buffers}), statement(Commit{stages, token(copied), bytes}),
                              renamed(halves.copies, {{f.variable.get(), copied}, {index_.get(), slot(token(copied))}})});
        For use = f;
        const Expr none = index_number(0), last = index_difference(f.extent, index_number(1));
        const auto release = [&](const Expr& iteration, const Expr& first) {
            return statement(
                If{make_op(Op::lt, DType::bool_, {none, first}), statement(Release{stages, token(iteration), buffers})});
        };
        if (!replaces_) {
            use.body = sequence({statement(Await{stages, token(f.variable), {}, buffers}),
                                 with_buffer(halves.rest, slot(token(f.variable))),
                                 statement(Release{stages, token(f.variable), buffers})});
            return {statement(std::move(fill)), statement(std::move(use))};
        }
        const bool flies = stays_in_flight(*sums, true);
        use.body = sequence({statement(Await{stages, token(f.variable), {}, buffers}),
                             with_buffer(fresh_where(by_all(halves.rest, flies), f.variable), slot(token(f.variable))),
                             flies ? release(index_difference(f.variable, index_number(1)), f.variable)
                                   : statement(Release{stages, token(f.variable), buffers})});
        std::vector<StatementPtr> rest{statement(std::move(use))};
        // The next consumer's products follow these in the tensor cores, while this one waits for the last of them and stores.
        if (kernel_.consumers > 1) rest = {statement(TakeTurn{}), rest[0], statement(PassTurn{})};
        if (flies) rest.push_back(statement(Settle{*sums}));
        if (flies && round_.defined()) rest.push_back(release(last, f.extent));
        return {statement(std::move(fill)), sequence(std::move(rest))};
    }

    // Boxes that do not move with the block's place in its cluster are copied once for all of its blocks. `moving`: what does.
    StatementPtr with_parts(const StatementPtr& s, std::set<const ExprNode*> moving) const {
        if (kernel_.cluster.empty()) return s;
        const auto moves = [&](const Expr& e) {
            bool found = false;
            for_each_node({e}, [&](const Expr& n) {
                found = found || n.same_as(kernel_.cluster[0].variable) || moving.count(n.get()) != 0;
            });
            return found;
        };
        if (const auto* l = std::get_if<Let>(&s->node); l && moves(l->value)) moving.insert(l->variable.get());
        const auto* b = std::get_if<BoxCopy>(&s->node);
        if (!b) return map_children(s, [&](const StatementPtr& child) { return with_parts(child, moving); });
        if (std::any_of(b->source->args.begin(), b->source->args.end(), moves)) return s;
        BoxCopy out = *b;
        out.parts = integer_constant(kernel_.cluster[0].extent).value();
        return statement(std::move(out));
    }

    // The role that does not copy has no barriers of the whole block.
    void check_alone(const Statement& s) const {
        const auto* c = std::get_if<Combine>(&s.node);
        if (c && c->over == Scope::thread) refuse_roles(c->stage, "its threads combine a reduction");
        const auto* a = std::get_if<Alloc>(&s.node);
        if (a && a->space == Space::shared) refuse_roles(a->stage, "it is in shared memory beside the copies");
        for (const StatementPtr& child : children(s)) check_alone(*child);
    }
    [[noreturn]] void refuse_roles(std::optional<size_t> i, std::string_view why) const {
        throw Limit(
            L0903_schedule, i ? stage(*i).where : SourceLoc{},
            fmt::format("kernel {} has warps with roles, but {}{}", kernel_.name, i ? "of " + stage(*i).name + ": " : "", why),
            {fix("leave out overlap and persistent"),
             fix("multiply by warpgroups what one serial loop copies with engine tma into 2 or more buffers")});
    }
    [[noreturn]] void refuse_buffers(const Alloc& a, const Alloc& first) const {
        throw Error(E0508_storage, stage(a.stage).where,
                    fmt::format("{} has {} buffers, but {}, which is copied in the same loop, has {}", stage(a.stage).name,
                                a.buffers, stage(first.stage).name, first.buffers),
                    {fix(fmt::format("give both {} buffers", std::max(a.buffers, first.buffers)))});
    }

    // A copy that runs iterations ahead reads nothing that an iteration computes.
    void check_source(const Statement& s, size_t copied) const {
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            const size_t i = program_.bound.graph.find(n->target().func.get()).value();
            const bool global = std::any_of(program_.scratch.begin(), program_.scratch.end(),
                                            [&](const Scratch& each) { return each.stage == i; });
            if (!global)
                throw Limit(
                    L0903_schedule, stage(i).where,
                    fmt::format("{} is copied ahead but reads {}, which its kernel computes", stage(copied).name, stage(i).name),
                    {fix(fmt::format("compute {} at root", stage(i).name)), fix("use buffers 1")});
        });
        for (const StatementPtr& child : children(s)) check_source(*child, copied);
    }
    [[noreturn]] void refuse_place(size_t i) const {
        throw Limit(L0903_schedule, stage(i).where,
                    fmt::format("{} is copied ahead, but not by thread loops of its loop", stage(i).name),
                    {fix("give it thread loops and an innermost vector loop"), fix("use buffers 1")});
    }

    const Program& program_;
    const Kernel& kernel_;
    Expr index_;                             // stands for the buffer of an iteration
    bool repeated_ = false;                  // inside a serial loop
    std::vector<Alloc> rings_;               // that roles share
    std::vector<Alloc> around_;              // memory of the block beside them
    bool replaces_ = false;                  // the first product in the loop of roles replaces its sums
    std::map<size_t, std::int64_t> memory_;  // bytes of a buffer
    // What is copied into one buffer before a loop starts its copies, which are committed with it.
    std::map<const Statement*, FirstCopies> first_copies_;
    Expr round_;   // of a persistent kernel
    Expr rounds_;  // of the loop that roles share
};

}  // namespace

Program pipeline_copies(Program program) {
    for (Kernel& k : program.kernels) k.body = Pipelining(program, k).run();
    return program;
}

}  // namespace tessera::tile
