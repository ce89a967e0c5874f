#pragma once

#include "tile/tile_ir.h"

#include <tessera/target.h>

#include <set>
#include <string>
#include <vector>

namespace tessera::cuda {

/// One parameter of an emitted kernel, in order.
struct KernelParam {
    enum class Kind {
        input,          // data of argument `index`
        input_stride,   // its stride of dim `axis`, in elements
        scalar,         // the value of argument `index`
        output,         // data of component `axis` of output `index`
        output_stride,  // stride of dim `axis` of output `index` (the same for all components)
        scratch,        // component `axis` of scratch buffer `index`
        tensor_map,     // number `index` of the kernel's maps
        extent          // of `dim`
    };
    Kind kind = Kind::extent;
    std::size_t index = 0, axis = 0;
    Expr dim;  // the extent node
    std::string name, type;
    bool operator==(const KernelParam& o) const { return kind == o.kind && index == o.index && axis == o.axis && name == o.name; }
};

/// A box of an argument, or of an output, that the copy engine moves.
struct BoxMap {
    bool output = false;
    std::size_t index = 0;          // of the argument or output
    std::vector<std::int64_t> box;  // cells, the innermost dim first
    int swizzle_bytes = 0;
    bool operator==(const BoxMap&) const = default;
};

/// The type of a kernel's index arithmetic: i32 where IndexReach says so, else i64.
enum class IndexWidth { narrow, wide };

/// When a kernel may compute indices in 32 bits: none of the values is above INT32_MAX, and for each array the sum of most *
/// stride over its axes is not either. All are >= 0, over extents and scalars. Not `known`: it may not.
struct IndexReach {
    struct Steps {
        KernelParam::Kind kind;  // of the stride
        std::size_t index, axis;
        Expr most;
    };
    bool known = true;
    std::vector<Expr> values;
    std::vector<Steps> steps;  // those of an array follow each other
};

/// An emitted kernel and how it is launched.
struct EmittedKernel {
    std::string name;
    std::vector<KernelParam> params;
    std::vector<Expr> grid;  // the number of blocks is their product, along x
    std::vector<BoxMap> maps;
    std::int64_t threads = 0, shared_bytes = 0;
    std::int64_t cluster = 1;         // blocks of a cluster, which divides their number
    std::int64_t resident = 0;        // > 0: at most so many blocks a multiprocessor are launched, which share the grid
    std::string text;                 // the definition
    std::set<std::string> functions;  // device functions that it uses
    IndexWidth width = IndexWidth::wide;
    IndexReach reach;
};

/// The kernels of a tile program, in the order of their launches. `prefix` starts their names. Those that may not compute indices
/// in 32 bits are wide.
[[nodiscard]] std::vector<EmittedKernel> emit_kernels(const tile::Program& program, const std::string& prefix,
                                                      IndexWidth width = IndexWidth::narrow);

/// A CUDA file without includes: `comment` as its head, the device functions, the kernels.
[[nodiscard]] std::string cuda_source(const std::vector<EmittedKernel>& kernels, const Target& target,
                                      const std::string& comment);

/// The type of a dtype in emitted text.
[[nodiscard]] std::string cuda_type(DType dtype);

}  // namespace tessera::cuda
