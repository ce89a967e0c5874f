#include "algorithm/graph_names.h"

#include "algorithm/graph_lexer.h"

#include <fmt/format.h>

#include <cctype>
#include <set>

namespace tessera {
namespace {

// The lexer continues a bare name over / before a letter and over . before a letter or digit.
bool reads_as_name(const std::string& name) {
    if (name.empty() || !is_letter(name[0])) return false;
    for (size_t i = 1; i < name.size(); ++i) {
        const char next = i + 1 < name.size() ? name[i + 1] : ' ';
        if (!is_word(name[i]) && !(name[i] == '/' && is_letter(next)) && !(name[i] == '.' && is_word(next))) return false;
    }
    return true;
}

}  // namespace

bool is_reserved_word(std::string_view word) {
    static const std::set<std::string, std::less<>> words = [] {
        std::set<std::string, std::less<>> all{"tessera",
                                               "algorithm",
                                               "dim",
                                               "input",
                                               "scalar",
                                               "monoid",
                                               "recurrence",
                                               "step",
                                               "arguments",
                                               "outputs",
                                               "require",
                                               "in_place",
                                               "identity",
                                               "combine",
                                               "not_commutative",
                                               "not_associative",
                                               "dynamic",
                                               "multiple_of",
                                               "at_most",
                                               "values_in",
                                               "increasing",
                                               "reverse",
                                               "exclusive",
                                               "where",
                                               "order",
                                               "name",
                                               "init",
                                               "to",
                                               "true",
                                               "false",
                                               "clamp",
                                               "mirror",
                                               "mirror_interior",
                                               "periodic",
                                               "constant",
                                               "any",
                                               "ascending",
                                               "pairwise",
                                               "kahan",
                                               "blocked"};
        for (const OpRow& row : op_table()) all.emplace(row.name);
        for (const Monoid& m : builtin_monoids()) all.insert(m.name());
        for (int t = 0; t <= static_cast<int>(DType::f8e5m2); ++t) {
            const std::string name(dtype_name(static_cast<DType>(t)));
            all.insert({name, name + ".inf", name + ".nan"});
        }
        return all;
    }();
    return words.find(word) != words.end();
}

std::string spelled(const std::string& name) { return reads_as_name(name) && !is_reserved_word(name) ? name : "'" + name + "'"; }

std::vector<Dim> entry_dims(const AlgorithmState& algorithm) {
    std::vector<Dim> out;
    const auto add = [&](const std::vector<Dim>& dims) {
        for (const Dim& d : dims)
            if (!contains_dim(out, d)) out.push_back(d);
    };
    for (const Argument& a : algorithm.arguments) add(a.state()->dims);
    for (const Func& f : algorithm.outputs) add(f.state()->dims);
    return out;
}

GraphNames GraphNames::without_extents(const AlgorithmState& algorithm) {
    GraphNames out(true);
    for (const Dim& d : entry_dims(algorithm))
        if (d.extent().constant()) out.open_dims_.insert(d.id());
    return out;
}

bool GraphNames::add_dim(const Dim& dim) {
    if (dims_.count(dim.id())) return false;
    const int uses = uses_of_name_[dim.name()]++;
    const std::string unique = uses == 0 ? dim.name() : fmt::format("{}.{}", dim.name(), uses);
    const std::string number = fmt::format("d{}", dims_.size());
    dims_[dim.id()] = canonical_ ? number : spelled(unique);
    table_.dims[unique] = number;
    table_.dim_of[dim.id()] = number;
    return true;
}

void GraphNames::add_dim_of(const FuncState& func, const Dim& dim) {
    if (canonical_) table_.dims_of[func.name].emplace(dim.name(), dims_.at(dim.id()));
}

std::string GraphNames::input(const InputState& input) {
    if (!canonical_) return spelled(input.name);
    std::string& name = others_[&input];
    if (name.empty()) table_.inputs[input.name] = name = fmt::format("i{}", inputs_++);
    return name;
}

std::string GraphNames::func(const FuncState& func) {
    if (!canonical_) return spelled(func.name);
    std::string& name = others_[&func];
    if (name.empty()) table_.funcs[func.name] = name = fmt::format("s{}", stages_count_++);
    return name;
}

std::string GraphNames::stage(const std::string& name) {
    if (!canonical_) return spelled(name);
    std::string& number = stages_[name];
    if (number.empty()) table_.funcs[name] = number = fmt::format("s{}", stages_count_++);
    return number;
}

std::string GraphNames::monoid(const std::string& name) {
    if (canonical_) {
        monoids_.insert(fmt::format("m{}", monoids_.size()));
        return fmt::format("m{}", monoids_.size() - 1);
    }
    std::string unique = name;
    for (int i = 1; !monoids_.insert(unique).second; ++i) unique = fmt::format("{}.{}", name, i);
    return spelled(unique);
}

}  // namespace tessera
