#include "algorithm/graph_text.h"

#include "algorithm/called_routine.h"
#include "algorithm/expr_text.h"
#include "base/hash.h"

#include <fmt/format.h>

#include <map>
#include <unordered_set>

namespace tessera {
namespace {

// Prints definitions in an order in which each stands after what it reads: a recurrence's states are declared (with what they are
// before the first step) ahead of the definitions that read them, and the step follows when all that it reads is there.
class GraphText {
public:
    GraphText(const AlgorithmState& a, GraphNames& names)
        : a_(a), names_(names), classes_([this](const Reduction& r) { return monoid_number(r); }),
          exprs_(classes_, names_, [this](int i) { return monoid_names_.at(static_cast<size_t>(i)); }) {}

    std::string print() {
        for (const Argument& arg : a_.arguments) need_input(*arg.state());
        for (const Func& f : a_.funcs) {
            need(f.state());
            while (!pending_.empty()) {
                const auto next = pending_.front();
                pending_.erase(pending_.begin());
                print_step(*next);
            }
        }
        for (const auto& [x, y] : a_.require) {
            const std::string line = extents(x, y);
            tail_ += fmt::format("require {}\n", line);
        }
        for (const InPlacePair& p : a_.in_place)
            tail_ += fmt::format("in_place({}, {}{})\n", names_.input(*a_.arguments[p.argument].state()),
                                 names_.func(*a_.outputs[p.output].state()),
                                 a_.outputs[p.output].components() > 1 ? fmt::format(", {}", p.component) : "");
        std::string head = fmt::format("tessera graph {}\n", graph_text_version);
        if (!names_.canonical()) head += fmt::format("algorithm {}\n", spelled(a_.name));
        std::string arguments, outputs;
        for (const Argument& arg : a_.arguments) arguments += (arguments.empty() ? " " : ", ") + names_.input(*arg.state());
        for (const Func& f : a_.outputs) outputs += (outputs.empty() ? " " : ", ") + names_.func(*f.state());
        return head + declarations_ + monoids_ + definitions_ + fmt::format("arguments{}\noutputs{}\n", arguments, outputs) +
               tail_;
    }

private:
    using FuncPtr = std::shared_ptr<FuncState>;
    enum class Progress : std::uint8_t { none, under_way, usable };

    // ---- dims, inputs, monoids: declared where first used

    void need_dim(const Dim& d) {
        if (declared_.count(d.id())) return;
        declared_.insert(d.id());
        const DimState& state = d.state();
        if (state.extent) need_names(Expr(*state.extent));
        if (!names_.add_dim(d)) return;
        std::string line = "dim " + names_.dim(d);
        if (state.dynamic) line += " dynamic";
        if (state.multiple_of != 1) line += fmt::format(" multiple_of {}", state.multiple_of);
        if (state.at_most) line += fmt::format(" at_most {}", *state.at_most);
        if (state.extent && !names_.hides_extent(d)) line += " = " + exprs_.body({Expr(*state.extent)});
        declarations_ += line + "\n";
    }

    void need_input(const InputState& input) {
        if (!declared_.insert(&input).second) return;
        for (const Dim& d : input.dims) need_dim(d);
        std::string line;
        if (input.values) line += " values_in " + extents(input.values->first, input.values->second);
        if (input.increasing) line += " increasing";
        std::string dims;
        for (const Dim& d : input.dims) dims += (dims.empty() ? "" : ", ") + names_.dim(d);
        const std::string name = names_.input(input);
        const std::string type =
            input.scalar ? std::string(dtype_name(input.dtype)) : fmt::format("{}[{}]", dtype_name(input.dtype), dims);
        declarations_ += fmt::format("{} {} : {}{}\n", input.scalar ? "scalar" : "input", name, type, line);
    }

    std::string extents(const Extent& a, const Extent& b) {
        need_names(Expr(a));
        need_names(Expr(b));
        return exprs_.body({Expr(a), Expr(b)});
    }

    // Declares all that `e` mentions, left to right, and lists it as used by `user`.
    void need_names(const Expr& e, const FuncState* user = nullptr) {
        const auto dims = [&](const std::vector<Dim>& all) {
            for (const Dim& d : all) {
                need_dim(d);
                if (user) names_.add_dim_of(*user, d);
            }
        };
        for_each_node({e}, [&](const Expr& n) {
            if (n->op == Op::dim || n->op == Op::extent) dims({n->dim()});
            if (n->op == Op::access && n->target().input) need_input(*n->target().input);
            if (n->op == Op::scatter) dims(n->scatter().destination);
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter) dims(n->reduction().dims);
        });
    }

    int monoid_number(const Reduction& r) {
        std::vector<DType> dtypes;
        for (const Expr& e : r.identity) dtypes.push_back(e.dtype());
        const auto [known, fresh] = monoid_of_.emplace(std::make_pair(r.monoid.get(), dtypes), 0);
        if (!fresh) return known->second;
        for (const Monoid& m : builtin_monoids())
            if (m.shared() == r.monoid) return known->second = add_monoid("builtin " + m.name(), m.name());
        const std::string body = monoid_body(r, dtypes);
        const std::string key = fmt::format("{} {}", r.monoid->name, body);
        if (const auto same = monoid_by_text_.find(key); same != monoid_by_text_.end()) return known->second = same->second;
        const std::string name = names_.monoid(r.monoid->name);
        monoids_ += fmt::format("monoid {}{}\n", name, body);
        return known->second = add_monoid(key, name);
    }

    int add_monoid(const std::string& key, const std::string& name) {
        const auto [it, fresh] = monoid_by_text_.emplace(key, static_cast<int>(monoid_names_.size()));
        if (fresh) monoid_names_.push_back(name);
        return it->second;
    }

