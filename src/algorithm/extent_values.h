#pragma once

#include "algorithm/graph.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace tessera {

/// Integer arithmetic, comparisons and logic of two numbers; nothing for other operations.
[[nodiscard]] std::optional<std::int64_t> integer_result(Op op, std::int64_t a, std::int64_t b);

/// Numbers for the extents of dims, as in one call of a kernel.
class ExtentValues {
public:
    enum class Missing : std::uint8_t {
        refused,  // E0103 for a symbolic dim without an extent
        chosen    // small extents that differ from each other, from `smallest` on, within the promises of the dim
    };
    /// `given`: by the name of a symbolic dim or of an integer scalar.
    explicit ExtentValues(std::map<std::string, std::int64_t> given = {}, Missing missing = Missing::refused,
                          std::int64_t smallest = 2)
        : given_(std::move(given)), missing_(missing), smallest_(smallest) {}

    void set(const Dim& dim, std::int64_t extent) { known_.emplace(&dim.state(), extent); }
    void set_scalar(const std::string& name, std::int64_t value) { given_[name] = value; }
    [[nodiscard]] std::int64_t of(const Dim& dim);
    [[nodiscard]] std::vector<std::int64_t> shape(const std::vector<Dim>& dims);
    /// The product of the extents.
    [[nodiscard]] double count(const std::vector<Dim>& dims);
    /// An integer expression of extents and scalars; a scalar that is not given is 1.
    [[nodiscard]] std::int64_t value(const Expr& e);

private:
    std::map<std::string, std::int64_t> given_;
    Missing missing_;
    std::int64_t smallest_;
    size_t chosen_ = 0;
    std::unordered_map<const DimState*, std::int64_t> known_;
};

}  // namespace tessera
