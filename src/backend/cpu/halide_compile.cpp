// Targets, just-in-time and ahead-of-time compilation, and the one place where Halide's errors become ours.
#include "backend/cpu/halide_ir.h"
#include "backend/cpu/loop_nest.h"
#include "backend/cpu/memory_plan.h"
#include "base/check.h"
#include "schedule/routine_stages.h"
#include "types/runtime_dtype.h"

#include <fmt/format.h>

#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace Halide::Internal {
// Exported by libHalide, though not declared in Halide.h.
std::string print_loop_nest(const std::vector<Function>& outputs);
}  // namespace Halide::Internal

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;

// Halide generates no code for a division of floats by a constant zero, which appears where an extent or a select is known:
//
//   a / 0  ->  a * inf,   a / -0  ->  a * -inf        the same for every a, NaN, zeros and infinities among them

// The infinity of the divisor's sign; undefined where it is no zero.
Halide::Expr infinity_of(const Halide::Expr& divisor) {
    if (!divisor.type().is_float() || !ir::is_const_zero(divisor)) return {};
    const ir::Broadcast* broadcast = divisor.as<ir::Broadcast>();
    const Halide::Expr scalar = broadcast != nullptr ? broadcast->value : divisor;
    const auto value = ir::as_const_float(scalar);
    const double sign = value && std::signbit(*value) ? -1.0 : 1.0;
    return ir::make_const(divisor.type(), sign * std::numeric_limits<double>::infinity());
}

class ZeroDivisors : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    Halide::Expr visit(const ir::Div* op) override {
        const Halide::Expr infinity = infinity_of(op->b);
        return infinity.defined() ? ir::Mul::make(mutate(op->a), infinity) : ir::IRMutator::visit(op);
    }
    Halide::Expr visit(const ir::Call* op) override {
        if (!op->is_intrinsic(ir::Call::strict_div)) return ir::IRMutator::visit(op);
        const Halide::Expr infinity = infinity_of(op->args[1]);
        if (!infinity.defined()) return ir::IRMutator::visit(op);
        return ir::Call::make(op->type, ir::Call::strict_mul, {mutate(op->args[0]), infinity}, ir::Call::PureIntrinsic);
    }
};

// ---- pairs of floats

// Halide writes two scalars side by side as a ramp, also where they are floats: a + (b - a) is not b, but nearly.
//
//   ramp(a, b - a, 2)  ->  concat(a, b)

class FloatPairs : public ir::IRMutator {
private:
    using E = Halide::Expr;
    using ir::IRMutator::visit;

    E visit(const ir::Ramp* op) override {
        if (!op->type.is_float() && !op->type.is_bfloat()) return ir::IRMutator::visit(op);
        const auto* difference = op->stride.as<ir::Sub>();
        if (op->lanes != 2 || difference == nullptr || !ir::equal(difference->b, op->base))
            throw Bug(B0951_internal, {}, "a ramp of floats is not a pair of values");
        return ir::Shuffle::make_concat({mutate(op->base), mutate(difference->a)});
    }
};

// ---- routines

// Halide asks an extern stage first which regions it needs and computes, in buffers without memory (".bounds_query"), and reads
// the answer from them: here it is written in the place of each question.
//   solve(A.bounds_query, x.bounds_query); ... _halide_buffer_get_max(A.bounds_query, 0)  ->  ... n - 1
//   solve(A.buffer, x.buffer)  ->  end(c = begin(..., A.buffer, x.buffer), solve(operands(c), results(c)), "solve")
class RoutineCalls : public ir::IRMutator {
public:
    explicit RoutineCalls(std::vector<RoutineStage> routines) : routines_(std::move(routines)) {}

private:
    using E = Halide::Expr;
    using ir::IRMutator::visit;

    E visit(const ir::Call* op) override {
        if (op->args.size() == 2 && (op->name == ir::Call::buffer_get_min || op->name == ir::Call::buffer_get_max))
            if (const auto* buffer = op->args[0].as<ir::Variable>(); buffer != nullptr && regions_.count(buffer->name)) {
                const auto d = static_cast<size_t>(*ir::as_const_int(op->args[1]));
                const E& extent = regions_.at(buffer->name)->at(d);
                return op->name == ir::Call::buffer_get_min ? E(0) : ir::simplify(extent - 1);
            }
        for (const RoutineStage& r : routines_)
            if (op->name == r.function) return call(r, op->args);
        return ir::IRMutator::visit(op);
    }

