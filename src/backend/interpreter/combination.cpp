#include "algorithm/fused_products.h"
#include "algorithm/visit.h"
#include "backend/interpreter/program.h"
#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::interpreter {
namespace {

std::int64_t product(const std::vector<std::int64_t>& extents) {
    std::int64_t count = 1;
    for (const std::int64_t e : extents) count *= e;
    return count;
}

// Components of one combination share attribute and args.
const void* attribute_of(const ExprNode& n) {
    if (n.op == Op::scatter) return &n.scatter();
    return &n.reduction();
}
bool same_args(const ExprNode& a, const ExprNode& b) {
    if (a.op != b.op || a.args.size() != b.args.size()) return false;
    for (size_t i = 0; i < a.args.size(); ++i)
        if (!a.args[i].same_as(b.args[i])) return false;
    return true;
}

}  // namespace

Program::Node Program::made_combination(const Expr& e) {
    Node n;
    n.component = static_cast<std::uint32_t>(e->component());
    std::vector<std::pair<const ExprNode*, Node>>& siblings = components_[attribute_of(*e)];
    for (const auto& [other, node] : siblings)
        if (same_args(*other, *e)) {
            n.target = node.target;
            n.slots = node.slots;
            return n;
        }
    const Reduction& r = e->reduction();
    auto c = std::make_unique<Combination>();
    c->op = e->op;
    c->reduction = &r;
    for (const Dim& d : r.dims) {
        c->dims.push_back(slot(d));
        c->extents.push_back(arguments_.extent(d).value());
    }
    for (const Expr& x : r.identity) c->identity.push_back(value(add(x)));
    for (const Expr& x : r.left) c->left.push_back(slot(x));
    for (const Expr& x : r.right) c->right.push_back(slot(x));
    for (const Expr& x : r.combined) c->combined.push_back(static_cast<std::uint32_t>(add(x)));
    std::vector<std::uint32_t> args;
    for (const Expr& a : e->args) args.push_back(numbers_.at(a.get()));

    const size_t count = r.components();
    size_t next = 0;
    if (e->op == Op::scatter) {
        for (const Dim& d : e->scatter().destination) {
            c->destination.push_back(slot(d));
            c->destination_extents.push_back(arguments_.extent(d).value());
            c->places.push_back(args[next++]);
        }
    }
    while (c->operands.size() < count) c->operands.push_back(args[next++]);
    if (e->op == Op::scatter && e->scatter().has_init)
        c->inits.assign(args.begin() + static_cast<std::ptrdiff_t>(next), args.end());
    if (r.has_where) c->where = {args.back()};

    // Slots the result depends on: not the dims bound here.
    std::vector<std::uint32_t> slots = slots_of(args);
    const auto drop = [&](const std::vector<std::uint32_t>& bound) {
        std::erase_if(slots, [&](std::uint32_t s) { return std::find(bound.begin(), bound.end(), s) != bound.end(); });
    };
    drop(c->dims);
    drop(c->destination);
    c->slots = slots;
    n.slots = slots;
    n.slots.insert(n.slots.end(), c->destination.begin(), c->destination.end());
    if (e->op == Op::scan) n.slots.push_back(c->dims[0]);
    c->by_key = e->op != Op::reduce || comes_back(c->slots);

    const Expr& whole = r.combined[0];
    if (count == 1 && whole->args.size() == 2 && is_scalar_op(whole->op) && whole->op != Op::and_ && whole->op != Op::or_ &&
        whole->args[0].same_as(r.left[0]) && whole->args[1].same_as(r.right[0])) {
        c->function = nodes_[c->combined[0]].function;
        const Expr& body = e->args[e->op == Op::scatter ? c->places.size() : 0];
        if (e->op == Op::reduce && whole->op == Op::add)
            for (const Expr& p : fused_products(r, body)) {
                c->fused = scalar_function(Op::fma, body->dtype, body->dtype);
                c->factors.push_back({numbers_.at(p->args[0].get()), numbers_.at(p->args[1].get())});
            }
    }
    n.target = static_cast<std::uint32_t>(combinations_.size());
    combinations_.push_back(std::move(c));
    siblings.emplace_back(e.get(), n);
    return n;
}

/// Whether the same values of `slots` are met again after others: a dim of the scope that changes less often is not among them.
bool Program::comes_back(const std::vector<std::uint32_t>& slots) const {
    size_t found = 0;
    while (found < scope_.size() && std::find(slots.begin(), slots.end(), scope_[found]) != slots.end()) ++found;
    return found < scope_.size() && found < slots.size();
}

