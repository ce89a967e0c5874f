#pragma once

#include "backend/interpreter/bound_arguments.h"

#include <array>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace tessera::interpreter {

/// What an evaluator does about reads that are not inputs' elements.
class Memory {
public:
    virtual ~Memory() = default;
    /// A number for `func`, given back to read().
    [[nodiscard]] virtual size_t find(const FuncState& func) = 0;
    /// One component at `index`. The access is for messages.
    [[nodiscard]] virtual Bits read(size_t func, int component, std::span<const std::int64_t> index, const ExprNode& access) = 0;
    /// A read at `index` of `dim` of an input that has `extent` there. Throws.
    [[noreturn]] virtual void refuse(const ExprNode& access, size_t dim, std::int64_t index, std::int64_t extent) = 0;
};

/// Reflects or clamps an index into [0, extent); nothing when the boundary serves it from elsewhere or the extent is 0.
[[nodiscard]] std::optional<std::int64_t> inside(Boundary boundary, std::int64_t index, std::int64_t extent);

/// Expressions compiled to one array of nodes that share what they have in common. The dims and variables they depend on are
/// slots of the environment; every node keeps its value until a slot it depends on is set to something else.
///
/// How it is known that a kept value is valid: each change of a slot stamps it with a number above all before, and a change made
/// for a while (a reduction's loop) is taken back with its old stamp. So the newest stamp among a node's slots names their state.
class Program {
public:
    Program(const BoundArguments& arguments, Memory& memory);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// Before any add(): the dims whose values the caller sets, the first changing least often.
    void set_scope(std::vector<std::uint32_t> slots) { scope_ = std::move(slots); }
    /// The node of `e`, to be evaluated any number of times.
    [[nodiscard]] size_t add(const Expr& e);
    /// The slot of a dim or variable. Slots start as 0.
    [[nodiscard]] std::uint32_t slot(const Dim& dim) { return slot_of(&dim.state()); }
    [[nodiscard]] std::uint32_t slot(const Expr& dim_or_variable);

    struct Slot {
        Bits value = 0;
        std::uint64_t stamp = 1;
    };
    void set(size_t slot, Bits value) {
        if (slots_[slot].value != value) slots_[slot] = {value, ++clock_};
    }
    /// Gives slots their present state back when it goes.
    class Kept {
    public:
        Kept(Program& program, const std::vector<std::uint32_t>& slots) : program_(program), slots_(slots) {
            for (const std::uint32_t s : slots) states_.push_back(program.slots_[s]);
        }
        ~Kept() {
            for (size_t i = 0; i < slots_.size(); ++i) program_.slots_[slots_[i]] = states_[i];
        }
        Kept(const Kept&) = delete;
        Kept& operator=(const Kept&) = delete;

    private:
        Program& program_;
        const std::vector<std::uint32_t>& slots_;
        std::vector<Slot> states_;
    };
    /// Reads of Funcs may give other values from here on.
    void memory_changed() { slots_[memory_slot].stamp = ++clock_; }

    [[nodiscard]] Bits value(size_t node) {
        Node& n = nodes_[node];
        const std::uint64_t state = newest(n.slots);
        if (n.stamp != state) {
            n.value = computed(n);
            n.stamp = state;
        }
        return n.value;
    }
    [[nodiscard]] std::int64_t integer(size_t node) { return static_cast<std::int64_t>(value(node)); }

private:
    static constexpr std::uint32_t memory_slot = 0;
    struct Access;
    struct Combination;
    struct Node {
        Op op = Op::constant;
        ScalarFunction function = nullptr;
        std::vector<std::uint32_t> args;
        std::vector<std::uint32_t> slots;
        std::uint32_t target = 0;  // slot, access or combination
        std::uint32_t component = 0;
        Bits value = 0;
        std::uint64_t stamp = 0;
    };

    std::uint32_t slot_of(const void* identity);
    std::uint32_t make(const Expr& e);
    Node made_access(const Expr& e);
    Node made_combination(const Expr& e);
    [[nodiscard]] bool comes_back(const std::vector<std::uint32_t>& slots) const;
    std::vector<std::uint32_t> slots_of(const std::vector<std::uint32_t>& args) const;

    [[nodiscard]] std::uint64_t newest(const std::vector<std::uint32_t>& slots) const {
        std::uint64_t stamp = 1;
        for (const std::uint32_t s : slots) stamp = std::max(stamp, slots_[s].stamp);
        return stamp;
    }
    Bits computed(const Node& n);
    Bits read(const Node& n);

    // combination.cpp
    Bits combined(const Node& n);
    const std::vector<Bits>& results(Combination& c);
    void combine(Combination& c, std::span<Bits> total, std::span<const Bits> next);
    void fold_point(Combination& c, std::span<Bits> total);
    std::vector<Bits> reduced(Combination& c);
    std::vector<Bits> scanned(Combination& c);
    std::vector<Bits> scattered(Combination& c);
    std::vector<Bits> initial_cell(Combination& c);
    template <class Visit>
    void for_each_point(const std::vector<std::uint32_t>& slots, const std::vector<std::int64_t>& extents, Visit&& visit);

    const BoundArguments& arguments_;
    Memory& memory_;
    std::uint64_t clock_ = 1;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> scope_;
    std::unordered_map<const void*, std::uint32_t> slot_numbers_;
    std::vector<Node> nodes_;
    std::unordered_map<const ExprNode*, std::uint32_t> numbers_;
    std::vector<Expr> kept_;  // node addresses stay valid
    std::vector<std::unique_ptr<Access>> accesses_;
    std::vector<std::unique_ptr<Combination>> combinations_;
    std::unordered_map<const void*, std::vector<std::pair<const ExprNode*, Node>>> components_;
};

/// An access of an input or Func.
struct Program::Access {
    const ExprNode* node = nullptr;
    Boundary boundary = Boundary::none;
    std::vector<std::int64_t> extents;   // of an input; of a Func's dims when there is a boundary
    const BoundBuffer* input = nullptr;  // null: a Func
    size_t func = 0;
};

/// A reduction, scan or scatter with all its components.
struct Program::Combination {
    Op op = Op::reduce;
    const Reduction* reduction = nullptr;
    std::vector<std::uint32_t> dims;  // slots of the reduced dims, or of t
    std::vector<std::int64_t> extents;
    std::vector<std::uint32_t> operands, where;  // nodes; where has one or none
    std::vector<std::uint32_t> left, right;      // slots
    std::vector<std::uint32_t> combined;         // nodes over left and right
    std::vector<Bits> identity;
    ScalarFunction function = nullptr;  // combined is this of left and right
    ScalarFunction fused = nullptr;     // fma, when the operand is a product of factors, or a sum of such
    std::vector<std::array<std::uint32_t, 2>> factors;
    // scatters
    std::vector<std::uint32_t> destination;  // slots
    std::vector<std::int64_t> destination_extents;
    std::vector<std::uint32_t> places, inits;  // nodes
    // The result depends on these slots; kept for their state, or, when `by_key`, for all their values.
    std::vector<std::uint32_t> slots;
    bool by_key = false;
    std::uint64_t stamp = 0;
    std::vector<Bits> result;
    const std::vector<Bits>* latest = nullptr;
    std::map<std::vector<Bits>, std::vector<Bits>> results;
};

}  // namespace tessera::interpreter