    E call(const RoutineStage& r, const std::vector<E>& buffers) {
        TESSERA_CHECK(buffers.size() == r.dtypes.size(), "a routine is called with another number of buffers");
        bool question = false;
        for (size_t k = 0; k < buffers.size(); ++k) {
            const auto* buffer = buffers[k].as<ir::Variable>();
            if (buffer == nullptr || buffer->name.find(".bounds_query") == std::string::npos) continue;
            question = true;
            regions_[buffer->name] = &r.extents[k];
        }
        if (question) return 0;
        std::vector<E> dtypes, extents;
        for (size_t k = 0; k < r.dtypes.size(); ++k) {
            dtypes.emplace_back(int{runtime_dtype(r.dtypes[k])});
            extents.insert(extents.end(), r.extents[k].rbegin(), r.extents[k].rend());
        }
        extents.emplace_back(0);  // there may be no dims
        const auto handle = [](const std::string& function, const std::vector<E>& args) {
            return ir::Call::make(Halide::Handle(), function, args, ir::Call::Extern);
        };
        const auto structure = [](const std::vector<E>& parts) {
            return ir::Call::make(Halide::Handle(), ir::Call::make_struct, parts, ir::Call::Intrinsic);
        };
        const std::string name = ir::unique_name("routine");
        const E made = ir::Variable::make(Halide::Handle(), name);
        const E status = ir::Call::make(Halide::Int(32), r.symbol,
                                        {handle("tessera_routine_operands", {made}), handle("tessera_routine_results", {made})},
                                        ir::Call::Extern);
        const E begin = handle("tessera_routine_begin", {static_cast<int>(r.operands), static_cast<int>(r.dtypes.size()),
                                                         structure(dtypes), structure(extents), structure(buffers)});
        return ir::Let::make(
            name, begin, ir::Call::make(Halide::Int(32), "tessera_routine_end", {made, status, E(r.symbol)}, ir::Call::Extern));
    }

    std::vector<RoutineStage> routines_;
    std::map<std::string, const std::vector<E>*> regions_;  // what stands in the buffers of a question, by their names
};

}  // namespace

void define_routine(const BoundSchedule& bound, size_t stage, Translation& translation,
                    const std::function<Halide::Expr(const Dim&)>& extent_of) {
    const Stage& s = bound.graph.stages[stage];
    RoutineStage routine{fmt::format("{}_{}", s.symbol, halide_name(bound, stage)), s.symbol, 0, {}, {}};
    const auto add = [&](const std::vector<DType>& dtypes, const std::vector<Dim>& dims) {
        std::vector<Halide::Expr> extents;
        for (size_t d = dims.size(); d-- > 0;) extents.push_back(extent_of(dims[d]));
        for (const DType t : dtypes) {
            routine.dtypes.push_back(t);
            routine.extents.push_back(extents);
        }
    };
    std::vector<Halide::ExternFuncArgument> arguments;
    for (const Expr& read : routine_operands(s)) {
        const AccessTarget& target = read->target();
        if (target.input) {
            arguments.emplace_back(translation.images.at(target.input->name));
            add({target.input->dtype}, target.input->dims);
        } else {
            arguments.emplace_back(translation.stages[*bound.graph.find(target.func.get())].func);
            add(target.func->dtypes, target.func->dims);
        }
    }
    routine.operands = routine.dtypes.size();
    add(s.dtypes, s.dims);
    std::vector<Halide::Type> types;
    for (const DType t : s.dtypes) types.push_back(value_type(t));
    StageFunc& made = translation.stages[stage];
    made.func.define_extern(routine.function, arguments, types, {made.vars.rbegin(), made.vars.rend()}, Halide::NameMangling::C);
    translation.routines.push_back(std::move(routine));
}

void call_routines(Halide::Pipeline& pipeline, const Translation& translation) {
    if (!translation.routines.empty()) pipeline.add_custom_lowering_pass(new RoutineCalls(translation.routines));
}

namespace {

using Halide::Target;

// ---- errors

// Halide's text with its names of stages replaced by ours.
std::string with_our_names(const BoundSchedule& bound, std::string text, std::string& first, SourceLoc& where) {
    size_t found_at = std::string::npos;
    for (size_t i = bound.graph.stages.size(); i-- > 0;) {
        const std::string name = halide_name(bound, i);
        for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
            size_t end = at + name.size();
            if (end < text.size() && text[end] == '$')
                for (++end; end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0;) ++end;
            text.replace(at, end - at, bound.graph.stages[i].name);
            if (at < found_at) {
                found_at = at;
                first = bound.graph.stages[i].name;
                where = bound.graph.stages[i].where;
            }
        }
    }
    return text;
}

