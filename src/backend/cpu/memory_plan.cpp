#include "backend/cpu/memory_plan.h"

#include <algorithm>
#include <set>
#include <sstream>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;
using E = Halide::Expr;

// Slots begin at multiples of this, which is what vector loads of internal buffers rely on.
constexpr std::int64_t slot_alignment = 64;
// Slots that reach over pages start at different lines of theirs, 5 after the one before: arrays of equal extents that a loop
// walks through together would otherwise meet in one set of the cache, of 8 lines or so.
constexpr std::int64_t page_bytes = 4096, line_step = 5 * slot_alignment;
// Halide keeps constant allocations up to this size on the stack: can_allocation_fit_on_stack() of Halide 21.
constexpr std::int64_t most_stack_bytes = 16384;

struct PlannedBuffer {
    int begin = 0, end = 0;  // positions in the walk between which it is alive
    E bytes;                 // closed: over the parameters of the kernel alone
    size_t slot = 0;
};

struct Slot {
    int busy_until = 0;
    E bytes;
    E offset;
};

// Whether the value is known before the kernel runs, and no larger, written out, than is worth computing.
bool is_small_and_pure(const E& e) {
    constexpr int most_nodes = 1000;
    class Counter : public ir::IRVisitor {
    public:
        int nodes = 0;

    private:
        using ir::IRVisitor::visit;
        void visit(const ir::Load*) override { nodes = most_nodes + 1; }
        void visit(const ir::Call* op) override {
            if (!op->is_pure()) nodes = most_nodes + 1;
            ir::IRVisitor::visit(op);
        }
        void visit(const ir::Variable*) override { ++nodes; }
        void visit(const ir::IntImm*) override { ++nodes; }
    } counter;
    e.accept(&counter);
    return counter.nodes <= most_nodes;
}

E rounded_up(const E& bytes) {
    const E step = ir::make_const(Halide::Int(64), slot_alignment);
    return ir::simplify((bytes + (step - 1)) / step * step);
}

// From the start of a slot to that of the one behind it.
E stride_of(const E& bytes) {
    const auto constant = ir::as_const_int(bytes);
    if (!constant) return bytes + ir::make_const(Halide::Int(64), line_step);
    if (*constant < page_bytes) return bytes;
    return ir::make_const(Halide::Int(64), (*constant - line_step + page_bytes - 1) / page_bytes * page_bytes + line_step);
}

bool on_heap(const ir::Allocate& op) {
    if (op.new_expr.defined() || op.extents.empty() || !ir::is_const_one(op.condition)) return false;
    const std::int64_t constant = std::int64_t{op.constant_allocation_size()} * op.type.bytes();
    if (op.memory_type == Halide::MemoryType::Heap) return true;
    return op.memory_type == Halide::MemoryType::Auto && (constant == 0 || constant > most_stack_bytes);
}

/// Finds the buffers that can be planned, all inside the first of them, with their sizes and lifetimes.
class BufferFinder : public ir::IRVisitor {
public:
    std::map<std::string, PlannedBuffer> buffers;
    std::string first;

private:
    using ir::IRVisitor::visit;

    void visit(const ir::LetStmt* op) override {
        ++position_;
        lets_.emplace_back(op->name, op->value);
        ir::IRVisitor::visit(op);
        lets_.pop_back();
    }

    void visit(const ir::For* op) override { inside(op); }
    void visit(const ir::IfThenElse* op) override { inside(op); }
    void visit(const ir::Fork* op) override { inside(op); }

    template <class Node>
    void inside(const Node* op) {
        ++position_;
        ++depth_;
        ir::IRVisitor::visit(op);
        --depth_;
        ++position_;
    }

    void visit(const ir::Allocate* op) override {
        const int begin = ++position_;
        const bool within = first.empty() || first_open_;
        const E bytes = depth_ == 0 && within && on_heap(*op) && buffers.count(op->name) == 0 ? closed_bytes(*op) : E();
        const bool opens = bytes.defined() && first.empty();
        if (opens) {
            first = op->name;
            first_open_ = true;
        }
        if (bytes.defined()) buffers[op->name] = {begin, 0, bytes, 0};
        ir::IRVisitor::visit(op);
        if (bytes.defined() && buffers[op->name].end == 0) buffers[op->name].end = ++position_;
        if (opens) first_open_ = false;
    }

    void visit(const ir::Free* op) override {
        const auto found = buffers.find(op->name);
        if (found != buffers.end() && depth_ == 0) found->second.end = ++position_;
    }

    // The buffer's bytes with what its extents refer to written out; undefined where they depend on what is in memory.
    E closed_bytes(const ir::Allocate& op) const {
        E bytes = ir::make_const(Halide::Int(64), op.type.bytes());
        for (const E& extent : op.extents) bytes = bytes * Halide::max(Halide::cast<std::int64_t>(extent), 0);
        // Vectors may read past the end.
        bytes = bytes + ir::make_const(Halide::Int(64), std::int64_t{op.padding + 1} * op.type.bytes() + slot_alignment);
        for (size_t l = lets_.size(); l-- > 0;) {
            if (!ir::expr_uses_var(bytes, lets_[l].first)) continue;
            bytes = ir::substitute(lets_[l].first, lets_[l].second, bytes);
            if (!is_small_and_pure(bytes)) return {};
        }
        return rounded_up(bytes);
    }

