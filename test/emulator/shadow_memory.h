#pragma once
// The race detector's memory of accesses: for every granule of 16 bytes who touched which bytes when, as actors and their clocks.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tessera::emulator {

using Clock = std::uint32_t;

/// For every actor the last of its steps that is known to have happened before.
class VectorClock {
public:
    VectorClock() = default;
    explicit VectorClock(std::size_t actors) : clocks_(actors, 0) {}
    [[nodiscard]] Clock operator[](std::uint32_t actor) const { return clocks_[actor]; }
    Clock& operator[](std::uint32_t actor) { return clocks_[actor]; }
    [[nodiscard]] bool is_empty() const { return clocks_.empty(); }
    void join(const VectorClock& other);
    /// Keeps only what both know.
    void meet(const VectorClock& other);
    void clear();

private:
    std::vector<Clock> clocks_;
};

enum class AccessKind : std::uint8_t { read, write, atomic };

/// Who accesses: `actor` at its step `clock`. Of a thread, earlier steps have happened before later ones; what a unit that works
/// asynchronously did has happened for a thread only when its clock says so.
struct Actor {
    std::uint32_t id;
    Clock clock;
    bool is_thread;
};

struct Access {
    std::uint32_t group;  // threads of different groups are never ordered
    std::uint32_t actor;
    Clock clock;
    std::uint16_t bytes;  // of the granule, as bits
    AccessKind kind;
    bool open;  // in flight: ordered with nothing until it is closed
};

class ShadowMemory {
public:
    static constexpr std::uint64_t granule = 16;
    ShadowMemory() = default;
    explicit ShadowMemory(std::uint64_t bytes) : granules_((bytes + granule - 1) / granule) {}

    /// Records an access of [offset, offset + bytes). Returns an earlier one with which it races, if there is any.
    std::optional<Access> record(std::uint64_t offset, std::uint64_t bytes, AccessKind kind, Actor who, std::uint32_t group,
                                 const VectorClock& knows, bool open);

    /// The open accesses of a kind by a thread there are over, as of its step `clock`.
    void close(std::uint64_t offset, std::uint64_t bytes, AccessKind kind, std::uint32_t actor, Clock clock);

private:
    std::vector<std::vector<Access>> granules_;
};

}  // namespace tessera::emulator
