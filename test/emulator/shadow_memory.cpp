#include "emulator/shadow_memory.h"

#include <algorithm>

namespace tessera::emulator {
namespace {

/// The bits of the bytes of [begin, end) in granule g.
std::uint16_t byte_bits(std::uint64_t g, std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t low = std::max(begin, g * ShadowMemory::granule) - g * ShadowMemory::granule;
    const std::uint64_t high = std::min(end, (g + 1) * ShadowMemory::granule) - g * ShadowMemory::granule;
    return static_cast<std::uint16_t>(((1u << high) - 1) & ~((1u << low) - 1));
}

bool conflict(AccessKind a, AccessKind b) {
    if (a == AccessKind::atomic && b == AccessKind::atomic) return false;
    return a != AccessKind::read || b != AccessKind::read;
}

}  // namespace

void VectorClock::join(const VectorClock& other) {
    for (std::size_t i = 0; i < clocks_.size(); ++i) clocks_[i] = std::max(clocks_[i], other.clocks_[i]);
}

void VectorClock::meet(const VectorClock& other) {
    for (std::size_t i = 0; i < clocks_.size(); ++i) clocks_[i] = std::min(clocks_[i], other.clocks_[i]);
}

void VectorClock::clear() { std::fill(clocks_.begin(), clocks_.end(), 0); }

std::optional<Access> ShadowMemory::record(std::uint64_t offset, std::uint64_t bytes, AccessKind kind, Actor who,
                                           std::uint32_t group, const VectorClock& knows, bool open) {
    for (std::uint64_t g = offset / granule; g * granule < offset + bytes; ++g) {
        std::vector<Access>& accesses = granules_[g];
        const std::uint16_t bits = byte_bits(g, offset, offset + bytes);
        bool merged = false;
        for (Access& a : accesses) {
            const bool same_actor = a.group == group && a.actor == who.id;
            if ((a.bytes & bits) != 0 && conflict(a.kind, kind)) {
                const bool program_order = same_actor && who.is_thread && !a.open;
                const bool ordered = !a.open && a.group == group && knows[a.actor] >= a.clock;
                if (!program_order && !ordered) return a;
                // What is ordered before a write is ordered before all that the write is ordered before.
                if (kind == AccessKind::write) a.bytes = static_cast<std::uint16_t>(a.bytes & ~bits);
            }
            if (kind != AccessKind::write && same_actor && a.kind == kind && a.open == open &&
                (a.clock == who.clock || a.bytes == bits)) {
                a.bytes |= bits;
                a.clock = who.clock;
                merged = true;
            }
        }
        if (kind == AccessKind::write) std::erase_if(accesses, [](const Access& a) { return a.bytes == 0; });
        if (!merged) accesses.push_back({group, who.id, who.clock, bits, kind, open});
    }
    return std::nullopt;
}

void ShadowMemory::close(std::uint64_t offset, std::uint64_t bytes, AccessKind kind, std::uint32_t actor, Clock clock) {
    for (std::uint64_t g = offset / granule; g * granule < offset + bytes; ++g)
        for (Access& a : granules_[g])
            if (a.open && a.actor == actor && a.kind == kind) {
                a.open = false;
                a.clock = clock;
            }
}

}  // namespace tessera::emulator
