#include "progress_printer.h"

#include "time_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace tessera_tune {
namespace {

using tessera::tune::TuneProgress;
using tessera::tune::Verdict;

std::string failures_text(const TuneProgress& p) {
    std::string out;
    for (const auto& [status, count] : p.failures)
        out += fmt::format("{}{} {}", out.empty() ? "" : " ", count, tessera::tune::word(status));
    return out;
}

std::string duration_text(double seconds) {
    const auto s = static_cast<long>(seconds);
    return s >= 60 ? fmt::format("{}m{:02}s", s / 60, s % 60) : fmt::format("{}s", s);
}

std::string line_text(const TuneProgress& p) {
    std::string out = fmt::format("[{:3}/{}]", p.trials, p.budget);
    if (p.best_seconds) {
        out += fmt::format(" best {}", time_text(*p.best_seconds));
        if (p.default_seconds) out += fmt::format(" ({:.2f}x default)", *p.default_seconds / *p.best_seconds);
    }
    out += p.trial.seconds ? fmt::format(" | last {}", time_text(*p.trial.seconds))
                           : fmt::format(" | last {}", tessera::tune::word(p.trial.measured.verdict));
    if (const std::string failures = failures_text(p); !failures.empty()) out += " | " + failures;
    return out;
}

}  // namespace

void ProgressPrinter::show(const TuneProgress& p) {
    switch (style_) {
        case Style::json: {
            nlohmann::ordered_json event{{"event", "trial"},         {"trial", p.trial.ordinal},
                                         {"of", p.budget},           {"status", tessera::tune::word(p.trial.measured.verdict)},
                                         {"origin", p.trial.origin}, {"recalled", p.recalled},
                                         {"improved", p.improved}};
            if (p.trial.seconds) event["seconds"] = *p.trial.seconds;
            if (!p.trial.measured.error.empty()) event["error"] = p.trial.measured.error;
            if (p.best_seconds) event["best_seconds"] = *p.best_seconds;
            event["elapsed_seconds"] = p.elapsed_seconds;
            fmt::print("{}\n", event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
            break;
        }
        case Style::lines:
            if (p.improved) fmt::print("{}\n", line_text(p));
            break;
        case Style::live: {
            const double left = p.elapsed_seconds / static_cast<double>(p.trials) * static_cast<double>(p.budget - p.trials);
            const bool mark = p.improved && colours_;
            fmt::print("\r\x1b[K{}{}{} | eta {}", mark ? "\x1b[32m" : "", line_text(p), mark ? "\x1b[0m" : "",
                       duration_text(left));
            open_ = true;
            break;
        }
    }
    std::fflush(stdout);
}

void ProgressPrinter::finish() {
    if (open_) fmt::print("\n");
    open_ = false;
}

ProgressPrinter make_printer(bool json) {
    const bool terminal = isatty(1) == 1;
    return {json       ? ProgressPrinter::Style::json
            : terminal ? ProgressPrinter::Style::live
                       : ProgressPrinter::Style::lines,
            terminal && !std::getenv("NO_COLOR")};
}

}  // namespace tessera_tune
