#pragma once

#include "backend/cpu/cpu_backend.h"
#include "compile/module.h"

#include <cstdint>
#include <string>

namespace tessera {

/// Fills code, descriptor and the rest of a module for its CPU target, from the cache on disk where it can.
void compile_cpu_kernels(ModuleState& state, const CompileOptions& options);

/// Both sides list arguments, symbolic dims and outputs in one order: a kernel called with another would corrupt memory. Throws
/// Bug.
void check_parameters(const Algorithm& algorithm, const KernelSignature& signature,
                      const std::vector<cpu::Parameter>& parameters);

/// tessera_cpu_feature bits of a target with every feature spelled out.
[[nodiscard]] std::uint32_t cpu_feature_bits(const std::string& expanded_target);

}  // namespace tessera
