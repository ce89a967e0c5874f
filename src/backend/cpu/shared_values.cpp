// The components of a tuple share what they compute. Halide lowers them as stores that follow each other, every value with names
// of its own, and LLVM does not see past stores that what is loaded again is the same:
//
//   a[x] = (let t = exp(in[x]) in t * 2);  b[x] = (let u = exp(in[x]) in u + 1)
//   ->  let t = exp(in[x]);  a[x] = t * 2;  b[x] = t + 1
#include "backend/cpu/halide_ir.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;

using Lets = std::map<std::string, Halide::Expr>;

class Inspection : public ir::IRGraphVisitor {
public:
    explicit Inspection(Lets& lets) : lets_(lets) {}
    std::vector<const ir::Load*> loads;
    bool pure = true;
    int calls = 0;

private:
    using ir::IRGraphVisitor::visit;
    void visit(const ir::Load* op) override {
        loads.push_back(op);
        ir::IRGraphVisitor::visit(op);
    }
    void visit(const ir::Let* op) override {
        lets_[op->name] = op->value;
        ir::IRGraphVisitor::visit(op);
    }
    void visit(const ir::Call* op) override {
        pure = pure && op->is_pure();
        ++calls;
        ir::IRGraphVisitor::visit(op);
    }

    Lets& lets_;
};

/// Consecutive elements.
struct Run {
    Halide::Expr first;
    std::int64_t count;
};

std::optional<Run> run_of(const Halide::Expr& index) {
    if (!index.type().is_vector()) return Run{index, 1};
    const auto* ramp = index.as<ir::Ramp>();
    if (ramp == nullptr || ramp->base.type().is_vector() || !ir::is_const_one(ramp->stride)) return {};
    return Run{ramp->base, ramp->lanes};
}

/// An expression that is evaluated behind so many stores, and what it loads.
struct Evaluated {
    size_t behind;
    std::vector<const ir::Load*> loads;
};

struct Name {
    std::string name;
    Halide::Expr value;
    size_t evaluated;  // position in StraightCode::evaluations
};

/// A store and the names in whose scope it stands, outermost first.
struct NamedStore {
    std::vector<Name> names;
    const ir::Store* store;
    size_t evaluated;
};

/// Stores one after the other, with nothing else between them than names.
struct StraightCode {
    std::vector<NamedStore> stores;
    std::vector<Evaluated> evaluations;
    bool pure = true;
    int calls = 0;

    /// False where there is anything else.
    bool add(const ir::Stmt& s) {
        if (const auto* block = s.as<ir::Block>()) return add(block->first) && add(block->rest);
        if (const auto* let = s.as<ir::LetStmt>()) {
            lets_[let->name] = let->value;
            scope_.push_back({let->name, let->value, evaluate({let->value})});
            const bool all = add(let->body);
            scope_.pop_back();
            return all;
        }
        const auto* store = s.as<ir::Store>();
        if (store == nullptr) return false;
        const size_t evaluated = evaluate({store->value, store->index, store->predicate});
        stores.push_back({scope_, store, evaluated});
        return true;
    }

    /// Whether evaluating it behind `position` stores instead may load other values: stores between the two write what it loads.
    [[nodiscard]] bool changes_behind(size_t evaluated, size_t position) const {
        const Evaluated& e = evaluations[evaluated];
        for (size_t s = std::min(e.behind, position); s < std::max(e.behind, position); ++s)
            for (const ir::Load* load : e.loads)
                if (load->name == stores[s].store->name && !apart(load->index, stores[s].store->index)) return true;
        return false;
    }

private:
    size_t evaluate(const std::vector<Halide::Expr>& parts) {
        Inspection in(lets_);
        for (const Halide::Expr& e : parts) e.accept(&in);
        pure = pure && in.pure;
        calls += in.calls;
        evaluations.push_back({stores.size(), std::move(in.loads)});
        return evaluations.size() - 1;
    }

