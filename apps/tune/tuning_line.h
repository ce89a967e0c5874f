#pragma once

#include "generator_program.h"
#include "time_text.h"

#include <tessera/tune_journal.h>

#include <CLI/CLI.hpp>

namespace tessera_tune {

/// The options of `run`, which `resume` reads back from the session.
struct TuningLine {
    GeneratorChoice generator;
    std::vector<std::string> extents, constraints, schedules;
    std::string target = "host", strategy = "hybrid", journal, db, session, out, model;
    std::uint64_t seed = 1;
    std::size_t trials = 200, batch = 4, patience = 0;
    double seconds = 0, timeout = 30, timeout_ratio = 10;
    int threads = 0, rounds = 15;
    bool cold = false, json = false;
};
/// What a session's options ask tune() for.
[[nodiscard]] tessera::tune::TuneOptions tune_options(const TuningLine& line);
void declare(CLI::App& app, TuningLine& line);
/// The options that say where progress and results go; they are not part of the session.
void declare_output(CLI::App& app, TuningLine& line);

}  // namespace tessera_tune
