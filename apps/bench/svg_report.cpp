// Ratios as a picture: a bar a row, from 1 to the ratio on a logarithmic scale, with its interval.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "harness.h"

namespace bench {
namespace {

constexpr int label_width = 430, plot_width = 520, row_height = 18, head_height = 46, margin = 10;
constexpr double least_ratio = 0.125, most_ratio = 32;

double position(double ratio) {
    const double clamped = std::clamp(ratio, least_ratio, most_ratio);
    return label_width + plot_width * std::log2(clamped / least_ratio) / std::log2(most_ratio / least_ratio);
}

std::string escaped(const std::string& text) {
    static const std::map<char, std::string> entities{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};
    std::string out;
    for (const char c : text) {
        const auto entity = entities.find(c);
        out += entity == entities.end() ? std::string(1, c) : entity->second;
    }
    return out;
}

std::string bar(const Row& row, int y) {
    const double from = position(1), to = position(row.ratio);
    std::string text =
        fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} · {} · {} thread{}</text>\n", label_width - margin,
                    y + row_height - 5, escaped(row.case_name), escaped(row.rival), row.threads, row.threads == 1 ? "" : "s");
    text += fmt::format("<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"{}/>\n", std::min(from, to), y + 3,
                        std::max(std::abs(to - from), 1.0), row_height - 6, row.ratio >= 1 ? "#4a8f5c" : "#b5543f",
                        row.note.find("noisy") == std::string::npos ? "" : " fill-opacity=\"0.35\"");
    text += fmt::format("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" stroke=\"black\"/>\n", position(row.low),
                        position(row.high), y + row_height / 2, y + row_height / 2);
    return text + fmt::format("<text x=\"{}\" y=\"{}\">{:.2f}</text>\n", label_width + plot_width + margin, y + row_height - 5,
                              row.ratio);
}

}  // namespace

std::string svg_report(const std::vector<Row>& rows) {
    std::string bars;
    int y = head_height;
    for (const Row& row : rows) {
        if (std::isnan(row.ratio) || row.rival == "A/A") continue;
        bars += bar(row, y);
        y += row_height;
    }
    std::string grid;
    for (double ratio = least_ratio; ratio <= most_ratio; ratio *= 2) {
        grid += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"{3}\"/>\n", position(ratio),
                            head_height - 6, y, ratio == 1 ? "black" : "#dddddd");
        grid += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", position(ratio), head_height - 10,
                            ratio);
    }
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"11\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        "<text x=\"{}\" y=\"16\">the rival's time / ours, 95 % interval; pale: noisy</text>\n{}{}</svg>\n",
        label_width + plot_width + 60, y + margin, label_width, grid, bars);
}

}  // namespace bench
