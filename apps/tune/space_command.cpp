#include "generator_options.h"
#include "subcommands.h"

#include <tessera/tune_space.h>

#include <fmt/format.h>

#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

struct SpaceLine {
    GeneratorChoice generator;
    std::vector<std::string> extents, constraints;
    std::string target = "host";
    int samples = 0;
    std::uint64_t seed = 1;
};

int run_space(const SpaceLine& line) {
    const DescribedGenerator described = describe(line.generator);
    const ScheduleSpace space(described.algorithm, parse_target(line.target),
                              {.extents = integer_pairs(line.extents, "--extent"), .cores = 0, .constraints = line.constraints});
    const SpaceSize size = space.size();
    fmt::print("{}: {} {:.4g} schedules\n", described.name, size.exact ? "exactly" : "about", size.points);
    Random random(line.seed);
    fmt::print("the decisions of one of them (which decisions follow depends on those before):\n");
    for (const auto& decision : space.decisions(space.sample(random))) {
        std::string domain;
        for (const std::string& v : decision.domain) domain += (domain.empty() ? "" : " ") + v;
        fmt::print("  {} = {}   of {}\n", decision.name, decision.value, domain);
    }
    for (int i = 0; i < line.samples; ++i) fmt::print("{}\n", to_json(space.schedule(space.sample(random)), JsonStyle::compact));
    return 0;
}

}  // namespace

void add_space(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("space", "shows the search space of a generator: its size, its decisions, samples");
    auto line = std::make_shared<SpaceLine>();
    declare(*sub, line->generator);
    declare_extents(*sub, line->extents);
    sub->add_option("--constraint", line->constraints, "a condition on decisions: \"C.m.unroll * C.n.unroll <= 24\"")
        ->expected(1)
        ->take_all();
    sub->add_option("--target", line->target, "host, x86-64-linux-avx2-fma")->capture_default_str();
    sub->add_option("--samples", line->samples, "print so many random schedules")->capture_default_str();
    sub->add_option("--seed", line->seed, "of the samples")->capture_default_str();
    sub->callback([line, &status] { status = run_space(*line); });
}

}  // namespace tessera_tune
