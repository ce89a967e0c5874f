#include <tessera/schedule_default.h>

#include "compile/cuda_kernels.h"
#include "compile/cuda_library.h"
#include "compile/module.h"

#include "backend/cuda/runtime_compiler.h"
#include "backend/interpreter/interpreter.h"
#include "base/check.h"
#include "base/closest_name.h"
#include "base/hash.h"
#include "base/match.h"
#include "schedule/condition.h"
#include "transform/promised_extents.h"
#ifdef TESSERA_HAVE_HALIDE
#include "compile/cpu_kernels.h"
#endif

#include <fmt/format.h>

#include <cstdint>
#include <numeric>

namespace tessera {
namespace {

// The code whose number a status is: 704 is E0704.
ErrorCode code_of_status(int status) {
    for (const ErrorCode code : all_error_codes())
        if (code_text(code).substr(1) == fmt::format("{:04}", status)) return code;
    return B0951_internal;
}

[[noreturn]] void throw_status(int status, SourceLoc where) {
    const ErrorCode code = code_of_status(status);
    const std::string message = tessera_last_error(), repair = tessera_last_error_fix();
    std::vector<Hint> hints;
    if (!repair.empty())
        hints.push_back(fix(repair));
    else
        hints.push_back(note(fmt::format("the kernel returned status {}", status)));
    switch (code_text(code)[0]) {
        case 'L': throw Limit(code, where, message, std::move(hints));
        case 'B': throw Bug(code, where, message, std::move(hints));
        default: throw Error(code, where, message, std::move(hints));
    }
}

std::string argument_names(const KernelSignature& signature, bool outputs) {
    std::vector<std::string> names;
    for (const auto& arg : signature.args)
        if ((arg.kind == TESSERA_ARG_OUTPUT) == outputs) names.push_back(arg.name);
    return join_names(names);
}

template <class Map>
void refuse_unknown(const KernelSignature& signature, const Map& given, bool outputs, SourceLoc where) {
    for (const auto& entry : given) {
        const std::string& name = entry.first;
        bool known = false;
        std::vector<std::string> names;
        for (const auto& arg : signature.args) {
            if ((arg.kind == TESSERA_ARG_OUTPUT) != outputs) continue;
            known = known || arg.name == name;
            names.push_back(arg.name);
        }
        if (!known)
            throw Error(E0701_argument, where,
                        fmt::format("{} has no {} named {}", signature.name, outputs ? "output" : "input", name),
                        {fix_spelling(name, names)});
    }
}

[[noreturn]] void refuse_missing(const KernelSignature& signature, const KernelSignature::Arg& arg, SourceLoc where) {
    const bool output = arg.kind == TESSERA_ARG_OUTPUT;
    throw Error(E0701_argument, where,
                fmt::format("{} is called without {} {}", signature.name, output ? "output" : "input", arg.name),
                {fix(fmt::format("pass {}", arg.name)), note(fmt::format("the {} of {}: {}", output ? "outputs" : "inputs",
                                                                         signature.name, argument_names(signature, output)))});
}

// A number in the field that the scalar's dtype is read from.
tessera_value scalar_value(const KernelSignature& signature, const KernelSignature::Arg& arg, const ArgumentValue& given,
                           SourceLoc where) {
    tessera_value value{};
    const auto store = [&](auto number) {
        using T = decltype(number);
        if (is_float(arg.dtype))
            value.f = static_cast<double>(number);
        else if (std::is_floating_point_v<T>)
            throw Error(E0702_argument_dtype, where,
                        fmt::format("{}: scalar {} is {}, but a floating number was passed", signature.name, arg.name,
                                    dtype_name(arg.dtype)),
                        {fix("pass an integer")});
        else if (is_unsigned(arg.dtype))
            value.u = static_cast<std::uint64_t>(number);
        else
            value.i = static_cast<std::int64_t>(number);
    };
    match(
        given.value(),
        [&](const AnyBuffer&) {
            throw Error(E0701_argument, where, fmt::format("{}: scalar {} is given a buffer", signature.name, arg.name),
                        {fix("pass a number")});
        },
        [&](std::int64_t v) { store(v); }, [&](std::uint64_t v) { store(v); }, [&](double v) { store(v); });
    return value;
}

const AnyBuffer& input_buffer(const KernelSignature& signature, const KernelSignature::Arg& arg, const ArgumentValue& given,
                              SourceLoc where) {
    if (const auto* buffer = std::get_if<AnyBuffer>(&given.value())) return *buffer;
    throw Error(E0701_argument, where, fmt::format("{}: input {} is given a number", signature.name, arg.name),
                {fix("pass a buffer")});
}

void run_interpreter(const ModuleState& state, const NamedInputs& inputs, const NamedOutputs& outputs) {
    interpreter::Inputs values;
    for (const auto& [name, value] : inputs) values.emplace(name, value.value());
    interpreter::evaluate(state.algorithm, values, outputs);
}

}  // namespace

std::vector<ScheduleChoice> schedule_choices(const Schedule& schedule) {
    std::vector<ScheduleChoice> choices;
    for (size_t v = 0; v < schedule.variants.size(); ++v)
        choices.push_back({fmt::format("variant{}", v), schedule.variants[v].when, variant_schedule(schedule, v)});
    Schedule base = schedule;
    base.variants.clear();
    choices.push_back({"base", "", std::move(base)});
    return choices;
}

Algorithm algorithm_under(const ScheduleChoice& choice, const Algorithm& algorithm) {
    if (choice.when.empty()) return algorithm;
    std::map<std::string, std::int64_t> factors;
    using Kind = Condition::Kind;
    for (const Condition& c : conjuncts(parse_condition(choice.when))) {
        if (c.kind != Kind::eq || c.args[0].kind != Kind::mod || c.args[1].kind != Kind::number || c.args[1].value != 0) continue;
        const Condition &name = c.args[0].args[0], &factor = c.args[0].args[1];
        // Beyond the largest extent only 0 is a multiple.
        if (name.kind != Kind::name || factor.kind != Kind::number || factor.value < 1 || factor.value > INT32_MAX) continue;
        std::int64_t& known = factors.emplace(name.spelling, 1).first->second;
        if (const std::int64_t both = std::lcm(known, factor.value); both <= INT32_MAX) known = both;
    }
    return with_multiples(algorithm, factors);
}

namespace {

// Calls `call` with the descriptor and the arguments in its order; a status is thrown.
template <class Call>
void with_packed_arguments(const ModuleState& state, const NamedInputs& inputs, const NamedOutputs& outputs, Call&& call) {
    const KernelSignature& signature = state.storage->signature();
    const SourceLoc where = state.algorithm.state().where;
    const bool gpu = state.target.kind == Target::Kind::cuda;
    if (gpu && !state.cuda) {
        std::int32_t gpus = 0;
        const int status = tessera_cuda_device_count(&gpus);
        TESSERA_CHECK(status != TESSERA_OK, "a GPU has come since the module was compiled");
        throw_status(status, where);
    }
    refuse_unknown(signature, inputs, false, where);
    refuse_unknown(signature, outputs, true, where);
    std::vector<tessera_value> values(signature.args.size());
    std::vector<tessera_buffer> buffers(signature.args.size());
    for (size_t a = 0; a < signature.args.size(); ++a) {
        const KernelSignature::Arg& arg = signature.args[a];
        if (arg.kind == TESSERA_ARG_OUTPUT) {
            const auto given = outputs.find(arg.name);
            if (given == outputs.end()) refuse_missing(signature, arg, where);
            buffers[a] = given->second.c_buffer();
        } else {
            const auto given = inputs.find(arg.name);
            if (given == inputs.end()) refuse_missing(signature, arg, where);
            if (arg.kind == TESSERA_ARG_SCALAR) {
                values[a] = scalar_value(signature, arg, given->second, where);
                continue;
            }
            buffers[a] = input_buffer(signature, arg, given->second, where).c_buffer();
        }
        // Whether it does lie there is what the driver says.
        if (gpu) buffers[a].device_type = TESSERA_DEVICE_CUDA;
        values[a].buffer = &buffers[a];
    }
    const int status = call(state.storage->descriptor(), values.data());
    if (status != TESSERA_OK) throw_status(status, where);
}

}  // namespace

void Module::operator()(const NamedInputs& inputs, const NamedOutputs& outputs) const {
    if (state_->target.kind == Target::Kind::cuda) {
        enqueue(inputs, outputs, nullptr);
        if (const int status = tessera_cuda_synchronize(0, nullptr)) throw_status(status, state_->algorithm.state().where);
        return;
    }
    const bool interpreted = state_->target.kind == Target::Kind::interpreter;
    with_packed_arguments(*state_, inputs, outputs, [&](const tessera_kernel_descriptor& kernel, const tessera_value* values) {
        return interpreted ? tessera_validate(&kernel, values) : tessera_call(&kernel, values);
    });
    if (interpreted) run_interpreter(*state_, inputs, outputs);
}

void Module::enqueue(const NamedInputs& inputs, const NamedOutputs& outputs, tessera_cuda_stream stream) const {
    if (state_->target.kind != Target::Kind::cuda)
        throw Limit(L0901_not_on_target, state_->algorithm.state().where,
                    fmt::format("{} was compiled for {}, whose calls are in no stream", state_->algorithm.name(),
                                to_text(state_->target)),
                    {fix("call it"), fix("compile for cuda-sm_80")});
    with_packed_arguments(*state_, inputs, outputs, [&](const tessera_kernel_descriptor&, const tessera_value* values) {
        return state_->cuda->call(values, stream);
    });
}

namespace {

// The memory of calls on the GPU is taken in the order of their stream.
void require_scratch_of_caller(const ModuleState& state) {
    if (state.target.kind == Target::Kind::cuda)
        throw Limit(L0901_not_on_target, state.algorithm.state().where,
                    fmt::format("{} was compiled for {}, where calls bring no scratch memory", state.algorithm.name(),
                                to_text(state.target)),
                    {fix("call it without"), fix("compile for host")});
}

}  // namespace

std::size_t Module::scratch_bytes(const NamedInputs& inputs, const NamedOutputs& outputs) const {
    require_scratch_of_caller(*state_);
    std::size_t bytes = 0;
    const bool interpreted = state_->target.kind == Target::Kind::interpreter;
    with_packed_arguments(*state_, inputs, outputs, [&](const tessera_kernel_descriptor& kernel, const tessera_value* values) {
        return interpreted ? tessera_validate(&kernel, values) : tessera_scratch_bytes(&kernel, values, &bytes);
    });
    return bytes;
}

void Module::call_with_scratch(const NamedInputs& inputs, const NamedOutputs& outputs, std::span<std::byte> scratch) const {
    require_scratch_of_caller(*state_);
    if (state_->target.kind == Target::Kind::interpreter) return (*this)(inputs, outputs);
    with_packed_arguments(*state_, inputs, outputs, [&](const tessera_kernel_descriptor& kernel, const tessera_value* values) {
        return tessera_call_with_scratch(&kernel, values, scratch.data(), scratch.size());
    });
}

const Algorithm& Module::algorithm() const { return state_->algorithm; }
const Schedule& Module::schedule() const { return state_->schedule; }
const Target& Module::target() const { return state_->target; }
const tessera_kernel_descriptor& Module::descriptor() const { return state_->storage->descriptor(); }
const std::string& Module::schedule_origin() const { return state_->schedule_origin; }
const std::string& Module::code_hash() const { return state_->code_hash; }
bool Module::from_disk_cache() const { return state_->cuda ? state_->cuda->from_disk_cache() : state_->from_disk_cache; }

namespace {

// Where a GPU is. Without NVRTC the module is there to be inspected: a call says what is missing.
void make_cuda_code(ModuleState& state, const CompileOptions& options) {
    std::int32_t gpus = 0;
    if (tessera_cuda_device_count(&gpus) != TESSERA_OK || gpus == 0) return;
    state.cuda = std::make_unique<CudaCode>(
        cuda_texts(LibraryKernel{state.algorithm.name(), state.algorithm, state.schedule}, state.target), options.disk_cache);
    if (cuda::runtime_compiler_version().empty()) return;
    state.cuda->prepare();
    std::string hashes;
    const std::vector<std::string> all = state.cuda->code_hashes();
    for (const std::string& hash : all) hashes += hash;
    state.code_hash = all.size() == 1 ? hashes : sha256(hashes);
}

Module compile_from(const Algorithm& algorithm, const Schedule& schedule, const Target& target,
                    [[maybe_unused]] const CompileOptions& options, const std::string& origin) {
    require_available(target);
    auto state = std::make_shared<ModuleState>(ModuleState{algorithm, schedule, target, {}, nullptr});
    state->schedule_origin = origin;
    if (options.profile && target.kind != Target::Kind::cpu)
        throw Limit(L0901_not_on_target, algorithm.state().where,
                    fmt::format("{} is profiled on the CPU only, not on {}", algorithm.name(), to_text(target)),
                    {fix("compile for host")});
    if (target.kind == Target::Kind::interpreter) {
        for (const ScheduleChoice& choice : schedule_choices(schedule))
            if (!choice.schedule.stages.empty()) (void)bind(algorithm_under(choice, algorithm), choice.schedule, target);
        state->storage = std::make_unique<DescriptorStorage>(kernel_signature(algorithm, false), std::vector<KernelVariant>{});
        return Module(std::move(state));
    }
    if (target.kind == Target::Kind::cuda) {
        for (const ScheduleChoice& choice : schedule_choices(schedule)) (void)cuda_program(algorithm, choice.schedule, target);
        state->storage = std::make_unique<DescriptorStorage>(kernel_signature(algorithm, true), std::vector<KernelVariant>{});
        make_cuda_code(*state, options);
        return Module(std::move(state));
    }
#ifdef TESSERA_HAVE_HALIDE
    compile_cpu_kernels(*state, options);
#endif
    return Module(std::move(state));
}

}  // namespace

Module compile(const Algorithm& algorithm, const Schedule& schedule, const Target& target, const CompileOptions& options) {
    return compile_from(algorithm, schedule, target, options, "");
}

Module compile(const Algorithm& algorithm, const ScheduleSource& source, const Target& target, const CompileOptions& options) {
    const FoundSchedule found = source.find(algorithm, target);
    if (const auto answer = accepted(found, options.require, source, algorithm.name()))
        return compile_from(algorithm, answer->schedule, target, options, answer->explanation);
    return compile_from(algorithm, default_schedule(algorithm, target), target, options, found.explanation);
}

}  // namespace tessera