[[noreturn]] void translate_error(const BoundSchedule& bound, const Halide::Error& e) {
    std::string stage;
    SourceLoc where;
    std::string text = with_our_names(bound, e.what(), stage, where);
    while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
    if (dynamic_cast<const Halide::CompileError*>(&e) == nullptr)
        throw Bug(B0951_internal, where,
                  fmt::format("the compiler of the CPU backend stopped at {}", stage.empty() ? "this algorithm" : stage),
                  {note(text)});
    const bool unbounded = text.find("unbounded") != std::string::npos;
    if (unbounded)
        throw Limit(L0901_not_on_target, where,
                    fmt::format("how much of {} is read is not known before the kernel runs", stage.empty() ? "a stage" : stage),
                    {note(text), fix("clamp the index that depends on values"), fix("evaluate with the interpreter target")});
    throw Limit(
        L0903_schedule, where,
        fmt::format("the schedule of {} is beyond what the CPU backend compiles", stage.empty() ? "this algorithm" : stage),
        {note(text), fix(fmt::format("compute {} at root with serial loops", stage.empty() ? "every stage" : stage)),
         fix("give unrolled and vectorised loops constant tiles")});
}

// Halide writes warnings to the terminal unless someone else takes them; whoever does takes its errors as well.
class QuietReporter : public Halide::CompileTimeErrorReporter {
public:
    void warning(const char*) override {}
    void error(const char* text) override {
        if (std::string_view(text).find("Internal Error") != std::string_view::npos) throw Halide::InternalError(text);
        throw Halide::CompileError(text);
    }
};

template <class F>
auto guarded(const BoundSchedule& bound, F&& f) {
    static QuietReporter reporter;
    Halide::set_custom_compile_time_error_reporter(&reporter);
    try {
        return f();
    } catch (const Halide::Error& e) {
        translate_error(bound, e);
    }
}

// ---- targets

void add_implied(Target& target) {
    const auto add = [&](Target::Feature has, std::initializer_list<Target::Feature> adds) {
        if (target.has_feature(has))
            for (const auto f : adds) target.set_feature(f);
    };
    add(Target::AVX512_Zen5, {Target::AVX512_Zen4});
    add(Target::AVX512_SapphireRapids, {Target::AVX512_Cannonlake});
    add(Target::AVX512_Zen4, {Target::AVX512_Cannonlake});
    add(Target::AVX512_Cannonlake, {Target::AVX512_Skylake});
    add(Target::AVX512_Skylake, {Target::AVX512, Target::AVX2});
    add(Target::AVX512, {Target::AVX2});
    add(Target::AVX2, {Target::AVX, Target::F16C, Target::FMA});
    add(Target::AVXVNNI, {Target::AVX2});
    add(Target::FMA, {Target::AVX});
    add(Target::F16C, {Target::AVX});
    add(Target::AVX, {Target::SSE41});
}

Target parse_target(std::string_view text) {
    const std::string spelled(text);
    Target target;
    if (spelled == "host")
        target = Halide::get_host_target();
    else if (Target::validate_target_string(spelled))
        target = Target(spelled);
    else
        throw Error(
            E0802_unknown_target, {}, fmt::format("target {} is not understood by the CPU backend", spelled),
            {expected("host, or arch-bits-os and features"), fix("write \"host\" or, for example, \"x86-64-linux-avx2-fma\"")});
    if (target.arch == Target::ArchUnknown || target.os == Target::OSUnknown || target.bits == 0)
        throw Error(E0802_unknown_target, {}, fmt::format("target {} names no architecture or no operating system", spelled),
                    {fix("write \"host\" or, for example, \"x86-64-linux-avx2-fma\"")});
    if (target.arch == Target::X86) add_implied(target);
    return target;
}

Target kernel_target(const Target& target, KernelChecks checks) {
    const Target quiet = target.with_feature(Target::StrictFloat).with_feature(Target::NoBoundsQuery);
    return checks == KernelChecks::all ? quiet.with_feature(Target::CheckUnsafePromises) : quiet.with_feature(Target::NoAsserts);
}

