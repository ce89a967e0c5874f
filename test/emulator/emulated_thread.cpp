#include <fmt/format.h>

#include "emulator/emulated_ops.h"
#include "emulator/machine.h"

namespace tessera::emulator {
namespace {

struct Lane {
    void* value;
    std::size_t bytes;
    int by;
    std::uint64_t result[2];
};

int source_lane(Shuffle how, int lane, int by) {
    switch (how) {
        case Shuffle::exclusive_or: return lane ^ (by & 31);
        case Shuffle::up: return lane >= by ? lane - by : lane;
        case Shuffle::down: return lane + by < 32 ? lane + by : lane;
        case Shuffle::index: return by & 31;
        case Shuffle::uniform: return 0;
    }
    return lane;
}

constexpr const char* shuffle_names[] = {"shfl_xor", "shfl_up", "shfl_down", "shfl_idx", "uniform"};

}  // namespace

int thread_index() { return current_thread().index; }
int cta_index(int axis) {
    const Cta& cta = *current_thread().cta;
    return axis == 0 ? cta.x : axis == 1 ? cta.y : cta.z;
}
int grid_size(int axis) {
    const Shape& s = machine().shape;
    return axis == 0 ? s.grid_x : axis == 1 ? s.grid_y : s.grid_z;
}
std::uint32_t shared_begin() { return Machine::shared_base; }

void sync_cta() {
    Thread& t = current_thread();
    meet(t.cta->all, machine().shape.threads, t.index, "sync_cta", nullptr, true, [](auto&) {});
}

void sync_warp() {
    meet_warp("sync_warp", nullptr, true, [](auto&) {});
}

namespace {

/// Named barriers count threads in whole warps and mind neither which they are nor their order.
void count_at_named(int id, int threads, bool waits) {
    if (id < 1 || id > 15) fault(fmt::format("barrier: named barrier {} is not in 1 to 15", id));
    if (threads < 32 || threads % 32 != 0 || threads > machine().shape.threads)
        fault(fmt::format("barrier: {} threads at a named barrier are not whole warps of the cta", threads));
    Meeting& meeting = current_thread().cta->named[id];
    if (arrive(meeting, threads, meeting.arrived, "named barrier", nullptr, true)) {
        end_meeting(meeting, true, waits);
    } else if (waits) {
        await_meeting(meeting, "sync_named");
    } else {
        step_clock(current_thread());
    }
}

}  // namespace

void sync_named(int id, int threads) { count_at_named(id, threads, true); }
void arrive_named(int id, int threads) { count_at_named(id, threads, false); }

void shuffle(void* value, std::size_t bytes, Shuffle how, int by) {
    if (bytes != 4 && bytes != 8) fault(fmt::format("shuffle: of {} bytes", bytes));
    Lane own{value, bytes, by, {}};
    meet_warp(shuffle_names[static_cast<int>(how)], &own, false, [how](std::vector<void*>& lanes) {
        for (int lane = 0; lane < 32; ++lane) {
            auto& to = *static_cast<Lane*>(lanes[static_cast<std::size_t>(lane)]);
            const auto& from = *static_cast<Lane*>(lanes[static_cast<std::size_t>(source_lane(how, lane, to.by))]);
            if (from.bytes != to.bytes) fault("divergence: lanes shuffle values of different sizes");
            std::memcpy(to.result, from.value, from.bytes);
        }
    });
    std::memcpy(value, own.result, bytes);
}

std::uint32_t vote(bool condition) {
    std::uint32_t own = condition ? 1 : 0;
    meet_warp("vote", &own, false, [](std::vector<void*>& lanes) {
        std::uint32_t bits = 0;
        for (std::size_t lane = 0; lane < 32; ++lane) bits |= *static_cast<std::uint32_t*>(lanes[lane]) << lane;
        for (void* lane : lanes) *static_cast<std::uint32_t*>(lane) = bits;
    });
    return own;
}

void load_global(void* to, const void* from, std::size_t bytes) {
    touch_global(from, bytes, bytes, AccessKind::read, "ldg");
    std::memcpy(to, from, bytes);
}

void store_global(void* to, const void* from, std::size_t bytes) {
    touch_global(to, bytes, bytes, AccessKind::write, "stg");
    std::memcpy(to, from, bytes);
}

void load_shared(void* to, std::uint32_t address, std::size_t bytes) {
    const auto n = static_cast<std::uint32_t>(bytes);
    const std::uint32_t offset = shared_offset(address, n, n, "lds");
    touch_shared(offset, n, AccessKind::read, "lds");
    std::memcpy(to, shared_at(*current_thread().cta, offset), bytes);
}

void store_shared(std::uint32_t address, const void* from, std::size_t bytes) {
    const auto n = static_cast<std::uint32_t>(bytes);
    const std::uint32_t offset = shared_offset(address, n, n, "sts");
    touch_shared(offset, n, AccessKind::write, "sts");
    std::memcpy(shared_at(*current_thread().cta, offset), from, bytes);
}

void touch_atomic_global(void* at, std::size_t bytes) {
    touch_global(at, bytes, bytes, AccessKind::atomic, "atom");
    ++machine().progress;
}

void* atomic_shared(std::uint32_t address) {
    const std::uint32_t offset = shared_offset(address, 4, 4, "atom_shared");
    touch_shared(offset, 4, AccessKind::atomic, "atom_shared");
    return shared_at(*current_thread().cta, offset);
}

std::uint32_t load_acquire(const std::uint32_t* at) {
    yield_thread();  // who spins on a flag must let its writer run
    touch_global(at, sizeof *at, sizeof *at, AccessKind::atomic, "ld_acquire");
    Machine& m = machine();
    const auto released = m.releases.find(at);
    if (released != m.releases.end() && m.checks_races()) current_thread().clock.join(released->second);
    return *at;
}

void store_release(std::uint32_t* at, std::uint32_t value) {
    touch_global(at, sizeof *at, sizeof *at, AccessKind::atomic, "st_release");
    Machine& m = machine();
    if (m.checks_races()) {
        m.releases[at] = current_thread().clock;
        step_clock(current_thread());
    }
    *at = value;
    ++m.progress;
}

// Only pairs of st_release and ld_acquire order threads in the emulator, so a fence by itself orders nothing.
void fence_gpu() {}

}  // namespace tessera::emulator