    [[nodiscard]] bool apart(const Halide::Expr& a, const Halide::Expr& b) const {
        const auto x = run_of(written_out(a)), y = run_of(written_out(b));
        if (!x || !y) return false;
        const auto away = ir::as_const_int(ir::simplify(x->first - y->first));
        return away && (*away >= y->count || -*away >= x->count);
    }
    [[nodiscard]] Halide::Expr written_out(Halide::Expr e) const {
        while (const auto* v = e.as<ir::Variable>()) {
            const auto let = lets_.find(v->name);
            if (let == lets_.end()) break;
            e = let->second;
        }
        for (const auto& [name, value] : lets_)
            if (value.type().is_int() && ir::expr_uses_var(e, name)) return written_out(ir::substitute(name, value, e));
        return e;
    }

    Lets lets_;
    std::vector<Name> scope_;
};

ir::Stmt together(const NamedStore* group, size_t size) {
    std::vector<Halide::Expr> parts;
    for (size_t i = 0; i < size; ++i) {
        const NamedStore& s = group[i];
        for (const Halide::Expr* part : {&s.store->value, &s.store->index, &s.store->predicate}) {
            Halide::Expr e = *part;
            for (size_t n = s.names.size(); n-- > 0;) e = ir::Let::make(s.names[n].name, s.names[n].value, e);
            parts.push_back(e);
        }
    }
    Halide::Expr all =
        ir::common_subexpression_elimination(ir::Call::make(Halide::Int(32), ir::Call::bundle, parts, ir::Call::PureIntrinsic));
    std::vector<std::pair<std::string, Halide::Expr>> names;
    while (const auto* let = all.as<ir::Let>()) {
        names.emplace_back(let->name, let->value);
        all = let->body;
    }
    const auto* bundle = all.as<ir::Call>();
    std::vector<ir::Stmt> stores;
    for (size_t i = 0; i < size; ++i) {
        const ir::Store* s = group[i].store;
        const Halide::Expr* part = &bundle->args[3 * i];
        stores.push_back(ir::Store::make(s->name, part[0], part[1], s->param, part[2], s->alignment));
    }
    ir::Stmt made = ir::Block::make(stores);
    for (size_t i = names.size(); i-- > 0;) made = ir::LetStmt::make(names[i].first, names[i].second, made);
    return made;
}

/// Where the stores of one point of a tuple begin, and the end: the first that writes a component again begins another.
std::vector<size_t> points_of(const std::vector<NamedStore>& stores) {
    std::vector<size_t> begins{0};
    std::set<std::string> stored;
    for (size_t i = 0; i < stores.size(); ++i)
        if (!stored.insert(stores[i].store->name).second) {
            begins.push_back(i);
            stored = {stores[i].store->name};
        }
    begins.push_back(stores.size());
    return begins;
}

class SharedValues : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::Block* op) override { return shared_or(op); }
    ir::Stmt visit(const ir::LetStmt* op) override { return shared_or(op); }

    template <class Node>
    ir::Stmt shared_or(const Node* op) {
        const ir::Stmt s = op;
        StraightCode code;
        if (!code.add(s) || code.stores.size() < 2) return ir::IRMutator::visit(op);
        const std::vector<size_t> begins = points_of(code.stores);
        if (!code.pure || code.calls < least_calls || begins.size() == code.stores.size() + 1) return s;
        std::vector<ir::Stmt> out;
        for (size_t g = 0; g + 1 < begins.size(); ++g) {
            for (size_t i = begins[g]; i < begins[g + 1]; ++i) {
                const NamedStore& n = code.stores[i];
                bool changes = code.changes_behind(n.evaluated, begins[g]);
                for (const Name& name : n.names) changes = changes || code.changes_behind(name.evaluated, begins[g]);
                if (changes) return s;
            }
            out.push_back(together(code.stores.data() + begins[g], begins[g + 1] - begins[g]));
        }
        return ir::Block::make(out);
    }

    static constexpr int least_calls = 32;  // arithmetic on floats, which is calls in strict mode
};

}  // namespace

void share_tuple_values(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new SharedValues); }

}  // namespace tessera::cpu
