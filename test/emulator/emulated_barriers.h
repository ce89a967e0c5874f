#pragma once
#include "emulator/machine.h"

namespace tessera::emulator {

/// The barrier at an address of a CTA; faults where none was initialised.
[[nodiscard]] Mbarrier& barrier_at(Cta& cta, std::uint32_t address);

/// Bytes have landed, and what their writer knew is passed on to who waits.
void land_bytes(Mbarrier& barrier, std::uint32_t bytes, const VectorClock& known);

/// Faults where barriers of the cluster were initialised and no fence has followed.
void require_fenced_barriers(const Cta& cta, const char* what);

}  // namespace tessera::emulator
