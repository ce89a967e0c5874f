#pragma once

#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "backend/interpreter/interpreter.h"

#include <cmath>
#include <vector>

namespace tessera::interpreter_test {

using interpreter::evaluate;
using interpreter::Inputs;
using interpreter::Outputs;

template <class T>
Buffer<T> filled(std::vector<std::int64_t> extents, const std::vector<T>& values) {
    Buffer<T> buffer(std::move(extents));
    size_t next = 0;
    buffer.for_each([&](T& element) { element = values.at(next++); });
    return buffer;
}
template <class T>
std::vector<T> elements(const Buffer<T>& buffer) {
    std::vector<T> values;
    buffer.for_each([&](const T& element) { values.push_back(element); });
    return values;
}
/// Values of some spread, the same on every run.
template <class T>
std::vector<T> ramp(size_t count, int seed = 1) {
    std::vector<T> values;
    std::uint32_t state = static_cast<std::uint32_t>(seed) * 2654435761u + 12345u;
    for (size_t i = 0; i < count; ++i) {
        state = state * 1664525u + 1013904223u;
        // Floats with a full mantissa, so that sums depend on their order.
        if constexpr (std::is_integral_v<T>)
            values.push_back(static_cast<T>(static_cast<int>(state >> 24) - 128));
        else
            values.push_back(static_cast<T>(static_cast<float>(static_cast<std::int32_t>(state)) / 1e8f));
    }
    return values;
}

/// The one output of an algorithm.
template <class T>
std::vector<T> run(const Algorithm& algorithm, const Inputs& inputs, std::vector<std::int64_t> extents) {
    Buffer<T> out(std::move(extents));
    evaluate(algorithm, inputs, {{algorithm.outputs()[0].name(), out}});
    return elements(out);
}

}  // namespace tessera::interpreter_test
