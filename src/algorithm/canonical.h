#pragma once

#include <tessera/algorithm.h>

#include <map>
#include <string>

namespace tessera {

/// Names that depend on the structure of an algorithm alone: algorithms of one hash have the same ones. Funcs and named
/// reductions are s0, s1, …, dims d0, d1, …, inputs and scalars i0, i1, …, each in the order of the canonical text.
struct CanonicalNames {
    std::map<std::string, std::string> funcs;
    std::map<std::string, std::string> dims;  // by the name in Algorithm::text(): a second dim called x is x.1
    std::map<std::string, std::string> inputs;
    /// By Func: the dims of its left-hand side and of its reductions, by the user's name.
    std::map<std::string, std::map<std::string, std::string>> dims_of;
    std::map<const void*, std::string> dim_of;  // by Dim::id()
};
[[nodiscard]] CanonicalNames canonical_names(const Algorithm& algorithm);

/// The canonical text without the fixed extents of dims that arguments and outputs bind: one for the kernels of every size.
[[nodiscard]] std::string kernel_text(const Algorithm& algorithm);

}  // namespace tessera
