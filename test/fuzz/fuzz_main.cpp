#include "fuzz/fuzz_case.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>

namespace {

using tessera::fuzz::CaseResult;
using tessera::fuzz::Family;

struct Options {
    std::uint64_t seed = 1, count = 0;
    double seconds = 60, slow = 20;
    bool interpreted = false, keep_going = false;
    std::string family = "both";
};

// A limit's text without the names and numbers in it.
std::string kind_of(const std::string& limit) {
    std::string out;
    for (const char c : limit)
        if (!std::isdigit(static_cast<unsigned char>(c))) out += c;
    return out.substr(0, 100);
}

std::uint64_t at_work = 0;
const char* at_work_family = "";

// A kernel that ends the program leaves its seed.
void tell_seed(int signal) {
    std::fprintf(stderr, "--family %s --seed %llu: signal %d\n", at_work_family, static_cast<unsigned long long>(at_work),
                 signal);
    std::_Exit(128 + signal);
}

class Tally {
public:
    explicit Tally(const Options& options) : options_(options) {}

    // Of processor time: what else the machine does meanwhile takes nothing away.
    [[nodiscard]] static double elapsed() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
    void run(std::uint64_t seed, Family family) {
        const double before = elapsed();
        const char* kind = family == Family::reals ? "reals" : "whole";
        at_work = seed, at_work_family = kind;
        const CaseResult result = tessera::fuzz::run_case(seed, !options_.interpreted, family);
        ++cases_, legal_ += result.legal, near_ += result.near_only;
        differ_ += result.failed && !result.refused, refused_ += result.refused;
        if (!result.limit.empty()) ++limits_[kind_of(result.limit)];
        if (result.failed) fmt::print("--family {} {}\n", kind, result.text);
        if (elapsed() - before > options_.slow)
            fmt::print("seed {} of family {} took {:.0f} s\n", seed, kind, elapsed() - before);
        std::fflush(stdout);
        if (elapsed() - told_ < 10) return;
        told_ = elapsed();
        fmt::print(stderr, "{} cases, {} random schedules legal, {} differ, {} default schedules refused, {:.0f} s\n", cases_,
                   legal_, differ_, refused_, told_);
    }
    [[nodiscard]] std::uint64_t failed() const { return differ_ + refused_; }
    void print() const {
        std::uint64_t beyond = 0;
        for (const auto& [text, count] : limits_) beyond += count;
        fmt::print(
            "{} cases from seed {}: {} random schedules legal, {} differ, {} default schedules refused, {} within a tolerance, "
            "{} ({:.1f} %) beyond a limit\n",
            cases_, options_.seed, legal_, differ_, refused_, near_, beyond,
            100.0 * static_cast<double>(beyond) / static_cast<double>(std::max<std::uint64_t>(cases_, 1)));
        for (const auto& [text, count] : limits_) fmt::print("{:6} {}\n", count, text);
    }

private:
    const Options& options_;
    std::uint64_t cases_ = 0, legal_ = 0, differ_ = 0, refused_ = 0, near_ = 0;
    double told_ = 0;
    std::map<std::string, std::uint64_t> limits_;
};

}  // namespace

/// The fuzzer's long mode: random algorithms, arguments and schedules until the time is up; prints what fails with its seed.
int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Random algorithms x random schedules: oracle = loop tree = compiled kernel, bit for bit."};
    app.add_option("--seed", options.seed, "first seed; one a case");
    app.add_option("--count", options.count, "number of seeds; 0: until --seconds are over");
    app.add_option("--seconds", options.seconds, "processor time to spend when there is no --count");
    app.add_option("--slow", options.slow, "name cases that take longer than this, in seconds");
    app.add_option("--family", options.family, "both: reals at every second seed as well")
        ->check(CLI::IsMember({"whole", "reals", "both"}));
    app.add_flag("--interpreted", options.interpreted, "leave the compiled kernels out");
    app.add_flag("--keep-going", options.keep_going, "do not stop at the first failure");
    CLI11_PARSE(app, argc, argv);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, tell_seed);
    Tally tally(options);
    for (std::uint64_t done = 0; options.count ? done < options.count : Tally::elapsed() < options.seconds; ++done) {
        if (options.family != "reals") tally.run(options.seed + done, Family::whole_numbers);
        if (options.family == "reals" || (options.family == "both" && done % 2 == 1))
            tally.run(options.seed + done, Family::reals);
        if (tally.failed() > 0 && !options.keep_going) break;
    }
    tally.print();
    return tally.failed() > 0 ? 1 : 0;
}
