// tessera-tune: searches schedules, keeps what was measured, explains what it found.
#include "subcommands.h"

#include <fmt/format.h>

#include <exception>

int main(int argc, char** argv) {
    CLI::App app("tessera-tune: finds schedules that are fast on this machine, checks them and keeps them in a database");
    app.require_subcommand(1);
    app.footer(
        "A first session:\n"
        "  tessera-tune run matmul.generator --dim m=512 --dim n=512 --dim k=512 --trials 200 --db team.db\n"
        "  tessera-tune explain matmul.generator --dim m=512 --dim n=512 --dim k=512 --db team.db\n"
        "  matmul.generator -o out --dim m=512 --dim n=512 --dim k=512 --schedule-db team.db --require exact\n"
        "Every subcommand has its own --help. NO_COLOR turns colours off. Statuses: 0 done, 1 an error or nothing found, 130 "
        "stopped.\n"
        "tessera-tune completion bash prints what completes these words in a shell.");
    int status = 0;
    using namespace tessera_tune;
    for (const auto& add :
         {add_run, add_resume, add_status, add_best, add_show, add_explain, add_diff, add_measure, add_space, add_replay, add_db,
          add_record, add_model, add_report, add_lock, add_revalidate, add_doctor, add_completion})
        add(app, status);
    try {
        CLI11_PARSE(app, argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
    return status;
}
