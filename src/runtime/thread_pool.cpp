#include "runtime/thread_pool.h"

#include "runtime/last_error.h"

#include <tessera/tessera_runtime.h>

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

// Loops are claimed in chunks by whoever has time. The caller of a loop works on it and then waits for those who still run a
// chunk, helping loops that were started inside it meanwhile; so nesting cannot deadlock, and no thread takes up foreign work
// while its own result is awaited. Idle workers spin for a moment, then sleep.
namespace tessera::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough to bridge the gap between two loops of one pipeline, short beside a scheduler's time slice.
constexpr std::chrono::microseconds spin_time{50};

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// Spins until `done()` or the time is over; returns done(). Yields, so that a busy machine gives the processor to whom we wait
/// for.
template <class Done>
bool spin(std::chrono::microseconds limit, Done done) {
    if (done()) return true;
    if (limit.count() == 0) return false;
    const Clock::time_point end = Clock::now() + limit;
    do {
        for (int i = 0; i < 32; ++i) {
            if (done()) return true;
            pause();
        }
        sched_yield();
    } while (Clock::now() < end);
    return done();
}

/// Held for a few instructions only, so waiting threads spin.
class SpinLock {
public:
    void lock() {
        for (int tries = 0; taken_.exchange(true, std::memory_order_acquire); ++tries)
            if (tries < 100)
                pause();
            else
                sched_yield();
    }
    void unlock() { taken_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> taken_{false};
};

struct Loop {
    const LoopBody* body;
    Loop* parent;  // the loop in whose body this one was started
    Loop* older;   // the list of loops that may need help
    int64_t end;
    int claimants;
    int caller_cpu;
    alignas(64) std::atomic<int64_t> next;
    alignas(64) std::atomic<int> joined;  // others than the caller that may touch this object
    std::atomic<bool> failed;
    SpinLock failure_lock;  // guards what follows
    int64_t failed_index;
    int status;
    ErrorText error;
    std::exception_ptr exception;

    Loop(const LoopBody& loop_body, Loop* parent_loop, int64_t begin, int64_t loop_end, int threads)
        : body(&loop_body), parent(parent_loop), older(nullptr), end(loop_end), claimants(threads), caller_cpu(sched_getcpu()),
          next(begin), joined(0), failed(false), failed_index(loop_end), status(0) {}

    [[nodiscard]] bool has_work() const {
        return next.load(std::memory_order_relaxed) < end && !failed.load(std::memory_order_relaxed);
    }

    /// Takes a share of what is left: large at first, single iterations at the end.
    bool claim(int64_t& first, int64_t& last) {
        int64_t at = next.load(std::memory_order_relaxed);
        while (at < end) {
            const int64_t share = std::max<int64_t>(1, (end - at) / (4 * claimants));
            if (!next.compare_exchange_weak(at, at + share, std::memory_order_relaxed)) continue;
            first = at;
            last = at + share;
            return true;
        }
        return false;
    }

