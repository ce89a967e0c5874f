#pragma once

#include <tessera/target.h>

#include "tile/tile_ir.h"

#include <cstdint>
#include <map>
#include <string>

namespace tessera::tune {

/// What the cost model knows of a GPU: rates a multiprocessor and cycle, and of the whole.
struct GpuFacts {
    double multiprocessors = 132, clock = 1.7e9;
    double issues = 4;                                   // instructions of warps
    double warp_products = 1230, group_products = 2048;  // multiplications of 16-bit factors by warps and by warpgroups; 0: none
    double shared_bytes = 128;
    double l2_bytes_per_second = 5.5e12, global_bytes_per_second = 4.0e12;
    std::int64_t shared_room = 227 << 10, threads = 2048, registers = 65536;  // of a multiprocessor
    double launch_seconds = 3e-6;
};
/// Sources: NVIDIA's white papers of the architectures, for their largest boards; of sm_90 measured rates of an H200.
[[nodiscard]] GpuFacts gpu_facts(const Target& target);

/// Seconds, roughly, that a program's kernels take, one after the other: by instructions, products, bytes of shared memory, of
/// the L2 cache and of global memory, of which what limits counts; by blocks that a multiprocessor has at once, rounds of them,
/// and waits that nothing else fills. It ranks candidates before anything is measured.
[[nodiscard]] double gpu_seconds(const tile::Program& program, const std::map<std::string, std::int64_t>& extents,
                                 const GpuFacts& facts);

}  // namespace tessera::tune
