#pragma once

#include <tessera/library.h>

#include "compile/c_text.h"
#include "compile/staging_folder.h"

namespace tessera {

/// What a library's entry for a kernel holds: machine code of every variant by nvcc, launches, parameters. Throws E0804 where
/// there is no nvcc or it refuses, and what compile() throws.
[[nodiscard]] CFunction cuda_function(const LibraryKernel& kernel, const Target& target, const StagingFolder& staging);

}  // namespace tessera
