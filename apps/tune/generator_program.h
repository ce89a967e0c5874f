#pragma once

#include <tessera/algorithm.h>

#include <map>
#include <string>
#include <vector>

namespace tessera_tune {

/// Which generator of which program, with its parameters "dtype=bf16" and dims "m=1024".
struct GeneratorChoice {
    std::string program, generator;
    std::vector<std::string> params, dims;
};
/// What the program says about it.
struct DescribedGenerator {
    std::string name;
    std::string params;  // as JSON: {"dtype":"bf16"}
    tessera::Algorithm algorithm;
};
/// Runs the program with --describe. Throws E0804 when it does not run, E0601 when what it prints is no description, E0604 when
/// that is too long, E0805 when it has several generators and none is named.
[[nodiscard]] DescribedGenerator describe(const GeneratorChoice& choice);

/// "m=1024" pairs with positive integers. Throws E0805.
[[nodiscard]] std::map<std::string, std::int64_t> integer_pairs(const std::vector<std::string>& given, const std::string& option);

}  // namespace tessera_tune
