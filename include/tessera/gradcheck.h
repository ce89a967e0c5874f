#pragma once

#include <tessera/autodiff.h>
#include <tessera/compile.h>

#include <map>
#include <string>
#include <vector>

namespace tessera {

struct GradCheckOptions {
    /// Extents by the names of dims; other symbolic ones get sizes that differ from each other, so that nothing is square.
    std::map<std::string, std::int64_t> extents = {};
    NamedInputs values = {};    // of inputs, f64 for floats; the others are random inside their promises
    double low = -2, high = 2;  // of random floats
    std::uint64_t seed = 1;
    int points = 2;                     // random points, each with random cotangents and tangents
    double identity_tolerance = 1e-12;  // relative to the sum of the magnitudes
    double difference_tolerance = 1e-6;
    bool finite_differences = true;
    Target target = parse_target("interpreter");
};

/// One comparison of two numbers that must be equal.
struct GradCheckRow {
    std::string what;  // "<w, J v> by forward and by reverse mode"
    double left = 0, right = 0;
    double error = 0, allowed = 0;  // relative
    [[nodiscard]] bool agrees() const { return error <= allowed; }
};

struct GradCheck {
    std::vector<GradCheckRow> rows;
    /// Where a row disagrees: the first definition, producers before consumers, whose own derivative does, with its row.
    std::string first;
    SourceLoc where;
    std::optional<GradCheckRow> first_row;
    /// Points at which differences do not converge, as at a kink: their differences are not compared.
    int not_smooth = 0;

    [[nodiscard]] bool agrees() const;
    [[nodiscard]] std::string text() const;
};

/// Checks the derivatives of y by `wrt` in f64, whatever the dtypes of the definitions: <w, J v> by forward mode equals <J' w, v>
/// by reverse mode, and both equal directional finite differences (central, Richardson extrapolation), for random w and v. It
/// runs through the interpreter, or through compiled code where the target says so. `value` of stop_gradient() and
/// straight_through() has by intention a derivative that differences do not see: leave `finite_differences` out there. Throws
/// what vjp() and jvp() throw, and L0904 for what cannot be evaluated in f64.
[[nodiscard]] GradCheck gradcheck(const Func& y, const std::vector<Wrt>& wrt, const GradCheckOptions& options = {});

}  // namespace tessera
