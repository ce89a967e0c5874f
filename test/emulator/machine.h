#pragma once
// The state of a launch: the CTAs that run together, their threads, and the scheduler. Included by the files of the emulator
// alone.
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "emulator/fiber.h"
#include "emulator/launch.h"
#include "emulator/shadow_memory.h"

namespace tessera::emulator {

struct Cta;
struct Thread;

/// A copy of a thread from global to shared memory, until its group is waited for.
struct ThreadCopy {
    std::uint32_t to;
    const void* from;
    std::uint32_t bytes;
    bool valid;
    bool is_complete;
};

struct Range {
    std::uint32_t begin, bytes;
};

/// A bulk store of a thread, until its group is waited for.
struct BulkStore {
    const void* map;  // null: `to` is a plain address
    char* to;
    std::uint32_t from, bytes;
    int coordinates[5];
};

struct Thread {
    Cta* cta = nullptr;
    int index = 0;
    std::uint32_t actor = 0;
    std::unique_ptr<Fiber> fiber;
    bool (*may_run)(void*) = nullptr;  // blocked until it holds
    void* may_run_argument = nullptr;
    const char* waits_for = "";
    VectorClock clock;
    std::vector<ThreadCopy> open_copies;
    std::deque<std::vector<ThreadCopy>> copy_groups;
    std::vector<BulkStore> open_stores;
    std::deque<std::vector<BulkStore>> store_groups;
    std::vector<Range> unfenced;  // generic writes of shared memory that no proxy fence has followed
};

/// Threads that meet: the last to come acts for all.
struct Meeting {
    int arrived = 0;
    std::uint64_t generation = 0;
    const char* kind = nullptr;
    std::vector<void*> arguments;
    VectorClock known;
    std::vector<Thread*> waiting;
};

struct Mbarrier {
    int expected = 0, pending = 0;
    std::int64_t bytes = 0;  // expected and not yet landed
    std::uint64_t phase = 0;
    VectorClock gathering, completed[2];
    std::uint32_t actor = 0;
    std::uint32_t initialised_by = 0;  // an actor, at its step:
    Clock initialised_at = 0;
};

/// A product of a warpgroup that was issued and not waited for.
struct WarpgroupProduct {
    int n = 0;
    int kind = 0;  // a Number
    std::uint64_t a = 0, b = 0;
    bool a_in_registers = false, a_transposed = false, b_transposed = false, accumulates = true;
    bool is_complete = false;
    std::vector<std::uint32_t> a_registers;  // 4 of every thread
    void* d[128] = {};
};

/// Accumulators of products in flight: their values, while poison is in their place.
struct HiddenAccumulators {
    void* d[128];
    std::vector<std::uint32_t> values;  // those of thread 0, then of thread 1, ...
};

struct Warpgroup {
    std::vector<WarpgroupProduct> open;
    std::deque<std::vector<WarpgroupProduct>> groups;
    std::uint32_t actor = 0;
    Clock committed = 0, finished = 0;
    int warps_fenced = 0;
    int registers = 0;
    std::map<void*, HiddenAccumulators> hidden;  // by thread 0's
};

struct Cluster {
    int ctas = 0;
    Meeting meeting;
};

struct Cta {
    int x = 0, y = 0, z = 0;
    std::uint32_t rank = 0;
    Cluster* cluster = nullptr;
    std::vector<Cta*> peers;  // of the cluster, by rank
    std::unique_ptr<char, void (*)(void*)> shared{nullptr, nullptr};
    std::vector<std::unique_ptr<Thread>> threads;
    std::vector<Meeting> warps;
    Meeting all;
    std::map<int, Meeting> named;
    std::vector<Meeting> warpgroup_meetings;
    std::vector<Warpgroup> warpgroups;
    std::map<std::uint32_t, Mbarrier> barriers;
    bool barriers_unfenced = false;
    std::size_t unfenced_ranges = 0;
    ShadowMemory shadow;
    VectorClock at_exit;
    std::uint32_t first_barrier_actor = 0;
};

struct BulkLoad {
    const void* map;  // null: `from` is a plain address
    const char* from;
    std::uint32_t to, barrier, bytes;
    int coordinates[5];
    std::vector<Cta*> targets;
    VectorClock known;
};

struct RemoteArrival {
    Cta* cta;
    std::uint32_t actor;
    Clock clock;
};

class Machine {
public:
    Machine(const Shape& shape, const Options& options, const std::function<void()>& kernel);
    ~Machine();
    Counts run();

    static constexpr std::uint32_t shared_base = 1024;  // as on hardware, dynamic shared memory begins above 0
    static constexpr std::uint32_t max_barriers = 64;   // of a CTA

