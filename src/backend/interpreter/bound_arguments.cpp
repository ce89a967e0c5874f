#include "backend/interpreter/bound_arguments.h"

#include "algorithm/visit.h"
#include "base/check.h"
#include "base/closest_name.h"
#include "base/match.h"

#include <fmt/format.h>

namespace tessera::interpreter {
namespace {

AnyBuffer scalar_buffer(DType dtype, DType given, Bits bits) {
    AnyBuffer buffer(buffer_dtype(dtype), {});
    store_function(dtype)(buffer.data(), 0, scalar_function(Op::cast, given, dtype)(&bits));
    return buffer;
}

AnyBuffer as_buffer(const InputState& input, const ArgumentValue& value) {
    if (!std::holds_alternative<AnyBuffer>(value) && !input.scalar)
        throw Error(E0701_argument, input.where, fmt::format("input {} is given a number; it takes a buffer", input.name),
                    {token(input.name)});
    return match(
        value, [](const AnyBuffer& buffer) { return buffer; },
        [&](std::int64_t v) { return scalar_buffer(input.dtype, DType::i64, static_cast<Bits>(v)); },
        [&](std::uint64_t v) { return scalar_buffer(input.dtype, DType::u64, v); },
        [&](double v) { return scalar_buffer(input.dtype, DType::f64, to_bits(v)); });
}

class Binder {
public:
    Binder(const Algorithm& algorithm, const Inputs& inputs, const Outputs& outputs)
        : state_(algorithm.state()), given_inputs_(inputs), given_outputs_(outputs) {}

    BoundArguments bind() {
        for (const Argument& argument : state_.arguments) bind_input(argument.state());
        for (const Func& output : state_.outputs) bind_output(output);
        refuse_unknown(given_inputs_, input_names_, "input");
        refuse_unknown(given_outputs_, output_names_, "output");
        for (const Dim& dim : state_.dims) solve(dim);
        for (const Argument& argument : state_.arguments)
            check_shape(argument.state()->name, argument.state()->dims, argument.state()->where,
                        bound_.inputs.at(argument.state().get()).buffer);
        for (size_t i = 0; i < state_.outputs.size(); ++i)
            for (size_t c = 0; c < bound_.outputs[i].size(); ++c)
                check_shape(output_names(state_.outputs[i])[c], state_.outputs[i].dims(), state_.outputs[i].state()->where,
                            bound_.outputs[i][c].buffer);
        for (const Dim& dim : state_.dims) check_promises(dim);
        for (const auto& [a, b] : state_.require)
            if (bound_.value(Expr(a)) != bound_.value(Expr(b)))
                throw Error(E0704_argument_extent, state_.where,
                            fmt::format("algorithm {} requires two extents to be equal that are {} and {}", state_.name,
                                        bound_.value(Expr(a)), bound_.value(Expr(b))),
                            {fix("pass buffers of fitting extents")});
        for (const Argument& argument : state_.arguments) check_values(*argument.state());
        return std::move(bound_);
    }

private:
    BoundBuffer checked(const std::string& name, const AnyBuffer& buffer, DType dtype, size_t rank, SourceLoc where) {
        if (!buffer.defined() || (buffer.data() == nullptr && buffer.size() > 0))
            throw Error(E0701_argument, where, fmt::format("argument {} has no memory", name),
                        {token(name), fix("pass a buffer with extents")});
        if (buffer.dtype() != buffer_dtype(dtype))
            throw Error(E0702_argument_dtype, where,
                        fmt::format("argument {} is {} but the buffer holds {}", name, dtype_name(dtype),
                                    tessera_dtype_name(buffer.dtype())),
                        {token(name), expected(std::string(dtype_name(dtype))), received(tessera_dtype_name(buffer.dtype()))});
        if (static_cast<size_t>(buffer.rank()) != rank)
            throw Error(E0703_argument_rank, where,
                        fmt::format("argument {} has {} dims but the buffer has {}", name, rank, buffer.rank()),
                        {token(name), expected(std::to_string(rank)), received(std::to_string(buffer.rank()))});
        return {buffer, load_function(dtype), store_function(dtype)};
    }

    void bind_input(const std::shared_ptr<InputState>& input) {
        input_names_.push_back(input->name);
        const auto found = given_inputs_.find(input->name);
        if (found == given_inputs_.end())
            throw Error(E0701_argument, input->where, fmt::format("argument {} is missing", input->name),
                        {token(input->name), fix(fmt::format("pass {}", input->name))});
        const BoundBuffer buffer =
            checked(input->name, as_buffer(*input, found->second), input->dtype, input->dims.size(), input->where);
        take_extents(input->name, input->dims, buffer.buffer);
        bound_.inputs.emplace(input.get(), buffer);
    }

