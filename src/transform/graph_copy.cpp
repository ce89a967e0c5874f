#include "transform/graph_copy.h"

#include "base/check.h"

#include <fmt/format.h>

namespace tessera {
namespace {

bool is_structured(Op op) { return op == Op::reduce || op == Op::scan || op == Op::scatter; }
const void* key_of(const AccessTarget& t) { return t.input ? static_cast<const void*>(t.input.get()) : t.func.get(); }

// a + b or a - b in one rounding with the product that it has, b where both are one.
Expr fused(const ExprNode& n, const std::vector<Expr>& args) {
    const bool second = args[1]->op == Op::mul, minus = n.op == Op::sub;
    const Expr& product = args[second ? 1 : 0];
    TESSERA_CHECK(product->op == Op::mul, "a sum that is fused has a product");
    const auto negated = [&](const Expr& e) { return minus ? -e : e; };
    if (second) return fma(negated(product->args[0]), product->args[1], args[0]);
    return fma(product->args[0], product->args[1], negated(args[1]));
}

}  // namespace

// ---- dims and inputs

Dim GraphCopy::dim(const Dim& d) {
    if (const auto given = changes_.dims.find(d.id()); given != changes_.dims.end()) return given->second;
    if (const auto known = dims_.find(d.id()); known != dims_.end()) return known->second;
    Dim made = d;
    if (d.state().extent) {
        const Extent e = extent(*d.state().extent);
        if (e.node() != d.state().extent->node()) {
            made = Dim(d.name(), e, d.state().where);
            made.multiple_of(d.state().multiple_of);
            if (d.state().at_most) made.at_most(*d.state().at_most);
        }
    }
    dims_alive_.push_back(d);
    return dims_.emplace(d.id(), made).first->second;
}

std::vector<Dim> GraphCopy::dims(const std::vector<Dim>& all) {
    std::vector<Dim> out;
    for (const Dim& d : all) out.push_back(dim(d));
    return out;
}

Extent GraphCopy::extent(const Extent& e) {
    std::unordered_map<const ExprNode*, Expr> done;
    const Expr root(e);
    for_each_node({root}, [&](const Expr& n) {
        Expr made = n;
        if (n->op == Op::extent) {
            if (const Dim d = dim(n->dim()); d.id() != n->dim().id()) made = Expr(d.extent());
        } else if (n->op == Op::access) {
            const AccessTarget& target = n->target();
            if (const auto literal = changes_.constants.find(target.input.get()); literal != changes_.constants.end())
                made = literal->second;
            else if (changes_.tensors.count(target.input.get()))
                throw Error(E0105_extent, target.input->where,
                            fmt::format("scalar {} stands in an extent, which is one for all", target.input->name),
                            {token(target.input->name), fix("map another argument"),
                             fix("give the dim the largest extent and reduce under where()")});
        } else if (!n->args.empty()) {
            std::vector<Operand> args;
            bool same = true;
            for (const Expr& a : n->args) {
                args.emplace_back(done.at(a.get()));
                same = same && args.back().expr.same_as(a);
            }
            if (!same) made = n->op == Op::cast ? args[0].expr : build_op(n->op, args);
        }
        done[n.get()] = made;
    });
    return Extent(done.at(root.get()).node());
}

std::shared_ptr<const InputState> GraphCopy::input(const std::shared_ptr<const InputState>& input) {
    if (const auto known = inputs_.find(input.get()); known != inputs_.end()) return known->second;
    auto made = std::make_shared<InputState>(*input);
    made->dims = dims(input->dims);
    bool same = true;
    for (size_t i = 0; i < made->dims.size(); ++i) same = same && made->dims[i].id() == input->dims[i].id();
    if (input->values) {
        made->values = std::make_pair(extent(input->values->first), extent(input->values->second));
        same = same && made->values->first.node() == input->values->first.node() &&
               made->values->second.node() == input->values->second.node();
    }
    return inputs_[input.get()] = same ? input : made;
}

// ---- which Funcs change

std::vector<std::shared_ptr<FuncState>> GraphCopy::reachable(const std::vector<Func>& outputs) {
    std::vector<std::shared_ptr<FuncState>> found, stack;
    std::unordered_set<const FuncState*> seen;
    for (const Func& f : outputs) stack.push_back(f.state());
    while (!stack.empty()) {
        const auto f = stack.back();
        stack.pop_back();
        if (!seen.insert(f.get()).second) continue;
        found.push_back(f);
        if (changes_.tensors.count(f.get())) continue;
        for_each_node(roots_of(*f), [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) stack.push_back(n->target().func);
        });
        if (f->recurrence)
            for (const auto& s : f->recurrence->states) stack.push_back(s.lock());
        if (f->rule)
            for (const Wrt& x : f->rule->operands)
                if (x.func()) stack.push_back(x.func());
    }
    return found;
}

