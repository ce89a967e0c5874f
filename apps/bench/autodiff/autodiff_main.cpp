// autodiff_bench: values with gradients against JAX, against C written by hand, and against the values alone; prints Markdown.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <tessera/tessera_runtime.h>

#include "gradient_contest.h"
#include "harness.h"

int main(int argc, char** argv) {
    CLI::App app{"Times values with gradients against rivals: ratio = the rival's time / ours, above 1 ours is faster."};
    bench::MeasureOptions options;
    options.pairs = bench::least_pairs;
    bench::JaxProcess::Options jax;
    std::vector<std::string> only;
    std::string json;
    bool forward = false;
    app.add_option("--case", only, "functions whose names begin so");
    app.add_option("--json", json, "also write the rows to this file");
    app.add_option("--threads", options.threads, "thread counts")->capture_default_str();
    app.add_option("--pairs", options.pairs, "interleaved pairs per row")->check(CLI::Range(bench::least_pairs, 100000));
    app.add_option("--jax", jax.packages, "the folder of the Python package jax");
    app.add_option("--jax-script", jax.script, "jax_kernels.py")->required();
    app.add_flag("--forward", forward, "derivatives along a tangent and products with the Hessian instead, against ours alone");
    CLI11_PARSE(app, argc, argv);

    const bench::Facts machine = bench::machine_facts();
    bench::Facts versions{{"JAX", "not there"}};
    std::vector<bench::Row> rows;
    bool agree = true;
    for (const int threads : options.threads) {
        jax.processors = threads;
        bench::JaxProcess rival(jax);
        versions[0].second = rival.problem().empty() ? rival.version() : rival.problem();
        bench::MeasureOptions at = options;
        at.threads = {threads};
        for (const bench::ListedGradient& listed : bench::gradient_cases()) {
            const auto asked = [&](const std::string& name) { return listed.name.rfind(name, 0) == 0; };
            if (only.empty() ? listed.when_named : std::none_of(only.begin(), only.end(), asked)) continue;
            fmt::print(stderr, "{}, threads {} …\n", listed.name, threads);
            const bench::GradientCase made = listed.make();
            std::vector<bench::Case> cases;
            if (forward)
                cases = bench::forward_contests(made);
            else
                cases.push_back(bench::gradient_contest(made, rival));
            for (bench::Case& one : cases)
                for (bench::Row& row : bench::measure(one, at)) {
                    if (row.rival == bench::value_alone || row.rival == bench::gradient_alone)
                        row.note = fmt::format("{} {:.2f}",
                                               !forward                          ? "gradient and value / value"
                                               : row.rival == bench::value_alone ? "derivative and value / value"
                                                                                 : "product / gradient and value",
                                               1 / row.ratio);
                    agree = agree && (row.checked || !(row.ratio > 0));
                    rows.push_back(std::move(row));
                }
        }
    }
    fmt::print("{}", bench::markdown_report(rows, machine, versions));
    if (!json.empty()) std::ofstream(json) << bench::json_report(rows, machine, versions);
    if (!agree) fmt::print(stderr, "results differ: see the notes\n");
    return agree ? 0 : 1;
}
