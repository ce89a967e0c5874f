// record_corpus FOLDER ARCH NVCC: the corpus kernels as apps/gpu_check/recorded_corpus.cu runs them on a GPU that has no Tessera:
// machine code, launches, inputs, and what the interpreter computed.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "backend/cuda/cuda_source.h"
#include "backend/interpreter/bound_arguments.h"
#include "cuda/corpus_run.h"
#include "tile/lower.h"

namespace tessera::cuda_test {
namespace {

using cuda::KernelParam;

void write_file(const std::string& path, const void* bytes, std::size_t count) {
    std::ofstream file(path, std::ios::binary);
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
    if (!file.flush()) std::exit(1);
}

/// One kernel of the corpus with one set of extents.
class CaseRecord {
public:
    CaseRecord(std::string folder, const CorpusKernel& kernel, const std::map<std::string, std::int64_t>& extents, int number,
               const Target& target)
        : folder_(std::move(folder)), name_(fmt::format("{}_{}", kernel.name, number)), kernel_(kernel),
          buffers_(corpus_buffers(kernel, extents, 3, kernel.row_cells)), program_(corpus_program(kernel, target)),
          emitted_(cuda::emit_kernels(program_, kernel.name)),
          arguments_(interpreter::bind_arguments(kernel.algorithm, buffers_.inputs, buffers_.outputs)) {}

    std::string text(const std::string& image) {
        std::string out = fmt::format("kernel {}\nimage {}\n", name_, image);
        for (const Argument& a : kernel_.algorithm.arguments()) add_input(out, a.state()->name);
        for (const Func& f : kernel_.algorithm.outputs())
            for (const std::string& name : interpreter::output_names(f))
                add(out, name, span_bytes(buffers_.outputs.at(name)), "");
        for (std::size_t s = 0; s < program_.scratch.size(); ++s) add_scratch(out, s);
        for (const cuda::EmittedKernel& e : emitted_) add_launch(out, e);
        CorpusBuffers wanted = buffers_;
        interpreter::evaluate(kernel_.algorithm, wanted.inputs, wanted.outputs);
        for (const auto& [name, buffer] : wanted.outputs) add_expectation(out, name, buffer);
        return out + "end\n";
    }

private:
    void add(std::string& out, const std::string& name, std::size_t bytes, const std::string& file) {
        index_.emplace(name, index_.size());
        out += fmt::format("buffer {} {}\n", bytes, file);
    }
    void add_input(std::string& out, const std::string& name) {
        const auto& buffer = std::get<AnyBuffer>(buffers_.inputs.at(name));
        const std::string file = fmt::format("{}.{}", name_, name);
        write_file(folder_ + "/" + file, buffer.data(), span_bytes(buffer));
        add(out, name, span_bytes(buffer), file);
    }
    void add_scratch(std::string& out, std::size_t s) {
        std::int64_t cells = 1;
        for (const Expr& e : program_.scratch[s].extent) cells *= std::max<std::int64_t>(arguments_.value(e), 0);
        const std::vector<DType>& dtypes = program_.bound.graph.stages[program_.scratch[s].stage].dtypes;
        for (std::size_t c = 0; c < dtypes.size(); ++c)
            add(out, fmt::format("scratch {} {}", s, c), static_cast<std::size_t>(cells * dtype_bytes(dtypes[c])), "");
    }
    void add_launch(std::string& out, const cuda::EmittedKernel& e) {
        std::int64_t blocks = 1;
        for (const Expr& g : e.grid) blocks *= arguments_.value(g);
        if (e.resident > 0) blocks = std::min<std::int64_t>(blocks, 3 * e.cluster);
        out += fmt::format("launch {} {} {} {}\n", e.name, blocks, e.threads, e.shared_bytes);
        first_map_ = map_count_;
        for (const cuda::BoxMap& m : e.maps) add_map(out, m);
        for (const KernelParam& p : e.params) out += "param " + parameter(p) + "\n";
    }
    /// Dims innermost first; strides in bytes, of all but the innermost.
    void add_map(std::string& out, const cuda::BoxMap& m) {
        const InputState* input = m.output ? nullptr : kernel_.algorithm.arguments()[m.index].state().get();
        const AnyBuffer& b = m.output ? arguments_.outputs[m.index][0].buffer : arguments_.inputs.at(input).buffer;
        const std::string name = m.output ? interpreter::output_names(kernel_.algorithm.outputs()[m.index])[0] : input->name;
        out += fmt::format("map {} {} {} {}", index_.at(name), tessera_dtype_name(b.dtype()), m.swizzle_bytes, b.rank());
        for (int d = b.rank(); d-- > 0;) out += fmt::format(" {}", b.extent(d));
        for (int d = b.rank() - 1; d-- > 0;)
            out += fmt::format(" {}", b.stride(d) * static_cast<std::int64_t>(tessera_dtype_bytes(b.dtype())));
        for (const std::int64_t cells : m.box) out += fmt::format(" {}", cells);
        out += "\n";
        ++map_count_;
    }
    std::string parameter(const KernelParam& p) {
        const auto& argument = kernel_.algorithm.arguments();
        const auto buffer = [&](const std::string& name) { return fmt::format("buffer {}", index_.at(name)); };
        const auto words = [](std::int64_t value) { return fmt::format("words {:x}", static_cast<std::uint64_t>(value)); };
        const auto input = [&] { return arguments_.inputs.at(argument[p.index].state().get()).buffer; };
        const auto output_name = [&](std::size_t component) {
            return interpreter::output_names(kernel_.algorithm.outputs()[p.index])[component];
        };
        switch (p.kind) {
            case KernelParam::Kind::input: return buffer(argument[p.index].state()->name);
            case KernelParam::Kind::input_stride: return words(input().stride(static_cast<int>(p.axis)));
            case KernelParam::Kind::scalar: {
                std::uint64_t bits = 0;
                std::memcpy(&bits, input().data(), tessera_dtype_bytes(input().dtype()));
                return fmt::format("words {:x}", bits);
            }
            case KernelParam::Kind::output: return buffer(output_name(p.axis));
            case KernelParam::Kind::output_stride:
                return words(arguments_.outputs[p.index][0].buffer.stride(static_cast<int>(p.axis)));
            case KernelParam::Kind::scratch: return buffer(fmt::format("scratch {} {}", p.index, p.axis));
            case KernelParam::Kind::tensor_map: return fmt::format("map {}", first_map_ + p.index);
            case KernelParam::Kind::extent: return words(arguments_.value(p.dim));
        }
        return {};
    }
    void add_expectation(std::string& out, const std::string& name, const AnyBuffer& buffer) {
        const std::string file = fmt::format("{}.{}.wanted", name_, name);
        write_file(folder_ + "/" + file, buffer.data(), span_bytes(buffer));
        const int digits = buffer.dtype() == TESSERA_F64    ? 53
                           : buffer.dtype() == TESSERA_F32  ? 24
                           : buffer.dtype() == TESSERA_F16  ? 11
                           : buffer.dtype() == TESSERA_BF16 ? 8
                                                            : 0;
        const std::int64_t length = kernel_.length_of(name);
        const double tolerance = digits == 0 || length == 0 ? 0 : std::ldexp(static_cast<double>(length + 2), -digits);
        out += fmt::format("expect {} {} {} {}\n", index_.at(name), tessera_dtype_name(buffer.dtype()), tolerance, file);
    }

