#include "report_charts.h"

#include "time_text.h"

#include <tessera/tune_strategy.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

namespace tessera_tune {
namespace {

using namespace tessera::tune;

constexpr double width = 860, height = 300, left = 70, bottom = 30, top = 12, right = 10;

std::string open_svg(double tall, const std::string& label) {
    return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width, tall, label);
}
std::string text_at(double x, double y, const std::string& anchor, const std::string& text) {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor, escaped(text));
}

// A logarithmic axis from one value to another.
struct LogAxis {
    double from, to, start, end;
    [[nodiscard]] double at(double value) const { return start + (end - start) * (std::log10(value) - from) / (to - from); }
    [[nodiscard]] double value(double share) const { return std::pow(10, from + (to - from) * share); }
};

struct Band {
    std::vector<double> low, middle, high;
};
// The best so far over random orders of the trials: tenth, median and ninetieth percentile at each position.
Band random_band(const std::vector<TrialRow>& rows) {
    constexpr int orders = 300;
    std::vector<std::optional<double>> times;
    for (const TrialRow& r : rows) times.push_back(r.seconds);
    std::vector<std::vector<double>> best(rows.size());
    Random random(1);
    for (int n = 0; n < orders; ++n) {
        for (std::size_t i = times.size(); i > 1; --i)
            std::swap(times[i - 1], times[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < times.size(); ++i) {
            if (times[i]) least = std::min(least, *times[i]);
            best[i].push_back(least);
        }
    }
    Band out;
    for (auto& b : best) {
        std::sort(b.begin(), b.end());
        out.low.push_back(b[orders / 10]);
        out.middle.push_back(b[orders / 2]);
        out.high.push_back(b[orders * 9 / 10]);
    }
    return out;
}

std::string band_path(const Band& band, const LogAxis& y, double highest, const std::function<double(std::size_t)>& x) {
    std::string upper, lower, middle;
    for (std::size_t i = 0; i < band.low.size(); ++i) {
        upper += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : " L", x(i), y.at(std::min(band.high[i], highest)));
        middle += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : " L", x(i), y.at(std::min(band.middle[i], highest)));
    }
    for (std::size_t i = band.low.size(); i-- > 0;)
        lower += fmt::format(" L{:.1f} {:.1f}", x(i), y.at(std::min(band.low[i], highest)));
    return fmt::format("<path class=\"band\" d=\"{}{} Z\"/><path class=\"random\" d=\"{}\"/>", upper, lower, middle);
}

std::string trial_marks(const std::vector<TrialRow>& rows, const LogAxis& y, const std::function<double(std::size_t)>& x) {
    std::string out, line;
    double best = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& s = rows[i].seconds;
        if (!s) {
            out += fmt::format("<path class=\"failed\" d=\"M{0:.1f} {1} l6 6 m0 -6 l-6 6\"><title>trial {2}: {3}</title></path>",
                               x(i) - 3, height - bottom - 8, i, word(rows[i].measured.verdict));
            continue;
        }
        out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"><title>trial {}: {}</title></circle>", x(i), y.at(*s),
                           i, time_text(*s));
        if (best == 0 || *s < best) {
            line += best == 0 ? fmt::format("M{:.1f} {:.1f}", x(i), y.at(*s)) : fmt::format(" H{:.1f} V{:.1f}", x(i), y.at(*s));
            best = *s;
        }
    }
    return out + fmt::format("<path class=\"best\" d=\"{} H{:.1f}\"/>", line, width - right);
}

// How much of the variance of log time the values of a decision explain.
double told(const std::vector<DecidedTrial>& trials, const std::string& decision) {
    std::map<std::string, std::pair<double, int>> groups;
    double sum = 0, squares = 0;
    int count = 0;
    for (const DecidedTrial& t : trials)
        for (const auto& [name, value] : t.values)
            if (name == decision) {
                const double log = std::log(t.seconds);
                groups[value].first += log;
                ++groups[value].second;
                sum += log;
                squares += log * log;
                ++count;
            }
    if (count < 4 || groups.size() < 2 || groups.size() * 2 > static_cast<std::size_t>(count)) return 0;
    const double mean = sum / count, whole = squares / count - mean * mean;
    double between = 0;
    for (const auto& [value, group] : groups) between += group.second * std::pow(group.first / group.second - mean, 2) / count;
    // Decisions that few trials make tell little about all of them.
    return whole > 0 ? between / whole * count / static_cast<double>(trials.size()) : 0;
}

bool by_number(const std::string& a, const std::string& b) {
    const bool numbers = !a.empty() && !b.empty() && std::isdigit(static_cast<unsigned char>(a[0])) != 0 &&
                         std::isdigit(static_cast<unsigned char>(b[0])) != 0;
    return numbers ? std::stoll(a) < std::stoll(b) : a < b;
}

}  // namespace

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    return out;
}

