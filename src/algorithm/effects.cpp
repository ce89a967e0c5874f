#include "algorithm/graph.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace tessera {
namespace {

std::string_view word(EffectKind kind) {
    return kind == EffectKind::random ? "random" : kind == EffectKind::state ? "state" : "check";
}
std::string_view word(Privilege p) { return p == Privilege::read ? "read" : p == Privilege::write ? "write" : "reduce"; }

bool has_op(const FuncState& f, const std::vector<Op>& ops) {
    bool found = false;
    for_each_node(roots_of(f), [&](const Expr& n) { found = found || std::find(ops.begin(), ops.end(), n->op) != ops.end(); });
    return found;
}

// Reads of the input from `roots`, through the definitions that they read.
bool reaches(const std::vector<Expr>& roots, const InputState& input) {
    std::vector<std::vector<Expr>> stack{roots};
    std::unordered_set<const FuncState*> seen;
    bool found = false;
    while (!stack.empty() && !found) {
        const std::vector<Expr> next = stack.back();
        stack.pop_back();
        for_each_node(next, [&](const Expr& n) {
            if (n->op != Op::access) return;
            found = found || n->target().input.get() == &input;
            const auto& func = n->target().func;
            if (!func || !seen.insert(func.get()).second) return;
            stack.push_back(roots_of(*func));
            if (func->recurrence)
                for (const auto& s : func->recurrence->states)
                    if (const auto state = s.lock(); seen.insert(state.get()).second) stack.push_back(roots_of(*state));
        });
    }
    return found;
}

bool is_the_cell(const Expr& e, const InputState& input, const FuncState& output) {
    if (e->op != Op::access || e->target().input.get() != &input || e->target().boundary != Boundary::none) return false;
    for (size_t i = 0; i < output.dims.size(); ++i)
        if (!e->args[i].same_as(make_dim(output.dims[i]))) return false;
    return true;
}

// The output is what stands there, combined with something that does not depend on it.
bool adds_to(const FuncState& output, const InputState& input) {
    if (output.recurrence || output.values.size() != 1) return false;
    const Expr& value = output.values[0];
    if (value->op == Op::add || value->op == Op::mul || value->op == Op::min || value->op == Op::max)
        for (size_t own = 0; own < 2; ++own)
            if (is_the_cell(value->args[own], input, output) && !reaches({value->args[1 - own]}, input)) return true;
    if (value->op != Op::scatter || !value->scatter().has_init || !value->reduction().monoid->traits.commutative) return false;
    std::vector<Expr> others = value->args;
    others.pop_back();
    return is_the_cell(value->args.back(), input, output) && !reaches(others, input);
}

}  // namespace

std::vector<Effect> Algorithm::effects() const {
    std::vector<Effect> out;
    const auto add = [&](EffectKind kind, std::vector<std::string> of) {
        if (!of.empty()) out.push_back({kind, std::move(of)});
    };
    std::vector<std::string> draw, check, overwritten;
    for (const Func& f : funcs()) {
        if (has_op(*f.state(), {Op::uniform, Op::normal, Op::random_bits})) draw.push_back(f.name());
        if (f.state()->routine || has_op(*f.state(), {Op::checked})) check.push_back(f.name());
    }
    for (const InPlacePair& p : state_->in_place) overwritten.push_back(state_->arguments[p.argument].state()->name);
    add(EffectKind::random, draw);
    add(EffectKind::state, overwritten);
    add(EffectKind::check, check);
    return out;
}

std::vector<Privilege> Algorithm::privileges() const {
    std::vector<Privilege> out(state_->arguments.size(), Privilege::read);
    for (const InPlacePair& p : state_->in_place)
        out[p.argument] = adds_to(*state_->outputs[p.output].state(), *state_->arguments[p.argument].state()) ? Privilege::reduce
                                                                                                              : Privilege::write;
    return out;
}

void check_effects(const Algorithm& algorithm, const AlgorithmOptions& options) {
    const AlgorithmState& a = algorithm.state();
    const bool declares =
        std::any_of(a.arguments.begin(), a.arguments.end(), [](const Argument& x) { return x.declared().has_value(); });
    if (declares) {
        const std::vector<Privilege> privileges = algorithm.privileges();
        for (size_t i = 0; i < privileges.size(); ++i) {
            const auto& declared = a.arguments[i].declared();
            // What is added to is written as well.
            if (!declared || *declared == privileges[i] || (*declared == Privilege::write && privileges[i] == Privilege::reduce))
                continue;
            const std::string& name = a.arguments[i].state()->name;
            throw Error(
                E0316_privilege, a.where,
                fmt::format("argument {} is declared {}, but the algorithm has {} of it", name, word(*declared),
                            word(privileges[i])),
                {token(name), expected(std::string(word(*declared))), received(std::string(word(privileges[i]))),
                 fix(*declared == Privilege::read
                         ? fmt::format("leave {} out of in_place", name)
                         : fmt::format("name the output that is written there: {{.in_place = {{{{\"{}\", ...}}}}}}", name)),
                 fix(fmt::format("declare it {}", word(privileges[i])))});
        }
    }
    if (!options.effects) return;
    for (const Effect& e : algorithm.effects()) {
        if (std::find(options.effects->begin(), options.effects->end(), e.kind) != options.effects->end()) continue;
        throw Error(
            E0315_effect, a.where,
            fmt::format("the algorithm has the effect {}, which it is declared not to have: {}", word(e.kind), join_names(e.of)),
            {token(e.of[0]), expected(options.effects->empty() ? "no effect" : "the effects that are listed"),
             received(std::string(word(e.kind))), fix(fmt::format("list EffectKind::{}", word(e.kind)))});
    }
}

}  // namespace tessera
