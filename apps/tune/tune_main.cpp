// tessera-tune: searches schedules, keeps what was measured, explains what it found.
#include "subcommands.h"

#include <fmt/format.h>

#include <exception>

int main(int argc, char** argv) {
    CLI::App app("tessera-tune: finds schedules that are fast on this machine, checks them and keeps them in a database");
    app.require_subcommand(1);
    app.footer("Every subcommand has its own --help. NO_COLOR turns colours off.");
    int status = 0;
    using namespace tessera_tune;
    for (const auto& add : {add_run, add_resume, add_status, add_report, add_measure, add_model, add_space, add_replay})
        add(app, status);
    try {
        CLI11_PARSE(app, argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
    return status;
}
