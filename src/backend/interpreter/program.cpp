#include "backend/interpreter/program.h"

#include "algorithm/visit.h"
#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::interpreter {

std::optional<std::int64_t> inside(Boundary boundary, std::int64_t index, std::int64_t extent) {
    if (index >= 0 && index < extent) return index;
    if (extent <= 0) return std::nullopt;
    const auto wrapped = [](std::int64_t i, std::int64_t period) { return (i % period + period) % period; };
    switch (boundary) {
        case Boundary::clamp: return index < 0 ? 0 : extent - 1;
        case Boundary::periodic: return wrapped(index, extent);
        case Boundary::mirror: {
            const std::int64_t i = wrapped(index, 2 * extent);
            return i < extent ? i : 2 * extent - 1 - i;
        }
        case Boundary::mirror_interior: {
            if (extent == 1) return 0;
            const std::int64_t i = wrapped(index, 2 * extent - 2);
            return i < extent ? i : 2 * extent - 2 - i;
        }
        default: return std::nullopt;
    }
}

Program::Program(const BoundArguments& arguments, Memory& memory) : arguments_(arguments), memory_(memory) {
    slots_.emplace_back();
}
Program::~Program() = default;

std::uint32_t Program::slot_of(const void* identity) {
    const auto [it, fresh] = slot_numbers_.emplace(identity, static_cast<std::uint32_t>(slots_.size()));
    if (fresh) slots_.emplace_back();
    return it->second;
}
std::uint32_t Program::slot(const Expr& e) {
    TESSERA_CHECK(e->op == Op::dim || e->op == Op::variable, "a slot is asked for what is neither dim nor variable");
    kept_.push_back(e);
    if (e->op == Op::dim) return slot_of(&e->dim().state());
    return slot_of(std::get<std::shared_ptr<const Variable>>(e->attribute).get());
}

size_t Program::add(const Expr& e) {
    for_each_node({e}, [&](const Expr& n) {
        if (!numbers_.count(n.get())) make(n);
    });
    return numbers_.at(e.get());
}

std::vector<std::uint32_t> Program::slots_of(const std::vector<std::uint32_t>& args) const {
    std::vector<std::uint32_t> slots;
    for (const std::uint32_t a : args) slots.insert(slots.end(), nodes_[a].slots.begin(), nodes_[a].slots.end());
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    return slots;
}

std::uint32_t Program::make(const Expr& e) {
    Node n;
    switch (e->op) {
        case Op::constant:
            n.value = constant_value(e->dtype, e->bits);
            n.stamp = 1;
            break;
        case Op::extent: {
            const auto extent = arguments_.extent(e->dim());
            TESSERA_CHECK(extent.has_value(), fmt::format("the extent of {} is not known at entry", e->dim().name()));
            n.value = static_cast<Bits>(*extent);
            n.stamp = 1;
            break;
        }
        case Op::dim:
        case Op::variable:
            n.target = slot(e);
            n.slots = {n.target};
            break;
        case Op::access: n = made_access(e); break;
        case Op::reduce:
        case Op::scan:
        case Op::scatter: n = made_combination(e); break;
        default:
            for (const Expr& a : e->args) n.args.push_back(numbers_.at(a.get()));
            n.slots = slots_of(n.args);
            if (e->op != Op::select && e->op != Op::and_ && e->op != Op::or_)
                n.function = scalar_function(e->op, e->args[0].dtype(), e->dtype);
    }
    n.op = e->op;
    nodes_.push_back(std::move(n));
    kept_.push_back(e);
    return numbers_[e.get()] = static_cast<std::uint32_t>(nodes_.size() - 1);
}

Program::Node Program::made_access(const Expr& e) {
    Node n;
    for (const Expr& a : e->args) n.args.push_back(numbers_.at(a.get()));
    n.slots = slots_of(n.args);
    n.component = static_cast<std::uint32_t>(e->component());
    n.target = static_cast<std::uint32_t>(accesses_.size());
    auto access = std::make_unique<Access>();
    access->node = e.get();
    access->boundary = e->target().boundary;
    if (const InputState* input = e->target().input.get()) {
        access->input = &arguments_.inputs.at(input);
        access->extents = access->input->buffer.extents();
    } else {
        const FuncState& func = *e->target().func;
        access->func = memory_.find(func);
        n.slots.insert(n.slots.begin(), memory_slot);
        n.slots.erase(std::unique(n.slots.begin(), n.slots.end()), n.slots.end());
        if (access->boundary != Boundary::none)
            for (const Dim& d : func.dims) access->extents.push_back(arguments_.extent(d).value());
    }
    accesses_.push_back(std::move(access));
    return n;
}

Bits Program::computed(const Node& n) {
    switch (n.op) {
        case Op::constant:
        case Op::extent: return n.value;
        case Op::dim:
        case Op::variable: return slots_[n.target].value;
        case Op::access: return read(n);
        case Op::reduce:
        case Op::scan:
        case Op::scatter: return combined(n);
        case Op::select: return value(n.args[value(n.args[0]) != 0 ? 1 : 2]);
        case Op::and_: return value(n.args[0]) != 0 ? value(n.args[1]) : 0;
        case Op::or_: return value(n.args[0]) != 0 ? 1 : value(n.args[1]);
        case Op::straight_through: return value(n.args[0]);
        default: break;
    }
    Bits operands[5];
    for (size_t i = 0; i < n.args.size(); ++i) operands[i] = value(n.args[i]);
    return n.function(operands);
}

Bits Program::read(const Node& n) {
    const Access& access = *accesses_[n.target];
    const size_t rank = access.node->index_count();
    constexpr size_t most = 16;
    std::int64_t on_stack[most];
    std::vector<std::int64_t> on_heap(rank > most ? rank : 0);
    const std::span<std::int64_t> index(rank > most ? on_heap.data() : on_stack, rank);
    for (size_t d = 0; d < rank; ++d) {
        index[d] = integer(n.args[d]);
        if (access.extents.empty() || (index[d] >= 0 && index[d] < access.extents[d])) continue;
        if (access.boundary == Boundary::constant) return value(n.args[rank]);
        const auto mapped = inside(access.boundary, index[d], access.extents[d]);
        if (!mapped) memory_.refuse(*access.node, d, index[d], access.extents[d]);
        index[d] = *mapped;
    }
    if (access.input == nullptr) return memory_.read(access.func, static_cast<int>(n.component), index, *access.node);
    const std::vector<std::int64_t>& strides = access.input->buffer.strides();
    std::int64_t element = 0;
    for (size_t d = 0; d < rank; ++d) element += index[d] * strides[d];
    return access.input->load(access.input->buffer.data(), element);
}

}  // namespace tessera::interpreter