    void record(int64_t index, int result, std::exception_ptr thrown) {
        const std::lock_guard lock(failure_lock);
        failed.store(true, std::memory_order_relaxed);
        if (index >= failed_index) return;
        failed_index = index;
        status = result;
        error = this_thread_error();
        exception = std::move(thrown);
    }
};

thread_local Loop* current_loop = nullptr;

/// Runs claimed chunks until none is left; returns the number of iterations run.
int64_t work_on(Loop& loop) {
    Loop* const outer = current_loop;
    current_loop = &loop;
    int64_t done = 0;
    int64_t first = 0;
    int64_t last = 0;
    while (!loop.failed.load(std::memory_order_relaxed) && loop.claim(first, last)) {
        for (int64_t i = first; i < last && !loop.failed.load(std::memory_order_relaxed); ++i) {
            try {
                if (const int status = (*loop.body)(static_cast<int>(i))) loop.record(i, status, nullptr);
            } catch (...) {
                loop.record(i, TESSERA_KERNEL_FAILED, std::current_exception());
            }
        }
        done += last - first;
    }
    current_loop = outer;
    return done;
}

bool started_inside(const Loop* loop, const Loop* ancestor) {
    while (loop != nullptr && loop != ancestor) loop = loop->parent;
    return loop != nullptr;
}

/// A worker that was woken on its caller's processor would take turns with it, and schedulers leave such a pair together for a
/// long time. It moves itself elsewhere, at most once in a while; where it may run afterwards is unchanged.
void leave_processor(int cpu) {
    constexpr std::chrono::milliseconds move_interval{5};
    thread_local Clock::time_point last_move;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getcpu() != cpu) return;
    const Clock::time_point now = Clock::now();
    if (now - last_move < move_interval) return;
    last_move = now;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
    cpu_set_t others = allowed;
    CPU_CLR(cpu, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
}

int processor_count() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int starting_threads() {
    if (const char* text = std::getenv("TESSERA_NUM_THREADS")) {
        const long count = std::strtol(text, nullptr, 10);
        if (count >= 1 && count <= 4096) return static_cast<int>(count);
    }
    return processor_count();
}

/// What an iteration of a body took when it last ran, by the body's address. Only a hint: bodies that share an entry, or a race,
/// cost time but nothing else.
class CostTable {
public:
    [[nodiscard]] float iteration_ns(const LoopBody& body) const {
        const Entry& entry = entries_[slot(body)];
        return entry.body.load(std::memory_order_relaxed) == body.address() ? entry.ns.load(std::memory_order_relaxed) : -1.0F;
    }
    void record(const LoopBody& body, Clock::duration elapsed, int64_t iterations) {
        if (iterations == 0) return;
        Entry& entry = entries_[slot(body)];
        entry.body.store(body.address(), std::memory_order_relaxed);
        entry.ns.store(static_cast<float>(std::chrono::nanoseconds(elapsed).count()) / static_cast<float>(iterations),
                       std::memory_order_relaxed);
    }

private:
    struct Entry {
        std::atomic<uintptr_t> body{0};
        std::atomic<float> ns{0};
    };
    static size_t slot(const LoopBody& body) { return (body.address() * 0x9e3779b97f4a7c15ULL) >> 56; }
    std::array<Entry, 256> entries_;
};

// Sharing a loop out costs about 1 us when the workers are awake and 10 to 50 us when they sleep (2 threads, x86-64, a virtual
// machine): shorter loops are run by their caller alone.
constexpr float least_ns_awake = 2500;
constexpr float least_ns_asleep = 30000;

class Pool {
public:
    explicit Pool(int threads) : threads_(threads) {}
    [[nodiscard]] int threads() const { return threads_.load(std::memory_order_relaxed); }
    void set_threads(int count) {
        threads_.store(count);
        announce(true);
        { const std::lock_guard lock(sleep_mutex_); }
        parked_.notify_all();
    }

    int run(const LoopBody& body, int64_t begin, int64_t end) {
        const int count = threads();
        start_workers(count - 1);
        int status = 0;
        if (run_short(body, begin, end, status)) return status;
        Loop loop(body, current_loop, begin, end, count);
        {
            const std::lock_guard lock(list_lock_);
            loop.older = newest_;
            newest_ = &loop;
        }
        announce(end - begin > 2);
        const Clock::time_point start = Clock::now();
        const int64_t done = work_on(loop);
        costs_.record(body, Clock::now() - start, done);
        remove(loop);
        wait_until_alone(loop);
        if (!loop.failed.load(std::memory_order_relaxed)) return 0;
        this_thread_error() = loop.error;
        if (loop.exception) std::rethrow_exception(std::move(loop.exception));
        return loop.status;
    }

private:
    /// Runs a loop that is known to be short, or the part of it until it proves not to be. True when it is done or failed;
    /// otherwise `begin` is where to go on.
    bool run_short(const LoopBody& body, int64_t& begin, int64_t end, int& status) {
        const float iteration_ns = costs_.iteration_ns(body);
        const float limit = sleepers_.load(std::memory_order_relaxed) == 0 ? least_ns_awake : least_ns_asleep;
        if (iteration_ns < 0 || iteration_ns * static_cast<float>(end - begin) > limit) return false;
        const auto most = std::chrono::nanoseconds(static_cast<int64_t>(2 * limit));
        const Clock::time_point start = Clock::now();
        const int64_t first = begin;
        const int64_t stretch = std::max<int64_t>(1, (end - begin) / 4);
        while (begin < end) {
            for (const int64_t stop = std::min(end, begin + stretch); begin < stop; ++begin)
                if ((status = body(static_cast<int>(begin))) != 0) return true;
            const Clock::duration elapsed = Clock::now() - start;
            if (begin == end || elapsed > most) costs_.record(body, elapsed, begin - first);
            if (elapsed > most) break;
        }
        return begin == end;
    }

    [[nodiscard]] std::chrono::microseconds spin_limit() const {
        return threads() > processors_ ? std::chrono::microseconds{0} : spin_time;
    }

    /// Tells sleeping threads to look for work. A sleeper counts itself before it looks at the epoch a last time, so either it
    /// sees the new epoch or it is seen here.
    void announce(bool all) {
        epoch_.fetch_add(1);
        const bool callers = sleeping_callers_.load() != 0;
        if (!callers && sleepers_.load() == 0) return;
        { const std::lock_guard lock(sleep_mutex_); }
        if (all)
            wake_.notify_all();
        else
            wake_.notify_one();
        if (callers) finished_.notify_all();
    }

    void start_workers(int wanted) {
        if (started_.load(std::memory_order_relaxed) >= wanted) return;
        const std::lock_guard lock(start_mutex_);
        for (int index = started_.load(); index < wanted; ++index) {
            try {
                std::thread([this, index] { worker(index); }).detach();
            } catch (const std::system_error&) {
                return;  // the system allows no more threads; loops do with fewer
            }
            started_.store(index + 1);
        }
    }

