#include "tune/round_decision.h"

#include <algorithm>
#include <cmath>

namespace tessera::tune {
namespace {

constexpr double wide = 1.10;    // an interval from its low to its high end: a few per cent cannot be told apart
constexpr double itself = 1.01;  // the default's interval against itself may miss 1 by this much

constexpr double chance = 0.025;  // that among equals some candidate wins

// How likely this many rounds or more go to one of two equals.
double sign_test(const std::vector<double>& ratios) {
    const auto rounds = static_cast<int>(ratios.size());
    const auto won = static_cast<int>(std::count_if(ratios.begin(), ratios.end(), [](double r) { return r > 1; }));
    double out = 0, outcomes = std::exp2(-rounds);  // of exactly k rounds, from k = rounds down
    for (int k = rounds; k >= won; --k) {
        out += outcomes;
        outcomes *= static_cast<double>(k) / (rounds - k + 1);
    }
    return out;
}

std::vector<double> ratios(const std::vector<double>& of, const std::vector<double>& over) {
    std::vector<double> out;
    for (std::size_t r = 0; r < std::min(of.size(), over.size()); ++r) out.push_back(of[r] / over[r]);
    return out;
}

// How much faster than the default a candidate must be: by more than the default is than itself.
double least_gain(const std::optional<Interval>& against_itself) {
    if (!against_itself || (against_itself->low <= itself && against_itself->high >= 1 / itself)) return 1;
    return std::max(against_itself->high, 1 / against_itself->low);
}

}  // namespace

RoundDecision decide(const std::vector<std::vector<double>>& times, const std::vector<double>& again) {
    RoundDecision out;
    if (times[0].empty()) {
        // Nothing to compare with: the least median.
        for (std::size_t i = 1; i < times.size(); ++i)
            if (!times[i].empty() &&
                (times[out.winner].empty() || bootstrap_median(times[i]).median < bootstrap_median(times[out.winner]).median))
                out.winner = i;
        return out;
    }
    if (const auto same = ratios(times[0], again); !same.empty()) out.against_itself = bootstrap_median(same);
    const double gain = least_gain(out.against_itself);
    // Each of several candidates has a chance to look faster.
    const auto candidates = std::count_if(times.begin() + 1, times.end(), [](const auto& t) { return !t.empty(); });
    double best = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
        if (times[i].empty()) continue;
        const auto paired = ratios(times[0], times[i]);
        const Interval ratio = bootstrap_median(paired);
        if (!out.fastest || ratio.median > out.against_fastest->median) {
            out.fastest = i;
            out.against_fastest = ratio;
        }
        const bool clear = ratio.low > gain && sign_test(paired) <= chance / static_cast<double>(candidates);
        if (ratio.median > best && clear && faster(times[i], times[0])) {
            best = ratio.median;
            out.winner = i;
        }
    }
    // A wide interval that lies below 1 leaves nothing open.
    out.too_noisy = out.winner == 0 && out.fastest && out.against_fastest->high > 1 &&
                    (gain > 1 || out.against_fastest->high > wide * out.against_fastest->low);
    return out;
}

}  // namespace tessera::tune
