#include "base/closest_name.h"

#include <algorithm>
#include <numeric>

namespace tessera {
namespace {

// Levenshtein distance with adjacent transpositions counted as one edit (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

}  // namespace

std::string closest_name(std::string_view spelling, const std::vector<std::string>& candidates) {
    const size_t limit = std::max<size_t>(1, std::max(spelling.size(), size_t{3}) / 3);
    std::string best;
    size_t best_distance = limit + 1;
    for (const std::string& candidate : candidates) {
        const size_t distance = edit_distance(spelling, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

Hint fix_spelling(std::string_view spelling, const std::vector<std::string>& candidates) {
    const std::string near = closest_name(spelling, candidates);
    if (!near.empty()) return fix("did you mean '" + near + "'?");
    if (candidates.empty()) return fix("there is none to choose from");
    return fix("choose one of " + join_names(candidates));
}

std::string join_names(const std::vector<std::string>& names) {
    std::string out;
    for (size_t i = 0; i < names.size(); ++i) {
        if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
        out += names[i];
    }
    return out;
}

}  // namespace tessera
