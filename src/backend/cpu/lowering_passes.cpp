// Passes over lowered statements.
#include "backend/cpu/halide_ir.h"
#include "backend/cpu/stage_advice.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;
using E = Halide::Expr;

// ---- shared values

// The components of a tuple share what they compute. Halide lowers them as stores that follow each other, every value with names
// of its own, and LLVM does not see past stores that what is loaded again is the same:
//
//   a[x] = (let t = exp(in[x]) in t * 2);  b[x] = (let u = exp(in[x]) in u + 1)
//   ->  let t = exp(in[x]);  a[x] = t * 2;  b[x] = t + 1

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

// ---- edges

// Vectors over the edge of a tensor repeat its last value. Halide gathers them; one load of what is inside does:
//
//   a[min(ramp(i, 1, n), x(k)) + x(j)]  ->  select(ramp(i, 1, n) <= x(k), a[ramp(i + j, 1, n)] where that holds, x(a[k + j]))

const ir::Ramp* dense_ramp(const E& e) {
    const auto* ramp = e.as<ir::Ramp>();
    return ramp != nullptr && ir::is_const_one(ramp->stride) && !ramp->base.type().is_vector() ? ramp : nullptr;
}

// A value that all lanes have, as a scalar; undefined where they differ.
E of_all_lanes(const E& e) {
    const auto* broadcast = e.as<ir::Broadcast>();
    return broadcast != nullptr && !broadcast->value.type().is_vector() ? broadcast->value : E();
}

/// min(ramp, edge) + offset.
struct EdgeIndex {
    const ir::Ramp* ramp = nullptr;
    E edge, offset;
};

EdgeIndex held_ramp(const E& e) {
    const auto* least = e.as<ir::Min>();
    if (least == nullptr) return {};
    const bool first = dense_ramp(least->a) != nullptr;
    const EdgeIndex found{dense_ramp(first ? least->a : least->b), of_all_lanes(first ? least->b : least->a), E()};
    return found.ramp != nullptr && found.edge.defined() ? found : EdgeIndex{};
}

class EdgeLoads : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    E visit(const ir::Let* op) override { return named<E>(op); }
    ir::Stmt visit(const ir::LetStmt* op) override { return named<ir::Stmt>(op); }

    template <class Result, class Node>
    Result named(const Node* op) {
        const bool edge = held_ramp(op->value).ramp != nullptr;
        if (edge) held_.emplace(op->name, op->value);
        Result made = ir::IRMutator::visit(op);
        if (edge) held_.erase(op->name);
        return made;
    }

    [[nodiscard]] E written_out(const E& e) const {
        const auto* name = e.as<ir::Variable>();
        const auto found = name == nullptr ? held_.end() : held_.find(name->name);
        return found == held_.end() ? e : found->second;
    }

    [[nodiscard]] EdgeIndex edge_index(const E& index) const {
        EdgeIndex found = held_ramp(written_out(index));
        const auto* sum = index.as<ir::Add>();
        if (sum == nullptr) return found;
        for (const auto& [held, offset] : {std::pair{sum->a, sum->b}, std::pair{sum->b, sum->a}}) {
            found = held_ramp(written_out(held));
            found.offset = of_all_lanes(offset);
            if (found.ramp != nullptr && found.offset.defined()) return found;
        }
        return {};
    }

    E visit(const ir::Load* op) override {
        const EdgeIndex at = ir::is_const_one(op->predicate) ? edge_index(op->index) : EdgeIndex{};
        if (at.ramp == nullptr || op->type.is_bool()) return ir::IRMutator::visit(op);
        const auto moved = [&](const E& e) { return at.offset.defined() ? ir::simplify(e + at.offset) : e; };
        const int lanes = at.ramp->lanes;
        const E inside = ir::LE::make(E(at.ramp), ir::Broadcast::make(at.edge, lanes));
        const E within = ir::Load::make(op->type, op->name, ir::Ramp::make(moved(at.ramp->base), at.ramp->stride, lanes),
                                        op->image, op->param, inside, ir::ModulusRemainder());
        const E last = ir::Load::make(op->type.element_of(), op->name, moved(at.edge), op->image, op->param, ir::const_true(),
                                      ir::ModulusRemainder());
        return ir::Select::make(inside, within, ir::Broadcast::make(last, lanes));
    }

    std::map<std::string, E> held_;
};

