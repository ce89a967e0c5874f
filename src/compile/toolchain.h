#pragma once

#include <tessera/target.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tessera {

/// The C compiler for a target as words of a command: $CC, else cc; clang for another architecture.
[[nodiscard]] std::vector<std::string> c_compiler(const Target& target);
/// First line of what the compiler says about its version; "" when it cannot be run.
[[nodiscard]] std::string compiler_version(const std::vector<std::string>& compiler);

/// Compiles one C file that includes no more than Tessera's C headers. Throws E0804 with the compiler's words.
void compile_c(const Target& target, const std::filesystem::path& source, const std::filesystem::path& include,
               const std::filesystem::path& object);
/// Compiles a CUDA file that includes nothing to a cubin by $NVCC, else the toolkit's nvcc; what it and ptxas say. Throws E0804.
[[nodiscard]] std::string compile_cuda(const Target& target, const std::filesystem::path& source,
                                       const std::filesystem::path& cubin);
/// Throws E0804.
void make_archive(const std::vector<std::filesystem::path>& objects, const std::filesystem::path& archive);
/// Throws E0804.
void link_shared(const Target& target, const std::vector<std::filesystem::path>& objects, const std::filesystem::path& library);

/// Whether `target` is for another architecture than this machine's.
[[nodiscard]] bool is_foreign(const Target& target);

}  // namespace tessera
