// What kernels compiled with profiling call: a thread is in one stage at a time, and time passes for that one.
#include "runtime/profile.h"

#include "runtime/scratch.h"

#include <tessera/tessera_profile.h>
#include <tessera/tessera_runtime.h>

#include <chrono>
#include <cstring>
#include <string_view>

namespace tessera::runtime {

ProfileRegistry& profile_registry() {
    // Never destroyed: threads may still run kernels while the program ends.
    static ProfileRegistry* const registry = new ProfileRegistry;
    return *registry;
}

namespace {

constexpr int no_stage = -1;

std::int64_t nanoseconds_here() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class T>
void add(std::atomic<T>& to, T amount) {
    to.store(to.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

/// Where a thread is.
struct Place {
    ProfiledKernel* kernel = nullptr;
    ThreadTimes* times = nullptr;
    int stage = no_stage;
    std::int64_t since = 0;
};
/// What leave() returns to.
struct OpenStage {
    Place outer;
    std::int64_t begin = 0;
};

struct ThreadProfile {
    Place here;
    std::vector<OpenStage> open;
    std::vector<std::pair<ProfiledKernel*, ThreadTimes*>> known;
    ThreadSpans* spans = nullptr;

    ThreadTimes* times_of(ProfiledKernel* kernel) {
        for (const auto& [k, times] : known)
            if (k == kernel) return times;
        const std::lock_guard lock(kernel->mutex);
        kernel->threads.push_back(std::make_unique<ThreadTimes>(kernel->stages.size()));
        known.emplace_back(kernel, kernel->threads.back().get());
        return known.back().second;
    }

    void keep_span(const Span& span) {
        if (spans == nullptr) {
            ProfileRegistry& registry = profile_registry();
            const std::lock_guard lock(registry.mutex);
            registry.threads.push_back(std::make_unique<ThreadSpans>());
            spans = registry.threads.back().get();
        }
        const std::lock_guard lock(spans->mutex);
        if (spans->spans.size() < ThreadSpans::most)
            spans->spans.push_back(span);
        else
            ++spans->dropped;
    }
};
thread_local ThreadProfile profile_here;

// Time up to `at` passed for the stage that the thread is in.
void account(Place& here, std::int64_t at) {
    if (here.stage != no_stage) add(here.times->nanoseconds[static_cast<size_t>(here.stage)], at - here.since);
    here.since = at;
}

void enter(ProfiledKernel* kernel, int stage, bool counts) {
    ThreadProfile& profile = profile_here;
    const std::int64_t at = nanoseconds_here();
    account(profile.here, at);
    profile.open.push_back({profile.here, at});
    if (profile.here.kernel != kernel) profile.here = {kernel, profile.times_of(kernel), no_stage, at};
    profile.here.stage = stage;
    if (counts) add(profile.here.times->entries[static_cast<size_t>(stage)], std::int64_t{1});
}

/// Returns for how long the stage was open.
std::int64_t leave() {
    ThreadProfile& profile = profile_here;
    const std::int64_t at = nanoseconds_here();
    account(profile.here, at);
    const OpenStage open = profile.open.back();
    profile.open.pop_back();
    if (profile.here.stage != no_stage) profile.keep_span({profile.here.kernel, profile.here.stage, open.begin, at});
    profile.here = open.outer;
    profile.here.since = at;
    return at - open.begin;
}

std::string_view next_line(std::string_view& text) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

/// From the kernel's name and three lines a stage.
std::unique_ptr<ProfiledKernel> kernel_of(std::string_view description) {
    auto kernel = std::make_unique<ProfiledKernel>();
    kernel->name = next_line(description);
    while (!description.empty()) {
        StageTexts stage;
        stage.name = next_line(description);
        stage.memory_hint = next_line(description);
        stage.compute_hint = next_line(description);
        kernel->stages.push_back(std::move(stage));
    }
    kernel->operations = std::vector<std::atomic<double>>(kernel->stages.size());
    kernel->bytes = std::vector<std::atomic<double>>(kernel->stages.size());
    return kernel;
}

bool is_described(const ProfiledKernel& kernel, std::string_view description) {
    if (next_line(description) != kernel.name) return false;
    for (const StageTexts& stage : kernel.stages) {
        if (next_line(description) != stage.name || next_line(description) != stage.memory_hint) return false;
        if (next_line(description) != stage.compute_hint) return false;
    }
    return description.empty();
}

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" {

// A call of the kernel begins on this thread; kernels of one description are one.
void* tessera_profile_begin(const char* description) {
    ProfileRegistry& registry = profile_registry();
    ProfiledKernel* kernel = nullptr;
    {
        const std::lock_guard lock(registry.mutex);
        for (const auto& known : registry.kernels)
            if (is_described(*known, description)) kernel = known.get();
        if (kernel == nullptr) {
            registry.kernels.push_back(kernel_of(description));
            kernel = registry.kernels.back().get();
        }
    }
    if (!scratch_is_measured()) kernel->calls.fetch_add(1, std::memory_order_relaxed);
    enter(kernel, no_stage, false);
    return kernel;
}

int32_t tessera_profile_end(void* handle) {
    static_cast<ProfiledKernel*>(handle)->wall_nanoseconds.fetch_add(leave(), std::memory_order_relaxed);
    return 0;
}

// What one call has to do in a stage.
int32_t tessera_profile_work(void* handle, int32_t stage, double operations, double bytes) {
    auto* kernel = static_cast<ProfiledKernel*>(handle);
    if (scratch_is_measured()) return 0;
    const std::lock_guard lock(kernel->mutex);
    add(kernel->operations[static_cast<size_t>(stage)], operations);
    add(kernel->bytes[static_cast<size_t>(stage)], bytes);
    return 0;
}

int32_t tessera_profile_enter(void* handle, int32_t stage) {
    enter(static_cast<ProfiledKernel*>(handle), stage, true);
    return 0;
}
// A task of a parallel loop of the stage, on any thread.
int32_t tessera_profile_task(void* handle, int32_t stage) {
    enter(static_cast<ProfiledKernel*>(handle), stage, false);
    return 0;
}
int32_t tessera_profile_leave(void*) {
    static_cast<void>(leave());
    return 0;
}

}  // extern "C"
