#include "algorithm/called_routine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <unordered_set>

namespace tessera {
namespace {

const std::string& name_of(const Wrt& operand) { return operand.input() ? operand.input()->name : operand.func()->name; }
const void* key_of(const Wrt& operand) {
    return operand.input() ? static_cast<const void*>(operand.input().get()) : operand.func().get();
}

bool is_identifier(const std::string& symbol) {
    const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    return !symbol.empty() && letter(symbol[0]) && std::all_of(symbol.begin(), symbol.end(), [&](char c) {
        return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
}

void check_symbol(const std::string& symbol, SourceLoc where) {
    if (!is_identifier(symbol))
        throw Error(E0317_routine, where, fmt::format("'{}' is no name of a C function", symbol),
                    {token("\"" + symbol + "\""), expected("letters, digits and _, not starting with a digit"),
                     fix("name the function as its declaration does")});
}

/// What a definition reads, through the definitions that it reads, but not through those in `ends`.
struct Reach {
    std::vector<std::shared_ptr<const InputState>> inputs;  // in the order of first use
    std::unordered_set<const void*> all;

    Reach(const FuncState& from, const std::unordered_set<const void*>& ends) {
        struct Frame {
            std::vector<AccessTarget> reads;
            size_t next = 0;
        };
        std::vector<Frame> stack{{reads_of(from)}};
        while (!stack.empty()) {
            if (stack.back().next == stack.back().reads.size()) {
                stack.pop_back();
                continue;
            }
            const AccessTarget read = stack.back().reads[stack.back().next++];
            if (read.input) {
                if (all.insert(read.input.get()).second) inputs.push_back(read.input);
            } else if (all.insert(read.func.get()).second && !ends.count(read.func.get())) {
                stack.push_back({reads_of(*read.func)});
            }
        }
    }

private:
    static std::vector<AccessTarget> reads_of(const FuncState& f) {
        std::vector<AccessTarget> reads;
        for_each_node(roots_of(f), [&](const Expr& n) {
            if (n->op == Op::access) reads.push_back(n->target());
        });
        if (f.recurrence)
            for (const auto& s : f.recurrence->states) reads.push_back({nullptr, s.lock(), Boundary::none});
        return reads;
    }
};

void check_operands(const FuncState& func, const std::string& symbol, const std::vector<Wrt>& operands, SourceLoc where) {
    std::unordered_set<const void*> listed;
    for (const Wrt& x : operands) {
        if (!listed.insert(key_of(x)).second)
            throw Error(E0317_routine, where, fmt::format("routine {} is given {} twice", symbol, name_of(x)),
                        {token(symbol), fix("list it once")});
        if (x.input() && x.input()->scalar)
            throw Error(E0317_routine, where, fmt::format("routine {} is given scalar {}", symbol, name_of(x)),
                        {token(symbol), fix(fmt::format("give it a tensor that holds it: held() = Expr({})", name_of(x)))});
    }
    const Reach reach(func, listed);
    for (const Wrt& x : operands)
        if (!reach.all.count(key_of(x)))
            throw Error(E0317_routine, where,
                        fmt::format("routine {} is given {}, which its meaning does not read", symbol, name_of(x)),
                        {token(symbol), note(func.where, fmt::format("the meaning of {} is here", func.name)),
                         fix(fmt::format("leave {} out of the operands", name_of(x)))});
    for (const auto& input : reach.inputs)
        if (!listed.count(input.get()))
            throw Error(
                E0317_routine, where,
                fmt::format("the meaning of routine {} reads {}, which is none of its operands", symbol, input->name),
                {token(symbol), note(input->where, fmt::format("{} declared here", input->name)),
                 fix(input->scalar ? fmt::format("read it through a tensor that is an operand: held() = Expr({})", input->name)
                                   : fmt::format("list {} as an operand", input->name))});
}

}  // namespace

void call_routine(FuncState& func, const std::string& symbol, const std::vector<Wrt>& operands, SourceLoc where) {
    check_symbol(symbol, where);
    if (func.recurrence)
        throw Error(E0317_routine, where, fmt::format("routine {} would compute the state {} of a recurrence", symbol, func.name),
                    {token(symbol), fix("give the routine a Func that reads the state")});
    check_operands(func, symbol, operands, where);
    func.routine = std::make_shared<const RoutineCall>(RoutineCall{symbol, operands});
}

Func routine(const std::string& symbol, const Func& meaning, const RoutineTraits& traits, SourceLoc where) {
    check_symbol(symbol, where);
    Func f(traits.name.empty() ? meaning.name() + "/" + symbol : traits.name, where);
    const std::vector<Index> dims = indices_of(meaning.dims());
    std::vector<Expr> values;
    for (int c = 0; c < meaning.components(); ++c) values.push_back(meaning.at(dims, where)[c]);
    if (values.size() == 1)
        f.at(dims, where) = values[0];
    else
        f.at(dims, where) = Tuple(values);
    std::vector<Wrt> operands = traits.operands;
    if (operands.empty())
        for (const auto& input : Reach(*f.state(), {}).inputs)
            operands.emplace_back(Input(std::const_pointer_cast<InputState>(input)), where);
    call_routine(*f.state(), symbol, operands, where);
    return f;
}

std::shared_ptr<const RoutineCall> moved_routine(const std::shared_ptr<const RoutineCall>& routine,
                                                 const std::function<std::optional<Wrt>(const Wrt&)>& operand) {
    if (!routine) return nullptr;
    RoutineCall moved{routine->symbol, {}};
    for (const Wrt& x : routine->operands) {
        const std::optional<Wrt> to = operand(x);
        if (!to) return nullptr;
        moved.operands.push_back(*to);
    }
    return std::make_shared<const RoutineCall>(std::move(moved));
}

std::vector<Func> computed_funcs(const AlgorithmState& algorithm) {
    std::unordered_set<const FuncState*> needed;
    std::vector<const FuncState*> stack;
    const auto enter = [&](const FuncState* f) {
        if (needed.insert(f).second) stack.push_back(f);
    };
    for (const Func& y : algorithm.outputs) enter(y.state().get());
    while (!stack.empty()) {
        const FuncState& f = *stack.back();
        stack.pop_back();
        if (f.routine) {
            for (const Wrt& x : f.routine->operands)
                if (x.func()) enter(x.func().get());
            continue;
        }
        for_each_node(roots_of(f), [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) enter(n->target().func.get());
        });
        if (f.recurrence)
            for (const auto& s : f.recurrence->states) enter(s.lock().get());
    }
    std::vector<Func> out;
    for (const Func& f : algorithm.funcs)
        if (needed.count(f.state().get())) out.push_back(f);
    return out;
}

std::vector<std::string> routine_symbols(const AlgorithmState& algorithm) {
    std::vector<std::string> out;
    for (const Func& f : computed_funcs(algorithm))
        if (const auto& r = f.state()->routine; r && std::find(out.begin(), out.end(), r->symbol) == out.end())
            out.push_back(r->symbol);
    return out;
}

}  // namespace tessera