std::string convergence_chart(const std::vector<TrialRow>& rows) {
    double low = 0, high = 0;
    for (const TrialRow& r : rows)
        if (r.seconds) {
            low = low == 0 ? *r.seconds : std::min(low, *r.seconds);
            high = std::max(high, *r.seconds);
        }
    if (low == 0) return "<p>No trial has a time.</p>";
    const double from = std::log10(low) - 0.05, to = std::max(std::log10(high) + 0.05, from + 0.2);
    const LogAxis y{from, to, height - bottom, top};
    const auto x = [&](std::size_t i) {
        return left + (width - left - right) * static_cast<double>(i) / std::max<double>(static_cast<double>(rows.size() - 1), 1);
    };
    std::string out = open_svg(height, "time of each trial");
    for (int step = 0; step <= 4; ++step) {
        const double seconds = y.value(step / 4.0);
        out += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", left, width - right,
                           y.at(seconds));
        out += text_at(left - 6, y.at(seconds) + 4, "end", time_text(seconds));
    }
    out += band_path(random_band(rows), y, high, x) + trial_marks(rows, y, x);
    return out + text_at(width - right, height - 8, "end", fmt::format("trial {}", rows.size() - 1)) + "</svg>";
}

std::string parallel_coordinates(const std::vector<DecidedTrial>& trials) {
    constexpr std::size_t axes = 8;
    std::set<std::string> names;
    for (const DecidedTrial& t : trials)
        for (const auto& value : t.values) names.insert(value.first);
    std::vector<std::pair<double, std::string>> ranked;
    for (const std::string& n : names)
        if (const double share = told(trials, n); share > 0) ranked.emplace_back(-share, n);
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(std::min(ranked.size(), axes));
    if (ranked.size() < 2) return "<p>Too few trials to compare decisions.</p>";
    std::vector<double> times;
    for (const DecidedTrial& t : trials) times.push_back(t.seconds);
    std::sort(times.begin(), times.end());
    const double fast = times[times.size() / 10];
    constexpr double tall = 360, lowest = tall - 50, highest = 24;
    const auto x = [&](std::size_t a) {
        return left + (width - 2 * left) * static_cast<double>(a) / static_cast<double>(ranked.size() - 1);
    };
    std::string out = open_svg(tall, "decisions of each trial"), labels;
    std::vector<std::map<std::string, double>> places(ranked.size());
    for (std::size_t a = 0; a < ranked.size(); ++a) {
        std::set<std::string, bool (*)(const std::string&, const std::string&)> values(by_number);
        for (const DecidedTrial& t : trials)
            for (const auto& [name, value] : t.values)
                if (name == ranked[a].second) values.insert(value);
        std::size_t i = 0;
        for (const std::string& v : values) {
            const double y =
                lowest -
                (lowest - highest) * (values.size() > 1 ? static_cast<double>(i) / static_cast<double>(values.size() - 1) : 0.5);
            places[a][v] = y;
            labels += text_at(x(a) + 5, y + 4, "start", v);
            ++i;
        }
        out += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", x(a), highest, lowest);
        labels += text_at(x(a), tall - 30 + 14 * static_cast<double>(a % 2), "middle", ranked[a].second);
    }
    std::string slow_lines, fast_lines;
    for (const DecidedTrial& t : trials) {
        std::string path;
        for (std::size_t a = 0; a < ranked.size(); ++a)
            for (const auto& [name, value] : t.values)
                if (name == ranked[a].second)
                    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x(a), places[a].at(value));
        (t.seconds <= fast ? fast_lines : slow_lines) +=
            fmt::format("<path class=\"{}\" d=\"{}\"><title>{}</title></path>", t.seconds <= fast ? "fast" : "slow", path,
                        time_text(t.seconds));
    }
    return out + slow_lines + fast_lines + labels + "</svg>";
}

std::string roofline_chart(const Roof& roof, double operations, double bytes, const std::vector<TrialRow>& rows) {
    const double intensity = operations / bytes, knee = roof.operations_per_second / roof.bytes_per_second;
    double slowest = 0, fastest = 0;
    for (const TrialRow& r : rows)
        if (r.seconds) {
            slowest = std::max(slowest, *r.seconds);
            fastest = fastest == 0 ? *r.seconds : std::min(fastest, *r.seconds);
        }
    if (fastest == 0) return "";
    const double lowest = std::min(operations / slowest, roof.operations_per_second / 100);
    const LogAxis x{std::log10(std::min(intensity, knee) / 8), std::log10(std::max(intensity, knee) * 8), left, width - right};
    const LogAxis y{std::log10(lowest) - 0.1, std::log10(roof.operations_per_second) + 0.2, height - bottom, top};
    const double start = std::max(x.value(0), std::pow(10, y.from) / roof.bytes_per_second);
    std::string out = open_svg(height, "operations a second under the roof of the machine");
    for (int step = 0; step <= 4; ++step) {
        const double speed = y.value(step / 4.0), ratio = x.value(step / 4.0);
        out += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", left, width - right,
                           y.at(speed));
        out += text_at(left - 6, y.at(speed) + 4, "end", fmt::format("{:.3g} G/s", speed * 1e-9));
        out += text_at(x.at(ratio), height - 8, "middle", fmt::format("{:.3g}", ratio));
    }
    out += fmt::format("<path class=\"best\" d=\"M{:.1f} {:.1f} L{:.1f} {:.1f} H{:.1f}\"/>", x.at(start),
                       y.at(start * roof.bytes_per_second), x.at(knee), y.at(roof.operations_per_second), width - right);
    for (const TrialRow& r : rows)
        if (r.seconds)
            out +=
                fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>trial {}: {}</title></circle>", x.at(intensity),
                            y.at(operations / *r.seconds), *r.seconds == fastest ? 5 : 2, r.ordinal, time_text(*r.seconds));
    return out + "</svg>";
}

}  // namespace tessera_tune