    std::string folder_, name_;
    const CorpusKernel& kernel_;
    CorpusBuffers buffers_;
    tile::Program program_;
    std::vector<cuda::EmittedKernel> emitted_;
    interpreter::BoundArguments arguments_;
    std::map<std::string, std::size_t> index_;
    std::size_t map_count_ = 0, first_map_ = 0;  // of the launch
};

int record(const std::string& folder, const std::string& arch, const std::string& nvcc) {
    const Target target = parse_target("cuda-" + arch);
    std::string text;
    for (const CorpusKernel& k : corpus()) {
        if (!runs_on(k, to_text(target))) continue;
        const std::string file = k.name + ".cubin", source = folder + "/" + k.name + ".cu";
        std::ofstream(source) << cuda::cuda_source(cuda::emit_kernels(corpus_program(k, target), k.name), target, k.name);
        const std::string number = arch.substr(3);
        if (std::system(fmt::format("'{}' -std=c++20 -O3 -fmad=false -gencode arch=compute_{},code=sm_{} -cubin -o '{}/{}' '{}'",
                                    nvcc, number, number, folder, file, source)
                            .c_str()) != 0)
            return 1;
        int number_of_case = 0;
        for (const auto& extents : k.cases) text += CaseRecord(folder, k, extents, number_of_case++, target).text(file);
    }
    write_file(folder + "/corpus.txt", text.data(), text.size());
    return 0;
}

}  // namespace
}  // namespace tessera::cuda_test

int main(int argc, char** argv) { return argc == 4 ? tessera::cuda_test::record(argv[1], argv[2], argv[3]) : 1; }
