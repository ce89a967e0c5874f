#include "fuzz/emulated_batch.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <filesystem>

/// The long mode of test_emulated_fuzz: batches of random algorithms until the time is up; prints the first fault.
int main(int argc, char** argv) {
    std::uint64_t seed = 1, batch = 25;
    double seconds = 60;
    std::string folder = "emulated_fuzz", family = "whole";
    CLI::App app{"Random algorithms x default and random GPU schedules: oracle = emulated kernels."};
    app.add_option("--seed", seed, "first seed");
    app.add_option("--batch", batch, "algorithms that are compiled together");
    app.add_option("--seconds", seconds, "no batch begins later");
    app.add_option("--folder", folder, "where kernels are written");
    app.add_option("--family", family, "of algorithms")->check(CLI::IsMember({"whole", "reals"}));
    CLI11_PARSE(app, argc, argv);
    using tessera::fuzz::Family;
    std::filesystem::create_directories(folder);
    const auto start = std::chrono::steady_clock::now();
    std::size_t algorithms = 0, schedules = 0, kernels = 0;
    for (; std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds; seed += batch) {
        const auto result =
            tessera::fuzz::run_batch(seed, batch, family == "reals" ? Family::reals : Family::whole_numbers, folder);
        algorithms += result.algorithms, schedules += result.schedules, kernels += result.kernels;
        fmt::print("up to seed {}: {} algorithms, {} schedules, {} kernels\n", seed + batch - 1, algorithms, schedules, kernels);
        if (result.fault.empty()) continue;
        fmt::print("{}\n", result.fault);
        return 1;
    }
    return 0;
}
