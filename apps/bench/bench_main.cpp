// tessera_bench: measures the cases against their rivals and prints Markdown; --json FILE writes the same rows for programs.
#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cases.h"
#include "harness.h"
#include "rivals/halide_rivals.h"

namespace {

std::string compiler() {
#if defined(__clang__)
    return fmt::format("clang {}.{}", __clang_major__, __clang_minor__);
#else
    return fmt::format("g++ {}.{}", __GNUC__, __GNUC_MINOR__);
#endif
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Times kernels against rivals: ratio = the rival's time / ours, above 1 ours is faster."};
    bench::CaseOptions case_options;
    bench::MeasureOptions options;
    std::string json, openblas;
    int pairs = 0;
    app.add_flag("--quick", case_options.quick, "one size per kernel, 31 pairs");
    app.add_option("--json", json, "also write the rows to this file");
    app.add_option("--threads", options.threads, "thread counts")->capture_default_str();
    app.add_option("--pairs", pairs, "interleaved pairs per row, at least 31")->check(CLI::Range(bench::least_pairs, 100000));
    app.add_option("--case", case_options.only, "cases whose names begin so");
    app.add_option("--openblas", openblas, "libscipy_openblas.so, the rival of matmul");
    CLI11_PARSE(app, argc, argv);
    options.pairs = pairs ? pairs : case_options.quick ? bench::least_pairs : options.pairs;

    std::ofstream json_file;
    if (!json.empty()) {
        json_file.open(json);
        if (!json_file) {
            fmt::print(stderr, "cannot write {}\n", json);
            return 2;
        }
    }
    const bench::Facts machine = bench::machine_facts();
    const bench::rivals::OpenBlas blas(openblas);
    std::vector<bench::Row> rows;
    bool agree = true;
    for (const bench::Case& c : bench::benchmark_cases(case_options, blas)) {
        fmt::print(stderr, "{} …\n", c.name);
        for (bench::Row& row : bench::measure(c, options)) {
            agree = agree && (row.checked || !(row.ratio > 0));
            rows.push_back(std::move(row));
        }
    }
    const bench::Facts versions{
        {"compiler", compiler()}, {"Halide", bench::rivals::halide_version()}, {"OpenBLAS", blas.version()}};
    fmt::print("{}", bench::markdown_report(rows, machine, versions));
    if (json_file.is_open()) json_file << bench::json_report(rows, machine, versions);
    if (!agree) fmt::print(stderr, "outputs differ: see the notes\n");
    return agree && (!json_file.is_open() || json_file.flush()) ? 0 : 1;
}
