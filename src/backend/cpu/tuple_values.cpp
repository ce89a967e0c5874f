// The components of a tuple share what they compute. Halide lowers them as stores that follow each other, every value with names
// of its own, and LLVM does not see past stores that what is loaded again is the same:
//
//   a[x] = (let t = exp(in[x]) in t * 2);  b[x] = (let u = exp(in[x]) in u + 1)
//   ->  let t = exp(in[x]);  a[x] = t * 2;  b[x] = t + 1
#include "backend/cpu/halide_ir.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;

/// A store and the names in whose scope it stands, outermost first.
struct NamedStore {
    std::vector<std::pair<std::string, Halide::Expr>> names;
    const ir::Store* store;
};

/// Stores one after the other, with nothing else between them than names.
struct StraightCode {
    std::vector<NamedStore> stores;
    std::vector<std::pair<std::string, Halide::Expr>> scope = {};

    /// False where there is anything else.
    bool add(const ir::Stmt& s) {
        if (const auto* block = s.as<ir::Block>()) return add(block->first) && add(block->rest);
        if (const auto* let = s.as<ir::LetStmt>()) {
            scope.emplace_back(let->name, let->value);
            const bool all = add(let->body);
            scope.pop_back();
            return all;
        }
        const auto* store = s.as<ir::Store>();
        if (store == nullptr) return false;
        stores.push_back({scope, store});
        return true;
    }
};

class Inspection : public ir::IRGraphVisitor {
public:
    std::set<std::string> loaded;
    bool pure = true;
    int calls = 0;

private:
    using ir::IRGraphVisitor::visit;
    void visit(const ir::Load* op) override {
        loaded.insert(op->name);
        ir::IRGraphVisitor::visit(op);
    }
    void visit(const ir::Call* op) override {
        pure = pure && op->is_pure();
        ++calls;
        ir::IRGraphVisitor::visit(op);
    }
};

ir::Stmt together(const std::vector<NamedStore>& group) {
    std::vector<Halide::Expr> parts;
    for (const NamedStore& s : group)
        for (const Halide::Expr* part : {&s.store->value, &s.store->index, &s.store->predicate}) {
            Halide::Expr e = *part;
            for (size_t i = s.names.size(); i-- > 0;) e = ir::Let::make(s.names[i].first, s.names[i].second, e);
            parts.push_back(e);
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
    for (size_t i = 0; i < group.size(); ++i) {
        const ir::Store* s = group[i].store;
        const Halide::Expr* part = &bundle->args[3 * i];
        stores.push_back(ir::Store::make(s->name, part[0], part[1], s->param, part[2], s->alignment));
    }
    ir::Stmt made = ir::Block::make(stores);
    for (size_t i = names.size(); i-- > 0;) made = ir::LetStmt::make(names[i].first, names[i].second, made);
    return made;
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
        std::set<std::string> stored;
        Inspection in;
        s.accept(&in);
        for (const NamedStore& n : code.stores) stored.insert(n.store->name);
        // Where something is loaded that is stored here, the order counts.
        const bool apart =
            std::none_of(in.loaded.begin(), in.loaded.end(), [&](const std::string& n) { return stored.count(n) != 0; });
        if (!in.pure || !apart || stored.size() < 2 || in.calls < least_calls) return s;
        std::vector<ir::Stmt> out;
        std::vector<NamedStore> group;
        stored.clear();
        for (NamedStore& n : code.stores) {
            // Another point of the tuple begins.
            if (!stored.insert(n.store->name).second) {
                out.push_back(together(group));
                group.clear();
                stored = {n.store->name};
            }
            group.push_back(std::move(n));
        }
        out.push_back(together(group));
        return ir::Block::make(out);
    }

    static constexpr int least_calls = 32;  // arithmetic on floats, which is calls in strict mode
};

}  // namespace

void share_tuple_values(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new SharedValues); }

}  // namespace tessera::cpu