    std::string monoid_body(const Reduction& r, const std::vector<DType>& dtypes) {
        ExprClasses classes(nullptr);
        ExprText exprs(classes, names_, nullptr);
        std::string types;
        for (const DType t : dtypes) types += fmt::format("{}{}", types.empty() ? "" : ", ", dtype_name(t));
        std::string traits;
        if (!r.monoid->traits.commutative) traits += " not_commutative";
        if (!r.monoid->traits.associative) traits += " not_associative";
        return fmt::format("({}){} {{\n  identity = {}\n  combine = {}\n}}", types, traits, exprs.body(r.identity, "  "),
                           exprs.body(r.combined, "  "));
    }

    // ---- definitions

    std::vector<FuncPtr> reads_of(const std::vector<Expr>& roots) {
        std::vector<FuncPtr> reads;
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) reads.push_back(n->target().func);
        });
        return reads;
    }

    void need(const FuncPtr& f) {
        Progress& progress = progress_[f.get()];
        if (progress != Progress::none) return;
        if (f->recurrence) return need_states(f->recurrence);
        progress = Progress::under_way;
        ++under_way_;
        for (const FuncPtr& read : reads_of(f->values)) need(read);
        --under_way_;
        progress_[f.get()] = Progress::usable;
        const std::string left = left_hand(*f);
        for (const Expr& e : f->values) need_names(e, f.get());
        definitions_ += fmt::format("{} = {}\n", left, exprs_.body(f->values));
        if (f->routine) print_routine(*f);
    }

    void print_routine(const FuncState& f) {
        std::string operands;
        for (const Wrt& x : f.routine->operands)
            operands += (operands.empty() ? "" : ", ") + (x.input() ? names_.input(*x.input()) : names_.func(*x.func()));
        definitions_ += fmt::format("routine {} = {}({})\n", names_.func(f), f.routine->symbol, operands);
    }

    void need_states(const std::shared_ptr<Recurrence>& r) {
        std::vector<FuncPtr> states;
        for (const auto& weak : r->states) states.push_back(weak.lock());
        std::vector<Expr> inits;
        for (const FuncPtr& s : states) {
            progress_[s.get()] = Progress::under_way;
            inits.push_back(s->init);
        }
        ++under_way_;
        for (const FuncPtr& read : reads_of(inits)) need(read);
        --under_way_;
        need_dim(r->t);
        std::string lines;
        for (const FuncPtr& s : states) {
            progress_[s.get()] = Progress::usable;
            const std::string left = left_hand(*s);
            need_names(s->init, s.get());
            lines += fmt::format("  {} = {}\n", left, exprs_.body({s->init}, "  "));
        }
        definitions_ += fmt::format("recurrence {}{} {{\n{}}}\n", names_.dim(r->t), r->reverse ? " reverse" : "", lines);
        if (under_way_ == 0 || !reads_what_is_under_way(states))
            print_step(*r);
        else
            pending_.push_back(r);
    }

    bool reads_what_is_under_way(std::vector<FuncPtr> stack) {
        std::unordered_set<const FuncState*> seen;
        while (!stack.empty()) {
            const FuncPtr f = stack.back();
            stack.pop_back();
            if (progress_[f.get()] == Progress::under_way) return true;
            for (const FuncPtr& read : reads_of(f->values))
                if (progress_[read.get()] != Progress::usable && seen.insert(read.get()).second) stack.push_back(read);
        }
        return false;
    }

    void print_step(const Recurrence& r) {
        std::vector<Expr> values;
        std::string left;
        for (const auto& weak : r.states) {
            const FuncPtr s = weak.lock();
            values.push_back(s->values[0]);
            for (const FuncPtr& read : reads_of(s->values)) need(read);
            need_names(values.back(), s.get());
            left += (left.empty() ? "" : ", ") + names_.func(*s);
        }
        definitions_ += fmt::format("step {} = {}\n", left, exprs_.body(values));
    }

    std::string left_hand(const FuncState& f) {
        std::string dims, types;
        for (const Dim& d : f.dims) {
            need_dim(d);
            names_.add_dim_of(f, d);
            dims += (dims.empty() ? "" : ", ") + names_.dim(d);
        }
        for (const DType t : f.dtypes) types += fmt::format("{}{}", types.empty() ? "" : ", ", dtype_name(t));
        return fmt::format("{}({}) : {}", names_.func(f), dims, f.dtypes.size() == 1 ? types : "(" + types + ")");
    }

    const AlgorithmState& a_;
    GraphNames& names_;
    ExprClasses classes_;
    ExprText exprs_;
    std::string declarations_, monoids_, definitions_, tail_;
    std::unordered_set<const void*> declared_;
    std::map<std::pair<const MonoidState*, std::vector<DType>>, int> monoid_of_;
    std::map<std::string, int> monoid_by_text_;
    std::vector<std::string> monoid_names_;
    std::unordered_map<const FuncState*, Progress> progress_;
    std::vector<std::shared_ptr<Recurrence>> pending_;
    int under_way_ = 0;
};

}  // namespace

std::string graph_text(const AlgorithmState& algorithm, GraphNames& names) { return GraphText(algorithm, names).print(); }

std::string Algorithm::text() const {
    GraphNames names(false);
    return graph_text(*state_, names);
}

std::string Algorithm::hash() const {
    GraphNames names(true);
    return sha256(graph_text(*state_, names));
}

std::string kernel_text(const Algorithm& algorithm) {
    GraphNames names = GraphNames::without_extents(algorithm.state());
    return graph_text(algorithm.state(), names);
}

CanonicalNames canonical_names(const Algorithm& algorithm) {
    GraphNames names(true);
    static_cast<void>(graph_text(algorithm.state(), names));
    return names.table();
}

}  // namespace tessera
