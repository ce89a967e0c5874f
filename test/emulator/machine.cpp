#include "emulator/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace tessera::emulator {
namespace {

Machine* running = nullptr;

std::string place_of(const Thread& t) {
    return fmt::format("cta ({}, {}, {}) rank {} thread {}", t.cta->x, t.cta->y, t.cta->z, t.cta->rank, t.index);
}

// Rounds of the scheduler in which threads only asked again for what they wait for.
constexpr int spinning_rounds = 100000;

}  // namespace

Machine& machine() {
    if (running == nullptr) throw Fault("a device function was called outside a launch");
    return *running;
}

Thread& current_thread() {
    Machine& m = machine();
    if (m.current == nullptr) throw Fault("a device function was called outside a kernel");
    return *m.current;
}

void fault(const std::string& what) {
    Machine& m = machine();
    throw Fault(m.current == nullptr ? what : fmt::format("{} [{}]", what, place_of(*m.current)));
}

void block(const char* what, bool (*may_run)(void*), void* argument) {
    Thread& t = current_thread();
    t.may_run = may_run;
    t.may_run_argument = argument;
    t.waits_for = what;
    t.fiber->leave();
    t.may_run = nullptr;
}

void yield_thread() {
    block(
        "its next turn", [](void*) { return true; }, nullptr);
}

void step_clock(Thread& thread) {
    if (!thread.clock.is_empty()) ++thread.clock[thread.actor];
}

Actor actor_of(const Thread& thread) { return {thread.actor, thread.clock.is_empty() ? 0 : thread.clock[thread.actor], true}; }

// ---- meetings

bool arrive(Meeting& meeting, int participants, int slot, const char* kind, void* argument, bool orders) {
    Thread& t = current_thread();
    const bool tracks = orders && machine().checks_races();
    if (meeting.arrived == 0) {
        meeting.kind = kind;
        meeting.arguments.assign(static_cast<std::size_t>(participants), nullptr);
        if (tracks) meeting.known = VectorClock(machine().actors);
    } else if (std::strcmp(meeting.kind, kind) != 0 || meeting.arguments.size() != static_cast<std::size_t>(participants)) {
        fault(fmt::format("divergence: {} of {} threads meets {} of {}", kind, participants, meeting.kind,
                          meeting.arguments.size()));
    }
    meeting.arguments[static_cast<std::size_t>(slot)] = argument;
    if (tracks) meeting.known.join(t.clock);
    return ++meeting.arrived == participants;
}

void end_meeting(Meeting& meeting, bool orders, bool last_learns) {
    Thread& last = current_thread();
    if (orders && machine().checks_races()) {
        for (Thread* t : meeting.waiting) {
            t->clock.join(meeting.known);
            step_clock(*t);
        }
        if (last_learns) last.clock.join(meeting.known);
        step_clock(last);
    }
    meeting.waiting.clear();
    meeting.arrived = 0;
    ++meeting.generation;
    ++machine().progress;
}

void await_meeting(Meeting& meeting, const char* what) {
    meeting.waiting.push_back(&current_thread());
    wait_until(what, [&meeting, generation = meeting.generation] { return meeting.generation != generation; });
}

// ---- accesses

std::uint32_t shared_offset(std::uint32_t address, std::uint32_t bytes, std::uint32_t alignment, const char* what) {
    const std::uint32_t size = machine().shape.shared_bytes;
    const std::uint32_t offset = address - Machine::shared_base;
    if (address < Machine::shared_base || offset > size || bytes > size - offset)
        fault(fmt::format("out of bounds: {} of {} bytes at shared offset {}, of {}", what, bytes,
                          static_cast<std::int64_t>(address) - Machine::shared_base, size));
    if (address % alignment != 0)
        fault(fmt::format("misaligned: {} at shared offset {}, not a multiple of {}", what, offset, alignment));
    return offset;
}

