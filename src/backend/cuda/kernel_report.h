#pragma once
// What the CUDA compilers say about a kernel: ptxas' report, what it means for occupancy, the mix of instructions.
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::cuda {

/// A remark of ptxas with a number, such as C7510.
struct PtxasNote {
    std::string code;  // "C7510"; "" of a warning or an error without number
    std::string text;
    std::string function;  // "" where it names none
    bool is_error = false;
};

/// The resources of one kernel.
struct KernelReport {
    std::string function;  // as in the object file, mangled where it is not extern "C"
    std::string arch;      // "sm_90a"
    int registers = 0;     // a thread, at the start of the kernel
    int barriers = 0;
    int stack_bytes = 0, spill_store_bytes = 0, spill_load_bytes = 0;  // a thread
    int static_shared_bytes = 0, constant_bytes = 0;
    std::vector<PtxasNote> notes;
};

struct PtxasReport {
    std::vector<KernelReport> kernels;
    std::vector<PtxasNote> notes;  // that belong to no kernel of the report
};

/// Reads what `ptxas -v` (also through nvcc and NVRTC) prints; lines that it does not know are passed over.
[[nodiscard]] PtxasReport parse_ptxas_report(std::string_view text);

/// Whether a finding is an error, a warning or of no interest.
enum class Severity { ignore, warning, error };

/// What is worth an error. The defaults are those of generated kernels: what loses a schedule's promise silently is an error.
struct ReportPolicy {
    Severity spills = Severity::error;      // registers in local memory
    Severity stack = Severity::error;       // arrays with run-time indices
    Severity serialised = Severity::error;  // products of warpgroups one after another, waits put in between (C7510 ... C7519)
    Severity registers_kept = Severity::error;  // setmaxnreg was ignored (C7508)
    Severity other_notes = Severity::warning;
};

struct ReportFinding {
    Severity severity;
    std::string message;
};

/// What a report says that the policy does not ignore.
[[nodiscard]] std::vector<ReportFinding> judge_report(const PtxasReport& report, const ReportPolicy& policy = {});

/// Throws E0804 with every finding that is an error; returns the warnings. `schedule_fix` says what of the schedule to change.
std::vector<std::string> require_clean_report(const PtxasReport& report, const ReportPolicy& policy = {},
                                              std::string_view schedule_fix = "smaller tiles, or fewer values held by a thread");

/// CTAs that fit on a multiprocessor together, and what limits them.
struct Occupancy {
    int ctas = 0, warps = 0, max_warps = 0;
    std::string limited_by;  // "registers", "shared memory", "warps", "ctas"
    [[nodiscard]] double fraction() const { return max_warps == 0 ? 0 : static_cast<double>(warps) / max_warps; }
};
/// Source of the limits: CUDA C++ Programming Guide, "Compute capabilities", and its occupancy calculator. Throws L0901 for an
/// arch without a row.
[[nodiscard]] Occupancy occupancy(std::string_view arch, int threads, int registers, int shared_bytes);

/// "gemm on sm_90a: 168 registers, 3 barriers, 0 + 229440 bytes of shared memory; 1 cta, 12 of 64 warps, limited by registers"
/// and a line of the instructions where their counts are given.
[[nodiscard]] std::string report_text(const KernelReport& report, int threads, int dynamic_shared_bytes,
                                      const std::map<std::string, int>& instructions = {});

/// How often every instruction (up to its first dot) stands in what `nvdisasm -c` prints.
[[nodiscard]] std::map<std::string, int> count_instructions(std::string_view disassembly);

/// The full path of a tool of the CUDA toolkit: from $CUDA_HOME, the search path, /usr/local/cuda; "" where there is none.
[[nodiscard]] std::string find_cuda_tool(std::string_view name);

}  // namespace tessera::cuda
