#pragma once

#include "backend/interpreter/interpreter.h"
#include "schedule/loop_tree.h"
#include "unit/cpu/kernel_run.h"

#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tessera::test {

using Shapes = std::vector<std::map<std::string, std::int64_t>>;

inline AnyBuffer random_buffer(const InputState& input, std::vector<std::int64_t> shape,
                               std::map<std::string, std::int64_t> extents, unsigned seed) {
    AnyBuffer b(buffer_dtype(input.dtype), std::move(shape));
    std::mt19937 random(seed);
    std::int64_t low = -100, high = 100;
    if (input.values) {
        const auto end = [&](const Extent& e) { return e.constant() ? *e.constant() : extents.at(Expr(e)->dim().name()); };
        low = end(input.values->first);
        high = end(input.values->second);
    }
    for (std::int64_t i = 0; i < b.size(); ++i) {
        const std::int64_t whole = high > low ? std::uniform_int_distribution<std::int64_t>(low, high - 1)(random) : low;
        const auto put = [&](auto value) { static_cast<decltype(value)*>(b.data())[i] = value; };
        const double real = std::uniform_real_distribution<double>(-2, 2)(random);
        switch (input.dtype) {
            case f16: put(float16(real)); break;
            case bf16: put(bfloat16(real)); break;
            case f32: put(static_cast<float>(real)); break;
            case f64: put(real); break;
            case u8:
            case i8: put(static_cast<std::int8_t>(whole)); break;
            case u16:
            case i16: put(static_cast<std::int16_t>(whole)); break;
            case u32:
            case i32: put(static_cast<std::int32_t>(whole)); break;
            case bool_: put(static_cast<std::uint8_t>(whole & 1)); break;
            default: put(whole); break;
        }
    }
    return b;
}

/// One failure for the first element of an output that differs.
inline void expect_equal_bits(const interpreter::Outputs& want, const interpreter::Outputs& got, const std::string& whose) {
    for (const auto& [name, buffer] : got) {
        const auto bytes = static_cast<std::int64_t>(tessera_dtype_bytes(buffer.dtype()));
        for (std::int64_t i = 0; i < buffer.size(); ++i)
            if (std::memcmp(static_cast<const char*>(buffer.data()) + i * bytes,
                            static_cast<const char*>(want.at(name).data()) + i * bytes, static_cast<size_t>(bytes)) != 0) {
                ADD_FAILURE() << name << "[" << i << "] of" << whose << " differs";
                break;
            }
    }
}

/// Runs `algorithm` compiled with checks and without, and its loop tree, for every set of extents of symbolic dims: all outputs
/// are the interpreter's, bit for bit.
inline void expect_same(const Algorithm& algorithm, const Schedule& schedule, const Shapes& shapes,
                        const std::string& target = "host", const std::map<std::string, std::int64_t>& scalars = {}) {
    std::map<cpu::KernelChecks, cpu::CompiledKernel> kernels;
    const BoundSchedule bound = bind(algorithm, schedule);
    for (const auto& extents : shapes) {
        std::string text;
        bool empty = false;
        for (const auto& [name, extent] : extents) {
            text += fmt::format(" {}={}", name, extent);
            empty = empty || extent == 0;
        }
        Arguments given;
        given.integers = scalars;
        interpreter::Inputs inputs;
        for (const auto& [name, value] : scalars) inputs[name] = value;
        unsigned seed = 1;
        for (const tessera::Argument& a : algorithm.arguments()) {
            const InputState& input = *a.state();
            if (input.scalar) continue;
            std::vector<std::int64_t> shape;
            for (const Dim& d : input.dims)
                shape.push_back(d.extent().constant() ? *d.extent().constant() : extents.at(d.name()));
            given.buffers[input.name] = random_buffer(input, shape, extents, ++seed);
            inputs[input.name] = given.buffers[input.name];
        }
        interpreter::Outputs want, from_tree;
        for (const auto checks : {cpu::KernelChecks::none, cpu::KernelChecks::all}) {
            if (empty && checks == cpu::KernelChecks::all) continue;
            if (!kernels.count(checks)) kernels[checks] = cpu::jit(bound, target, checks);
            const cpu::CompiledKernel& kernel = kernels.at(checks);
            Call call(algorithm, kernel.parameters, given, extents);
            ASSERT_EQ(kernel.call(call.argv()), 0) << tessera_last_error() << " at" << text;
            if (want.empty()) {
                for (const auto& [name, buffer] : call.outputs) {
                    want[name] = AnyBuffer(buffer.dtype(), buffer.extents());
                    from_tree[name] = AnyBuffer(buffer.dtype(), buffer.extents());
                }
                interpreter::evaluate(algorithm, inputs, want);
            }
            expect_equal_bits(want, call.outputs, text + (checks == cpu::KernelChecks::all ? " with checks" : ""));
        }
        if (empty) continue;
        interpreter::execute(build_loop_tree(bound), inputs, from_tree, {.shuffle_seed = 7});
        expect_equal_bits(want, from_tree, text + " by the loop tree");
    }
}

/// Every stage at root.
inline Schedule roots(const Algorithm& algorithm) {
    Schedule s;
    for (const Stage& stage : make_stages(algorithm).stages) s.stage(stage.name).root();
    return s;
}

}  // namespace tessera::test
