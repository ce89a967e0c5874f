#include "backend/cuda/kernel_report.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

namespace tessera::cuda {
namespace {

std::string_view trimmed(std::string_view s) {
    while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front())) != 0) s.remove_prefix(1);
    while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back())) != 0) s.remove_suffix(1);
    return s;
}

/// What stands in quotes after `key`; "" where it does not.
std::string quoted_after(std::string_view line, std::string_view key) {
    const std::size_t at = line.find(key);
    if (at == std::string_view::npos) return {};
    const std::size_t begin = line.find('\'', at);
    const std::size_t end = begin == std::string_view::npos ? begin : line.find('\'', begin + 1);
    return end == std::string_view::npos ? std::string() : std::string(line.substr(begin + 1, end - begin - 1));
}

/// The number before `unit`: 12 of "..., 12 bytes stack frame". 0 where there is none.
int number_before(std::string_view line, std::string_view unit) {
    const std::size_t at = line.find(unit);
    if (at == std::string_view::npos) return 0;
    std::size_t end = at;
    while (end > 0 && line[end - 1] == ' ') --end;
    std::size_t begin = end;
    while (begin > 0 && std::isdigit(static_cast<unsigned char>(line[begin - 1])) != 0) --begin;
    int value = 0;
    for (std::size_t i = begin; i < end; ++i) value = 10 * value + (line[i] - '0');
    return value;
}

/// "C7510" of "(C7510) Potential ...", taken off the line.
std::string take_code(std::string_view& line) {
    if (!line.starts_with("(C")) return {};
    const std::size_t end = line.find(')');
    if (end == std::string_view::npos) return {};
    const std::string code(line.substr(1, end - 1));
    line = trimmed(line.substr(end + 1));
    return code;
}

class ReportReader {
public:
    PtxasReport read(std::string_view text) {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            read_line(trimmed(text.substr(at, end - at)));
            at = end + 1;
        }
        for (PtxasNote& note : notes_) place(std::move(note));
        return std::move(report_);
    }

private:
    void read_line(std::string_view line) {
        for (const std::string_view kind : {"info", "warning", "error", "fatal"}) {
            const std::string head = fmt::format("ptxas {}", kind);
            const std::size_t begin = line.find(head);  // after "file, line n; " in errors of inline assembly
            if (begin == std::string_view::npos) continue;
            const std::size_t colon = line.find(':', begin);
            if (colon == std::string_view::npos) return;
            read_remark(kind, trimmed(line.substr(colon + 1)));
            return;
        }
        if (line.find("bytes stack frame") != std::string_view::npos && described_ != nullptr) {
            described_->stack_bytes = number_before(line, "bytes stack frame");
            described_->spill_store_bytes = number_before(line, "bytes spill stores");
            described_->spill_load_bytes = number_before(line, "bytes spill loads");
        }
    }

    void read_remark(std::string_view kind, std::string_view text) {
        if (text.starts_with("Compiling entry function")) {
            report_.kernels.push_back({quoted_after(text, "function"), quoted_after(text, " for "), 0, 0, 0, 0, 0, 0, 0, {}});
            described_ = &report_.kernels.back();
            return;
        }
        if (text.starts_with("Function properties for")) {
            // Device functions that were not inlined are described between the kernels.
            const std::string_view name = trimmed(text.substr(std::string_view("Function properties for").size()));
            const auto it = std::find_if(report_.kernels.begin(), report_.kernels.end(),
                                         [&](const KernelReport& k) { return k.function == name; });
            described_ = it == report_.kernels.end() ? nullptr : &*it;
            return;
        }
        if (text.starts_with("Used ") && !report_.kernels.empty()) {
            KernelReport& kernel = report_.kernels.back();
            kernel.registers = number_before(text, "registers");
            kernel.barriers = number_before(text, "barriers");
            kernel.static_shared_bytes = number_before(text, "bytes smem");
            kernel.constant_bytes = number_before(text, "bytes cmem[0]");
            return;
        }
        const std::string code = take_code(text);
        if (code.empty() && kind == "info") return;
        notes_.push_back({code, std::string(text), quoted_after(text, "function"), kind == "error" || kind == "fatal"});
    }

    void place(PtxasNote note) {
        for (KernelReport& kernel : report_.kernels)
            if (kernel.function == note.function) {
                kernel.notes.push_back(std::move(note));
                return;
            }
        report_.notes.push_back(std::move(note));
    }

    PtxasReport report_;
    std::vector<PtxasNote> notes_;
    KernelReport* described_ = nullptr;
};

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

