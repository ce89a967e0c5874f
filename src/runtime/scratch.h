#pragma once

#include <cstddef>

namespace tessera::runtime {

/// What the caller of a kernel says about its scratch memory.
struct ScratchRequest {
    enum class Mode { heap, given, measure };
    Mode mode = Mode::heap;
    void* memory = nullptr;
    size_t bytes = 0;
    size_t needed = 0;  // out: what the kernel asked for
    int status = 0;     // out: why the kernel was skipped
};

/// While it lives, the first kernel that starts on this thread gets its scratch memory by `request`, which hears of it.
class ScratchScope {
public:
    explicit ScratchScope(ScratchRequest& request);
    ~ScratchScope();
    ScratchScope(const ScratchScope&) = delete;
    ScratchScope& operator=(const ScratchScope&) = delete;

private:
    ScratchRequest* outer_;
};

/// Whether the kernel that runs on this thread was only asked for what it takes.
[[nodiscard]] bool scratch_is_measured();

}  // namespace tessera::runtime
