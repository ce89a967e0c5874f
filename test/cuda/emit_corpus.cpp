// emit_corpus FOLDER NAME...: writes what nvcc would compile of these corpus kernels as FOLDER/emitted_<name>.cpp for the
// emulator: the emitted text, a switch before every synchronisation, and a call of every kernel by its name.
#include <fmt/format.h>

#include "backend/cuda/cuda_source.h"
#include "changed_file.h"
#include "cuda/corpus_run.h"
#include "cuda/emulated_kernels.h"
#include "tile/lower.h"

namespace tessera::cuda_test {
namespace {

std::string with_switches(const std::string& text) {
    std::string out;
    int place = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\n', at);
        std::string line = text.substr(at, end - at);
        const size_t first = line.find_first_not_of(' ');
        for (const std::string_view word : synchronisations)
            if (first != std::string::npos && line.compare(first, word.size(), word) == 0)
                line.insert(first, fmt::format("if (!tessera::cuda_test::left_out({})) ", place++));
        out += line + "\n";
        at = end + 1;
    }
    return out;
}

std::string emulated_source(const CorpusKernel& k) {
    const Target target = parse_target(k.target);
    const tile::Program program = corpus_program(k);
    std::vector<cuda::EmittedKernel> kernels = cuda::emit_kernels(program, k.name);
    if (!tile::copy_alignments(program).empty())
        for (cuda::EmittedKernel& plain :
             cuda::emit_kernels(corpus_program(k, tile::Copies::plain), k.name + "_plain", cuda::IndexWidth::wide))
            kernels.push_back(std::move(plain));
    if (is_emulated_wide(k))
        for (cuda::EmittedKernel& wide : cuda::emit_kernels(program, k.name + "_wide", cuda::IndexWidth::wide))
            kernels.push_back(std::move(wide));
    std::string out = "#include \"cuda/emulated_kernels.h\"\n#include \"emulator/emulated_device.h\"\n";
    out += with_switches(cuda::cuda_source(kernels, target, k.name));
    out += "\nnamespace {\n\nusing namespace tsr;\n\n";
    for (const cuda::EmittedKernel& e : kernels) {
        std::string args;
        for (size_t i = 0; i < e.params.size(); ++i)
            args += fmt::format("{}*static_cast<{} const*>(p[{}])", i ? ", " : "",
                                e.params[i].kind == cuda::KernelParam::Kind::tensor_map ? "TensorMap" : e.params[i].type, i);
        out += fmt::format("void call_{0}(void* const* p) {{ {0}({1}); }}\n", e.name, args);
        out += fmt::format("const tessera::cuda_test::EmulatedKernel known_{0}(\"{0}\", call_{0});\n", e.name);
    }
    return out + "\n}  // namespace\n";
}

}  // namespace
}  // namespace tessera::cuda_test

int main(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
        const std::string text = tessera::cuda_test::emulated_source(tessera::cuda_test::corpus_kernel(argv[i]));
        if (!tessera::write_changed(fmt::format("{}/emitted_{}.cpp", argv[1], argv[i]), text)) return 1;
    }
    return argc > 2 ? 0 : 1;
}
