#pragma once
// One fiber per emulated thread: a stack of its own and a switch that saves what a call saves. On x86-64 the switch is a few
// instructions; elsewhere, and under a sanitizer, it is ucontext.
#include <cstddef>
#include <functional>
#include <memory>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TESSERA_FIBER_UCONTEXT 1
#elif !defined(__x86_64__)
#define TESSERA_FIBER_UCONTEXT 1
#else
#define TESSERA_FIBER_UCONTEXT 0
#endif

#if TESSERA_FIBER_UCONTEXT
#include <ucontext.h>
#endif

namespace tessera::emulator {

/// Stacks that fibers take and give back. Each has a page without access below it.
class StackPool {
public:
    static constexpr std::size_t stack_bytes = 256 << 10;
    StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;
    ~StackPool();
    [[nodiscard]] char* take();
    void give_back(char* stack);

private:
    struct Stacks;
    std::unique_ptr<Stacks> stacks_;
};

class Fiber {
public:
    /// Runs `body` when first entered. The body must not let an exception out.
    Fiber(StackPool& pool, std::function<void()> body);
    Fiber(Fiber&& other) noexcept = delete;
    Fiber& operator=(Fiber&& other) = delete;
    ~Fiber();

    /// From the thread that schedules: runs the fiber until it leaves or its body returns.
    void enter();
    /// From inside: back to who entered.
    void leave();
    [[nodiscard]] bool is_done() const { return done_; }

private:
    static void start();

    StackPool& pool_;
    std::function<void()> body_;
    char* stack_;
    bool done_ = false;
#if TESSERA_FIBER_UCONTEXT
    ucontext_t inside_{}, outside_{};
    void* fake_stack_ = nullptr;
    const void* outside_bottom_ = nullptr;
    std::size_t outside_bytes_ = 0;
#else
    void* inside_ = nullptr;
    void* outside_ = nullptr;
#endif
};

}  // namespace tessera::emulator
