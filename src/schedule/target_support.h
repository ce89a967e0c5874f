#pragma once

#include <tessera/schedule.h>
#include <tessera/target.h>

#include <string>
#include <vector>

namespace tessera {

/// Something in a schedule that a target does not have.
struct Unsupported {
    std::string path;   // "/stages/A.s/engine"
    std::string value;  // its JSON
    std::string alternative;
};
/// What the CPU backend does not have, in the order of paths, by the table of primitives; defaults do not count.
[[nodiscard]] std::vector<Unsupported> unsupported_on_cpu(const Schedule& schedule);
/// What the CUDA backend does not have.
[[nodiscard]] std::vector<Unsupported> unsupported_on_cuda(const Schedule& schedule);
/// Throws L0903 that names the first field that the target does not have and counts the rest; for the interpreter, what neither
/// backend has.
void require_support(const Schedule& schedule, Target::Kind target);

}  // namespace tessera
