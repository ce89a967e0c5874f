#include "compile/cuda_library.h"

#include "algorithm/graph.h"
#include "backend/cuda/kernel_report.h"
#include "base/check.h"
#include "compile/cuda_kernels.h"
#include "compile/module.h"
#include "compile/toolchain.h"
#include "tile/async_copy.h"
#include "tile/kernel_state.h"

#include <tessera/tessera_cuda.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tessera {
namespace {

/// Extents as postfix code, and numbers of arguments and scratch buffers as the runtime counts them.
class LaunchWriter {
public:
    LaunchWriter(const Algorithm& algorithm, const KernelSignature& signature, const tile::Program& program)
        : algorithm_(algorithm), signature_(signature), program_(program) {}

    [[nodiscard]] std::vector<Bytecode> scratch_bytes() const {
        std::vector<Bytecode> out;
        for (const tile::Scratch& s : program_.scratch)
            for (const DType t : program_.bound.graph.stages[s.stage].dtypes) {
                Expr bytes = make_constant(DType::i64, static_cast<std::int64_t>(dtype_bytes(t)));
                for (const Expr& e : s.extent) bytes = make_op(Op::mul, DType::i64, {bytes, e});
                out.push_back(code(bytes));
            }
        return out;
    }

    /// `first_map`: the number of the kernel's first map among those of the variant.
    [[nodiscard]] CudaLaunch launch(const cuda::EmittedKernel& kernel, size_t first_map) const {
        CudaLaunch out{kernel.name, {}, kernel.threads, kernel.shared_bytes, kernel.resident, kernel.cluster, {}};
        Expr blocks = make_constant(DType::i64, std::int64_t{1});
        for (const Expr& e : kernel.grid) blocks = make_op(Op::mul, DType::i64, {blocks, e});
        out.grid = code(blocks);
        for (const cuda::KernelParam& p : kernel.params) out.params.push_back(param(p, first_map));
        return out;
    }

    /// What the kernels of a variant compute is within 32 bits.
    [[nodiscard]] std::vector<CudaReach> reaches(const std::vector<cuda::EmittedKernel>& kernels) const {
        std::vector<CudaReach> out;
        std::map<std::pair<std::int64_t, std::int64_t>, Expr> steps;
        for (const cuda::EmittedKernel& k : kernels) {
            for (const Expr& most : k.reach.values) {
                const Bytecode value = code(most);
                if (std::none_of(out.begin(), out.end(), [&](const CudaReach& r) { return r.most == value; }))
                    out.push_back({-1, 0, value});
            }
            for (const cuda::IndexReach::Steps& s : k.reach.steps) {
                const bool output_stride = s.kind == cuda::KernelParam::Kind::output_stride;
                const auto argument = output_stride ? output(s.index) : static_cast<std::int64_t>(s.index);
                Expr& most = steps[{argument, static_cast<std::int64_t>(s.axis)}];
                most = most.defined() ? greater(most, s.most) : s.most;
            }
        }
        for (const auto& [place, most] : steps) out.push_back({place.first, place.second, code(most)});
        return out;
    }

    [[nodiscard]] CudaMap map(const cuda::BoxMap& m) const {
        const auto described = [&](std::int64_t argument, DType dtype, const std::vector<Dim>& dims) {
            CudaMap out{argument, static_cast<int>(runtime_dtype(dtype)), m.swizzle_bytes, {}, m.box};
            for (size_t d = dims.size(); d-- > 0;)
                out.extents.push_back(code(resolve_weak(Expr(dims[d].extent()), DType::i64, {})));
            return out;
        };
        if (m.output) {
            const FuncState& func = *algorithm_.outputs()[m.index].state();
            return described(output(m.index), func.dtypes[0], func.dims);
        }
        const InputState& input = *algorithm_.arguments()[m.index].state();
        return described(static_cast<std::int64_t>(m.index), input.dtype, input.dims);
    }

private:
    [[nodiscard]] Bytecode code(const Expr& e) const {
        const auto number = [](const auto& list, const std::string& name) {
            for (size_t i = 0; i < list.size(); ++i)
                if (list[i].name == name) return static_cast<std::int64_t>(i);
            throw Bug(B0951_internal, {}, fmt::format("a launch needs {}, which is not known at entry", name));
        };
        return extent_bytecode(e, {[&](const Dim& d) { return number(signature_.dims, d.name()); },
                                   [&](const InputState& s) { return number(signature_.args, s.name); }});
    }