// ---- comparisons

// Comparison::hidden() undone. Its detour over bytes costs two instructions where masks have registers of their own:
//
//   mux(uint8(c), false, true)  ->  c

class PlainComparisons : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    Halide::Expr visit(const ir::Call* op) override {
        const auto* byte = op->is_intrinsic(ir::Call::mux) && op->args.size() == 3 ? op->args[0].as<ir::Cast>() : nullptr;
        const bool hides = byte != nullptr && byte->type.bits() == 8 && byte->value.type().is_bool() && op->type.is_bool() &&
                           ir::is_const_zero(op->args[1]) && ir::is_const_one(op->args[2]);
        return hides ? mutate(byte->value) : ir::IRMutator::visit(op);
    }
};

// ---- folds

// Halide checks that a folded window moves forward: nothing is read that was overwritten, or is not computed yet. Blocks that are
// computed whole read ahead of what their consumers need; what comes of it nobody uses:
//
//   assert(last <= head && head - fold < first, bad_fold)  ->  assert(head - fold < first, bad_fold)

class ReadsAhead : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::AssertStmt* op) override {
        const auto* message = op->message.as<ir::Call>();
        if (message == nullptr || message->name != "halide_error_bad_fold") return op;
        folds_ = true;
        const E condition = mutate(op->condition);
        folds_ = false;
        return ir::AssertStmt::make(condition, op->message);
    }
    E visit(const ir::And* op) override {
        if (!folds_) return op;
        const bool ahead = op->a.as<ir::LE>() != nullptr;
        return ahead || op->b.as<ir::LE>() != nullptr ? mutate(ahead ? op->b : op->a) : ir::IRMutator::visit(op);
    }

    bool folds_ = false;
};

// ---- the profile of stages

E real(double value) { return ir::make_const(Halide::Float(64), value); }

/// Expressions over the extents of a kernel's dims.
class WorkBuilder {
public:
    WorkBuilder(const BoundSchedule& bound, const Translation& translation) : bound_(bound), translation_(translation) {}

    [[nodiscard]] E operations(size_t s) const {
        const Stage& stage = bound_.graph.stages[s];
        const StageWork work = work_of(stage);
        E all = real(work.init_operations) * cells(stage.dims);
        if (stage.update) all = all + real(work.update_operations) * cells(update_dims(stage));
        return all;
    }

    /// Tensors that stand in memory of their own, each once.
    [[nodiscard]] E bytes(size_t s) const {
        const Stage& stage = bound_.graph.stages[s];
        E all = real(0);
        if (!bound_.stages[s].compute_at) all = all + cells(stage.dims) * real(cell_bytes(stage.dtypes));
        for (const Expr& access : work_of(stage).accesses) {
            const auto& target = access->target();
            if (!target.func) {
                if (!target.input->scalar) all = all + cells(target.input->dims) * real(dtype_bytes(target.input->dtype));
                continue;
            }
            const auto producer = bound_.graph.find(target.func.get());
            if (!producer || *producer == s || bound_.stages[*producer].compute_at) continue;
            const Stage& from = bound_.graph.stages[*producer];
            all = all + cells(from.dims) * real(cell_bytes(from.dtypes));
        }
        return all;
    }

private:
    static double cell_bytes(const std::vector<DType>& dtypes) {
        double bytes = 0;
        for (const DType t : dtypes) bytes += dtype_bytes(t);
        return bytes;
    }