    [[noreturn]] void worker(int index) {
        for (;;) {
            if (index >= threads() - 1) {
                std::unique_lock lock(sleep_mutex_);
                parked_.wait(lock, [&] { return index < threads() - 1; });
            }
            const uint32_t seen = epoch_.load();
            if (Loop* loop = join(nullptr)) {
                leave_processor(loop->caller_cpu);
                work_on(*loop);
                leave(*loop);
                continue;
            }
            const auto announced = [&] { return epoch_.load() != seen; };
            if (spin(spin_limit(), announced)) continue;
            std::unique_lock lock(sleep_mutex_);
            sleepers_.fetch_add(1);
            wake_.wait(lock, announced);
            sleepers_.fetch_sub(1);
        }
    }

    /// The newest loop with work left (started inside `ancestor`, unless that is null), with this thread counted as its helper.
    Loop* join(const Loop* ancestor) {
        if (newest_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        const std::lock_guard lock(list_lock_);
        for (Loop* loop = newest_; loop != nullptr; loop = loop->older) {
            if (!loop->has_work() || (ancestor != nullptr && !started_inside(loop, ancestor))) continue;
            loop->joined.fetch_add(1, std::memory_order_relaxed);
            return loop;
        }
        return nullptr;
    }

    /// The loop may be gone as soon as nobody has it joined.
    void leave(Loop& loop) {
        if (loop.joined.fetch_sub(1) != 1 || sleeping_callers_.load() == 0) return;
        { const std::lock_guard lock(sleep_mutex_); }
        finished_.notify_all();
    }

    void remove(Loop& loop) {
        const std::lock_guard lock(list_lock_);
        if (newest_ == &loop) {
            newest_ = loop.older;
            return;
        }
        for (Loop* at = newest_; at != nullptr; at = at->older)
            if (at->older == &loop) {
                at->older = loop.older;
                return;
            }
    }

    void wait_until_alone(Loop& loop) {
        const auto alone = [&] { return loop.joined.load() == 0; };
        while (!alone()) {
            const uint32_t seen = epoch_.load();
            if (Loop* inner = join(&loop)) {
                work_on(*inner);
                leave(*inner);
                continue;
            }
            // A new loop is a reason to look as well: it may have been started inside this one.
            const auto changed = [&] { return alone() || epoch_.load() != seen; };
            if (spin(spin_limit(), changed)) continue;
            std::unique_lock lock(sleep_mutex_);
            sleeping_callers_.fetch_add(1);
            finished_.wait(lock, changed);
            sleeping_callers_.fetch_sub(1);
        }
    }

    CostTable costs_;
    const int processors_ = processor_count();
    std::atomic<int> threads_;
    std::atomic<int> started_{0};
    std::mutex start_mutex_;

    SpinLock list_lock_;
    std::atomic<Loop*> newest_{nullptr};

    std::atomic<uint32_t> epoch_{0};  // counts announcements
    std::atomic<int> sleepers_{0};
    std::atomic<int> sleeping_callers_{0};
    std::mutex sleep_mutex_;
    std::condition_variable wake_;      // workers: there may be work
    std::condition_variable finished_;  // callers: a helper left, or there may be work
    std::condition_variable parked_;    // workers beyond the thread count
};

std::atomic<Pool*> shared_pool{nullptr};

/// Never destroyed: workers sleep in it until the process ends. A forked child has none of the workers and gets a pool of its
/// own.
Pool& pool() {
    static const bool made = [] {
        shared_pool.store(new Pool(starting_threads()));
        pthread_atfork(nullptr, nullptr, [] { shared_pool.store(new Pool(shared_pool.load()->threads())); });
        return true;
    }();
    static_cast<void>(made);
    return *shared_pool.load(std::memory_order_acquire);
}

}  // namespace

int run_parallel(const LoopBody& body, int begin, int count) {
    if (count <= 0) return 0;
    const int64_t end = int64_t{begin} + count;
    Pool& shared = pool();
    if (count > 1 && shared.threads() > 1) return shared.run(body, begin, end);
    for (int64_t i = begin; i < end; ++i)
        if (const int status = body(static_cast<int>(i))) return status;
    return 0;
}

}  // namespace tessera::runtime

extern "C" int tessera_num_threads(void) { return tessera::runtime::pool().threads(); }

extern "C" void tessera_set_num_threads(int count) {
    tessera::runtime::pool().set_threads(count >= 1 ? std::min(count, 4096) : tessera::runtime::starting_threads());
}

extern "C" int tessera_parallel_for(void* context, int (*body)(void* context, int index), int begin, int count) {
    return tessera::runtime::run_parallel({body, nullptr, context, nullptr}, begin, count);
}