void record_shared(Cta& cta, std::uint32_t offset, std::uint32_t bytes, AccessKind kind, Actor who, const VectorClock& knows,
                   const char* what, bool open) {
    Machine& m = machine();
    if (!m.checks_races()) return;
    if (const auto earlier = cta.shadow.record(offset, bytes, kind, who, m.group, knows, open))
        fault(fmt::format("race: {} of shared bytes [{}, {}) with an earlier {}{} by actor {}", what, offset, offset + bytes,
                          earlier->open ? "unfinished " : "", earlier->kind == AccessKind::read ? "read" : "write",
                          earlier->actor));
}

void touch_shared(std::uint32_t offset, std::uint32_t bytes, AccessKind kind, const char* what) {
    Thread& t = current_thread();
    for (const auto& [address, barrier] : t.cta->barriers)
        if (offset < address + 8 && address < offset + bytes) fault(fmt::format("barrier: {} touches an mbarrier", what));
    record_shared(*t.cta, offset, bytes, kind, actor_of(t), t.clock, what);
    if (kind != AccessKind::read) {
        t.unfenced.push_back({offset, bytes});
        ++t.cta->unfenced_ranges;
    }
}

void require_fenced(const Cta& cta, std::uint32_t offset, std::uint32_t bytes, const char* what) {
    if (cta.unfenced_ranges == 0) return;
    for (const auto& t : cta.threads)
        for (const Range& r : t->unfenced)
            if (offset < r.begin + r.bytes && r.begin < offset + bytes)
                fault(fmt::format("fence: {} reads shared bytes [{}, {}), written without fence_proxy_async after", what, offset,
                                  offset + bytes));
}

ShadowMemory* Machine::global_shadow(const void* at, std::size_t bytes, bool writes, const char* what, std::uint64_t& offset) {
    if (options.memory.empty()) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    for (std::size_t i = 0; i < options.memory.size(); ++i) {
        const GlobalMemory& g = options.memory[i];
        const auto begin = reinterpret_cast<std::uintptr_t>(g.begin);
        if (address < begin || address - begin > g.bytes || bytes > g.bytes - (address - begin)) continue;
        if (writes && g.read_only) fault(fmt::format("out of bounds: {} writes read-only memory {}", what, i));
        offset = address - begin;
        return g.read_only || !checks_races() ? nullptr : &global_shadows_[i];
    }
    fault(fmt::format("out of bounds: {} of {} bytes of global memory", what, bytes));
}

void touch_global(const void* at, std::size_t alignment, std::size_t bytes, AccessKind kind, const char* what) {
    if (reinterpret_cast<std::uintptr_t>(at) % alignment != 0)
        fault(fmt::format("misaligned: {} of global memory, not a multiple of {}", what, alignment));
    Machine& m = machine();
    const Thread& t = current_thread();
    std::uint64_t offset = 0;
    ShadowMemory* shadow = m.global_shadow(at, bytes, kind != AccessKind::read, what, offset);
    if (shadow == nullptr) return;
    if (const auto earlier = shadow->record(offset, bytes, kind, actor_of(t), m.group, t.clock, false))
        fault(fmt::format("race: {} of {} bytes of global memory at offset {} with an earlier {} by {}actor {}", what, bytes,
                          offset, earlier->kind == AccessKind::read ? "read" : "write",
                          earlier->group == m.group ? "" : "another cluster's ", earlier->actor));
}

// ---- the scheduler

Machine::Machine(const Shape& s, const Options& o, const std::function<void()>& kernel)
    : shape(s), options(o), random(o.seed), kernel_(kernel) {
    if (shape.threads < 32 || shape.threads % 32 != 0 || shape.threads > 1024)
        throw Fault(fmt::format("launch: {} threads are not whole warps, at most 32", shape.threads));
    if (shape.grid_x % shape.cluster_x != 0 || shape.grid_y % shape.cluster_y != 0)
        throw Fault("launch: the grid is not a multiple of the cluster");
    if (shape.shared_bytes > 232448) throw Fault(fmt::format("launch: {} bytes of shared memory, of 232448", shape.shared_bytes));
    if (running != nullptr) throw Fault("launch: one at a time");
    for (const GlobalMemory& g : options.memory) global_shadows_.emplace_back(g.read_only || !options.check_races ? 0 : g.bytes);
    running = this;
}

