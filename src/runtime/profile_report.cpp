// What profiled kernels measured, as rows, as a table and as a trace.
#include "runtime/last_error.h"
#include "runtime/profile.h"

#include <tessera/tessera_profile.h>
#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tessera::runtime {
namespace {

struct StageSums {
    std::int64_t entries = 0, nanoseconds = 0;
};

StageSums sums_of(ProfiledKernel& kernel, size_t stage) {
    StageSums sums;
    const std::lock_guard lock(kernel.mutex);
    for (const auto& thread : kernel.threads) {
        sums.entries += thread->entries[stage].load(std::memory_order_relaxed);
        sums.nanoseconds += thread->nanoseconds[stage].load(std::memory_order_relaxed);
    }
    return sums;
}

tessera_profile_row row_of(ProfiledKernel& kernel, size_t stage) {
    const StageSums sums = sums_of(kernel, stage);
    const StageTexts& texts = kernel.stages[stage];
    return {.kernel = kernel.name.c_str(),
            .stage = texts.name.c_str(),
            .calls = kernel.calls.load(),
            .entries = sums.entries,
            .seconds = static_cast<double>(sums.nanoseconds) * 1e-9,
            .operations = kernel.operations[stage].load(),
            .bytes = kernel.bytes[stage].load(),
            .wall_seconds = static_cast<double>(kernel.wall_nanoseconds.load()) * 1e-9,
            .memory_hint = texts.memory_hint.c_str(),
            .compute_hint = texts.compute_hint.c_str()};
}

[[gnu::format(printf, 2, 3)]] void append(std::string& text, const char* format, ...) {
    char line[600];
    va_list args;
    va_start(args, format);
    std::vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text += line;
}

struct Roof {
    double operations, bytes;
    [[nodiscard]] bool known() const { return operations > 0 && bytes > 0; }
    /// The least time for a row, on all threads together, and what sets it.
    [[nodiscard]] double arithmetic_seconds(const tessera_profile_row& row) const { return row.operations / operations; }
    [[nodiscard]] double memory_seconds(const tessera_profile_row& row) const { return row.bytes / bytes; }
};

void append_suggestion(std::string& text, const tessera_profile_row& slowest, const Roof& roof) {
    const bool memory_bound = roof.known() && roof.memory_seconds(slowest) > roof.arithmetic_seconds(slowest);
    append(text, "  slowest: %s; %s\n", slowest.stage, memory_bound ? slowest.memory_hint : slowest.compute_hint);
    constexpr double least_useful_seconds = 1e-6;
    if (slowest.entries > 0 && slowest.seconds / static_cast<double>(slowest.entries) < least_useful_seconds)
        append(text, "  each entry of it takes %.0f ns, of which the clock itself is some 50: compare shares, not times\n",
               slowest.seconds / static_cast<double>(slowest.entries) * 1e9);
}

void append_kernel(std::string& text, ProfiledKernel& kernel, const Roof& roof) {
    const auto calls = static_cast<double>(std::max<std::int64_t>(kernel.calls.load(), 1));
    std::vector<tessera_profile_row> rows;
    double busy = 0;
    for (size_t s = 0; s < kernel.stages.size(); ++s) {
        rows.push_back(row_of(kernel, s));
        busy += rows.back().seconds;
    }
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    append(text, "%s: %lld calls, %.3f ms each\n", kernel.name.c_str(), static_cast<long long>(kernel.calls.load()),
           static_cast<double>(kernel.wall_nanoseconds.load()) * 1e-6 / calls);
    append(text, "  %-24s %10s %6s %12s %9s\n", "stage", "ms a call", "share", "entries", "roofline");
    const int threads = tessera_num_threads();
    for (const auto& row : rows) {
        append(text, "  %-24s %10.4f %5.1f%% %12.1f ", row.stage, row.seconds * 1e3 / calls,
               busy > 0 ? 100 * row.seconds / busy : 0.0, static_cast<double>(row.entries) / calls);
        if (roof.known() && row.seconds > 0)
            append(text, "%8.1f%%\n",
                   100 * threads * std::max(roof.arithmetic_seconds(row), roof.memory_seconds(row)) / row.seconds);
        else
            append(text, "%9s\n", "-");
    }
    if (!rows.empty() && rows[0].seconds > 0) append_suggestion(text, rows[0], roof);
}

std::string json_text(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
    return out;
}

void append_trace(std::string& text, ProfileRegistry& registry) {
    text = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [";
    std::int64_t first = INT64_MAX, dropped = 0;
    for (const auto& thread : registry.threads) {
        const std::lock_guard lock(thread->mutex);
        for (const Span& span : thread->spans) first = std::min(first, span.begin);
        dropped += thread->dropped;
    }
    const char* separator = "\n";
    for (size_t t = 0; t < registry.threads.size(); ++t) {
        const std::lock_guard lock(registry.threads[t]->mutex);
        for (const Span& span : registry.threads[t]->spans) {
            const auto& stage = span.kernel->stages[static_cast<size_t>(span.stage)];
            text += separator;
            text += "{\"name\": \"" + json_text(stage.name) + "\", \"cat\": \"" + json_text(span.kernel->name) + "\"";
            append(text, ", \"ph\": \"X\", \"ts\": %.3f, \"dur\": %.3f, \"pid\": 1, \"tid\": %zu}",
                   static_cast<double>(span.begin - first) * 1e-3, static_cast<double>(span.end - span.begin) * 1e-3, t + 1);
            separator = ",\n";
        }
    }
    append(text, "\n], \"otherData\": {\"spans_dropped\": %lld}}\n", static_cast<long long>(dropped));
}

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" {

int tessera_profile_rows(void) {
    ProfileRegistry& registry = profile_registry();
    const std::lock_guard lock(registry.mutex);
    size_t rows = 0;
    for (const auto& kernel : registry.kernels) rows += kernel->stages.size();
    return static_cast<int>(rows);
}

int tessera_profile_row_at(int index, tessera_profile_row* row) {
    ProfileRegistry& registry = profile_registry();
    const std::lock_guard lock(registry.mutex);
    auto left = static_cast<size_t>(std::max(index, 0));
    for (const auto& kernel : registry.kernels) {
        if (index >= 0 && left < kernel->stages.size()) {
            *row = row_of(*kernel, left);
            return TESSERA_OK;
        }
        left -= std::min(left, kernel->stages.size());
    }
    return fail(TESSERA_ARGUMENT, "there is no row %d of the profile", index);
}

void tessera_profile_reset(void) {
    ProfileRegistry& registry = profile_registry();
    const std::lock_guard lock(registry.mutex);
    for (const auto& kernel : registry.kernels) {
        const std::lock_guard kernel_lock(kernel->mutex);
        kernel->calls = 0;
        kernel->wall_nanoseconds = 0;
        for (auto& operations : kernel->operations) operations = 0;
        for (auto& bytes : kernel->bytes) bytes = 0;
        for (const auto& thread : kernel->threads)
            for (size_t s = 0; s < kernel->stages.size(); ++s) thread->nanoseconds[s] = thread->entries[s] = 0;
    }
    for (const auto& thread : registry.threads) {
        const std::lock_guard thread_lock(thread->mutex);
        thread->spans.clear();
        thread->dropped = 0;
    }
}

void tessera_profile_set_roof(double operations_per_second, double bytes_per_second) {
    ProfileRegistry& registry = profile_registry();
    const std::lock_guard lock(registry.mutex);
    registry.roof_operations = operations_per_second;
    registry.roof_bytes = bytes_per_second;
}

size_t tessera_profile_text(char* text, size_t size) {
    ProfileRegistry& registry = profile_registry();
    const std::lock_guard lock(registry.mutex);
    std::string all;
    for (const auto& kernel : registry.kernels)
        if (kernel->calls.load() != 0) append_kernel(all, *kernel, {registry.roof_operations, registry.roof_bytes});
    if (size > 0) {
        const size_t kept = std::min(all.size(), size - 1);
        std::memcpy(text, all.data(), kept);
        text[kept] = '\0';
    }
    return all.size();
}

int tessera_profile_write_trace(const char* path) {
    std::string text;
    {
        ProfileRegistry& registry = profile_registry();
        const std::lock_guard lock(registry.mutex);
        append_trace(text, registry);
    }
    std::FILE* file = std::fopen(path, "w");
    const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (written && closed) return TESSERA_OK;
    return fail(TESSERA_KERNEL_FAILED, "the trace cannot be written to %s: %s", path, std::strerror(errno));
}

}  // extern "C"
