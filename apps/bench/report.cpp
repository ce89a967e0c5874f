// How rows are printed, and what is known of the machine they come from.
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/utsname.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness.h"
#include "row_journal.h"

namespace bench {
namespace {

/// The value of the first line `key : value` of a file of /proc.
std::string proc_value(const char* path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(key, 0) != 0) continue;
        const auto colon = line.find(':');
        const auto value = line.find_first_not_of(" \t", colon + 1);
        return value == std::string::npos ? "" : line.substr(value);
    }
    return "unknown";
}

std::string instruction_sets() {
    std::istringstream flags(proc_value("/proc/cpuinfo", "flags"));
    std::string found;
    for (std::string flag; flags >> flag;) {
        if (flag == "fma" || flag == "avx2" || flag == "avx512f" || flag == "avx512_bf16" || flag == "amx_tile")
            found += flag + " ";
    }
    return found.empty() ? "unknown" : found.substr(0, found.size() - 1);
}

nlohmann::ordered_json object_of(const Facts& facts) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (const auto& [name, value] : facts) object[name] = value;
    return object;
}

std::string lines_of(const Facts& facts) {
    std::string text;
    for (const auto& [name, value] : facts) text += fmt::format("- {}: {}\n", name, value);
    return text;
}

std::string number(double value, int digits) { return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, digits); }

}  // namespace

Facts machine_facts() {
    utsname kernel{};
    uname(&kernel);
    std::string load;
    std::ifstream("/proc/loadavg") >> load;
    return {{"processor", fmt::format("{} (family {}, model {})", proc_value("/proc/cpuinfo", "model name"),
                                      proc_value("/proc/cpuinfo", "cpu family"), proc_value("/proc/cpuinfo", "model\t"))},
            {"instruction sets", instruction_sets()},
            {"processors", std::to_string(std::thread::hardware_concurrency())},
            {"memory", proc_value("/proc/meminfo", "MemTotal")},
            {"kernel", fmt::format("{} {}", kernel.sysname, kernel.release)},
            {"load when it began", load}};
}

std::string json_report(const std::vector<Row>& rows, const Facts& machine, const Facts& versions) {
    nlohmann::ordered_json report{{"machine", object_of(machine)}, {"versions", object_of(versions)}};
    report["rows"] = nlohmann::ordered_json::array();
    for (const Row& row : rows) report["rows"].push_back(row_fields(row));
    return report.dump(2) + "\n";
}

std::string markdown_report(const std::vector<Row>& rows, const Facts& machine, const Facts& versions) {
    std::string text = "ratio = the rival's time / ours: above 1 ours is faster. Interval: 95 %, of the median over pairs.\n\n";
    text += "| case | rival | threads | ratio | low | high | checked | ours ms | rival ms | % of roofline | note |\n";
    text += "|---|---|--:|--:|--:|--:|---|--:|--:|--:|---|\n";
    for (const Row& row : rows) {
        text += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", row.case_name, row.rival, row.threads,
                            number(row.ratio, 3), number(row.low, 3), number(row.high, 3), row.checked ? "yes" : "no",
                            number(row.our_milliseconds, 4), number(row.rival_milliseconds, 4), number(100 * row.roofline, 0),
                            row.note);
    }
    return text + "\n" + lines_of(machine) + lines_of(versions);
}

}  // namespace bench
