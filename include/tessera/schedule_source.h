#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// Where builds look schedules up.
namespace tessera {

/// How near a found schedule is to what was asked for, nearest first.
enum class LookupTier {
    exact,               // tuned for this kernel and shape, on this machine, with this toolchain
    toolchain,           // as exact, with another toolchain whose code generator is the same
    shape,               // tuned on this machine for the nearest shape at which it is legal
    micro_architecture,  // tuned on another machine with this kind of processor
    none                 // nothing that fits
};
/// "exact", "toolchain", "shape", "micro_architecture", "none".
[[nodiscard]] std::string_view word(LookupTier tier);

/// What a build accepts: exact alone, any tier but none, or the default schedule as well.
enum class Require { exact, nearest, default_ };
/// Throws E0805 with the closest word.
[[nodiscard]] Require parse_require(std::string_view text);

struct FoundSchedule {
    LookupTier tier = LookupTier::none;
    Schedule schedule;         // in the names of the algorithm; empty for tier none
    std::string hash;          // as in headers and metadata: content_hash() in canonical names; "" for tier none
    std::string explanation;   // one line: which row answered and why, or why none did
    std::string session = {};  // of a database: the id of the session that it won
};

class ScheduleSource {
public:
    virtual ~ScheduleSource() = default;
    [[nodiscard]] virtual std::string name() const = 0;
    /// Deterministic: equal contents and questions have equal answers.
    [[nodiscard]] virtual FoundSchedule find(const Algorithm& algorithm, const Target& target) const = 0;
};

/// A schedule database that is only read. Throws what ScheduleDb::open() throws, E0804 in a build without SQLite.
[[nodiscard]] std::unique_ptr<ScheduleSource> open_schedule_source(const std::string& path);

/// What was found where `require` accepts it, nothing where the default schedule is to be taken. Throws E0805 with the
/// explanation otherwise.
[[nodiscard]] std::optional<FoundSchedule> accepted(const FoundSchedule& found, Require require, const ScheduleSource& source,
                                                    const std::string& kernel);

/// A lock file: the schedules that builds of the kernels in it take, whatever a database has learned since.
class ScheduleLock : public ScheduleSource {
public:
    ScheduleLock();
    /// Throws E0605, E0601, E0602, E0603; E0601 for an entry whose content has not the hash it states.
    [[nodiscard]] static ScheduleLock read(const std::string& path);
    ScheduleLock(ScheduleLock&&) noexcept;
    ~ScheduleLock() override;

    [[nodiscard]] std::string name() const override;
    [[nodiscard]] FoundSchedule find(const Algorithm& algorithm, const Target& target) const override;
    /// Sets the entry of a kernel, shape and target.
    void pin(const Algorithm& algorithm, const Target& target, const FoundSchedule& found);
    [[nodiscard]] std::size_t size() const;
    /// Sorted, one entry a kernel: the same entries are the same text.
    [[nodiscard]] std::string text() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What a schedule's time depends on beside the kernel: stable facts as text, equal texts for equal things.
struct BuildContext {
    std::string machine;             // JSON: processor, cores, caches, memory
    std::string micro_architecture;  // "GenuineIntel 6.143"
    std::string toolchain;           // JSON: versions of the library and its compilers
    int codegen_abi = 0;             // toolchains of one ABI make the same code of a schedule
    std::string target;              // with every feature spelled out
};
[[nodiscard]] BuildContext build_context(const Target& target);

/// The key of a kernel: the same for every size and for renamed twins.
[[nodiscard]] std::string kernel_hash(const Algorithm& algorithm);
/// The key of its shape: canonical dims that are fixed, as JSON
/// {"d0":{"extent":512,"fixed":true},"d1":{"extent":64,"fixed":false}}; `extents` are the measured ones of open dims, left out
/// where not given.
[[nodiscard]] std::string shape_text(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& extents = {});

}  // namespace tessera