Severity severity_of(const PtxasNote& note, const ReportPolicy& policy) {
    if (note.is_error) return Severity::error;
    if (note.code == "C7508") return policy.registers_kept;
    if (is_one_of(note.code, {"C7510", "C7511", "C7512", "C7513", "C7514", "C7515", "C7516", "C7517", "C7518", "C7519"}))
        return policy.serialised;
    return policy.other_notes;
}

struct ArchLimits {
    int number;
    int warps, ctas, shared_bytes, cta_shared_bytes;  // of a multiprocessor; of a CTA
};
constexpr int registers_of_multiprocessor = 65536, reserved_shared_bytes = 1024;
constexpr ArchLimits arch_limits[] = {{80, 64, 32, 167936, 166912},  {86, 48, 16, 102400, 101376}, {87, 48, 16, 167936, 166912},
                                      {89, 48, 24, 102400, 101376},  {90, 64, 32, 233472, 232448}, {100, 64, 32, 233472, 232448},
                                      {103, 64, 32, 233472, 232448}, {120, 48, 24, 102400, 101376}};

constexpr int rounded_up(int value, int unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

PtxasReport parse_ptxas_report(std::string_view text) { return ReportReader().read(text); }

std::vector<ReportFinding> judge_report(const PtxasReport& report, const ReportPolicy& policy) {
    std::vector<ReportFinding> findings;
    const auto add = [&](Severity severity, std::string message) {
        if (severity != Severity::ignore) findings.push_back({severity, std::move(message)});
    };
    for (const KernelReport& k : report.kernels) {
        if (k.spill_store_bytes > 0 || k.spill_load_bytes > 0)
            add(policy.spills,
                fmt::format("{} on {}: {} bytes of registers are spilled and {} loaded back, with {} registers a thread",
                            k.function, k.arch, k.spill_store_bytes, k.spill_load_bytes, k.registers));
        else if (k.stack_bytes > 0)
            add(policy.stack, fmt::format("{} on {}: {} bytes of local memory a thread", k.function, k.arch, k.stack_bytes));
        for (const PtxasNote& note : k.notes)
            add(severity_of(note, policy),
                fmt::format("{} on {}: {}{}{}", k.function, k.arch, note.code, note.code.empty() ? "" : ": ", note.text));
    }
    for (const PtxasNote& note : report.notes)
        add(severity_of(note, policy), fmt::format("{}{}{}", note.code, note.code.empty() ? "" : ": ", note.text));
    return findings;
}

std::vector<std::string> require_clean_report(const PtxasReport& report, const ReportPolicy& policy,
                                              std::string_view schedule_fix) {
    std::vector<std::string> warnings;
    std::string errors;
    for (ReportFinding& finding : judge_report(report, policy)) {
        if (finding.severity == Severity::error)
            errors += (errors.empty() ? "" : "; ") + finding.message;
        else
            warnings.push_back(std::move(finding.message));
    }
    if (!errors.empty()) throw Error(E0804_toolchain, {}, fmt::format("ptxas: {}", errors), {fix(std::string(schedule_fix))});
    return warnings;
}

Occupancy occupancy(std::string_view arch, int threads, int registers, int shared_bytes) {
    int number = 0;
    for (const char c : arch)
        if (std::isdigit(static_cast<unsigned char>(c)) != 0) number = 10 * number + (c - '0');
    const auto* const limits =
        std::find_if(std::begin(arch_limits), std::end(arch_limits), [&](const ArchLimits& l) { return l.number == number; });
    if (limits == std::end(arch_limits))
        throw Limit(L0901_not_on_target, {}, fmt::format("the occupancy of {} is not known", arch),
                    {fix("ask for sm_80, sm_90a or sm_100a")});
    const int warps = rounded_up(threads, 32) / 32;
    // Registers are given to warps in units of 256; shared memory to CTAs in units of 128 bytes, with 1 KiB for the system.
    const int warp_registers = rounded_up(std::max(1, registers) * 32, 256);
    const int by_registers = registers_of_multiprocessor / warp_registers / warps;
    const int by_shared = shared_bytes > limits->cta_shared_bytes
                              ? 0
                              : limits->shared_bytes / rounded_up(shared_bytes + reserved_shared_bytes, 128);
    const int by_warps = limits->warps / warps;
    Occupancy o;
    o.max_warps = limits->warps;
    o.ctas = std::min({by_registers, by_shared, by_warps, limits->ctas});
    o.warps = o.ctas * warps;
    o.limited_by = o.ctas == by_warps       ? "warps"
                   : o.ctas == by_registers ? "registers"
                   : o.ctas == by_shared    ? "shared memory"
                                            : "ctas";
    return o;
}

std::string report_text(const KernelReport& report, int threads, int dynamic_shared_bytes,
                        const std::map<std::string, int>& instructions) {
    const Occupancy o = occupancy(report.arch, threads, report.registers, report.static_shared_bytes + dynamic_shared_bytes);
    std::string text =
        fmt::format("{} on {}: {} registers, {} barriers, {} + {} bytes of shared memory", report.function, report.arch,
                    report.registers, report.barriers, report.static_shared_bytes, dynamic_shared_bytes);
    if (report.spill_store_bytes + report.spill_load_bytes > 0)
        text += fmt::format(", {} bytes spilled and {} loaded back", report.spill_store_bytes, report.spill_load_bytes);
    text += fmt::format("; {} cta{}, {} of {} warps, limited by {}\n", o.ctas, o.ctas == 1 ? "" : "s", o.warps, o.max_warps,
                        o.limited_by);
    std::vector<std::pair<int, std::string>> by_count;
    for (const auto& [name, count] : instructions) by_count.emplace_back(-count, name);
    std::sort(by_count.begin(), by_count.end());
    std::string mix;
    for (const auto& [count, name] : by_count) mix += fmt::format("{}{} {}", mix.empty() ? "" : ", ", name, -count);
    if (!mix.empty()) text += fmt::format("instructions: {}\n", mix);
    for (const PtxasNote& note : report.notes) text += fmt::format("{}: {}\n", note.code, note.text);
    return text;
}

std::map<std::string, int> count_instructions(std::string_view disassembly) {
    std::map<std::string, int> counts;
    for (std::size_t at = 0; at < disassembly.size();) {
        const std::size_t end = std::min(disassembly.find('\n', at), disassembly.size());
        std::string_view line = trimmed(disassembly.substr(at, end - at));
        at = end + 1;
        // "/*0010*/   @!P0 LDS.128 R4, [R0] ;"
        if (!line.starts_with("/*") || line.find(';') == std::string_view::npos) continue;
        line = trimmed(line.substr(line.find("*/") + 2));
        if (line.starts_with('@')) line = trimmed(line.substr(std::min(line.find(' '), line.size())));
        std::size_t length = 0;
        while (length < line.size() && (std::isalnum(static_cast<unsigned char>(line[length])) != 0 || line[length] == '_'))
            ++length;
        if (length > 0) ++counts[std::string(line.substr(0, length))];
    }
    return counts;
}

std::string find_cuda_tool(std::string_view name) {
    std::vector<std::string> folders;
    if (const char* home = std::getenv("CUDA_HOME")) folders.push_back(std::string(home) + "/bin");
    if (const char* path = std::getenv("PATH")) {
        const std::string_view all(path);
        for (std::size_t at = 0; at <= all.size();) {
            const std::size_t end = std::min(all.find(':', at), all.size());
            folders.emplace_back(all.substr(at, end - at));
            at = end + 1;
        }
    }
    folders.emplace_back("/usr/local/cuda/bin");
    for (const std::string& folder : folders) {
        std::string file = fmt::format("{}/{}", folder, name);
        if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
    }
    return {};
}

}  // namespace tessera::cuda
