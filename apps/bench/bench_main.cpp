// tessera_bench: measures the cases against their rivals and prints Markdown; --json FILE writes the same rows for programs,
// --svg FILE a picture. --resume FILE keeps what is measured and goes on behind it after an end at any moment.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cases.h"
#include "harness.h"
#include "peak.h"
#include "rivals/halide_rivals.h"
#include "rivals/onednn.h"
#include "row_journal.h"

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
    std::string json, openblas, svg, resume;
    int pairs = 0;
    bool all = false;
    app.add_flag("--quick", case_options.quick, "one size per kernel, 31 pairs");
    app.add_flag("--tuned", case_options.tuned,
                 "schedules from tuning beside those by hand and the default, against tuned rivals")
        ->excludes("--quick");
    app.add_flag("--all", all, "every size, 301 pairs")->excludes("--quick")->excludes("--tuned");
    app.add_option("--resume", resume, "keeps finished cases in this file; those found there are not measured again");
    app.add_option("--svg", svg, "also draw the ratios in this file");
    app.add_option("--json", json, "also write the rows to this file");
    app.add_option("--threads", options.threads, "thread counts")->capture_default_str();
    app.add_option("--pairs", pairs, "interleaved pairs per row, at least 31")->check(CLI::Range(bench::least_pairs, 100000));
    app.add_option("--case", case_options.only, "cases whose names begin so");
    app.add_option("--openblas", openblas, "libscipy_openblas.so, the rival of matmul");
    CLI11_PARSE(app, argc, argv);
    case_options.quick |= case_options.tuned;
    options.pairs = pairs ? pairs : case_options.quick ? bench::least_pairs : all ? 301 : options.pairs;
    case_options.usual = !case_options.quick && !all;

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
    const bench::Peak peak = bench::measure_peak(std::max(1, int(std::thread::hardware_concurrency())));
    bench::Journal journal(resume);
    std::vector<bench::Row> rows;
    bool agree = true;
    bench::for_each_case(case_options, blas, [&](const bench::Case& c) {
        std::vector<bench::Row> measured = journal.rows_of(c.name);
        if (measured.empty()) {
            fmt::print(stderr, "{} …\n", c.name);
            measured = bench::measure(c, options);
            for (bench::Row& row : measured)
                if (c.work.bytes > 0) row.roofline = bench::roof_seconds(c.work, peak, row.threads) * 1e3 / row.our_milliseconds;
            journal.add(c.name, measured);
        }
        for (bench::Row& row : measured) {
            agree = agree && (row.checked || !(row.ratio > 0));
            rows.push_back(std::move(row));
        }
    });
    const bench::Facts versions{{"compiler", compiler()},
                                {"Halide", bench::rivals::halide_version()},
                                {"OpenBLAS", blas.version()},
                                {"oneDNN", bench::rivals::onednn_version()},
                                {"peak", bench::peak_text(peak)}};
    fmt::print("{}", bench::markdown_report(rows, machine, versions));
    if (json_file.is_open()) json_file << bench::json_report(rows, machine, versions);
    if (!svg.empty() && !(std::ofstream(svg) << bench::svg_report(rows))) {
        fmt::print(stderr, "cannot write {}\n", svg);
        return 2;
    }
    if (!agree) fmt::print(stderr, "outputs differ: see the notes\n");
    return agree && (!json_file.is_open() || json_file.flush()) ? 0 : 1;
}