Machine::~Machine() {
    ctas.clear();  // gives the stacks back while there is a pool
    running = nullptr;
}

Counts Machine::run() {
    const int clusters_in_all = shape.grid_x / shape.cluster_x * (shape.grid_y / shape.cluster_y) * shape.grid_z;
    const int at_once = options.together ? clusters_in_all : 1;
    for (int first = 0; first < clusters_in_all; first += at_once) {
        begin_group(first, at_once);
        run_group();
        check_end();
        ++group;
    }
    return counts;
}

void Machine::add_cta(Cluster& cluster, int x, int y, int z, std::uint32_t rank) {
    auto cta = std::make_unique<Cta>();
    cta->x = x, cta->y = y, cta->z = z, cta->rank = rank, cta->cluster = &cluster;
    const std::uint32_t bytes = (shape.shared_bytes + 1023) / 1024 * 1024 + 1024;
    cta->shared = {static_cast<char*>(std::aligned_alloc(1024, bytes)), &std::free};
    std::memset(cta->shared.get(), 0xff, bytes);
    if (options.check_races) cta->shadow = ShadowMemory(shape.shared_bytes);
    const int warpgroup_count = shape.threads / 128;
    cta->warps.resize(static_cast<std::size_t>(shape.threads / 32));
    cta->warpgroup_meetings.resize(static_cast<std::size_t>(warpgroup_count));
    cta->warpgroups.resize(static_cast<std::size_t>(warpgroup_count));
    std::uint32_t actor =
        static_cast<std::uint32_t>(ctas.size()) * (static_cast<std::uint32_t>(shape.threads + warpgroup_count) + max_barriers);
    for (int t = 0; t < shape.threads; ++t) {
        auto thread = std::make_unique<Thread>();
        thread->cta = cta.get();
        thread->index = t;
        thread->actor = actor++;
        if (options.check_races) {
            thread->clock = VectorClock(actors);
            thread->clock[thread->actor] = 1;
        }
        thread->fiber = std::make_unique<Fiber>(stacks_, [this, self = thread.get()] {
            try {
                kernel_();
                if (checks_races()) {
                    if (self->cta->at_exit.is_empty()) self->cta->at_exit = VectorClock(actors);
                    self->cta->at_exit.join(self->clock);
                }
                ++progress;
            } catch (const Fault& f) {
                fault_ = f.what();
            }
        });
        cta->threads.push_back(std::move(thread));
    }
    for (Warpgroup& w : cta->warpgroups) w.actor = actor++;
    cta->first_barrier_actor = actor;
    ctas.push_back(std::move(cta));
}

void Machine::begin_group(int first_cluster, int count) {
    loads.clear();
    remote_arrivals.clear();
    ctas.clear();
    clusters.clear();
    const int per_cluster = shape.cluster_x * shape.cluster_y;
    const int along_x = shape.grid_x / shape.cluster_x, along_y = shape.grid_y / shape.cluster_y;
    actors = static_cast<std::uint32_t>(count * per_cluster) *
             (static_cast<std::uint32_t>(shape.threads + shape.threads / 128) + max_barriers);
    for (int c = first_cluster; c < first_cluster + count; ++c) {
        clusters.push_back(std::make_unique<Cluster>());
        clusters.back()->ctas = per_cluster;
        const int cx = c % along_x, cy = c / along_x % along_y, cz = c / along_x / along_y;
        const std::size_t first = ctas.size();
        for (int r = 0; r < per_cluster; ++r)
            add_cta(*clusters.back(), cx * shape.cluster_x + r % shape.cluster_x, cy * shape.cluster_y + r / shape.cluster_x, cz,
                    static_cast<std::uint32_t>(r));
        for (std::size_t i = first; i < ctas.size(); ++i)
            for (std::size_t j = first; j < ctas.size(); ++j) ctas[i]->peers.push_back(ctas[j].get());
    }
}

