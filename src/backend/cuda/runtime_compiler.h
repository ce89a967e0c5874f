#pragma once
// NVRTC, looked up when it is first needed: CUDA text to machine code inside this process, without a header or a file.
#include <string>

namespace tessera::cuda {

/// Machine code of a text, and what the compiler and ptxas said: text for parse_ptxas_report().
struct CompiledText {
    std::string cubin;
    std::string words;
};

/// "NVRTC 13.0"; "" where it is not on this machine.
[[nodiscard]] std::string runtime_compiler_version();

/// Compiles a text that includes nothing for `arch` ("sm_90a"), as the ahead-of-time compiler does. `name` stands for the file in
/// its messages. Throws E0804: where there is no NVRTC, and with its words where it refuses.
[[nodiscard]] CompiledText compile_at_run_time(const std::string& source, const std::string& arch, const std::string& name);

}  // namespace tessera::cuda
