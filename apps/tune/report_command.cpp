#include "report_charts.h"
#include "session_store.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/tune.h>
#include <tessera/tune_journal.h>
#include <tessera/tune_space.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

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

std::vector<DecidedTrial> decided_trials(const ScheduleSpace& space, const std::vector<TrialRow>& rows) {
    std::vector<DecidedTrial> out;
    for (const TrialRow& r : rows) {
        if (!r.seconds) continue;
        DecidedTrial t{*r.seconds, {}};
        for (const auto& d : space.decisions(space.point(r.schedule))) t.values.emplace_back(d.name, d.value);
        out.push_back(std::move(t));
    }
    return out;
}

// A table as tessera-tune replay reads it: a column for each decision, -1 where it was not made, words as numbers; then the
// time, nothing for a failure.
std::string table_text(const ScheduleSpace& space, const std::vector<TrialRow>& rows) {
    std::map<std::string, std::set<std::string>> words;
    std::vector<std::map<std::string, std::string>> values;
    for (const TrialRow& r : rows) {
        auto& made = values.emplace_back();
        for (const auto& d : space.decisions(space.point(r.schedule))) {
            made[d.name] = d.value;
            words[d.name].insert(d.value);
        }
    }
    std::string out;
    for (const auto& entry : words)
        if (entry.second.size() > 1) out += entry.first + ",";
    out += "median_ms\n";
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (const auto& [name, known] : words) {
            if (known.size() < 2) continue;
            const auto made = values[i].find(name);
            if (made == values[i].end())
                out += "-1,";
            else if (made->second.find_first_not_of("0123456789") == std::string::npos)
                out += made->second + ",";
            else
                out += fmt::format("{},", std::distance(known.begin(), known.find(made->second)));
        }
        out += rows[i].seconds ? fmt::format("{:.6g}\n", 1e3 * bootstrap_median(rows[i].measured.samples).median) : "\n";
    }
    return out;
}

// The roof is that of the machine which writes the report: it is shown for sessions of this machine alone.
std::string roofline_section(const nlohmann::json& header, const Algorithm& algorithm, const std::vector<TrialRow>& rows) {
    const std::string elsewhere = "<p>The session was measured on another machine: no roof is known here.</p>";
    if (!header.contains("context") || context_from(header.at("context").dump()).machine != build_context(Target::host()).machine)
        return elsewhere;
    const auto extents = header.at("extents").get<std::map<std::string, std::int64_t>>();
    const auto features = loop_features(algorithm, rows.front().schedule, extents);
    const auto count = [&](const std::string& name) {
        const auto& names = feature_names();
        const auto at = std::find(names.begin(), names.end(), name);
        return at == names.end() ? 0.0
                                 : std::exp2(static_cast<double>(features[static_cast<std::size_t>(at - names.begin())])) - 1;
    };
    const double operations = count("operations"), bytes = count("input_bytes") + count("output_bytes");
    if (operations < 1 || bytes < 1) return "<p>The algorithm computes nothing that is counted.</p>";
    const Roof roof = measure_roof(header.value("threads", 0));
    double best = 0;
    for (const TrialRow& r : rows)
        if (r.seconds && (best == 0 || *r.seconds < best)) best = *r.seconds;
    const double limit = std::min(roof.operations_per_second, roof.bytes_per_second * operations / bytes);
    return fmt::format(
               "<p>{:.3g} operations of definitions (a multiplication that is added counts as two), {:.3g} bytes of arguments. "
               "The roof, "
               "measured when this was written: {:.4g} G operations/s, {:.3g} GB/s. The fastest trial reaches {:.0f} % of what "
               "it allows.</p>",
               operations, bytes, roof.operations_per_second * 1e-9, roof.bytes_per_second * 1e-9,
               best > 0 ? 100 * operations / best / limit : 0) +
           roofline_chart(roof, operations, bytes, rows);
}

// Bars of the work of each stage, and how it is computed.
std::string stage_table(const Algorithm& algorithm, const Schedule& schedule, const std::map<std::string, std::int64_t>& extents,
                        const Target& target) {
    std::map<std::string, StageWork> work;
    double all = 0;
    for (const StageWork& w : stage_work(algorithm, schedule, extents, target)) {
        work[w.stage] = w;
        all += w.instructions;
    }
    std::string out = "<table><tr><th>stage</th><th>share of the instructions</th><th>computed</th><th>loops</th></tr>";
    for (const auto& [name, stage] : schedule.stages) {
        std::string loops;
        if (stage.loops)
            for (const LoopSpec& l : *stage.loops)
                loops += fmt::format("{}{}{}{}", loops.empty() ? "" : ", ", l.dim, l.tile ? fmt::format("/{}", *l.tile) : "",
                                     l.as == LoopKind::serial ? "" : " " + std::string(word(l.as)));
        const bool at = stage.compute && stage.compute->kind == Compute::Kind::at;
        const double share = all > 0 ? work[name].instructions / all : 0;
        out += fmt::format(
            "<tr><td>{}</td><td><span class=\"bar\" style=\"width:{:.0f}px\"></span> {:.0f} %</td><td>{}</td><td>{}</td></tr>",
            escaped(name), 120 * share, 100 * share,
            at ? escaped(stage.compute->at.stage + ", in loop " + stage.compute->at.loop) : "by itself", escaped(loops));
    }
    std::string inlined;
    for (const Func& f : algorithm.funcs())
        if (!schedule.stages.count(f.name())) inlined += (inlined.empty() ? "" : ", ") + escaped(f.name());
    return out + "</table>" + (inlined.empty() ? "" : "<p>Where they are used: " + inlined + ".</p>");
}

