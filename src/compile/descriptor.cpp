#include "compile/descriptor.h"

#include "base/check.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tessera {
namespace {

class SignatureBuilder {
public:
    SignatureBuilder(const Algorithm& algorithm, bool dense_rows) : state_(algorithm.state()), dense_rows_(dense_rows) {
        out_.name = algorithm.name();
    }

    KernelSignature build() {
        for (const Dim& dim : state_.dims) number(dim);
        for (const Argument& argument : state_.arguments) add_input(*argument.state());
        std::vector<size_t> first_of_output;
        for (const Func& output : state_.outputs) {
            first_of_output.push_back(out_.args.size());
            for (int c = 0; c < output.components(); ++c) add_output(output, c);
        }
        for (const InPlacePair& p : state_.in_place) {
            KernelSignature::Arg& arg = out_.args[first_of_output[p.output] + static_cast<size_t>(p.component)];
            arg.flags |= TESSERA_ARG_IN_PLACE;
            arg.in_place_of = static_cast<std::int32_t>(p.argument);
        }
        bind_dims();
        for (const auto& [left, right] : state_.require) {
            KernelSignature::Requirement r{code(Expr(left)), code(Expr(right)), ""};
            r.text = fmt::format("{} == {}", bytecode_text(out_, r.left), bytecode_text(out_, r.right));
            out_.requirements.push_back(std::move(r));
        }
        add_params();
        return std::move(out_);
    }

private:
    // Derived dims come after those that they mention.
    std::int64_t number(const Dim& dim) {
        if (const auto found = numbers_.find(dim.id()); found != numbers_.end()) return found->second;
        if (dim.is_pack())
            throw Limit(L0901_not_on_target, dim.state().where, fmt::format("dims {} stand for any number of dims", dim.name()),
                        {fix("compile the algorithm for a fixed rank")});
        KernelSignature::Dimension d{
            .name = dim.name(), .multiple_of = dim.state().multiple_of, .at_most = dim.state().at_most.value_or(-1)};
        if (!dim.state().extent) {
            d.kind = TESSERA_DIM_BOUND;
        } else if (const auto value = dim.state().extent->constant()) {
            d.value = *value;
        } else {
            for_each_node({Expr(*dim.state().extent)}, [&](const Expr& n) {
                if (n->op == Op::extent) number(n->dim());
            });
            d.kind = TESSERA_DIM_DERIVED;
            d.code = code(Expr(*dim.state().extent));
        }
        const auto result = static_cast<std::int64_t>(out_.dims.size());
        out_.dims.push_back(std::move(d));
        numbers_[dim.id()] = result;
        return result;
    }

    Bytecode code(const Expr& extent) {
        return extent_bytecode(extent, {[&](const Dim& d) { return numbers_.at(d.id()); },
                                        [&](const InputState& scalar) { return scalar_number(scalar); }});
    }

    std::int64_t scalar_number(const InputState& scalar) const {
        for (size_t a = 0; a < state_.arguments.size(); ++a)
            if (state_.arguments[a].state().get() == &scalar) return static_cast<std::int64_t>(a);
        throw Bug(B0951_internal, scalar.where, fmt::format("scalar {} is no argument", scalar.name));
    }

    void add_input(const InputState& input) {
        KernelSignature::Arg arg{
            .name = input.name, .kind = input.scalar ? TESSERA_ARG_SCALAR : TESSERA_ARG_INPUT, .dtype = input.dtype};
        for (const Dim& d : input.dims) arg.dims.push_back(static_cast<std::int32_t>(number(d)));
        if (input.values) {
            arg.flags |= TESSERA_ARG_VALUE_RANGE;
            arg.value_low = code(Expr(input.values->first));
            arg.value_high = code(Expr(input.values->second));
        }
        if (input.increasing) arg.flags |= TESSERA_ARG_NONDECREASING;
        add(std::move(arg));
    }

    void add_output(const Func& output, int component) {
        KernelSignature::Arg arg{
            .name = output.components() == 1 ? output.name() : fmt::format("{}.{}", output.name(), component),
            .kind = TESSERA_ARG_OUTPUT,
            .dtype = output.dtype(component)};
        for (const Dim& d : output.dims()) arg.dims.push_back(static_cast<std::int32_t>(number(d)));
        add(std::move(arg));
    }

    void add(KernelSignature::Arg arg) {
        if (dense_rows_ && !arg.dims.empty()) arg.flags |= TESSERA_ARG_LAST_DIM_DENSE;
        out_.args.push_back(std::move(arg));
    }

    // A symbolic dim takes the extent of the first argument that has it: inputs stand before outputs.
    void bind_dims() {
        for (size_t a = 0; a < out_.args.size(); ++a)
            for (size_t axis = 0; axis < out_.args[a].dims.size(); ++axis) {
                KernelSignature::Dimension& d = out_.dims[static_cast<size_t>(out_.args[a].dims[axis])];
                if (d.kind == TESSERA_DIM_BOUND && d.arg < 0) {
                    d.arg = static_cast<int>(a);
                    d.axis = static_cast<int>(axis);
                }
            }
        for (const KernelSignature::Dimension& d : out_.dims)
            if (d.kind == TESSERA_DIM_BOUND && d.arg < 0)
                throw Error(E0103_unknown_dim, state_.where, fmt::format("no argument gives dim {} an extent", d.name),
                            {fix(fmt::format("give {} an extent, or use it in an input", d.name))});
    }