bool Machine::run_round(std::vector<Thread*>& order, std::size_t& live) {
    bool ran = false;
    for (Thread* t : order) {
        if (t->fiber->is_done() || (t->may_run != nullptr && !t->may_run(t->may_run_argument))) continue;
        current = t;
        ran = true;
        ++counts.switches;
        t->fiber->enter();
        current = nullptr;
        if (!fault_.empty()) throw Fault(fault_);
        if (t->fiber->is_done()) --live;
    }
    return ran;
}

void Machine::run_group() {
    std::vector<Thread*> order;
    for (const auto& cta : ctas)
        for (const auto& t : cta->threads) order.push_back(t.get());
    std::size_t live = order.size();
    int idle_rounds = 0;
    while (live > 0) {
        if (options.seed != 0) std::shuffle(order.begin(), order.end(), random);
        const std::uint64_t before = progress;
        const bool ran = run_round(order, live);
        idle_rounds = progress != before || !ran ? 0 : idle_rounds + 1;
        if (idle_rounds > spinning_rounds)
            throw Fault("deadlock: threads spin on memory that nobody writes; " + deadlock_text(order));
        if (live == 0) break;
        const bool at_random = options.async == Async::random && !loads.empty() && coin();
        if (at_random || (!ran && progress == before && !loads.empty())) {
            run_load(options.seed != 0 ? random() % loads.size() : 0);
        } else if (!ran && progress == before) {
            throw Fault("deadlock: " + deadlock_text(order));
        }
    }
    while (!loads.empty()) run_load(0);
}

std::string Machine::deadlock_text(const std::vector<Thread*>& order) const {
    std::map<std::string, int> waiting;
    for (const Thread* t : order)
        if (!t->fiber->is_done()) ++waiting[t->waits_for];
    std::string text;
    for (const auto& [what, threads] : waiting) text += fmt::format("{} threads at {}; ", threads, what);
    for (const auto& cta : ctas)
        for (const auto& [offset, b] : cta->barriers)
            if (b.pending != b.expected || b.bytes != 0)
                text += fmt::format("mbarrier at {} of rank {}: phase {}, {} of {} arrivals missing, {} bytes missing; ", offset,
                                    cta->rank, b.phase, b.pending, b.expected, b.bytes);
    return text;
}

void Machine::check_end() const {
    for (const auto& cta : ctas) {
        for (const auto& [offset, b] : cta->barriers)
            if (b.bytes != 0)
                throw Fault(fmt::format("barrier: the kernel ends while mbarrier {} expects {} more bytes", offset, b.bytes));
        for (const auto& t : cta->threads) {
            if (!t->copy_groups.empty() || !t->open_copies.empty())
                for (const auto& copies : t->copy_groups)
                    if (!copies.empty())
                        throw Fault(fmt::format("wait: thread {} ends before its copies were waited for", t->index));
            if (!t->open_stores.empty())
                throw Fault(fmt::format("wait: thread {} ends with bulk stores that were not committed", t->index));
            for (const auto& stores : t->store_groups)
                if (!stores.empty())
                    throw Fault(fmt::format("wait: thread {} ends before its bulk stores have read shared memory", t->index));
        }
    }
    if (!options.check_races) return;
    for (const RemoteArrival& r : remote_arrivals)
        if (r.cta->at_exit[r.actor] < r.clock)
            throw Fault(
                fmt::format("lifetime: an arrival from actor {} at an mbarrier of rank {} is not before the end of that cta",
                            r.actor, r.cta->rank));
}

Counts launch(const Shape& shape, const Options& options, const std::function<void()>& kernel) {
    Machine m(shape, options, kernel);
    return m.run();
}

}  // namespace tessera::emulator
