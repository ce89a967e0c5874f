#pragma once

#include <cstddef>
#include <memory>

namespace tessera::runtime {

/// An array of a length known at construction: on the stack up to `inline_count` elements, so that usual calls allocate nothing.
/// Elements are uninitialised.
template <class T, size_t inline_count>
class InlineArray {
public:
    explicit InlineArray(size_t count) : heap_(count > inline_count ? std::make_unique<T[]>(count) : nullptr) {}
    [[nodiscard]] T* data() { return heap_ ? heap_.get() : stack_; }
    T& operator[](size_t at) { return data()[at]; }

private:
    T stack_[inline_count];
    std::unique_ptr<T[]> heap_;
};

}  // namespace tessera::runtime