    void bind_output(const Func& output) {
        std::vector<BoundBuffer> components;
        const std::vector<std::string> names = output_names(output);
        for (size_t c = 0; c < names.size(); ++c) {
            output_names_.push_back(names[c]);
            const auto found = given_outputs_.find(names[c]);
            if (found == given_outputs_.end())
                throw Error(E0701_argument, output.state()->where, fmt::format("output {} is missing", names[c]),
                            {token(output.name()), fix(fmt::format("pass {}", names[c]))});
            components.push_back(
                checked(names[c], found->second, output.dtype(static_cast<int>(c)), output.rank(), output.state()->where));
            if (found->second.read_only())
                throw Error(E0708_argument_read_only, output.state()->where,
                            fmt::format("output {} is a read-only buffer", names[c]),
                            {token(output.name()), fix("pass a writable buffer")});
            take_extents(names[c], output.dims(), found->second);
        }
        bound_.outputs.push_back(std::move(components));
    }

    // The first buffer that has a symbolic dim gives its extent; check_shape() compares the others.
    void take_extents(const std::string& name, const std::vector<Dim>& dims, const AnyBuffer& buffer) {
        for (size_t d = 0; d < dims.size(); ++d)
            if (!dims[d].state().extent && bound_.extents.emplace(&dims[d].state(), buffer.extent(static_cast<int>(d))).second)
                origin_.emplace(&dims[d].state(), name);
    }

    template <class Map>
    void refuse_unknown(const Map& given, const std::vector<std::string>& known, std::string_view kind) const {
        for (const auto& [name, value] : given)
            if (std::find(known.begin(), known.end(), name) == known.end())
                throw Error(E0701_argument, state_.where, fmt::format("algorithm {} has no {} {}", state_.name, kind, name),
                            {note(fmt::format("it has {}", fmt::join(known, ", "))), fix_spelling(name, known)});
    }

    // Derived extents may mention other derived ones: those first.
    std::int64_t solve(const Dim& dim) {
        if (const auto known = bound_.extent(dim)) return *known;
        if (!dim.state().extent)
            throw Error(E0103_unknown_dim, dim.state().where, fmt::format("no argument gives dim {} an extent", dim.name()),
                        {token(dim.name())});
        const Expr extent(*dim.state().extent);
        for_each_node({extent}, [&](const Expr& n) {
            if (n->op == Op::extent) solve(n->dim());
        });
        const std::int64_t value = bound_.value(extent);
        if (value < 0)
            throw Error(
                E0704_argument_extent, dim.state().where, fmt::format("the derived extent of dim {} is {}", dim.name(), value),
                {token(dim.name()), expected("an extent >= 0"), received(std::to_string(value)), fix("pass larger buffers")});
        bound_.extents.emplace(&dim.state(), value);
        return value;
    }

    void check_shape(const std::string& name, const std::vector<Dim>& dims, SourceLoc where, const AnyBuffer& buffer) {
        for (size_t d = 0; d < dims.size(); ++d) {
            const std::int64_t wanted = solve(dims[d]), got = buffer.extent(static_cast<int>(d));
            if (wanted == got) continue;
            std::vector<Hint> hints{token(name), expected(std::to_string(wanted)), received(std::to_string(got))};
            if (const auto origin = origin_.find(&dims[d].state()); origin != origin_.end())
                hints.push_back(note(fmt::format("{} gives dim {} the extent {}", origin->second, dims[d].name(), wanted)));
            hints.push_back(fix(fmt::format("pass {} with extent {} in dim {}", name, wanted, dims[d].name())));
            throw Error(E0704_argument_extent, where,
                        fmt::format("argument {} has extent {} in dim {}, which is {}", name, got, dims[d].name(), wanted),
                        std::move(hints));
        }
    }

    void check_promises(const Dim& dim) const {
        const std::int64_t value = *bound_.extent(dim);
        if (value % dim.state().multiple_of != 0)
            throw Error(
                E0704_argument_extent, dim.state().where,
                fmt::format("dim {} has extent {}, which is no multiple of {}", dim.name(), value, dim.state().multiple_of),
                {token(dim.name()), expected(fmt::format("a multiple of {}", dim.state().multiple_of)),
                 received(std::to_string(value))});
        if (dim.state().at_most && value > *dim.state().at_most)
            throw Error(
                E0704_argument_extent, dim.state().where,
                fmt::format("dim {} has extent {}, above its bound {}", dim.name(), value, *dim.state().at_most),
                {token(dim.name()), expected(fmt::format("at most {}", *dim.state().at_most)), received(std::to_string(value))});
    }

