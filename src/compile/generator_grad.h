#pragma once

#include <tessera/autodiff.h>
#include <tessera/library.h>

#include <string>
#include <vector>

namespace tessera {

/// Throws E0805 with these words.
[[noreturn]] void refuse_usage(const std::string& message, std::vector<Hint> hints);

/// What a generator's command line says about derivatives.
struct GradRequest {
    std::vector<std::string> wrt;             // --grad: two functions, values and derivatives for a later call
    std::vector<std::string> value_and_grad;  // --value-and-grad: one function
    std::vector<std::string> save;            // --save: words of a SavePolicy

    [[nodiscard]] bool empty() const { return wrt.empty() && value_and_grad.empty(); }
};

/// One function that a request makes of an algorithm.
struct GradFunction {
    std::string suffix;  // of the function's name
    Algorithm algorithm;
};
/// The functions in the order of a library, the forward one first. Throws E0805 for words that do not fit, and what vjp() throws.
[[nodiscard]] std::vector<GradFunction> grad_functions(const Algorithm& algorithm, const GradRequest& request);

/// The policy of "recompute", "every=8", "as=bf16", "keep=h1". Throws E0805.
[[nodiscard]] SavePolicy save_policy(const std::vector<std::string>& words);

}  // namespace tessera