Bits Program::combined(const Node& n) {
    Combination& c = *combinations_[n.target];
    size_t cell = 0;
    if (c.op == Op::scan) {
        // Outside [0, extent) nothing is added: before the first point the identity, after the last the total, as seen from the
        // end that the scan starts from. The table has an entry on both sides.
        const std::int64_t t = static_cast<std::int64_t>(slots_[c.dims[0]].value);
        cell = static_cast<size_t>(std::clamp<std::int64_t>(t, -1, c.extents[0]) + 1);
    }
    if (c.op == Op::scatter)
        for (size_t d = 0; d < c.destination.size(); ++d) {
            const std::int64_t i = static_cast<std::int64_t>(slots_[c.destination[d]].value);
            if (i < 0 || i >= c.destination_extents[d]) return initial_cell(c)[n.component];
            cell = cell * static_cast<size_t>(c.destination_extents[d]) + static_cast<size_t>(i);
        }
    return results(c)[cell * c.identity.size() + n.component];
}

const std::vector<Bits>& Program::results(Combination& c) {
    const std::uint64_t state = newest(c.slots);
    if (c.stamp == state) return c.by_key ? *c.latest : c.result;
    if (!c.by_key) {
        std::vector<Bits> result = reduced(c);
        c.result = std::move(result);
        c.stamp = state;
        return c.result;
    }
    std::vector<Bits> key;
    for (const std::uint32_t s : c.slots) key.push_back(s == memory_slot ? slots_[s].stamp : slots_[s].value);
    auto found = c.results.find(key);
    if (found == c.results.end()) {
        std::vector<Bits> made = c.op == Op::scan ? scanned(c) : c.op == Op::scatter ? scattered(c) : reduced(c);
        found = c.results.emplace(std::move(key), std::move(made)).first;
    }
    c.latest = &found->second;
    c.stamp = state;
    return found->second;
}

/// Calls visit(position) for every point, the first slot outermost, with the slots set; takes the slots back afterwards.
template <class Visit>
void Program::for_each_point(const std::vector<std::uint32_t>& slots, const std::vector<std::int64_t>& extents, Visit&& visit) {
    const std::int64_t count = product(extents);
    if (count <= 0) return;
    const Kept kept(*this, slots);
    for (const std::uint32_t s : slots) set(s, 0);
    std::vector<std::int64_t> index(slots.size(), 0);
    for (std::int64_t position = 0; position < count; ++position) {
        visit(position);
        for (size_t d = slots.size(); d-- > 0;) {
            if (++index[d] == extents[d]) index[d] = 0;
            set(slots[d], static_cast<Bits>(index[d]));
            if (index[d] != 0) break;
        }
    }
}

void Program::combine(Combination& c, std::span<Bits> total, std::span<const Bits> next) {
    if (c.function != nullptr) {
        const Bits operands[] = {total[0], next[0]};
        total[0] = c.function(operands);
        return;
    }
    for (size_t i = 0; i < total.size(); ++i) {
        set(c.left[i], total[i]);
        set(c.right[i], next[i]);
    }
    for (size_t i = 0; i < total.size(); ++i) total[i] = value(c.combined[i]);
}

/// total = total combined with the operands at the current point.
void Program::fold_point(Combination& c, std::span<Bits> total) {
    if (c.fused != nullptr) {
        for (const auto& [left, right] : c.factors) {
            const Bits a = value(left), b = value(right);
            const Bits operands[] = {a, b, total[0]};
            total[0] = c.fused(operands);
        }
        return;
    }
    constexpr size_t most = 4;
    Bits on_stack[most];
    std::vector<Bits> on_heap(total.size() > most ? total.size() : 0);
    const std::span<Bits> next(total.size() > most ? on_heap.data() : on_stack, total.size());
    for (size_t i = 0; i < next.size(); ++i) next[i] = value(c.operands[i]);
    combine(c, total, next);
}

