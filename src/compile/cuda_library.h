#pragma once

#include <tessera/library.h>

#include "compile/c_text.h"
#include "compile/staging_folder.h"

namespace tessera {

/// The variants of a kernel with their texts, launches and parameters, without machine code; those with indices of 32 bits, which
/// most calls take, stand first among those of a schedule. Throws what compile() throws.
[[nodiscard]] CFunction cuda_texts(const LibraryKernel& kernel, const Target& target);
/// What a library's entry for a kernel holds: machine code of every variant by nvcc, launches, parameters. Throws E0804 where
/// there is no nvcc or it refuses, and what compile() throws.
[[nodiscard]] CFunction cuda_function(const LibraryKernel& kernel, const Target& target, const StagingFolder& staging);

}  // namespace tessera