bool GraphCopy::touches(const AccessTarget& target) {
    if (changes_.tensors.count(key_of(target)) || changes_.constants.count(key_of(target))) return true;
    return target.input ? input(target.input) != target.input : changed_.count(target.func.get()) != 0;
}

bool GraphCopy::touches(const FuncState& f) {
    bool changes = changes_.names.count(&f) != 0;
    const auto note = [&](const std::vector<Dim>& all) {
        for (const Dim& d : all) changes = changes || dim(d).id() != d.id();
    };
    note(f.dims);
    for_each_node(roots_of(f), [&](const Expr& n) {
        if (changes) return;
        if (n->op == Op::dim || n->op == Op::extent) note({n->dim()});
        if (is_structured(n->op)) note(n->reduction().dims);
        if (n->op == Op::scatter) note(n->scatter().destination);
        if (n->op == Op::access) changes = touches(n->target());
        changes = changes || changes_.fused.count(n.get()) != 0;
    });
    if (f.recurrence) {
        note({f.recurrence->t});
        for (const auto& s : f.recurrence->states) changes = changes || changed_.count(s.lock().get()) != 0;
    }
    if (f.rule)
        for (const Wrt& x : f.rule->operands) changes = changes || touches(AccessTarget{x.input(), x.func()});
    return changes;
}

void GraphCopy::find_changed(const std::vector<std::shared_ptr<FuncState>>& funcs) {
    std::vector<std::shared_ptr<FuncState>> open;
    for (const auto& f : funcs)
        if (!changes_.tensors.count(f.get()) && known_.insert(f.get()).second) {
            open.push_back(f);
            sources_.push_back(f);
        }
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& f : open)
            if (!changed_.count(f.get()) && touches(*f)) grown = changed_.insert(f.get()).second;
    }
    for (const auto& f : open)
        if (changed_.count(f.get())) check_added(*f);
}

// A dim that is added must not be bound inside.
void GraphCopy::check_added(const FuncState& f) const {
    if (!changes_.added) return;
    bool there = contains_dim(f.dims, *changes_.added);
    for_each_node(roots_of(f), [&](const Expr& n) {
        if (n->op == Op::dim) there = there || n->dim().id() == changes_.added->id();
        if (is_structured(n->op)) there = there || contains_dim(n->reduction().dims, *changes_.added);
    });
    if (there)
        throw Error(
            E0104_repeated_dim, f.where, fmt::format("{} has dim {}, over which it is mapped", f.name, changes_.added->name()),
            {token(f.name), note(changes_.added->state().where, fmt::format("dim {} declared here", changes_.added->name())),
             fix("map over a Dim of its own")});
}

// ---- copies

std::vector<Func> GraphCopy::operator()(const std::vector<Func>& outputs) {
    const auto funcs = reachable(outputs);
    find_changed(funcs);
    for (size_t i = funcs.size(); i-- > 0;)
        if (changed_.count(funcs[i].get())) static_cast<void>(shell(funcs[i]));
    std::vector<Func> out;
    for (const Func& f : outputs) out.push_back(changed_.count(f.state().get()) ? Func(shell(f.state())) : f);
    alive_.clear();
    return out;
}

std::vector<Func> GraphCopy::over_added(const std::vector<Func>& outputs) {
    std::vector<Func> out = (*this)(outputs);
    for (size_t i = 0; i < out.size(); ++i) {
        if (!changes_.added || contains_dim(out[i].dims(), *changes_.added)) continue;
        const Func f = out[i];
        std::vector<Index> at(f.dims().begin(), f.dims().end());
        std::vector<Expr> values;
        for (int c = 0; c < f.components(); ++c) values.push_back(f.at(at, f.state()->where)[c]);
        Func wide(f.name() + changes_.suffix, f.state()->where);
        at.insert(at.begin(), Index(*changes_.added));
        wide.at(at, f.state()->where) = Tuple(values);
        out[i] = wide;
    }
    return out;
}

// The copy of a Func that changes; the states of a recurrence are made together.
std::shared_ptr<FuncState> GraphCopy::shell(const std::shared_ptr<FuncState>& f) {
    if (const auto known = copies_.find(f.get()); known != copies_.end())
        if (auto alive = known->second.lock()) return alive;
    const auto made = [&](const std::shared_ptr<FuncState>& from) {
        auto copy = std::make_shared<FuncState>(*from);
        const auto name = changes_.names.find(from.get());
        copy->name = name != changes_.names.end() ? name->second : from->name + changes_.suffix;
        copy->dims = dims(from->dims);
        if (changes_.added) copy->dims.insert(copy->dims.begin(), *changes_.added);
        copies_[from.get()] = copy;
        alive_.push_back(copy);
        return copy;
    };
    if (!f->recurrence) {
        auto copy = made(f);
        define(f);
        return copy;
    }
    auto recurrence = std::make_shared<Recurrence>(Recurrence{dim(f->recurrence->t), f->recurrence->reverse, {}, {}});
    for (const auto& weak : f->recurrence->states) {
        auto copy = made(weak.lock());
        copy->recurrence = recurrence;
        recurrence->states.push_back(copy);
        recurrence->kept.push_back(copy);
    }
    for (const auto& weak : f->recurrence->states) define(weak.lock());
    return copies_.at(f.get()).lock();
}

