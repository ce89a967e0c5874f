#include "subcommands.h"
#include "time_text.h"

#include <tessera/tune_journal.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

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

// Times by trial on a logarithmic axis: every trial a dot, the best so far a line, failures along the lower edge.
std::string convergence_chart(const std::vector<TrialRow>& rows) {
    constexpr double width = 860, height = 300, left = 70, bottom = 30, top = 12;
    double low = 0, high = 0;
    for (const TrialRow& r : rows)
        if (r.seconds) {
            low = low == 0 ? *r.seconds : std::min(low, *r.seconds);
            high = std::max(high, *r.seconds);
        }
    if (low == 0) return "<p>No trial has a time.</p>";
    const double from = std::log10(low) - 0.05, to = std::max(std::log10(high) + 0.05, from + 0.2);
    const auto x = [&](std::size_t i) {
        return left + (width - left - 10) * static_cast<double>(i) / std::max<double>(static_cast<double>(rows.size() - 1), 1);
    };
    const auto y = [&](double seconds) { return top + (height - top - bottom) * (to - std::log10(seconds)) / (to - from); };
    std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"time of each trial\">", width, height);
    for (int step = 0; step <= 4; ++step) {
        const double seconds = std::pow(10, from + (to - from) * step / 4);
        out += fmt::format(
            "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
            "text-anchor=\"end\">{5}</text>",
            left, width - 10, y(seconds), left - 6, y(seconds) + 4, time_text(seconds));
    }
    std::string line;
    double best = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& s = rows[i].seconds;
        if (!s) {
            out += fmt::format("<path class=\"failed\" d=\"M{0:.1f} {1} l6 6 m0 -6 l-6 6\"><title>trial {2}: {3}</title></path>",
                               x(i) - 3, height - bottom - 8, i, word(rows[i].measured.verdict));
            continue;
        }
        out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"><title>trial {}: {}</title></circle>", x(i), y(*s), i,
                           time_text(*s));
        if (best == 0 || *s < best) {
            line += best == 0 ? fmt::format("M{:.1f} {:.1f}", x(i), y(*s)) : fmt::format(" H{:.1f} V{:.1f}", x(i), y(*s));
            best = *s;
        }
    }
    line += fmt::format(" H{:.1f}", width - 10);
    return out + fmt::format("<path class=\"best\" d=\"{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">trial {}</text></svg>",
                             line, width - 10, height - 8, rows.size() - 1);
}

std::string failure_table(const std::vector<TrialRow>& rows) {
    std::map<std::string, std::pair<int, std::string>> kinds;
    for (const TrialRow& r : rows)
        if (r.measured.verdict != Verdict::ok) {
            auto& kind = kinds[std::string(word(r.measured.verdict))];
            ++kind.first;
            if (kind.second.empty()) kind.second = r.measured.error;
        }
    if (kinds.empty()) return "<p>None.</p>";
    std::string out = "<table><tr><th>status</th><th>trials</th><th>the first one</th></tr>";
    for (const auto& [status, kind] : kinds)
        out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", status, kind.first, escaped(kind.second));
    return out + "</table>";
}

std::string top_table(std::vector<TrialRow> rows) {
    std::erase_if(rows, [](const TrialRow& r) { return !r.seconds; });
    std::stable_sort(rows.begin(), rows.end(), [](const TrialRow& a, const TrialRow& b) { return *a.seconds < *b.seconds; });
    std::string out = "<table><tr><th>trial</th><th>time</th><th>interval</th><th>from</th><th>schedule</th></tr>";
    for (std::size_t i = 0; i < rows.size() && i < 10; ++i) {
        const TrialRow& t = rows[i];
        const Interval m = bootstrap_median(t.measured.samples);
        out += fmt::format(
            "<tr><td>{}</td><td>{}</td><td>{} to "
            "{}</td><td>{}</td><td><details><summary>JSON</summary><pre>{}</pre></details></td></tr>",
            t.ordinal, time_text(*rows[i].seconds), time_text(m.low), time_text(m.high), escaped(t.origin),
            escaped(to_json(t.schedule)));
    }
    return out + "</table>";
}

int run_report(const std::string& path, const std::string& out) {
    const Journal journal = read_journal(path);
    const auto header = nlohmann::json::parse(journal.header);
    if (journal.rows.empty())
        throw Error(E0805_usage, {}, fmt::format("{} has no trials", path), {fix("tessera-tune resume " + path)});
    std::optional<double> first, best;
    for (const TrialRow& row : journal.rows) {
        if (row.seconds && row.origin == "default" && !first) first = row.seconds;
        if (row.seconds && (!best || *row.seconds < *best)) best = row.seconds;
    }
    std::string command = "tessera-tune run";
    for (const auto& word : header.at("argv")) command += " " + word.get<std::string>();
    const std::string name = escaped(header.at("generator").get<std::string>());
    const std::string text = fmt::format(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}: tuning</title><style>body{{font:15px/1.5 "
        "system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}}"
        "svg{{width:100%}}svg "
        "text{{font-size:12px;fill:#555}}circle{{fill:#7aa6d8}}.best{{fill:none;stroke:#c2410c;stroke-width:2}}.grid{{stroke:#"
        "ddd}}.failed{{stroke:#b91c1c;fill:none}}"
        "table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid "
        "#ddd;vertical-align:top}}pre{{overflow:auto;max-width:520px}}</style>"
        "<h1>{0}</h1><p><code>{1}</code></p><p>Target {2}, parameters {3}.</p><p>{4} trials; the least time of one is {5}{6}.</p>"
        "<h2>Time of each trial</h2><p>Dots: trials; line: the best so far; crosses: failures.</p>{7}<h2>Failures</h2>{8}<h2>The "
        "ten fastest</h2>{9}</html>\n",
        name, escaped(command), escaped(header.at("target").get<std::string>()), escaped(header.at("params").dump()),
        journal.rows.size(), best ? time_text(*best) : "none",
        best && first ? fmt::format(", {:.2f} times as fast as the default's", *first / *best) : "",
        convergence_chart(journal.rows), failure_table(journal.rows), top_table(journal.rows));
    std::ofstream file(out);
    file << text;
    if (!file.flush())
        throw Error(E0605_file, {}, fmt::format("{} cannot be written", out), {fix("name another file with --out")});
    fmt::print("{}\n", out);
    return 0;
}

}  // namespace

void add_report(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("report", "writes one HTML file about a session");
    struct Line {
        std::string journal, out = "report.html";
    };
    auto line = std::make_shared<Line>();
    sub->add_option("journal", line->journal, "the journal of a session")->required();
    sub->add_option("-o,--out", line->out, "the file")->capture_default_str();
    sub->callback([line, &status] { status = run_report(line->journal, line->out); });
}

}  // namespace tessera_tune