    void add_params() {
        const auto inputs = static_cast<std::int32_t>(state_.arguments.size());
        for (std::int32_t a = 0; a < inputs; ++a) out_.params.push_back({TESSERA_PARAM_ARG, a});
        for (const Dim& dim : state_.dims)
            if (!dim.state().extent)
                out_.params.push_back({TESSERA_PARAM_DIM_I32, static_cast<std::int32_t>(numbers_.at(dim.id()))});
        for (auto a = inputs; a < static_cast<std::int32_t>(out_.args.size()); ++a) out_.params.push_back({TESSERA_PARAM_ARG, a});
    }

    const AlgorithmState& state_;
    bool dense_rows_;
    KernelSignature out_;
    std::map<const void*, std::int64_t> numbers_;
};

}  // namespace

tessera_code c_code(const Bytecode& code) {
    return {code.empty() ? nullptr : code.data(), static_cast<std::int32_t>(code.size())};
}

KernelSignature kernel_signature(const Algorithm& algorithm, bool dense_rows) {
    return SignatureBuilder(algorithm, dense_rows).build();
}

Bytecode variant_code(const KernelSignature& signature, const std::string& when) {
    std::vector<std::string> known;
    for (const auto& d : signature.dims) known.push_back(d.name);
    for (const auto& a : signature.args)
        if (a.kind == TESSERA_ARG_SCALAR && is_integer(a.dtype)) known.push_back(a.name);
    return condition_bytecode(parse_condition(when), [&](const std::string& name) -> Bytecode {
        for (size_t d = 0; d < signature.dims.size(); ++d)
            if (signature.dims[d].name == name) return {TESSERA_OP_DIM, static_cast<std::int64_t>(d)};
        for (size_t a = 0; a < signature.args.size(); ++a)
            if (signature.args[a].name == name && signature.args[a].kind == TESSERA_ARG_SCALAR &&
                is_integer(signature.args[a].dtype))
                return {TESSERA_OP_SCALAR, static_cast<std::int64_t>(a)};
        if (name.find('.') != std::string::npos)
            throw Limit(
                L0903_schedule, {},
                fmt::format("the condition of a variant, '{}', asks for {}; kernels choose by extents and integer Scalars", when,
                            name),
                {fix("compare extents")});
        throw Error(E0511_variant, {},
                    fmt::format("the condition of a variant, '{}', names {}, which {} does not have", when, name, signature.name),
                    {fix_spelling(name, known)});
    });
}

std::string bytecode_text(const KernelSignature& signature, const Bytecode& code) {
    static const std::map<std::int64_t, std::string> infix{
        {TESSERA_OP_ADD, "+"},      {TESSERA_OP_SUB, "-"},  {TESSERA_OP_MUL, "*"}, {TESSERA_OP_FLOORDIV, "/"},
        {TESSERA_OP_FLOORMOD, "%"}, {TESSERA_OP_LT, "<"},   {TESSERA_OP_LE, "<="}, {TESSERA_OP_EQ, "=="},
        {TESSERA_OP_NE, "!="},      {TESSERA_OP_AND, "&&"}, {TESSERA_OP_OR, "||"}};
    struct Part {
        std::string text;
        bool atom;
    };
    std::vector<Part> stack;
    const auto bracketed = [](const Part& p) { return p.atom ? p.text : "(" + p.text + ")"; };
    for (size_t at = 0; at < code.size(); ++at) {
        const std::int64_t op = code[at];
        if (op == TESSERA_OP_CONST)
            stack.push_back({fmt::to_string(code[++at]), true});
        else if (op == TESSERA_OP_DIM)
            stack.push_back({signature.dims[static_cast<size_t>(code[++at])].name, true});
        else if (op == TESSERA_OP_SCALAR)
            stack.push_back({signature.args[static_cast<size_t>(code[++at])].name, true});
        else if (op == TESSERA_OP_NOT)
            stack.back() = {"!" + bracketed(stack.back()), true};
        else {
            const Part b = stack.back();
            stack.pop_back();
            if (op == TESSERA_OP_MIN || op == TESSERA_OP_MAX)
                stack.back() = {fmt::format("{}({}, {})", op == TESSERA_OP_MIN ? "min" : "max", stack.back().text, b.text), true};
            else
                stack.back() = {fmt::format("{} {} {}", bracketed(stack.back()), infix.at(op), bracketed(b)), false};
        }
    }
    TESSERA_CHECK(stack.size() == 1, "code that leaves no single value");
    return stack.back().text;
}

DescriptorStorage::DescriptorStorage(KernelSignature signature, std::vector<KernelVariant> variants)
    : signature_(std::move(signature)), variants_(std::move(variants)) {
    for (const auto& a : signature_.args)
        args_.push_back({a.name.c_str(), a.kind, runtime_dtype(a.dtype), static_cast<std::int32_t>(a.dims.size()),
                         a.dims.empty() ? nullptr : a.dims.data(), a.flags, a.in_place_of, 0, c_code(a.value_low),
                         c_code(a.value_high)});
    for (const auto& d : signature_.dims)
        dims_.push_back({d.name.c_str(), d.kind, d.arg, d.axis, d.value, c_code(d.code), d.multiple_of, 0, d.at_most});
    for (const auto& r : signature_.requirements) requirements_.push_back({c_code(r.left), c_code(r.right), r.text.c_str()});
    for (const auto& v : variants_)
        compiled_.push_back({v.name.c_str(), c_code(v.when), v.cpu_features, v.argv, v.call, v.context});
    const auto count = [](const auto& v) { return static_cast<std::int32_t>(v.size()); };
    descriptor_ = {TESSERA_KERNEL_ABI,
                   signature_.name.c_str(),
                   count(args_),
                   args_.data(),
                   count(dims_),
                   dims_.data(),
                   count(requirements_),
                   requirements_.data(),
                   count(signature_.params),
                   signature_.params.data(),
                   count(compiled_),
                   compiled_.data()};
}

}  // namespace tessera