constexpr const char* style =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}svg{width:100%}"
    "svg text{font-size:12px;fill:#555}circle{fill:#7aa6d8}.best{fill:none;stroke:#c2410c;stroke-width:2}.grid{stroke:#ddd}"
    ".axis{stroke:#999}.band{fill:#e8e2d4;stroke:none}.random{fill:none;stroke:#a89a7a;stroke-dasharray:4 3}"
    ".bar{display:inline-block;height:.8em;background:#c2410c}.failed{stroke:#b91c1c;fill:none}.slow{fill:none;stroke:#7aa6d8;"
    "opacity:.25}.fast{fill:none;stroke:#c2410c;stroke-width:1.6}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #ddd;"
    "vertical-align:top}pre{overflow:auto;max-width:520px}";

std::string summary(const nlohmann::json& header, const Journal& journal) {
    std::optional<double> first, best;
    for (const TrialRow& row : journal.rows) {
        if (row.seconds && row.origin == "default" && !first) first = row.seconds;
        if (row.seconds && (!best || *row.seconds < *best)) best = row.seconds;
    }
    std::string command = "tessera-tune run";
    for (const auto& w : header.at("argv")) command += " " + w.get<std::string>();
    std::string out = fmt::format(
        "<p><code>{}</code></p><p>Target {}, parameters {}, {} threads{}.</p><p>{} trials; the least time of one is {}{}.</p>",
        escaped(command), escaped(header.at("target").get<std::string>()), escaped(header.at("params").dump()),
        header.value("threads", 0), header.value("cold", false) ? ", cold" : "", journal.rows.size(),
        best ? time_text(*best) : "none",
        best && first ? fmt::format(", {:.2f} times as fast as the default's", *first / *best) : "");
    if (!journal.decision) return out + "<p>The session is not over: nothing is decided.</p>";
    if (!journal.decision->speedup) return out;
    const Interval& s = *journal.decision->speedup;
    return out +
           fmt::format(
               "<p>Decided in interleaved rounds: trial {}, {:.3f} times as fast as the default, 95 % in [{:.3f}, {:.3f}].</p>",
               journal.decision->ordinal, s.median, s.low, s.high);
}

struct ReportLine {
    std::string db, session, out = "report.html", table;
};

void write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    if (!file.flush()) throw Error(E0605_file, {}, fmt::format("{} cannot be written", path), {fix("name another file")});
    fmt::print("{}\n", path);
}

int run_report(const ReportLine& line) {
    const std::string &db = line.db, &session = line.session, &out = line.out, &table = line.table;
    const Journal journal = read_session(db, session);
    const auto header = nlohmann::json::parse(journal.header);
    if (journal.rows.empty())
        throw Error(E0805_usage, {}, fmt::format("{} has no trials", session), {fix("tessera-tune resume " + session)});
    const Algorithm algorithm = parse_algorithm(header.at("algorithm").get<std::string>());
    std::vector<Schedule> candidates;
    for (const auto& text : header.at("candidates")) candidates.push_back(parse_schedule(text.get<std::string>()));
    const ScheduleSpace space(algorithm, parse_target(header.at("target").get<std::string>()),
                              {.extents = header.at("extents").get<std::map<std::string, std::int64_t>>(),
                               .cores = header.value("threads", 0),
                               .forms = searched_forms(journal.rows.front().schedule, candidates)});
    const TrialRow* winner = nullptr;
    for (const TrialRow& r : journal.rows)
        if (journal.decision ? r.ordinal == journal.decision->ordinal : r.seconds && (!winner || *r.seconds < *winner->seconds))
            winner = &r;
    const std::string name = escaped(header.at("generator").get<std::string>());
    std::string text = fmt::format(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}: tuning</title><style>{1}</style><h1>{0}</h1>", name,
        style);
    text += summary(header, journal);
    text +=
        "<h2>Time of each trial</h2><p>Dots: trials; line: the best so far; crosses: failures. Band: where the best so far would "
        "be, nine times of ten, if the same trials had come in random order; dashes: its median.</p>" +
        convergence_chart(journal.rows);
    text += "<h2>Roofline</h2>" + roofline_section(header, algorithm, journal.rows);
    text +=
        "<h2>Decisions</h2><p>The decisions that tell most about the time, most first; the fastest tenth of the trials stands "
        "out.</p>" +
        parallel_coordinates(decided_trials(space, journal.rows));
    if (winner != nullptr)
        text += fmt::format("<h2>Stages of trial {}</h2>", winner->ordinal) +
                stage_table(algorithm, winner->schedule, header.at("extents").get<std::map<std::string, std::int64_t>>(),
                            parse_target(header.at("target").get<std::string>()));
    text +=
        "<h2>Failures</h2>" + failure_table(journal.rows) + "<h2>The ten fastest</h2>" + top_table(journal.rows) + "</html>\n";
    write_file(out, text);
    if (!table.empty()) write_file(table, table_text(space, journal.rows));
    return 0;
}

}  // namespace

void add_report(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand(
        "report", "writes one HTML file about a session: convergence, roofline, decisions, failures, the fastest");
    auto line = std::make_shared<ReportLine>();
    sub->add_option("session", line->session, "its journal; with --db the beginning of its id")->required();
    sub->add_option("--db", line->db, "the database that it is in");
    sub->add_option("-o,--out", line->out, "the file")->capture_default_str();
    sub->add_option("--table", line->table, "write decisions and times of all trials as CSV too, as replay reads them");
    sub->callback([line, &status] { status = run_report(*line); });
}

}  // namespace tessera_tune
