// A nonlinear regression problem of the NIST Statistical Reference Datasets, as its file says.
#pragma once

#include <string>
#include <vector>

namespace apps {

struct NistProblem {
    std::string name;
    std::vector<std::vector<double>> starts;    // two
    std::vector<double> certified, deviations;  // per parameter
    double residual_sum = 0;                    // of squares, at the certified parameters
    std::vector<double> y, x;
};
/// Throws std::runtime_error for a file that is not of that form.
[[nodiscard]] NistProblem read_nist_problem(const std::string& path);

}  // namespace apps
