#pragma once

#include <tessera/compile.h>
#include <tessera/tile_kernel.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// Where a schedule is from, as header and metadata of a library show it.
struct ScheduleOrigin {
    std::string text = "given";  // "default", "file blur.json", "database team.db, exact"
    std::string tier = {};       // of the database or lock that was asked; "" when none was
    std::string explanation = {};
};

/// One function of a library.
struct LibraryKernel {
    std::string name;  // of the C function
    Algorithm algorithm;
    Schedule schedule;
    ScheduleOrigin origin = {};
    std::optional<TileKernel> written = {};  // instead of the schedule, for a GPU: see library_kernel()
};
/// A function that runs a kernel which is written tile by tile, for GPU targets (L0901 elsewhere).
[[nodiscard]] inline LibraryKernel library_kernel(std::string name, const TileKernel& kernel) {
    return {std::move(name), kernel.algorithm(), {}, {"kernel", "", ""}, kernel};
}

struct LibraryOptions {
    std::vector<IrLevel> emit;  // texts of these levels beside the library: <name>.graph, .schedule, .stmt, .s
    bool profile = false;       // kernels time their stages, see tessera_profile.h; on the CPU only
};

/// Paths of what was written.
struct LibraryFiles {
    std::string archive, header, metadata;
    std::vector<std::string> texts;
};

/// Compiles kernels ahead of time into <out_dir>/<name>.a, a plain C header <name>.h and <name>.json (signatures, schedules with
/// hash and origin, target, versions): all of them, or nothing is written. Variants of a schedule become kernels of one function
/// that chooses by extents. Functions for a GPU take a stream and buffers on the GPU (tessera_cuda.h). Programs link the library
/// with Tessera::Runtime, however many libraries there are. Throws E0605 (unwritable, full disk), E0804 (no C compiler, or no
/// nvcc or spilled registers for a GPU), E0803 (no code for this target), E0101 and E0102 (names), E05xx.
LibraryFiles compile_library(const std::vector<LibraryKernel>& kernels, const Target& target, const std::string& name,
                             const std::string& out_dir, const LibraryOptions& options = {});
/// One function called like the library.
LibraryFiles compile_library(const Algorithm& algorithm, const Schedule& schedule, const Target& target, const std::string& name,
                             const std::string& out_dir, const LibraryOptions& options = {});

}  // namespace tessera