void GraphCopy::define(const std::shared_ptr<FuncState>& f) {
    const auto copy = copies_.at(f.get()).lock();
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node(roots_of(*f), [&](const Expr& n) {
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        done[n.get()] = copied(n, std::move(args));
    });
    for (size_t i = 0; i < f->values.size(); ++i) copy->values[i] = done.at(f->values[i].get());
    if (f->init.defined()) copy->init = done.at(f->init.get());
    if (f->rule) copy->rule = rule(*f);
    // A routine computes what its meaning says, at no further dim.
    copy->routine = changes_.added ? nullptr : moved_routine(f->routine, [this](const Wrt& x) { return operand(x); });
}

// What stands for the operand of a routine: a tensor that is read at the same places.
std::optional<Wrt> GraphCopy::operand(const Wrt& x) {
    AccessTarget to{x.input(), x.func(), Boundary::none};
    if (changes_.constants.count(key_of(to))) return std::nullopt;
    if (const auto other = changes_.tensors.find(key_of(to)); other != changes_.tensors.end()) {
        for (size_t i = 0; i < other->second.position.size(); ++i)
            if (other->second.position[i] != i) return std::nullopt;
        to = other->second.to;
    } else if (to.input) {
        to.input = input(to.input);
    } else if (changed_.count(to.func.get())) {
        to.func = shell(to.func);
    }
    if (to.input) return Wrt(Input(std::const_pointer_cast<InputState>(to.input)), x.where());
    return Wrt(Func(to.func), x.where());
}

Expr GraphCopy::copied(const Expr& n, std::vector<Expr> args) {
    if (n->op == Op::access) return copied_access(n, std::move(args));
    if (n->op == Op::dim) return make_dim(dim(n->dim()));
    if (changes_.fused.count(n.get())) return fused(*n, args);
    ExprNode node = *n;
    node.args = std::move(args);
    if (n->op == Op::extent)
        node.attribute = std::shared_ptr<const DimState>(dim(n->dim()).shared());
    else if (n->op == Op::reduce || n->op == Op::scan)
        node.attribute = reduction(std::get<std::shared_ptr<const Reduction>>(n->attribute));
    else if (n->op == Op::scatter)
        node.attribute = std::make_shared<const Scatter>(
            Scatter{reduction(n->scatter().reduction), dims(n->scatter().destination), n->scatter().has_init});
    return make_node(std::move(node));
}

Expr GraphCopy::copied_access(const Expr& n, std::vector<Expr> args) {
    const AccessTarget& target = n->target();
    if (const auto literal = changes_.constants.find(target.input.get()); target.input && literal != changes_.constants.end())
        return resolve_weak(literal->second, n->dtype, target.input->where);
    AccessTarget to = target;
    if (const auto other = changes_.tensors.find(key_of(target)); other != changes_.tensors.end()) {
        to = other->second.to;
        to.boundary = target.boundary;
        std::vector<Expr> indices;
        for (const auto& p : other->second.position) indices.push_back(p ? args[*p] : make_dim(*changes_.added));
        if (target.boundary == Boundary::constant) indices.push_back(args.back());
        args = std::move(indices);
    } else if (target.input) {
        to.input = input(target.input);
    } else if (changed_.count(target.func.get())) {
        to.func = shell(target.func);
        if (changes_.added) args.insert(args.begin(), make_dim(*changes_.added));
    }
    return make_access(to, std::move(args), n->dtype, n->component(), n->where);
}

std::shared_ptr<const Reduction> GraphCopy::reduction(const std::shared_ptr<const Reduction>& r) {
    auto& made = reductions_[r];
    if (made) return made;
    auto copy = std::make_shared<Reduction>(*r);
    copy->dims = dims(r->dims);
    bool same = true;
    for (size_t i = 0; i < r->dims.size(); ++i) same = same && copy->dims[i].id() == r->dims[i].id();
    return made = same ? r : copy;
}

// ---- rules

// How the copy of an operand is read where the operand was.
Replacement GraphCopy::place_of(const AccessTarget& operand) {
    if (const auto other = changes_.tensors.find(key_of(operand)); other != changes_.tensors.end()) return other->second;
    Replacement place{operand, {}};
    if (operand.input)
        place.to.input = input(operand.input);
    else if (changed_.count(operand.func.get())) {
        place.to.func = shell(operand.func);
        if (changes_.added) place.position.emplace_back();
    }
    const size_t rank = operand.input ? operand.input->dims.size() : operand.func->dims.size();
    for (size_t i = 0; i < rank; ++i) place.position.emplace_back(i);
    return place;
}