    [[nodiscard]] CudaParam param(const cuda::KernelParam& p, size_t first_map) const {
        using Kind = cuda::KernelParam::Kind;
        const auto axis = static_cast<std::int64_t>(p.axis);
        switch (p.kind) {
            case Kind::input:
            case Kind::scalar: return {TESSERA_CUDA_PARAM_ARG, static_cast<std::int64_t>(p.index), 0, {}};
            case Kind::input_stride: return {TESSERA_CUDA_PARAM_STRIDE, static_cast<std::int64_t>(p.index), axis, {}};
            case Kind::output: return {TESSERA_CUDA_PARAM_ARG, output(p.index) + axis, 0, {}};
            case Kind::output_stride: return {TESSERA_CUDA_PARAM_STRIDE, output(p.index), axis, {}};
            case Kind::scratch: return {TESSERA_CUDA_PARAM_SCRATCH, scratch(p.index) + axis, 0, {}};
            case Kind::tensor_map: return {TESSERA_CUDA_PARAM_TENSOR_MAP, static_cast<std::int64_t>(first_map + p.index), 0, {}};
            case Kind::extent:
                return {p.type == "i32" ? TESSERA_CUDA_PARAM_CODE_I32 : TESSERA_CUDA_PARAM_CODE_I64, 0, 0, code(p.dim)};
        }
        throw Bug(B0951_internal, {}, "a kernel has a parameter of no kind");
    }
    // Inputs and scalars stand first, then the components of every output.
    [[nodiscard]] std::int64_t output(size_t index) const {
        size_t number = algorithm_.arguments().size();
        for (size_t o = 0; o < index; ++o) number += algorithm_.outputs()[o].state()->dtypes.size();
        return static_cast<std::int64_t>(number);
    }
    [[nodiscard]] std::int64_t scratch(size_t index) const {
        size_t number = 0;
        for (size_t s = 0; s < index; ++s) number += program_.bound.graph.stages[program_.scratch[s].stage].dtypes.size();
        return static_cast<std::int64_t>(number);
    }

    const Algorithm& algorithm_;
    const KernelSignature& signature_;
    const tile::Program& program_;
};

}  // namespace

CFunction cuda_texts(const LibraryKernel& kernel, const Target& target) {
    CFunction function{.symbol = kernel.name, .signature = kernel_signature(kernel.algorithm, true), .origin = kernel.origin};
    function.signature.name = kernel.name;
    function.signature.params.clear();
    for (const ScheduleChoice& choice : schedule_choices(kernel.schedule)) {
        const auto program_of = [&](tile::Copies copies) {
            return kernel.written ? tile::written_program(*kernel.written, target, copies)
                                  : cuda_program(kernel.algorithm, choice.schedule, target, copies);
        };
        const std::string how = kernel.written ? "Kernel:\n" + kernel.written->text() : "Schedule:\n" + to_json(choice.schedule);
        const auto add = [&](const tile::Program& program, cuda::IndexWidth width, const std::string& suffix) {
            CudaVariant variant{.name = choice.name + suffix, .when = choice.when, .arch = target.arch};
            if (!choice.when.empty()) variant.code = variant_code(function.signature, choice.when);
            CudaFile file = cuda_file(program, how, target, fmt::format("{}_{}", kernel.name, variant.name), width);
            variant.source = std::move(file.source);
            const LaunchWriter writer(kernel.algorithm, function.signature, program);
            if (width == cuda::IndexWidth::narrow) variant.reaches = writer.reaches(file.kernels);
            variant.scratch_bytes = writer.scratch_bytes();
            for (const cuda::EmittedKernel& k : file.kernels) {
                variant.launches.push_back(writer.launch(k, variant.maps.size()));
                for (const cuda::BoxMap& m : k.maps) variant.maps.push_back(writer.map(m));
            }
            for (const tile::CopyAlignment& a : tile::copy_alignments(program))
                variant.alignments.emplace_back(static_cast<std::int64_t>(a.argument), a.bytes);
            function.cuda.push_back(std::move(variant));
        };
        // Large arguments need indices of 64 bits; buffers that asynchronous copies do not fit are read through registers. The
        // copy engine takes coordinates of 32 bits.
        const tile::Program program = program_of(tile::Copies::as_scheduled);
        const std::vector<cuda::EmittedKernel> emitted = cuda::emit_kernels(program, kernel.name);
        const bool narrow = emitted[0].width == cuda::IndexWidth::narrow, plain = !tile::copy_alignments(program).empty();
        const bool engine = std::any_of(emitted.begin(), emitted.end(), [](const auto& k) { return !k.maps.empty(); });
        if (engine && !narrow)
            throw Limit(L0903_schedule, kernel.algorithm.state().where,
                        fmt::format("the copy engine works for {}, whose indices are not known to fit 32 bits", kernel.name),
                        {fix("use engine cp_async, or auto"), fix("compute what reads indices from memory at root")});
        if (narrow) add(program, cuda::IndexWidth::narrow, "");
        if (!engine) add(program, cuda::IndexWidth::wide, narrow ? "_wide" : "");
        if (plain) add(program_of(tile::Copies::plain), cuda::IndexWidth::wide, "_plain");
    }
    return function;
}

CFunction cuda_function(const LibraryKernel& kernel, const Target& target, const StagingFolder& staging) {
    CFunction function = cuda_texts(kernel, target);
    for (CudaVariant& variant : function.cuda) {
        const std::string stem = fmt::format("{}_{}", kernel.name, variant.name);
        staging.write(stem + ".cu", variant.source);
        const std::string words = compile_cuda(target, staging.file(stem + ".cu"), staging.file(stem + ".cubin"));
        (void)cuda::require_clean_report(cuda::parse_ptxas_report(words));
        variant.image = read_text_file(staging.file(stem + ".cubin").string());
    }
    return function;
}

}  // namespace tessera