    void check_values(const InputState& input) const {
        if (!input.values && !input.increasing) return;
        const BoundBuffer& bound = bound_.inputs.at(&input);
        const AnyBuffer& b = bound.buffer;
        if (b.size() == 0) return;
        const ScalarFunction below = scalar_function(Op::lt, input.dtype, DType::bool_);
        const std::int64_t low = input.values ? bound_.value(Expr(input.values->first)) : 0,
                           high = input.values ? bound_.value(Expr(input.values->second)) : 0;
        std::vector<std::int64_t> index(static_cast<size_t>(b.rank()), 0);
        while (true) {
            std::int64_t element = 0;
            for (size_t d = 0; d < index.size(); ++d) element += index[d] * b.strides()[d];
            const Bits v = bound.load(b.data(), element);
            // As 64-bit integers; a u64 beyond them is above every bound.
            const auto number = static_cast<std::int64_t>(v);
            const bool huge = input.dtype == DType::u64 && number < 0;
            if (input.values && (huge || number < low || number >= high))
                throw Error(E0709_argument_value, input.where,
                            fmt::format("{} holds {} at ({}), outside its declared range", input.name, value_text(input.dtype, v),
                                        fmt::join(index, ", ")),
                            {token(input.name), expected(fmt::format("{} <= value < {}", low, high)),
                             received(value_text(input.dtype, v))});
            if (input.increasing && !index.empty() && index.back() > 0) {
                const Bits pair[] = {v, bound.load(b.data(), element - b.strides().back())};
                if (below(pair) != 0)
                    throw Error(E0709_argument_value, input.where,
                                fmt::format("{} decreases at ({}): {} after {}", input.name, fmt::join(index, ", "),
                                            value_text(input.dtype, pair[0]), value_text(input.dtype, pair[1])),
                                {token(input.name), expected("values that do not decrease along the last dim")});
            }
            size_t d = index.size();
            while (d-- > 0) {
                if (++index[d] < b.extents()[d]) break;
                index[d] = 0;
            }
            if (d == static_cast<size_t>(-1)) return;
        }
    }

    const AlgorithmState& state_;
    const Inputs& given_inputs_;
    const Outputs& given_outputs_;
    BoundArguments bound_;
    std::unordered_map<const DimState*, std::string> origin_;
    std::vector<std::string> input_names_, output_names_;
};

}  // namespace

std::vector<std::string> output_names(const Func& output) {
    if (output.components() == 1) return {output.name()};
    std::vector<std::string> names;
    for (int c = 0; c < output.components(); ++c) names.push_back(fmt::format("{}.{}", output.name(), c));
    return names;
}

std::optional<std::int64_t> BoundArguments::extent(const Dim& dim) const {
    const auto found = extents.find(&dim.state());
    if (found != extents.end()) return found->second;
    if (!dim.state().extent) return std::nullopt;
    if (const auto constant = dim.state().extent->constant()) return constant;
    // Of a dim that a schedule made: known when those that it follows from are.
    bool known = true;
    for_each_node({Expr(*dim.state().extent)},
                  [&](const Expr& n) { known = known && (n->op != Op::extent || extent(n->dim())); });
    return known ? std::optional(value(Expr(*dim.state().extent))) : std::nullopt;
}

std::int64_t BoundArguments::value(const Expr& e) const {
    std::unordered_map<const ExprNode*, Bits> values;
    for_each_node({e}, [&](const Expr& n) {
        Bits& value = values[n.get()];
        if (n->op == Op::constant)
            value = constant_value(n->dtype, n->bits);
        else if (n->op == Op::extent) {
            const auto known = extent(n->dim());
            TESSERA_CHECK(known.has_value(), fmt::format("extent of {} before it is known", n->dim().name()));
            value = static_cast<Bits>(*known);
        } else if (n->op == Op::access) {
            const auto scalar = inputs.find(n->target().input.get());
            TESSERA_CHECK(scalar != inputs.end() && n->args.empty(), "an extent reads something else than a scalar");
            value = scalar->second.load(scalar->second.buffer.data(), 0);
        } else {
            std::vector<Bits> operands;
            for (const Expr& a : n->args) operands.push_back(values.at(a.get()));
            if (n->op == Op::select)
                value = operands[0] != 0 ? operands[1] : operands[2];
            else
                value = scalar_function(n->op, n->args[0].dtype(), n->dtype)(operands.data());
        }
    });
    return static_cast<std::int64_t>(values.at(e.get()));
}

BoundArguments bind_arguments(const Algorithm& algorithm, const Inputs& inputs, const Outputs& outputs) {
    return Binder(algorithm, inputs, outputs).bind();
}

}  // namespace tessera::interpreter
