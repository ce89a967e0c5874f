#pragma once

#include "algorithm/canonical.h"
#include "algorithm/graph.h"

#include <unordered_map>
#include <unordered_set>

namespace tessera {

/// A name as the text spells it: quoted where it would read as something else.
[[nodiscard]] std::string spelled(const std::string& name);
/// Op names, dtypes and the other words of the text that a bare name must not be.
[[nodiscard]] bool is_reserved_word(std::string_view word);

/// The dims of arguments and outputs, each once.
[[nodiscard]] std::vector<Dim> entry_dims(const AlgorithmState& algorithm);

/// The names of a graph's parts in its text: the user's, made unique, or (canonical) numbers of first use.
class GraphNames {
public:
    explicit GraphNames(bool canonical) : canonical_(canonical) {}
    /// Canonical names, and no fixed extents of its entry_dims().
    [[nodiscard]] static GraphNames without_extents(const AlgorithmState& algorithm);
    [[nodiscard]] bool hides_extent(const Dim& dim) const { return open_dims_.count(dim.id()) > 0; }

    /// True when `dim` was not named before.
    bool add_dim(const Dim& dim);
    [[nodiscard]] std::string dim(const Dim& dim) const { return dims_.at(dim.id()); }
    [[nodiscard]] std::string input(const InputState& input);
    [[nodiscard]] std::string func(const FuncState& func);
    [[nodiscard]] std::string stage(const std::string& name);
    [[nodiscard]] std::string monoid(const std::string& name);

    [[nodiscard]] bool canonical() const { return canonical_; }
    [[nodiscard]] const CanonicalNames& table() const { return table_; }
    void add_dim_of(const FuncState& func, const Dim& dim);

private:
    bool canonical_;
    CanonicalNames table_;
    std::unordered_map<const void*, std::string> dims_, others_;
    std::unordered_map<std::string, int> uses_of_name_;
    std::unordered_map<std::string, std::string> stages_;
    std::unordered_set<std::string> monoids_;
    std::unordered_set<const void*> open_dims_;
    int inputs_ = 0, stages_count_ = 0;
};

}  // namespace tessera
