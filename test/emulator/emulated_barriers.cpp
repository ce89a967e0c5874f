#include "emulator/emulated_barriers.h"

#include <fmt/format.h>

#include "emulator/emulated_ops.h"

namespace tessera::emulator {
namespace {

// Addresses of map_shared have the CTA above the bits of an offset.
constexpr std::uint32_t cta_shift = 24;

void complete_if_done(Mbarrier& b) {
    if (b.pending != 0 || b.bytes != 0) return;
    if (machine().checks_races()) b.completed[b.phase % 2] = b.gathering;
    ++b.phase;
    b.pending = b.expected;
    ++machine().progress;
}

void count_arrival(Cta& cta, std::uint32_t barrier, std::uint32_t bytes) {
    Thread& t = current_thread();
    require_fenced_barriers(cta, "an arrival");
    Mbarrier& b = barrier_at(cta, barrier);
    if (b.pending == 0) fault(fmt::format("barrier: more than {} arrivals in a phase of mbarrier {}", b.expected, barrier));
    if (machine().checks_races()) b.gathering.join(t.clock);
    b.bytes += bytes;
    --b.pending;
    complete_if_done(b);
    step_clock(t);
}

struct ClusterPlace {
    Cta* cta;
    std::uint32_t offset;
};

ClusterPlace cluster_place(std::uint32_t address, const char* what) {
    Cta& own = *current_thread().cta;
    const std::uint32_t cta = address >> cta_shift;
    if (cta == 0) return {&own, shared_offset(address, 4, 4, what)};
    return {own.peers[cta - 1], shared_offset(address & ((1u << cta_shift) - 1), 4, 4, what)};
}

/// An access of another CTA's memory must be over before that CTA ends.
void record_remote(const ClusterPlace& place) {
    const Thread& t = current_thread();
    if (place.cta != t.cta && machine().checks_races())
        machine().remote_arrivals.push_back({place.cta, t.actor, t.clock[t.actor]});
}

}  // namespace

Mbarrier& barrier_at(Cta& cta, std::uint32_t address) {
    const auto it = cta.barriers.find(address - Machine::shared_base);
    if (it == cta.barriers.end())
        fault(fmt::format("barrier: nothing was initialised at shared offset {} of rank {}",
                          static_cast<std::int64_t>(address) - Machine::shared_base, cta.rank));
    const Mbarrier& b = it->second;
    const Thread* t = machine().current;
    if (t != nullptr && machine().checks_races() && t->actor != b.initialised_by && t->clock[b.initialised_by] < b.initialised_at)
        fault(fmt::format("race: use of mbarrier {} of rank {}, whose initialisation is not before it", it->first, cta.rank));
    return it->second;
}

void require_fenced_barriers(const Cta& cta, const char* what) {
    for (const Cta* peer : cta.peers)
        if (peer->barriers_unfenced)
            fault(fmt::format("fence: {} at an mbarrier that was initialised without mbar_fence_init after", what));
}

void land_bytes(Mbarrier& b, std::uint32_t bytes, const VectorClock& known) {
    b.bytes -= bytes;
    if (machine().checks_races()) {
        b.gathering.join(known);
        b.gathering[b.actor] = static_cast<Clock>(b.phase) + 1;
    }
    complete_if_done(b);
}

std::uint32_t cluster_rank() { return current_thread().cta->rank; }

void cluster_sync() {
    Thread& t = current_thread();
    Cluster& cluster = *t.cta->cluster;
    const int threads = machine().shape.threads;
    meet(cluster.meeting, cluster.ctas * threads, static_cast<int>(t.cta->rank) * threads + t.index, "cluster_sync", nullptr,
         true, [](auto&) {});
}

std::uint32_t map_shared(std::uint32_t address, std::uint32_t cta) {
    if (cta >= current_thread().cta->peers.size()) fault(fmt::format("cluster: there is no cta {}", cta));
    return (cta + 1) << cta_shift | (address & ((1u << cta_shift) - 1));
}

void load_cluster(void* to, std::uint32_t address) {
    const ClusterPlace place = cluster_place(address, "lds_cluster");
    const Thread& t = current_thread();
    record_shared(*place.cta, place.offset, 4, AccessKind::read, actor_of(t), t.clock, "lds_cluster");
    record_remote(place);
    std::memcpy(to, shared_at(*place.cta, place.offset), 4);
}

void store_cluster(std::uint32_t address, const void* from) {
    const ClusterPlace place = cluster_place(address, "sts_cluster");
    const Thread& t = current_thread();
    record_shared(*place.cta, place.offset, 4, AccessKind::write, actor_of(t), t.clock, "sts_cluster");
    record_remote(place);
    std::memcpy(shared_at(*place.cta, place.offset), from, 4);
}

bool elect_one() {
    int own = 0;
    meet_warp("elect_one", &own, false, [](std::vector<void*>& lanes) {
        Machine& m = machine();
        const std::size_t elected = m.options.seed != 0 ? m.random() % 32 : 0;  // which lane it is, is not said
        for (std::size_t lane = 0; lane < 32; ++lane) *static_cast<int*>(lanes[lane]) = lane == elected ? 1 : 0;
    });
    return own != 0;
}

void set_registers(int registers, bool more) {
    if (registers % 8 != 0 || registers < 24 || registers > 256)
        fault(fmt::format("registers: {} is not a multiple of 8 in 24 to 256", registers));
    Thread& t = current_thread();
    meet_warp(more ? "reg_alloc" : "reg_dealloc", nullptr, false, [](auto&) {});
    Cta& cta = *t.cta;
    cta.warpgroups[static_cast<std::size_t>(t.index / 128)].registers = registers;
    int sum = 0;
    for (const Warpgroup& w : cta.warpgroups) sum += 128 * w.registers;
    if (sum > 65536) fault(fmt::format("registers: the warpgroups hold {} of 65536", sum));
}

void barrier_init(std::uint32_t barrier, int arrivals) {
    Cta& cta = *current_thread().cta;
    const std::uint32_t offset = shared_offset(barrier, 8, 8, "mbar_init");
    if (arrivals < 1 || arrivals >= 1 << 20) fault(fmt::format("barrier: {} arrivals", arrivals));
    if (cta.barriers.count(offset) != 0) fault(fmt::format("barrier: the mbarrier at {} is initialised twice", offset));
    if (cta.barriers.size() >= Machine::max_barriers)
        fault(fmt::format("barrier: more than {} mbarriers", Machine::max_barriers));
    Mbarrier b;
    b.expected = b.pending = arrivals;
    b.actor = cta.first_barrier_actor + static_cast<std::uint32_t>(cta.barriers.size());
    const Actor self = actor_of(current_thread());
    b.initialised_by = self.id;
    b.initialised_at = self.clock;
    if (machine().checks_races()) b.gathering = b.completed[0] = b.completed[1] = VectorClock(machine().actors);
    cta.barriers.emplace(offset, std::move(b));
    cta.barriers_unfenced = true;
}

void barrier_fence_init() { current_thread().cta->barriers_unfenced = false; }

void barrier_arrive(std::uint32_t barrier, std::uint32_t bytes) { count_arrival(*current_thread().cta, barrier, bytes); }

void barrier_arrive_at(std::uint32_t barrier, std::uint32_t cta) {
    Cta& own = *current_thread().cta;
    if (cta >= own.peers.size()) fault(fmt::format("cluster: there is no cta {}", cta));
    record_remote({own.peers[cta], 0});
    count_arrival(*own.peers[cta], barrier, 0);
}

void barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
    Thread& t = current_thread();
    Mbarrier& b = barrier_at(*t.cta, barrier);
    wait_until("mbar_wait", [&b, parity] { return b.phase % 2 != (parity & 1); });
    if (b.phase > 0 && machine().checks_races()) t.clock.join(b.completed[(b.phase - 1) % 2]);
}

void fence_proxy_async() {
    Thread& t = current_thread();
    t.cta->unfenced_ranges -= t.unfenced.size();
    t.unfenced.clear();
}

}  // namespace tessera::emulator