    Shape shape;
    Options options;
    Counts counts;
    std::mt19937_64 random;
    std::vector<std::unique_ptr<Cta>> ctas;  // that run together
    std::vector<std::unique_ptr<Cluster>> clusters;
    std::vector<BulkLoad> loads;  // issued and not executed
    std::vector<RemoteArrival> remote_arrivals;
    std::map<const void*, VectorClock> releases;
    Thread* current = nullptr;
    std::uint32_t actors = 0;
    std::uint32_t group = 0;     // number of the CTAs that run together
    std::uint64_t progress = 0;  // grows whenever something that others wait for may have happened

    [[nodiscard]] bool checks_races() const { return options.check_races; }
    [[nodiscard]] bool coin() { return (random() & 1) != 0; }
    void run_load(std::size_t index);
    [[nodiscard]] ShadowMemory* global_shadow(const void* at, std::size_t bytes, bool writes, const char* what,
                                              std::uint64_t& offset);

private:
    void begin_group(int first_cluster, int count);
    void add_cta(Cluster& cluster, int x, int y, int z, std::uint32_t rank);
    void run_group();
    bool run_round(std::vector<Thread*>& order, std::size_t& live);
    void check_end() const;
    [[nodiscard]] std::string deadlock_text(const std::vector<Thread*>& order) const;

    const std::function<void()>& kernel_;
    StackPool stacks_;
    std::vector<ShadowMemory> global_shadows_;  // of options.memory
    std::string fault_;
};

/// The machine that runs; one at a time in a program.
[[nodiscard]] Machine& machine();
[[nodiscard]] Thread& current_thread();

/// Throws a Fault with the place of the current thread.
[[noreturn]] void fault(const std::string& what);

void block(const char* what, bool (*may_run)(void*), void* argument);

/// Blocks the current thread until `condition` holds. It may be evaluated by other threads, so it must not depend on the current
/// one.
template <class Condition>
void wait_until(const char* what, Condition condition) {
    if (condition()) return;
    block(
        what, [](void* c) { return (*static_cast<Condition*>(c))(); }, &condition);
}

/// Lets every other thread run before the current one goes on.
void yield_thread();

void step_clock(Thread& thread);

/// Joins the current thread into a meeting; true for the last, who acts and then calls end_meeting.
bool arrive(Meeting& meeting, int participants, int slot, const char* kind, void* argument, bool orders);
/// `last_learns`: the current thread, which came last, knows what the others did.
void end_meeting(Meeting& meeting, bool orders, bool last_learns = true);
void await_meeting(Meeting& meeting, const char* what);

/// `participants` threads meet; the last calls act(arguments by slot). With `orders`, all that each did before is before what
/// each does after.
template <class Act>
void meet(Meeting& meeting, int participants, int slot, const char* kind, void* argument, bool orders, Act act) {
    if (arrive(meeting, participants, slot, kind, argument, orders)) {
        act(meeting.arguments);
        end_meeting(meeting, orders);
    } else {
        await_meeting(meeting, kind);
    }
}

template <class Act>
void meet_warp(const char* kind, void* argument, bool orders, Act act) {
    Thread& t = current_thread();
    meet(t.cta->warps[static_cast<std::size_t>(t.index / 32)], 32, t.index % 32, kind, argument, orders, act);
}

template <class Act>
void meet_warpgroup(const char* kind, void* argument, Act act) {
    Thread& t = current_thread();
    meet(t.cta->warpgroup_meetings[static_cast<std::size_t>(t.index / 128)], 128, t.index % 128, kind, argument, false, act);
}

/// The place of a shared address in a CTA's memory, bounds and alignment checked.
[[nodiscard]] std::uint32_t shared_offset(std::uint32_t address, std::uint32_t bytes, std::uint32_t alignment, const char* what);
[[nodiscard]] inline char* shared_at(const Cta& cta, std::uint32_t offset) { return cta.shared.get() + offset; }

/// Records an access of shared memory and faults on a race.
void record_shared(Cta& cta, std::uint32_t offset, std::uint32_t bytes, AccessKind kind, Actor who, const VectorClock& knows,
                   const char* what, bool open = false);
/// Of the current thread, through ordinary loads and stores.
void touch_shared(std::uint32_t offset, std::uint32_t bytes, AccessKind kind, const char* what);
/// Faults where the asynchronous proxy reads what no fence has made visible to it.
void require_fenced(const Cta& cta, std::uint32_t offset, std::uint32_t bytes, const char* what);
/// Bounds, alignment and races of global memory.
void touch_global(const void* at, std::size_t alignment, std::size_t bytes, AccessKind kind, const char* what);
[[nodiscard]] Actor actor_of(const Thread& thread);

/// 128-, 64- and 32-byte swizzles exchange 16-byte chunks: address bits 4.. are xor-ed with bits 7...
[[nodiscard]] constexpr std::uint32_t swizzled(std::uint32_t address, int span) {
    return address ^ ((address >> 3) & (span == 128 ? 0x70u : span == 64 ? 0x30u : span == 32 ? 0x10u : 0u));
}

}  // namespace tessera::emulator
