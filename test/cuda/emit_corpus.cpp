// emit_corpus FOLDER NAME...: writes what nvcc would compile of these corpus kernels as FOLDER/emitted_<name>.cpp for the
// emulator: the emitted text, a switch before every synchronisation, and a call of every kernel by its name.
#include <fmt/format.h>

#include "changed_file.h"
#include "cuda/corpus_run.h"
#include "cuda/emulated_text.h"
#include "tile/lower.h"

namespace tessera::cuda_test {
namespace {

std::string corpus_source(const CorpusKernel& k) {
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
    return emulated_source(kernels, target, k.name);
}

}  // namespace
}  // namespace tessera::cuda_test

int main(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
        const std::string text = tessera::cuda_test::corpus_source(tessera::cuda_test::corpus_kernel(argv[i]));
        if (!tessera::write_changed(fmt::format("{}/emitted_{}.cpp", argv[1], argv[i]), text)) return 1;
    }
    return argc > 2 ? 0 : 1;
}