    std::vector<std::pair<std::string, E>> lets_;
    int position_ = 0, depth_ = 0;
    bool first_open_ = false;
};

/// The slot of those free at `begin` that has to grow least.
size_t choose_slot(const std::vector<Slot>& slots, const PlannedBuffer& buffer) {
    size_t best = slots.size();
    const auto grows = [&](size_t s) { return !ir::can_prove(slots[s].bytes >= buffer.bytes); };
    for (size_t s = 0; s < slots.size(); ++s) {
        if (slots[s].busy_until > buffer.begin) continue;
        if (best == slots.size() || (!grows(s) && (grows(best) || ir::can_prove(slots[s].bytes < slots[best].bytes)))) best = s;
    }
    return best;
}

std::vector<Slot> assign_slots(std::map<std::string, PlannedBuffer>& buffers) {
    std::vector<PlannedBuffer*> order;
    for (auto& [name, buffer] : buffers) order.push_back(&buffer);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->begin < b->begin; });
    std::vector<Slot> slots;
    for (PlannedBuffer* buffer : order) {
        buffer->slot = choose_slot(slots, *buffer);
        if (buffer->slot == slots.size()) slots.push_back({0, buffer->bytes, E()});
        Slot& slot = slots[buffer->slot];
        slot.busy_until = buffer->end;
        slot.bytes = ir::simplify(Halide::max(slot.bytes, buffer->bytes));
    }
    E offset = ir::make_const(Halide::Int(64), 0);
    for (Slot& slot : slots) {
        slot.offset = offset;
        offset = ir::simplify(offset + stride_of(slot.bytes));
    }
    return slots;
}

class Planner : public ir::IRMutator {
public:
    explicit Planner(std::shared_ptr<MemoryPlan> plan) : plan_(std::move(plan)) {}

    using ir::IRMutator::mutate;
    ir::Stmt mutate(const ir::Stmt& s) override {
        if (entered_) return ir::IRMutator::mutate(s);
        entered_ = true;
        BufferFinder found;
        s.accept(&found);
        buffers_ = std::move(found.buffers);
        first_ = found.first;
        if (buffers_.empty()) return ir::LetStmt::make(block_name, begin(ir::make_zero(Halide::Int(64))), guarded(s));
        slots_ = assign_slots(buffers_);
        plan_->bytes = ir::simplify(slots_.back().offset + slots_.back().bytes);
        return ir::IRMutator::mutate(s);
    }

private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::Allocate* op) override {
        const auto found = buffers_.find(op->name);
        if (found == buffers_.end()) return ir::IRMutator::visit(op);
        const E address = reinterpret<std::uint64_t>(block()) + Halide::cast<std::uint64_t>(slots_[found->second.slot].offset);
        const auto body = ir::LetStmt::make(op->name, Halide::reinterpret(Halide::Handle(), address), mutate(op->body));
        if (op->name != first_) return body;
        const E end = ir::Call::make(Halide::Int(32), "tessera_scratch_end", {block()}, ir::Call::Extern);
        return ir::LetStmt::make(block_name, begin(plan_->bytes), ir::Block::make(guarded(body), ir::Evaluate::make(end)));
    }

    ir::Stmt visit(const ir::Free* op) override {
        return buffers_.count(op->name) != 0 ? ir::Evaluate::make(0) : ir::IRMutator::visit(op);
    }

    static E block() { return ir::Variable::make(Halide::Handle(), block_name); }
    static E begin(const E& bytes) {
        return ir::Call::make(Halide::Handle(), "tessera_scratch_begin", {bytes}, ir::Call::Extern);
    }
    // Runs unless there is no memory, or the caller only asks how much it takes.
    static ir::Stmt guarded(const ir::Stmt& body) {
        return ir::IfThenElse::make(reinterpret<std::uint64_t>(block()) != ir::make_zero(Halide::UInt(64)), body);
    }

    template <class T>
    static E reinterpret(const E& e) {
        return Halide::reinterpret(Halide::type_of<T>(), e);
    }

    static constexpr const char* block_name = "tessera_scratch";
    std::shared_ptr<MemoryPlan> plan_;
    bool entered_ = false;
    std::map<std::string, PlannedBuffer> buffers_;
    std::string first_;
    std::vector<Slot> slots_;
};

void remove_all(std::string& text, std::string_view what) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) text.erase(at, what.size());
}

}  // namespace

void plan_memory(Halide::Pipeline& pipeline, const std::shared_ptr<MemoryPlan>& plan) {
    pipeline.add_custom_lowering_pass(new Planner(plan));
}

std::string memory_text(const BoundSchedule& bound, const std::vector<Halide::Argument>& arguments,
                        const std::vector<Parameter>& parameters, const E& bytes) {
    if (!bytes.defined()) return "0";
    E named = bytes;
    for (size_t p = 0; p < arguments.size(); ++p)
        if (parameters[p].kind == Parameter::Kind::dim)
            named = ir::substitute(
                arguments[p].name,
                ir::Variable::make(Halide::Int(32), bound.graph.algorithm.state().dims[parameters[p].index].name()), named);
    std::ostringstream text;
    text << named;
    std::string plain = text.str();
    remove_all(plain, "(int64)");
    remove_all(plain, "int64");
    return plain;
}

}  // namespace tessera::cpu