    static std::vector<Dim> update_dims(const Stage& stage) {
        std::vector<Dim> dims = update_pure_dims(stage);
        for (const Dim& d : stage.update->reduction_dims)
            if (!contains_dim(dims, d)) dims.push_back(d);
        return dims;
    }

    [[nodiscard]] E cells(const std::vector<Dim>& dims) const {
        E product = real(1);
        for (const Dim& d : dims) {
            const auto known = translation_.extents.find(d.id());
            if (known != translation_.extents.end())
                product = product * Halide::cast(Halide::Float(64), known->second);
            else
                product = product * real(estimated_extent(d));
        }
        return product;
    }

    const BoundSchedule& bound_;
    const Translation& translation_;
};

class StageTimer : public ir::IRMutator {
public:
    StageTimer(const BoundSchedule& bound, const Translation& translation) : description_(bound.graph.algorithm.name() + "\n") {
        const WorkBuilder work(bound, translation);
        for (size_t s = 0; s < bound.graph.stages.size(); ++s) {
            stages_[halide_name(bound, s)] = stages_[halide_name(bound, s) + "_out"] = static_cast<int>(s);
            const StageAdvice advice = stage_advice(bound, s);
            description_ += bound.graph.stages[s].name + "\n" + advice.memory + "\n" + advice.compute + "\n";
            work_.emplace_back(ir::simplify(work.operations(s)), ir::simplify(work.bytes(s)));
        }
    }

    using ir::IRMutator::mutate;
    ir::Stmt mutate(const ir::Stmt& s) override {
        if (entered_) return ir::IRMutator::mutate(s);
        entered_ = true;
        ir::Stmt body = ir::Block::make(ir::IRMutator::mutate(s), told("end", {}));
        for (size_t i = work_.size(); i-- > 0;)
            body = ir::Block::make(
                told("work", {ir::make_const(Halide::Int(32), static_cast<std::int64_t>(i)), work_[i].first, work_[i].second}),
                body);
        return ir::LetStmt::make(
            handle_name, ir::Call::make(Halide::Handle(), "tessera_profile_begin", {E(description_)}, ir::Call::Extern), body);
    }

private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::ProducerConsumer* op) override {
        const auto found = stages_.find(op->name.substr(0, op->name.find('$')));
        if (!op->is_producer || found == stages_.end()) return ir::IRMutator::visit(op);
        const int outer = here_;
        here_ = found->second;
        const ir::Stmt body = timed("enter", mutate(op->body));
        here_ = outer;
        return ir::ProducerConsumer::make(op->name, true, body);
    }

    ir::Stmt visit(const ir::For* op) override {
        if (op->for_type != ir::ForType::Parallel || here_ < 0) return ir::IRMutator::visit(op);
        return ir::For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api,
                             timed("task", mutate(op->body)));
    }

    [[nodiscard]] ir::Stmt timed(const char* begin, const ir::Stmt& body) const {
        return ir::Block::make({told(begin, {here_}), body, told("leave", {})});
    }

    static ir::Stmt told(const std::string& what, std::vector<E> args) {
        args.insert(args.begin(), ir::Variable::make(Halide::Handle(), handle_name));
        return ir::Evaluate::make(ir::Call::make(Halide::Int(32), "tessera_profile_" + what, args, ir::Call::Extern));
    }

    static constexpr const char* handle_name = "tessera_profile";
    std::string description_;
    std::map<std::string, int> stages_;
    std::vector<std::pair<E, E>> work_;
    bool entered_ = false;
    int here_ = -1;
};

}  // namespace

void share_tuple_values(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new SharedValues); }
void show_comparisons(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new PlainComparisons); }
void allow_reads_ahead(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new ReadsAhead); }
void load_edges_whole(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new EdgeLoads); }
void profile_stages(Halide::Pipeline& pipeline, const BoundSchedule& bound, const Translation& translation) {
    pipeline.add_custom_lowering_pass(new StageTimer(bound, translation));
}

}  // namespace tessera::cpu
