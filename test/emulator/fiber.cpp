#include "emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if !TESSERA_FIBER_UCONTEXT
extern "C" void tessera_switch_stack(void** save, void* to);
// The registers that a call keeps, then the stack pointer.
asm(R"(
.text
.globl tessera_switch_stack
.hidden tessera_switch_stack
.type tessera_switch_stack, @function
tessera_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size tessera_switch_stack, .-tessera_switch_stack
)");
#endif

namespace tessera::emulator {
namespace {

constexpr std::size_t guard_bytes = 4096;

// The fiber that is being entered for the first time: start() has no parameters on either kind of switch.
Fiber* starting = nullptr;

}  // namespace

struct StackPool::Stacks {
    std::vector<char*> all, free;
};

StackPool::StackPool() : stacks_(std::make_unique<Stacks>()) {}

StackPool::~StackPool() {
    for (char* stack : stacks_->all) munmap(stack - guard_bytes, stack_bytes + guard_bytes);
}

char* StackPool::take() {
    if (!stacks_->free.empty()) {
        char* stack = stacks_->free.back();
        stacks_->free.pop_back();
        return stack;
    }
    void* memory =
        mmap(nullptr, stack_bytes + guard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, guard_bytes, PROT_NONE);
    stacks_->all.push_back(static_cast<char*>(memory) + guard_bytes);
    return stacks_->all.back();
}

void StackPool::give_back(char* stack) { stacks_->free.push_back(stack); }

Fiber::Fiber(StackPool& pool, std::function<void()> body) : pool_(pool), body_(std::move(body)), stack_(pool.take()) {
#if TESSERA_FIBER_UCONTEXT
    getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_;
    inside_.uc_stack.ss_size = StackPool::stack_bytes;
    inside_.uc_link = nullptr;
    makecontext(&inside_, &Fiber::start, 0);
#else
    // The System V ABI has the stack pointer at 8 modulo 16 when a function begins.
    void** top = reinterpret_cast<void**>(stack_ + StackPool::stack_bytes) - 3;
    *--top = reinterpret_cast<void*>(&Fiber::start);
    inside_ = top - 6;
#endif
}

Fiber::~Fiber() { pool_.give_back(stack_); }

void Fiber::start() {
    Fiber* self = std::exchange(starting, nullptr);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self->outside_bottom_, &self->outside_bytes_);
#endif
    self->body_();
    self->done_ = true;
    self->leave();
    std::abort();  // a finished fiber is never entered
}

void Fiber::enter() {
    starting = this;
#if TESSERA_FIBER_UCONTEXT
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_, StackPool::stack_bytes);
    swapcontext(&outside_, &inside_);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    swapcontext(&outside_, &inside_);
#endif
#else
    tessera_switch_stack(&outside_, inside_);
#endif
}

void Fiber::leave() {
#if TESSERA_FIBER_UCONTEXT
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(done_ ? nullptr : &fake_stack_, outside_bottom_, outside_bytes_);
    swapcontext(&inside_, &outside_);
    __sanitizer_finish_switch_fiber(fake_stack_, &outside_bottom_, &outside_bytes_);
#else
    swapcontext(&inside_, &outside_);
#endif
#else
    tessera_switch_stack(&inside_, outside_);
#endif
}

}  // namespace tessera::emulator
