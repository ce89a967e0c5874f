#include <gtest/gtest.h>
#include <tessera/tessera_runtime.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" int halide_do_par_for(void* user_context, int (*task)(void*, int, uint8_t*), int min, int size, uint8_t* closure);
extern "C" int halide_error_out_of_memory(void* user_context);

namespace tessera {
namespace {

/// Runs a callable through the C entry.
int loop(int begin, int count, const std::function<int(int)>& body) {
    return tessera_parallel_for(
        const_cast<std::function<int(int)>*>(&body),
        [](void* context, int i) { return (*static_cast<const std::function<int(int)>*>(context))(i); }, begin, count);
}

/// Something for an iteration to do.
double burn(int rounds) {
    volatile double x = 1;
    for (int i = 0; i < rounds; ++i) x = x * 0.5 + 1;
    return x;
}

class ThreadPool : public testing::TestWithParam<int> {
protected:
    void SetUp() override { tessera_set_num_threads(GetParam()); }
    void TearDown() override { tessera_set_num_threads(0); }
};

TEST_P(ThreadPool, EveryIterationRunsOnce) {
    ASSERT_EQ(tessera_num_threads(), GetParam());
    for (const int count : {0, 1, 2, 3, 17, 1000, 100000})
        for (const int rounds : {0, 20}) {
            std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
            ASSERT_EQ(loop(-5, count,
                           [&](int i) {
                               burn(rounds);
                               ++seen[static_cast<size_t>(i + 5)];
                               return 0;
                           }),
                      0);
            for (const auto& times : seen) ASSERT_EQ(times, 1);
        }
}

TEST_P(ThreadPool, NestedLoopsFinish) {
    for (int repeat = 0; repeat < 50; ++repeat) {
        std::atomic<int> total = 0;
        ASSERT_EQ(
            loop(0, 5,
                 [&](int) { return loop(0, 7, [&](int) { return loop(0, 3, [&](int) { return ++total, burn(100), 0; }); }); }),
            0);
        ASSERT_EQ(total, 105);
    }
}

TEST_P(ThreadPool, LoopsFromSeveralThreadsAtOnce) {
    std::atomic<int64_t> total = 0;
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t)
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 200; ++repeat) loop(0, 20, [&](int i) { return total += i, 0; });
        });
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(total, 4 * 200 * 190);
}

TEST_P(ThreadPool, FailureComesBackWithItsMessage) {
    std::atomic<int> begun = 0;
    const int status = loop(0, 100000, [&](int i) {
        ++begun;
        return i >= 10 ? halide_error_out_of_memory(nullptr) : 0;
    });
    EXPECT_EQ(status, TESSERA_OUT_OF_MEMORY);
    EXPECT_STREQ(tessera_last_error(), "the kernel found no memory for its scratch buffers");
    EXPECT_LT(begun, 100000);
    EXPECT_EQ(loop(0, 100, [](int) { return 0; }), 0);
}

TEST_P(ThreadPool, FailureOnAnotherThreadComesBack) {
    // The caller's own iterations never fail: the message has to travel. They are long, so that the loop is shared out.
    struct Context {
        std::thread::id caller = std::this_thread::get_id();
        std::atomic<bool> failed = GetParam() == 1;
    } context;
    const auto body = [](void* memory, int) {
        auto& shared = *static_cast<Context*>(memory);
        if (std::this_thread::get_id() != shared.caller) {
            shared.failed = true;
            return halide_error_out_of_memory(nullptr);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!shared.failed && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        return 0;
    };
    const int status = tessera_parallel_for(&context, body, 0, 2);
    if (GetParam() == 1) {
        EXPECT_EQ(status, 0);
        return;
    }
    EXPECT_EQ(status, TESSERA_OUT_OF_MEMORY);
    EXPECT_NE(std::string(tessera_last_error()), "");
}

TEST_P(ThreadPool, ExceptionsAreRethrown) {
    // Once in a loop that is shared out, once in one that is known to be short.
    for (const int milliseconds : {1, 0})
        for (int repeat = 0; repeat < 3; ++repeat) {
            const auto body = [milliseconds](int i) -> int {
                std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
                if (i % 7 == 3) throw std::runtime_error("seven");
                return 0;
            };
            loop(0, 4, [&](int) { return std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)), 0; });
            EXPECT_THROW(loop(0, 50, body), std::runtime_error);
        }
}

TEST_P(ThreadPool, HalideTasksGetTheirClosure) {
    struct Closure {
        std::atomic<int> total = 0;
    } closure;
    const auto task = [](void* user_context, int i, uint8_t* memory) {
        reinterpret_cast<Closure*>(memory)->total += i * (user_context != nullptr ? 1 : 1000);
        return 0;
    };
    EXPECT_EQ(halide_do_par_for(&closure, task, 1, 100, reinterpret_cast<uint8_t*>(&closure)), 0);
    EXPECT_EQ(closure.total, 5050);
}

