#pragma once

#include <tessera/autodiff.h>

#include <string>
#include <vector>

namespace tessera {

struct RoutineTraits {
    std::string name = {};  // of the Func; default: <meaning>/<symbol>
    std::vector<Wrt> operands =
        {};  // what the function is given; default: the Inputs that the meaning reads, in the order of first use
};

/// A Func whose values a C function computes, all of them in one call, and whose meaning is a definition:
///     int symbol(const tessera_buffer* operands, const tessera_buffer* results);
/// (tessera/tessera_runtime.h): operands in their order, a tuple as one buffer per component; results likewise. Buffers are
/// row-major with strides; results are written, operands only read. Returns 0, or a number that ends the call with E0712.
///
/// The meaning is what the interpreter evaluates, what proofs and derivatives see, and what the function must agree with; a
/// custom_vjp beside it has another derivative. It reads nothing but the operands. Of all of them every cell of [0, extent) is
/// computed, at root; what is read of the values is inside that as well (E0401). CPU only: L0901 elsewhere. What copies the
/// definition with other operands (vmap over one of them) keeps the meaning alone.
/// meaning: any Func. Throws E0317 for a symbol that is no C identifier and operands that do not fit.
[[nodiscard]] Func routine(const std::string& symbol, const Func& meaning, const RoutineTraits& traits = {},
                           SourceLoc where = SourceLoc::current());

}  // namespace tessera
