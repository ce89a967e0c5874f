#pragma once

#include "backend/interpreter/scalar_ops.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tessera::interpreter {

/// Memory of one stage for a region, poisoned: a cell has no value until it is written.
class TreeStorage {
public:
    /// Negative extents count as 0. Throws L0902 for more cells than the interpreter keeps.
    TreeStorage(const std::string& stage, size_t components, std::vector<std::int64_t> begin, std::vector<std::int64_t> extent);

    /// Nothing when the index is outside.
    [[nodiscard]] std::optional<size_t> cell(std::span<const std::int64_t> index) const;
    [[nodiscard]] bool written(size_t cell, size_t component) const { return written_[cell * components_ + component]; }
    [[nodiscard]] Bits value(size_t cell, size_t component) const { return values_[cell * components_ + component]; }
    void write(size_t cell, size_t component, Bits value) {
        values_[cell * components_ + component] = value;
        written_[cell * components_ + component] = true;
    }
    [[nodiscard]] const std::vector<std::int64_t>& begin() const { return begin_; }
    [[nodiscard]] const std::vector<std::int64_t>& extent() const { return extent_; }
    /// "[0, 4) x [2, 8)"
    [[nodiscard]] std::string region_text() const;

private:
    size_t components_;
    std::vector<std::int64_t> begin_, extent_;
    std::vector<Bits> values_;
    std::vector<bool> written_;
};

}  // namespace tessera::interpreter