void check_runs_here(const Target& target, std::string_view text) {
    const Target host = Halide::get_host_target();
    std::vector<std::string> missing;
    if (target.arch != host.arch || target.bits != host.bits || target.os != host.os)
        missing.push_back("its architecture or operating system");
    for (int f = 0; f < Target::FeatureEnd; ++f) {
        const auto feature = static_cast<Target::Feature>(f);
        if (target.has_feature(feature) && !host.has_feature(feature)) missing.push_back(Target::feature_to_name(feature));
    }
    if (missing.empty()) return;
    throw Error(E0803_target_unavailable, {},
                fmt::format("this machine cannot run target {}: it lacks {}", text, fmt::join(missing, ", ")),
                {note("this machine is " + host.to_string()), fix("use \"host\"")});
}

// ---- masked vectors

// Halide 21 cuts a vector under a mask into native ones, and generates no code where one lane remains: LLVM ends the program.
class MaskedVectors : public ir::IRMutator {
public:
    MaskedVectors(const BoundSchedule& bound, Target target) : bound_(bound), target_(std::move(target)) {}

private:
    using ir::IRMutator::visit;

    Halide::Expr visit(const ir::Load* op) override {
        check(op->name, op->type, op->predicate);
        return ir::IRMutator::visit(op);
    }
    ir::Stmt visit(const ir::Store* op) override {
        check(op->name, op->value.type(), op->predicate);
        return ir::IRMutator::visit(op);
    }
    void check(const std::string& name, const Halide::Type& type, const Halide::Expr& mask) const {
        const int native = target_.natural_vector_size(type.element_of());
        if (ir::is_const_one(mask) || type.lanes() <= native || type.lanes() % native != 1) return;
        std::string stage;
        SourceLoc where;
        const std::string ours = with_our_names(bound_, name, stage, where);
        throw Limit(L0903_schedule, where,
                    fmt::format("{} is accessed in vectors of {} under a mask, one lane more than a multiple of {}", ours,
                                type.lanes(), native),
                    {fix(fmt::format("make the vector's tile {} or {}", type.lanes() - 1, type.lanes() + 1)),
                     fix("use tail shift_inwards or round_up")});
    }

    const BoundSchedule& bound_;
    Target target_;
};

// ---- pipelines

struct Lowered {
    Halide::Pipeline pipeline;
    std::vector<Halide::Argument> arguments;
    std::vector<Parameter> parameters;
    std::shared_ptr<MemoryPlan> memory = std::make_shared<MemoryPlan>();
};

Lowered build(const BoundSchedule& bound, const Target& target, KernelChecks checks, Profiling profiling) {
    Translation t = translate(bound, checks);
    apply_schedule(bound, t);
    Lowered lowered{Halide::Pipeline(t.outputs), t.arguments, t.parameters};
    lowered.pipeline.add_custom_lowering_pass(new ZeroDivisors);
    lowered.pipeline.add_custom_lowering_pass(new FloatPairs);
    call_routines(lowered.pipeline, t);
    share_tuple_values(lowered.pipeline);
    show_comparisons(lowered.pipeline);
    if (checks == KernelChecks::all) allow_reads_ahead(lowered.pipeline);
    load_edges_whole(lowered.pipeline);
    lowered.pipeline.add_custom_lowering_pass(new MaskedVectors(bound, target));
    plan_memory(lowered.pipeline, lowered.memory);
    if (profiling == Profiling::stages) profile_stages(lowered.pipeline, bound, t);
    return lowered;
}

int parallel_for(Halide::JITUserContext* context, int (*task)(Halide::JITUserContext*, int, std::uint8_t*), int first, int count,
                 std::uint8_t* closure) {
    return halide_do_par_for(context, reinterpret_cast<halide_task_t>(task), first, count, closure);
}

// Kernels made here use the threads, memory and messages of Tessera's runtime.
void set_runtime_functions() {
    static std::once_flag once;
    std::call_once(once, [] {
        Halide::JITHandlers handlers;
        handlers.custom_do_par_for = parallel_for;
        handlers.custom_malloc = [](Halide::JITUserContext*, size_t bytes) { return tessera_malloc(bytes); };
        handlers.custom_free = [](Halide::JITUserContext*, void* memory) { tessera_free(memory); };
        handlers.custom_error = [](Halide::JITUserContext* context, const char* message) { halide_error(context, message); };
        Halide::Internal::JITSharedRuntime::set_default_handlers(handlers);
    });
}

