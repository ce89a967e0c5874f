#include "verify/widen.h"

#include "algorithm/graph.h"
#include "autodiff/activity.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>

namespace tessera {
namespace {

DType wide(DType t) { return is_float(t) ? DType::f64 : t; }

class Widening {
public:
    explicit Widening(const Algorithm& algorithm) : algorithm_(algorithm) {
        for (const Argument& a : algorithm.arguments()) {
            auto copy = std::make_shared<InputState>(*a.state());
            copy->dtype = wide(copy->dtype);
            inputs_.emplace(a.state().get(), std::move(copy));
        }
        for (const Func& f : algorithm.funcs()) shell(*f.state());
    }

    Algorithm run() {
        for (const Func& f : algorithm_.funcs()) rewrite(*f.state());
        std::vector<Func> outputs;
        for (const Func& f : algorithm_.outputs()) outputs.push_back(funcs_.at(f.state().get()));
        std::vector<Argument> arguments;
        for (const Argument& a : algorithm_.arguments()) arguments.emplace_back(Input(inputs_.at(a.state().get())));
        const AlgorithmState& state = algorithm_.state();
        return Algorithm(outputs, arguments, {.name = state.name, .require = state.require}, state.where);
    }

private:
    void shell(const FuncState& f) {
        if (funcs_.count(&f)) return;
        const auto copied = [&](const FuncState& from) {
            Func copy(from.name, from.where);
            *copy.state() = from;
            copy.state()->recurrence = nullptr;
            copy.state()->rule = nullptr;
            copy.state()->declared.reset();
            for (DType& t : copy.state()->dtypes) t = wide(t);
            funcs_.emplace(&from, copy);
            return copy;
        };
        if (!f.recurrence) {
            copied(f);
            return;
        }
        auto recurrence = std::make_shared<Recurrence>(Recurrence{f.recurrence->t, f.recurrence->reverse, {}, {}});
        for (const auto& s : f.recurrence->states) {
            const Func copy = copied(*s.lock());
            copy.state()->recurrence = recurrence;
            recurrence->states.push_back(copy.state());
            recurrence->kept.push_back(copy.state());
        }
    }

    void rewrite(const FuncState& f) {
        std::unordered_map<const ExprNode*, Expr> done;
        for_each_node(definition_roots(f), [&](const Expr& n) {
            std::vector<Expr> args;
            for (const Expr& a : n->args) args.push_back(done.at(a.get()));
            done.emplace(n.get(), made(n, args, f));
        });
        FuncState& copy = *funcs_.at(&f).state();
        for (size_t i = 0; i < f.values.size(); ++i) copy.values[i] = done.at(f.values[i].get());
        if (f.init.defined()) copy.init = done.at(f.init.get());
    }

    Expr made(const Expr& n, const std::vector<Expr>& args, const FuncState& f) {
        if (n->op == Op::constant) return is_float(n->dtype) && !n->weak ? make_constant(DType::f64, n->floating()) : n;
        if (n->op == Op::access) return made_access(n, args);
        if (is_structured(n->op)) return made_structured(n, args, f);
        if (n->op == Op::cast && wide(n->dtype) == args[0].dtype()) return args[0];
        if (n->op == Op::bitcast) {
            // The bits are those of the dtype that the definition has.
            const Expr bits = make_op(Op::bitcast, n->dtype, {cast(n->args[0].dtype(), args[0])});
            return is_float(n->dtype) ? cast(DType::f64, bits) : bits;
        }
        if (n->op == Op::uniform || n->op == Op::normal) return cast(DType::f64, with_args(n, args));
        if (args.empty()) return n;
        return make_op(n->op, wide(n->dtype), args, n->weak);
    }

    Expr made_access(const Expr& n, const std::vector<Expr>& args) {
        AccessTarget target = n->target();
        if (target.input) target.input = inputs_.at(target.input.get());
        if (target.func) target.func = funcs_.at(target.func.get()).state();
        return make_access(target, args, wide(n->dtype), n->component(), n->where);
    }

    // Made once more by what the language offers, which takes the dtypes of the operands.
    Expr made_structured(const Expr& n, const std::vector<Expr>& args, const FuncState& f) {
        const Reduction& r = n->reduction();
        const Monoid monoid(r.monoid);
        const size_t count = r.components();
        const auto operands = [&](size_t first) {
            std::vector<Operand> out;
            for (size_t i = 0; i < count; ++i) out.emplace_back(args[first + i], n->where);
            return out;
        };
        const auto component = static_cast<size_t>(n->component());
        try {
            if (n->op == Op::scan)
                return scan(monoid, r.dims[0], operands(0),
                            {.exclusive = r.exclusive, .reverse = r.reverse, .name = r.name})[component];
            if (n->op == Op::reduce) {
                Where predicate;
                if (r.has_where) predicate = where(Operand(args[count], n->where));
                return reduce(monoid, r.dims, operands(0), predicate, {.order = r.order, .name = r.name})[component];
            }
            const Scatter& s = n->scatter();
            std::vector<To> to_dims;
            for (size_t i = 0; i < s.destination.size(); ++i) to_dims.push_back({s.destination[i], args[i], n->where});
            ScatterOptions options{.order = r.order, .name = r.name};
            if (s.has_init) options.init = operands(s.destination.size() + count);
            return scatter(monoid, to_dims, r.dims, operands(s.destination.size()), options)[component];
        } catch (const Error& e) {
            throw Limit(L0904_derivative, f.where,
                        fmt::format("{} in {} has dtypes of its own and cannot be checked in f64", monoid.name(), f.name),
                        {note(e.message()), fix("write the monoid with the dtypes of its operands")});
        }
    }

    const Algorithm& algorithm_;
    std::unordered_map<const InputState*, std::shared_ptr<InputState>> inputs_;
    std::map<const FuncState*, Func> funcs_;
};

}  // namespace

Algorithm widened(const Algorithm& algorithm) { return Widening(algorithm).run(); }

}  // namespace tessera
