#pragma once

#include <tessera/algorithm.h>
#include <tessera/tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// Transforms of definitions and Algorithms into others. What they return is made of definitions like any other: it prints, is
/// differentiated, scheduled, tuned and compiled. Derivative rules of the user go with the definitions that have them. A function
/// that makes definitions for any dtype, or any number of dims, is a C++ function.

/// `to` stands for `from` (an Input, a Func, a Scalar): its dims are those of `from`, in any order, and the dim mapped over. A
/// Func that is mapped is independent of its definition.
struct Mapped {
    Tensor from, to;
};
/// `f` over one more dim, its first: at every point of `dim`, f of what stands there. The same seeds and keys give the same
/// random numbers at every point; put the dim into the key for others. Names get /<dim> behind. Throws E0103 when `to` does not
/// have `dim`, E0104 when f has it already, E0106 when other dims differ, E0201 for another dtype.
[[nodiscard]] Func vmap(const Func& f, const Dim& dim, const std::vector<Mapped>& mapped);

/// An argument that gets the dim, and at which position among its dims.
struct MappedArgument {
    std::string name;
    size_t position = 0;
};
/// `algorithm` over one more dim: the listed arguments (default: all that are tensors) and the outputs that depend on them have
/// it; a Scalar that is listed becomes a tensor. In outputs it stands first. Names stay. Throws E0307 for a name that is no
/// argument, E0301 for a position that does not exist.
[[nodiscard]] Algorithm vmap(const Algorithm& algorithm, const Dim& dim, const std::vector<MappedArgument>& arguments = {});

struct ComposeOptions {
    /// Which output of the inner algorithm is read as which argument of the outer one. Default: outputs and tensor arguments in
    /// their order, as many as there are of both.
    std::vector<std::pair<std::string, std::string>> feed = {};
    std::string name = {};  // default: <outer>.<inner>
};
/// outer(inner(x)): the outputs of `outer`, then those of `inner` that are not fed; arguments of `inner`, then those of `outer`
/// that are not fed. Definitions of `inner` with a name that `outer` has too become <inner>/<name>. Extents of what is fed become
/// those of what feeds it. Throws E0307 for a name that does not exist, E0301, E0106 and E0201 for what does not fit, E0101 for
/// two arguments of one name.
[[nodiscard]] Algorithm compose(const Algorithm& outer, const Algorithm& inner, const ComposeOptions& options = {});
/// The first, then the second with its outputs, and so on: compose() from left to right.
[[nodiscard]] Algorithm pipe(const std::vector<Algorithm>& steps, const std::string& name = {});

/// A value for a Scalar, for all elements of an Input, or for the extent of a dim, by name.
struct BoundValue {
    std::string name;
    Operand value;  // a literal
};
/// `algorithm` with some arguments and extents known: curry(attention, {{"heads", 8}, {"scale", 0.125f}}). Throws E0307 for a
/// name that is neither argument nor dim, E0203 for a value that does not fit the argument, E0105 for one that contradicts a
/// promise or an extent that is derived from others.
[[nodiscard]] Algorithm curry(const Algorithm& algorithm, const std::vector<BoundValue>& values, const std::string& name = {});

/// `algorithm` with fused multiply-adds: every f32 or f64 sum or difference in its definitions of which one side is a product
/// becomes fma() of it, the right side where both are; products of a sum() are fused already. Rounds once where the original
/// rounds twice, so bits differ from it, and are the same for every schedule and on every target as ever. What is read from
/// another definition is a number, not a product. User monoids stay as they are.
[[nodiscard]] Algorithm contracted(const Algorithm& algorithm, const std::string& name = {});

}  // namespace tessera
