#pragma once

#include <CLI/CLI.hpp>

/// tessera-tune's subcommands: each declares its options and sets a callback that leaves the exit status in `status`.
namespace tessera_tune {

void add_best(CLI::App& app, int& status);
void add_completion(CLI::App& app, int& status);
void add_db(CLI::App& app, int& status);
void add_diff(CLI::App& app, int& status);
void add_doctor(CLI::App& app, int& status);
void add_explain(CLI::App& app, int& status);
void add_lock(CLI::App& app, int& status);
void add_measure(CLI::App& app, int& status);
void add_model(CLI::App& app, int& status);
void add_record(CLI::App& app, int& status);
void add_replay(CLI::App& app, int& status);
void add_report(CLI::App& app, int& status);
void add_resume(CLI::App& app, int& status);
void add_revalidate(CLI::App& app, int& status);
void add_run(CLI::App& app, int& status);
void add_show(CLI::App& app, int& status);
void add_space(CLI::App& app, int& status);
void add_status(CLI::App& app, int& status);

}  // namespace tessera_tune