// A loop takes up to a sixth longer where a linker puts it badly: functions begin at lines of the cache, so that they are the
// same wherever they are. LLVM reads its options from this variable when it is used first.
void align_functions() {
    static std::once_flag once;
    std::call_once(once, [] {
        const char* const variable = "HL_LLVM_ARGS";
        const char* const given = std::getenv(variable);
        std::string options = given != nullptr ? given : "";
        // LLVM takes an option once; a process started by one of ours has it already.
        if (options.find("-align-all-functions") != std::string::npos) return;
        options += options.empty() ? "-align-all-functions=6" : " -align-all-functions=6";
        setenv(variable, options.c_str(), 1);
    });
}

}  // namespace

std::vector<Parameter> parameters(const BoundSchedule& bound) {
    const auto& algorithm = bound.graph.algorithm;
    std::vector<Parameter> out;
    for (size_t a = 0; a < algorithm.arguments().size(); ++a) out.push_back({Parameter::Kind::argument, a});
    const auto& dims = algorithm.state().dims;
    for (size_t d = 0; d < dims.size(); ++d) {
        if (dims[d].is_pack())
            throw Limit(L0901_not_on_target, dims[d].state().where,
                        fmt::format("dims {} stand for any number of dims", dims[d].name()),
                        {fix("compile the algorithm for a fixed rank")});
        if (!dims[d].state().extent) out.push_back({Parameter::Kind::dim, d});
    }
    for (size_t o = 0; o < algorithm.outputs().size(); ++o)
        for (int c = 0; c < algorithm.outputs()[o].components(); ++c)
            out.push_back({Parameter::Kind::output, o, static_cast<size_t>(c)});
    return out;
}

std::string compiler_name() {
    return fmt::format("Halide {}.{}.{}, LLVM {}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH,
                       Halide::Internal::get_llvm_version());
}

std::string expanded_target(std::string_view target) { return parse_target(target).to_string(); }

CompiledKernel jit(const BoundSchedule& bound, std::string_view text, KernelChecks checks, Profiling profiling) {
    const Target target = parse_target(text);
    check_runs_here(target, text);
    set_runtime_functions();
    align_functions();
    return guarded(bound, [&] {
        Lowered lowered = build(bound, target, checks, profiling);
        const std::string name = "kernel";
        const Halide::Module module =
            lowered.pipeline.compile_to_module(lowered.arguments, name, kernel_target(target, checks).with_feature(Target::JIT));
        const Halide::Internal::JITModule compiled(module, module.get_function_by_name(name));
        const auto entry = compiled.argv_function();
        TESSERA_CHECK(entry != nullptr, "the compiled kernel has no entry");
        return CompiledKernel{lowered.parameters, [compiled, entry](void** argv) { return entry(argv); }};
    });
}

EmittedKernel emit(const BoundSchedule& bound, std::string_view text, const std::string& function, Artifact artifact,
                   const std::string& path, Profiling profiling) {
    using Halide::OutputFileType;
    static const std::map<Artifact, OutputFileType> types{{Artifact::object, OutputFileType::object},
                                                          {Artifact::assembly, OutputFileType::assembly},
                                                          {Artifact::llvm, OutputFileType::llvm_assembly},
                                                          {Artifact::statement, OutputFileType::stmt}};
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder))
        throw Error(E0605_file, {}, fmt::format("{} cannot be written: {} is no folder", path, folder.string()),
                    {fix("make the folder first")});
    const Target target = kernel_target(parse_target(text), KernelChecks::none).with_feature(Target::NoRuntime);
    align_functions();
    return guarded(bound, [&] {
        Lowered lowered = build(bound, target, KernelChecks::none, profiling);
        lowered.pipeline.compile_to({{types.at(artifact), path}}, lowered.arguments, function, target);
        return EmittedKernel{lowered.parameters,
                             memory_text(bound, lowered.arguments, lowered.parameters, lowered.memory->bytes)};
    });
}

std::vector<NestNode> loop_nest(const BoundSchedule& bound) {
    return guarded(bound, [&] {
        Translation t = translate(bound, KernelChecks::none);
        apply_schedule(bound, t);
        std::vector<Halide::Internal::Function> outputs;
        for (const Halide::Func& f : t.outputs) outputs.push_back(f.function());
        std::map<std::string, size_t> names;
        for (size_t i = 0; i < bound.graph.stages.size(); ++i) names[halide_name(bound, i)] = i;
        return parse_loop_nest(Halide::Internal::print_loop_nest(outputs), names, bound);
    });
}

}  // namespace tessera::cpu
