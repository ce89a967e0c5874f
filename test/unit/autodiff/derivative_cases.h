#pragma once

#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include "backend/interpreter/interpreter.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tessera::autodiff_test {

/// A definition to differentiate: y by the float inputs of `wrt`, at extents by the names of dims.
struct Program {
    Func y;
    std::vector<Input> wrt;
    std::map<std::string, std::int64_t> extents = {};
    double low = -2, high = 2;                                       // of the values of floats
    std::map<std::string, std::vector<std::int64_t>> integers = {};  // values of integer inputs
    std::map<std::string, std::vector<double>> floats = {};          // values of float inputs instead of random ones
};

using Values = std::map<std::string, AnyBuffer>;

/// Values for all inputs of `outputs`, random but for those that the program gives; the same for one seed.
[[nodiscard]] Values random_values(const Program& program, const std::vector<Func>& outputs, unsigned seed);
/// The outputs' elements in row-major order, by the interpreter. f64, or integers.
[[nodiscard]] std::vector<std::vector<double>> evaluated(const std::vector<Func>& outputs, const Program& program,
                                                         const Values& values);

/// <w, J v> == <J' w, v> to a relative 1e-12, with J v by finite differences (Richardson) to 1e-6 beside it.
void check_derivative(const Program& program, unsigned seed = 1, bool finite_differences = true);
/// J' w with every access added up by a scatter equals the one with inverted accesses.
void check_against_scatter(const Program& program, unsigned seed = 1);

}  // namespace tessera::autodiff_test
