#include "cuda/emulated_text.h"

#include "cuda/emulated_kernels.h"

#include <fmt/format.h>

namespace tessera::cuda_test {
namespace {

std::string with_switches(const std::string& text) {
    std::string out;
    int place = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\n', at);
        std::string line = text.substr(at, end - at);
        const size_t first = line.find_first_not_of(' ');
        // Also what some threads do alone.
        for (const std::string_view word : synchronisations)
            if (first != std::string::npos &&
                (line.compare(first, word.size(), word) == 0 ||
                 (line.compare(first, 4, "if (") == 0 && line.find(fmt::format(") {}", word)) != std::string::npos)))
                line.insert(first, fmt::format("if (!tessera::cuda_test::left_out({})) ", place++));
        out += line + "\n";
        at = end + 1;
    }
    return out;
}

}  // namespace

std::string emulated_source(const std::vector<cuda::EmittedKernel>& kernels, const Target& target, const std::string& comment) {
    std::string out = "#include \"cuda/emulated_kernels.h\"\n#include \"emulator/emulated_device.h\"\n";
    out += with_switches(cuda::cuda_source(kernels, target, comment));
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

}  // namespace tessera::cuda_test