// The copy of what a rule made for an operand, over the dims of the operand's copy. One that lacks the added dim gets the sum
// over it.
Func GraphCopy::as_operand(const Func& result, const Wrt& operand, const Replacement& place, const std::string& name) {
    const Func copy = (*this)({result})[0];
    const std::vector<Dim>& wanted = place.to.input ? place.to.input->dims : place.to.func->dims;
    const bool wide = changes_.added && contains_dim(copy.dims(), *changes_.added);
    std::vector<Index> at(copy.rank(), Index(0));
    if (wide) at[0] = Index(*changes_.added);
    bool mapped = false;
    for (size_t k = 0; k < wanted.size(); ++k) {
        if (place.position[k])
            at[*place.position[k] + (wide ? 1 : 0)] = Index(wanted[k]);
        else
            mapped = true;
    }
    Func out(name, operand.where());
    const Expr value = copy.at(at, operand.where()).read();
    out.at(std::vector<Index>(wanted.begin(), wanted.end()), operand.where()) =
        wide && !mapped ? sum({*changes_.added}, value) : value;
    return out;
}

// A Func that stands for a direction in what a rule makes, and is replaced by the direction of the copy.
Func GraphCopy::stand_in(const std::string& name, const std::vector<Dim>& over, const Func& direction,
                         const std::vector<std::optional<size_t>>& position) {
    Func given(name, direction.state()->where);
    given.at(std::vector<Index>(over.begin(), over.end()), direction.state()->where) = cast(direction.dtype(), 0);
    sources_.push_back(given.state());
    changes_.tensors[given.state().get()] = {{nullptr, direction.state(), Boundary::none}, position};
    return given;
}

std::shared_ptr<const DerivativeRule> GraphCopy::rule(const FuncState& f) {
    const auto self = shared_from_this();
    const auto from = f.rule;
    auto made = std::make_shared<DerivativeRule>();
    made->closed = from->closed;
    made->linear = from->linear;
    made->per = dims(from->per);
    if (changes_.added) made->per.push_back(*changes_.added);
    std::vector<Replacement> places;
    for (const Wrt& x : from->operands) {
        places.push_back(place_of({x.input(), x.func()}));
        const AccessTarget& to = places.back().to;
        made->operands.push_back(to.input ? Wrt(Input(std::const_pointer_cast<InputState>(to.input)), x.where())
                                          : Wrt(Func(to.func), x.where()));
    }
    const std::string name = f.name + changes_.suffix;
    if (from->reverse)
        made->reverse = [=, own = f.dims](const Func& cotangent) {
            std::vector<std::optional<size_t>> position;
            if (self->changes_.added) position.emplace_back();
            for (size_t i = 0; i < own.size(); ++i) position.emplace_back(i);
            const Func given = self->stand_in(name + "/given", own, cotangent, position);
            const std::vector<Func> results = from->reverse(given);
            std::vector<Func> out;
            for (size_t k = 0; k < results.size() && k < places.size(); ++k)
                out.push_back(self->as_operand(results[k], from->operands[k], places[k],
                                               fmt::format("{}/operand_{}", cotangent.name(), k)));
            self->changes_.tensors.erase(given.state().get());
            return out;
        };
    if (from->forward)
        made->forward = [=](const std::vector<Func>& tangents) {
            std::vector<Func> given;
            for (size_t k = 0; k < tangents.size(); ++k) {
                const Wrt& x = from->operands[k];
                given.push_back(self->stand_in(fmt::format("{}/given_{}", name, k), x.input() ? x.input()->dims : x.func()->dims,
                                               tangents[k], places[k].position));
            }
            const Func out = self->over_added({from->forward(given)})[0];
            for (const Func& g : given) self->changes_.tensors.erase(g.state().get());
            return out;
        };
    return made;
}

Algorithm GraphCopy::algorithm(const AlgorithmState& a, const std::string& name, const std::set<const InputState*>& literals) {
    const std::vector<Func> outputs = (*this)(a.outputs);
    AlgorithmOptions options{.name = name};
    std::vector<Argument> arguments;
    for (const Argument& x : a.arguments)
        if (!literals.count(x.state().get()))
            arguments.emplace_back(Input(std::const_pointer_cast<InputState>(input(x.state()))));
    for (const auto& [x, y] : a.require) options.require.emplace_back(extent(x), extent(y));
    for (const InPlacePair& p : a.in_place)
        options.in_place.emplace_back(a.arguments[p.argument].state()->name, buffer_name(a.outputs[p.output], p.component));
    return Algorithm(outputs, arguments, options, a.where);
}

}  // namespace tessera
