#pragma once

#include "runtime/solve_check.h"

#include <cstdint>

namespace tessera::runtime {

/// The body of a loop in one of the two shapes that callers have: tessera_parallel_for's, or Halide's task.
struct LoopBody {
    int (*plain)(void* context, int index) = nullptr;
    int (*task)(void* user_context, int index, uint8_t* closure) = nullptr;
    void* context = nullptr;
    uint8_t* closure = nullptr;

    [[nodiscard]] uintptr_t address() const {
        return plain != nullptr ? reinterpret_cast<uintptr_t>(plain) : reinterpret_cast<uintptr_t>(task);
    }
    int operator()(int index) const {
        if (plain != nullptr) return plain(context, index);
        const int status = task(context, index, closure);
        return status != 0 ? status : take_failed_check();
    }
};

/// tessera_parallel_for for either shape.
int run_parallel(const LoopBody& body, int begin, int count);

}  // namespace tessera::runtime