std::vector<Bits> Program::reduced(Combination& c) {
    const Order order = c.reduction->order;
    const bool blocks = order.kind == Order::Kind::pairwise || order.kind == Order::Kind::blocked;
    std::vector<std::vector<Bits>> finished;
    std::vector<Bits> total = c.identity;
    Bits compensation = c.identity[0];  // kahan
    const DType dtype = c.reduction->identity[0].dtype();
    const auto minus = [&, sub = order.kind == Order::Kind::kahan ? scalar_function(Op::sub, dtype, dtype) : nullptr](Bits a,
                                                                                                                      Bits b) {
        const Bits operands[] = {a, b};
        return sub(operands);
    };
    for_each_point(c.dims, c.extents, [&](std::int64_t position) {
        if (blocks && position > 0 && position % order.block == 0) finished.push_back(std::exchange(total, c.identity));
        if (!c.where.empty() && value(c.where[0]) == 0) return;
        if (order.kind == Order::Kind::kahan) {
            const Bits y = minus(value(c.operands[0]), compensation);
            const Bits old = total[0];
            combine(c, total, {&y, 1});
            compensation = minus(minus(total[0], old), y);
        } else {
            fold_point(c, total);
        }
    });
    if (!blocks || finished.empty()) return total;
    finished.push_back(std::move(total));
    if (order.kind == Order::Kind::blocked) {
        for (size_t i = 1; i < finished.size(); ++i) combine(c, finished[0], finished[i]);
        return finished[0];
    }
    // The tree over [begin, end): its left part is the largest power of two below the count.
    const auto tree = [&](const auto& self, size_t begin, size_t end) -> std::vector<Bits> {
        if (end - begin == 1) return finished[begin];
        const size_t left = std::bit_floor(end - begin - 1);
        std::vector<Bits> result = self(self, begin, begin + left);
        const std::vector<Bits> right = self(self, begin + left, end);
        combine(c, result, right);
        return result;
    };
    return tree(tree, 0, finished.size());
}

std::vector<Bits> Program::scanned(Combination& c) {
    const std::int64_t n = c.extents[0];
    const size_t components = c.identity.size();
    std::vector<Bits> table(static_cast<size_t>(n + 2) * components);
    const auto put = [&](std::int64_t t, const std::vector<Bits>& v) {
        std::copy(v.begin(), v.end(), table.begin() + (t + 1) * static_cast<std::int64_t>(components));
    };
    const std::uint32_t t_slot = c.dims[0];
    const Kept kept(*this, c.dims);
    std::vector<Bits> total = c.identity;
    const bool reverse = c.reduction->reverse;
    put(reverse ? n : -1, total);
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t t = reverse ? n - 1 - i : i;
        set(t_slot, static_cast<Bits>(t));
        if (c.reduction->exclusive) put(t, total);
        fold_point(c, total);
        if (!c.reduction->exclusive) put(t, total);
    }
    put(reverse ? -1 : n, total);
    return table;
}

/// What the cell at the destination slots starts as.
std::vector<Bits> Program::initial_cell(Combination& c) {
    if (c.inits.empty()) return c.identity;
    std::vector<Bits> cell;
    for (const std::uint32_t init : c.inits) cell.push_back(value(init));
    return cell;
}

std::vector<Bits> Program::scattered(Combination& c) {
    const size_t components = c.identity.size();
    std::vector<Bits> cells;
    for_each_point(c.destination, c.destination_extents, [&](std::int64_t) {
        const std::vector<Bits> cell = initial_cell(c);
        cells.insert(cells.end(), cell.begin(), cell.end());
    });
    const Order order = c.reduction->order;
    // Order blocked: what a block adds to a cell is combined from the identity first.
    std::map<size_t, std::vector<Bits>> block;
    const auto flush = [&] {
        for (const auto& [cell, added] : block) combine(c, std::span(cells).subspan(cell * components, components), added);
        block.clear();
    };
    for_each_point(c.dims, c.extents, [&](std::int64_t position) {
        if (order.kind == Order::Kind::blocked && position % std::max<std::int64_t>(order.block, 1) == 0) flush();
        size_t cell = 0;
        for (size_t d = 0; d < c.places.size(); ++d) {
            const std::int64_t i = integer(c.places[d]);
            if (i < 0 || i >= c.destination_extents[d]) return;
            cell = cell * static_cast<size_t>(c.destination_extents[d]) + static_cast<size_t>(i);
        }
        if (order.kind == Order::Kind::blocked)
            fold_point(c, block.try_emplace(cell, c.identity).first->second);
        else
            fold_point(c, std::span(cells).subspan(cell * components, components));
    });
    flush();
    return cells;
}

}  // namespace tessera::interpreter
