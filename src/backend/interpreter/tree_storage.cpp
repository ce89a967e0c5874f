#include "backend/interpreter/tree_storage.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::interpreter {

TreeStorage::TreeStorage(const std::string& stage, size_t components, std::vector<std::int64_t> begin,
                         std::vector<std::int64_t> extent)
    : components_(components), begin_(std::move(begin)), extent_(std::move(extent)) {
    constexpr double most = 0x1p30;
    double count = static_cast<double>(components);
    for (std::int64_t& e : extent_) {
        e = std::max<std::int64_t>(e, 0);
        count *= static_cast<double>(e);
    }
    if (count > most)
        throw Limit(L0902_size, {}, fmt::format("the interpreter would keep {:.3g} cells of {}: {}", count, stage, region_text()),
                    {fix("execute with smaller extents")});
    values_.resize(static_cast<size_t>(count));
    written_.resize(values_.size(), false);
}

std::optional<size_t> TreeStorage::cell(std::span<const std::int64_t> index) const {
    if (index.size() != begin_.size()) return std::nullopt;
    size_t cell = 0;
    for (size_t d = 0; d < index.size(); ++d) {
        const std::int64_t i = index[d] - begin_[d];
        if (i < 0 || i >= extent_[d]) return std::nullopt;
        cell = cell * static_cast<size_t>(extent_[d]) + static_cast<size_t>(i);
    }
    return cell;
}

std::string TreeStorage::region_text() const {
    std::string text;
    for (size_t d = 0; d < begin_.size(); ++d)
        text += fmt::format("{}[{}, {})", d == 0 ? "" : " x ", begin_[d], begin_[d] + extent_[d]);
    return text.empty() ? "one cell" : text;
}

}  // namespace tessera::interpreter
