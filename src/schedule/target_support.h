#pragma once

#include <tessera/schedule.h>

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
/// Throws L0903 that names the first of them and counts the rest.
void require_cpu_support(const Schedule& schedule);

}  // namespace tessera
