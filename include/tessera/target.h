#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// What a kernel is compiled for: "host" (this machine's CPU), "interpreter" (no code: the meaning is evaluated), a CPU as
/// "x86-64-linux-avx2-fma" or "arm-64-linux", or a GPU as "cuda-sm_80".
struct Target {
    enum class Kind { interpreter, cpu, cuda };
    Kind kind = Kind::cpu;
    bool native = true;  // of kind cpu: whatever this machine is; the fields below are unset
    std::string arch;    // of kind cpu: "x86", "arm"; of kind cuda: "sm_80"
    int bits = 64;
    std::string os;
    std::vector<std::string> features;  // sorted; what a feature implies need not be listed
    bool operator==(const Target&) const = default;

    [[nodiscard]] static Target host() { return {}; }
};

/// Throws E0802 with the closest name for a word that is not known, naming its place in the text.
[[nodiscard]] Target parse_target(std::string_view text);
/// parse_target(to_text(t)) == t.
[[nodiscard]] std::string to_text(const Target& target);

/// Throws E0803 when this build compiles for no such target.
void require_available(const Target& target);

}  // namespace tessera
