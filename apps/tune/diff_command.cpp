#include "subcommands.h"

#include <tessera/schedule.h>

#include <fmt/format.h>

#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;

int run_diff(const std::string& a, const std::string& b) {
    const std::string text = diff(canonical(read_schedule(a)), canonical(read_schedule(b))).text;
    fmt::print("{}", text);
    return text.empty() ? 0 : 1;
}

}  // namespace

void add_diff(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("diff", "says in which fields two schedules differ, a line each; status 1 when they do");
    struct Line {
        std::string a, b;
    };
    auto line = std::make_shared<Line>();
    sub->add_option("a", line->a, "a schedule as JSON")->required();
    sub->add_option("b", line->b, "another one")->required();
    sub->footer("Names of loops and the way in which fields are written do not count.");
    sub->callback([line, &status] { status = run_diff(line->a, line->b); });
}

}  // namespace tessera_tune