TEST_P(ThreadPool, SleepingWorkersWake) {
    for (int repeat = 0; repeat < 20; ++repeat) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::atomic<int> total = 0;
        loop(0, 8, [&](int) { return burn(20000), ++total, 0; });
        ASSERT_EQ(total, 8);
    }
}

TEST_P(ThreadPool, AForkedChildHasWorkersOfItsOwn) {
    const auto threads_seen = [] {
        std::atomic<int> others = 0;
        const std::thread::id caller = std::this_thread::get_id();
        loop(0, 40, [&](int) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            others += std::this_thread::get_id() != caller ? 1 : 0;
            return 0;
        });
        return others > 0 ? 2 : 1;
    };
    threads_seen();
    const pid_t child = fork();
    if (child == 0) _exit(threads_seen());
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), GetParam() > 1 ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPool, testing::Values(1, 2, 3, 7), testing::PrintToStringParamName());

TEST(ThreadPoolCount, FromTheEnvironmentAndBack) {
    setenv("TESSERA_NUM_THREADS", "5", 1);
    tessera_set_num_threads(0);
    EXPECT_EQ(tessera_num_threads(), 5);
    setenv("TESSERA_NUM_THREADS", "many", 1);
    tessera_set_num_threads(0);
    EXPECT_GE(tessera_num_threads(), 1);
    EXPECT_NE(tessera_num_threads(), 5);
    unsetenv("TESSERA_NUM_THREADS");
    tessera_set_num_threads(0);
}

TEST(Memory, BlocksAreAlignedDistinctAndReused) {
    for (const size_t bytes :
         {size_t{0}, size_t{1}, size_t{63}, size_t{65000}, size_t{100000}, size_t{5} << 20, size_t{200} << 20}) {
        auto* a = static_cast<char*>(tessera_malloc(bytes));
        auto* b = static_cast<char*>(tessera_malloc(bytes));
        ASSERT_NE(a, nullptr);
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 64, 0u);
        EXPECT_GE(static_cast<size_t>(std::abs(a - b)), bytes);
        if (bytes > 0) std::memset(a, 1, bytes);
        if (bytes > 0) std::memset(b, 2, bytes);
        EXPECT_TRUE(bytes == 0 || a[bytes - 1] == 1);
        tessera_free(a);
        tessera_free(b);
    }
    tessera_free(nullptr);
    void* first = tessera_malloc(size_t{3} << 20);
    tessera_free(first);
    void* second = tessera_malloc(size_t{3} << 20);
    EXPECT_EQ(first, second);
    tessera_free(second);
    EXPECT_EQ(tessera_malloc(SIZE_MAX - 3), nullptr);
    EXPECT_EQ(tessera_malloc(size_t{1} << 60), nullptr);
}

// Arrays of one size that a loop walks through together start at different lines of a page, and all of them are kept.
TEST(Memory, LargeBlocksStartAtDifferentLines) {
    constexpr size_t count = 64, bytes = 300000;
    std::vector<void*> blocks;
    std::set<uintptr_t> lines, first, second;
    for (size_t i = 0; i < count; ++i) {
        blocks.push_back(tessera_malloc(bytes));
        lines.insert(reinterpret_cast<uintptr_t>(blocks.back()) % 4096);
    }
    EXPECT_EQ(lines.size(), 64u);
    for (void* block : blocks) {
        std::memset(block, 1, bytes);
        first.insert(reinterpret_cast<uintptr_t>(block));
        tessera_free(block);
    }
    for (void*& block : blocks) second.insert(reinterpret_cast<uintptr_t>(block = tessera_malloc(bytes)));
    EXPECT_EQ(first, second);
    for (void* block : blocks) tessera_free(block);
}

TEST(Memory, ManyBlocksOnManyThreads) {
    std::vector<std::thread> threads;
    std::atomic<bool> broken = false;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::vector<std::pair<int*, size_t>> held;
            unsigned state = static_cast<unsigned>(t) + 1;
            for (int step = 0; step < 3000; ++step) {
                state = state * 1664525u + 1013904223u;
                if (held.size() > 20 || ((state >> 16) % 2 == 0 && !held.empty())) {
                    const auto [memory, count] = held.back();
                    held.pop_back();
                    if (memory[0] != t || memory[count - 1] != t) broken = true;
                    tessera_free(memory);
                } else {
                    const size_t count = 1 + (state >> 8) % 100000;
                    auto* memory = static_cast<int*>(tessera_malloc(count * sizeof(int)));
                    memory[0] = memory[count - 1] = t;
                    held.emplace_back(memory, count);
                }
            }
            for (const auto& [memory, count] : held) tessera_free(memory);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(broken);
}

}  // namespace
}  // namespace tessera
