#include "fuzz/fuzz_case.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>

/// The fuzzer's long mode: random algorithms, data and schedules until the time is up; prints what fails with its seed.
int main(int argc, char** argv) {
    std::uint64_t seed = 1, count = 0;
    double seconds = 60;
    bool interpreted = false, keep_going = false;
    CLI::App app{"Random algorithms x random schedules: oracle = loop tree = compiled kernel, bit for bit."};
    app.add_option("--seed", seed, "first seed; one a case");
    app.add_option("--count", count, "number of cases; 0: until --seconds are over");
    app.add_option("--seconds", seconds, "time to spend when there is no --count");
    app.add_flag("--interpreted", interpreted, "leave the compiled kernels out");
    app.add_flag("--keep-going", keep_going, "do not stop at the first failure");
    CLI11_PARSE(app, argc, argv);
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    std::uint64_t done = 0, legal = 0, failed = 0;
    double told = 0;
    while (count ? done < count : elapsed() < seconds) {
        const auto result = tessera::fuzz::run_case(seed + done, !interpreted);
        ++done;
        legal += result.legal;
        if (result.failed) {
            ++failed;
            fmt::print("{}\n", result.text);
            std::fflush(stdout);
            if (!keep_going) break;
        }
        if (elapsed() - told > 10) {
            told = elapsed();
            fmt::print(stderr, "{} cases, {} random schedules legal, {} failed, {:.0f} s\n", done, legal, failed, told);
        }
    }
    fmt::print("{} cases from seed {}, {} random schedules legal, {} failed\n", done, seed, legal, failed);
    return failed ? 1 : 0;
}
