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

/// A box of an argument that the copy engine moves.
struct BoxMap {
    std::size_t argument = 0;
    std::vector<std::int64_t> box;  // cells, the innermost dim first
    int swizzle_bytes = 0;
    bool operator==(const BoxMap&) const = default;
};

/// An emitted kernel and how it is launched.
struct EmittedKernel {
    std::string name;
    std::vector<KernelParam> params;
    std::vector<Expr> grid;  // the number of blocks is their product, along x
    std::vector<BoxMap> maps;
    std::int64_t threads = 0, shared_bytes = 0;
    std::string text;                 // the definition
    std::set<std::string> functions;  // device functions that it uses
};

/// The kernels of a tile program, in the order of their launches. `prefix` starts their names.
[[nodiscard]] std::vector<EmittedKernel> emit_kernels(const tile::Program& program, const std::string& prefix);

/// A CUDA file without includes: `comment` as its head, the device functions, the kernels.
[[nodiscard]] std::string cuda_source(const std::vector<EmittedKernel>& kernels, const Target& target,
                                      const std::string& comment);

/// The type of a dtype in emitted text.
[[nodiscard]] std::string cuda_type(DType dtype);

}  // namespace tessera::cuda
