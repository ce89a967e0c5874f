#include "shipped_model.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/compile.h>
#include <tessera/schedule_source.h>
#include <tessera/tessera_runtime.h>
#include <tessera/tune_measure.h>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

namespace tessera_tune {
namespace {

using namespace tessera;

enum class Finding { good, doubtful, bad };

int report(Finding finding, const std::string& what, const std::string& advice = "") {
    static constexpr const char* marks[] = {"ok     ", "doubt  ", "problem"};
    fmt::print("{} {}\n", marks[static_cast<int>(finding)], what);
    if (!advice.empty() && finding != Finding::good) fmt::print("          {}\n", advice);
    return finding == Finding::bad ? 1 : 0;
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

int check_processor() {
    const BuildContext c = build_context(Target::host());
    int bad =
        report(Finding::good, fmt::format("machine {}", c.machine)) + report(Finding::good, fmt::format("target {}", c.target));
    const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    if (!governor.empty())
        bad += report(governor == "performance" ? Finding::good : Finding::doubtful, "frequency governor " + governor,
                      "the governor performance makes times repeat better");
    double load = -1;
    if (getloadavg(&load, 1) == 1) {
        const double cores = std::max(1.0, static_cast<double>(std::thread::hardware_concurrency()));
        bad += report(load < 0.2 * cores ? Finding::good : Finding::doubtful,
                      fmt::format("load {:.2f} on {:.0f} processors", load, cores),
                      "others are computing: end them, or measure when they are done");
    }
    return bad;
}

// The same work again and again: what the machine itself adds to a time.
int check_noise() {
    std::vector<double> times;
    for (int round = 0; round < 200; ++round) {
        const auto start = std::chrono::steady_clock::now();
        double x = 1;
        for (int i = 0; i < 200000; ++i) x = x * 1.0000001 + 1e-9;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (x > 0) times.push_back(seconds);
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    const double spread = (times[times.size() * 3 / 4] - times[times.size() / 4]) / median,
                 worst = times[times.size() * 99 / 100] / median;
    const Finding finding = spread < 0.02 ? Finding::good : spread < 0.15 ? Finding::doubtful : Finding::bad;
    return report(
        finding,
        fmt::format("equal work: the middle half within {:.1f} %, one in a hundred {:.2f} times the median", 100 * spread, worst),
        "differences smaller than this are not decided; the default stays");
}

int check_tools() {
    int bad = 0;
    const std::string lock = (std::filesystem::temp_directory_path() / "tessera-measure.lock").string();
    const int file = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bad +=
        report(file >= 0 ? Finding::good : Finding::bad, "the lock of measurements, " + lock, "remove it, or make it writable");
    if (file >= 0) close(file);
    const std::string cache = kernel_cache_folder();
    bad += report(cache.empty() ? Finding::doubtful : Finding::good,
                  "kernels are kept in " + (cache.empty() ? "no folder" : cache), "set TESSERA_CACHE_DIR, or HOME");
    const char* chosen = std::getenv("CC");
    const std::string compiler = chosen != nullptr && *chosen != '\0' ? chosen : "cc";
    const bool works = std::system((compiler + " --version >/dev/null 2>&1").c_str()) == 0;
    bad += report(works ? Finding::good : Finding::bad, "the C compiler " + compiler,
                  "install one, or set CC: generators link with it");
    return bad;
}

int check_database(const std::string& path) {
    try {
        const auto source = open_schedule_source(path);
        return report(Finding::good, "the database " + source->name());
    } catch (const Exception& e) {
        return report(Finding::bad, e.message(), "tessera-tune db check says more");
    }
}

int check_model() {
    const auto shipped = shipped_model();
    if (!shipped)
        return report(Finding::doubtful, "the cost model that comes with Tessera is not there",
                      "install it to ../share/tessera; until then the analytic model chooses the first candidates");
    try {
        const auto model = tune::LearnedModel::read(shipped->json);
        return report(Finding::good, fmt::format("cost model {}, {}", shipped->path, origin_text(model.origin())));
    } catch (const Exception& e) {
        return report(Finding::bad, fmt::format("cost model {}: {}", shipped->path, e.message()), "install Tessera again");
    }
}

int run_doctor(const std::string& db) {
    int bad = check_processor() + check_noise() + check_tools() + check_model();
    if (!db.empty()) bad += check_database(db);
    fmt::print("{}\n", bad == 0 ? "nothing keeps this machine from tuning" : fmt::format("{} problems", bad));
    return bad == 0 ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("doctor", "says whether this machine can tune: noise, load, tools, the database");
    auto db = std::make_shared<std::string>();
    sub->add_option("--db", *db, "a database that is looked at as well");
    sub->footer("The status is 1 when something keeps it from tuning.");
    sub->callback([db, &status] { status = run_doctor(*db); });
}

}  // namespace tessera_tune
