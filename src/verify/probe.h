#pragma once

#include "algorithm/required_region.h"
#include "verify/trial.h"

#include <vector>

namespace tessera {

/// A component of a Func over exactly the cells that its algorithm needs of it.
///
///   f needed on [-1, N]   ->   cells(u) = f(u - 1), u in [0, N + 2)
struct Probe {
    Func func;
    int component = 0;
    std::vector<Dim> dims;   // of the cells
    std::vector<Expr> lows;  // the index of the first cell: of extents and scalars
    Expr value;              // over `dims`

    [[nodiscard]] std::string name() const;  // of the component: "f", "f.1"
    /// The index in the Func of the cell at a row-major position.
    [[nodiscard]] std::vector<std::int64_t> index(std::int64_t position, ExtentValues& extents) const;
    /// Row-major position of a cell, as an i64 expression over `dims`.
    [[nodiscard]] Expr position() const;
    /// The cells as a Func of their own.
    [[nodiscard]] Func cells(const std::string& name) const;
};

/// Probes of all Funcs of the algorithm, producers first; of floats only where asked for.
[[nodiscard]] std::vector<Probe> probes_of(const Algorithm& algorithm, bool floats_only);

/// `algorithm` with further outputs.
[[nodiscard]] Algorithm with_outputs(const Algorithm& algorithm, const std::vector<Func>& further);
/// These outputs alone, of inputs of `algorithm`; with its own outputs where only they give some dim its extent.
[[nodiscard]] Algorithm with_outputs_only(const Algorithm& algorithm, const std::vector<Func>& outputs);
/// The inputs that an algorithm has.
[[nodiscard]] NamedInputs inputs_for(const Algorithm& algorithm, const NamedInputs& inputs);

/// Row-major position over `dims`, as i64.
[[nodiscard]] Expr position_over(const std::vector<Dim>& dims);

}  // namespace tessera
