#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"
#include "runtime/extent_code.h"
#include "tessera_paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace tessera {
namespace {

struct Row {
    const char* generator;
    const char* params;
};

// Small numbers of the dtype: sums of products stay exact in i32, floats have all sorts of bits.
void fill(const AnyBuffer& buffer, std::mt19937& random) {
    const auto size = static_cast<size_t>(buffer.size());
    std::uniform_real_distribution<double> real(0.1, 2.0);
    switch (buffer.dtype()) {
        case TESSERA_F32:
            for (size_t i = 0; i < size; ++i) static_cast<float*>(buffer.data())[i] = static_cast<float>(real(random));
            break;
        case TESSERA_F64:
            for (size_t i = 0; i < size; ++i) static_cast<double*>(buffer.data())[i] = real(random);
            break;
        case TESSERA_BF16:
            for (size_t i = 0; i < size; ++i)
                static_cast<bfloat16*>(buffer.data())[i] = bfloat16(static_cast<float>(real(random)));
            break;
        default:
            for (size_t i = 0; i < size * tessera_dtype_bytes(buffer.dtype()); ++i)
                static_cast<unsigned char*>(buffer.data())[i] = static_cast<unsigned char>(random());
    }
}

// The arguments of one call with every symbolic dim at its extent.
struct Call {
    NamedInputs inputs;
    NamedOutputs outputs;
};

Call make_call(const tessera_kernel_descriptor& kernel, const std::vector<std::int64_t>& extents, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::int64_t> dims;
    size_t next = 0;
    for (int d = 0; d < kernel.dim_count; ++d) {
        std::int64_t value = kernel.dims[d].value;
        if (kernel.dims[d].kind == TESSERA_DIM_BOUND) value = extents[next++ % extents.size()];
        if (kernel.dims[d].kind == TESSERA_DIM_DERIVED) {
            EXPECT_EQ(runtime::run_code(kernel.dims[d].code, kernel, nullptr, dims.data(), d, value), runtime::CodeResult::ok);
        }
        dims.push_back(value);
    }
    Call call;
    for (int a = 0; a < kernel.arg_count; ++a) {
        const tessera_arg_descriptor& arg = kernel.args[a];
        if (arg.kind == TESSERA_ARG_SCALAR) {
            call.inputs.emplace(arg.name, 1e-5);
            continue;
        }
        std::vector<std::int64_t> shape;
        for (int i = 0; i < arg.rank; ++i) shape.push_back(dims[static_cast<size_t>(arg.dims[i])]);
        AnyBuffer buffer(static_cast<tessera_dtype>(arg.dtype), shape);
        if (arg.kind == TESSERA_ARG_INPUT) {
            fill(buffer, random);
            call.inputs.emplace(arg.name, buffer);
        } else {
            call.outputs.emplace(arg.name, buffer);
        }
    }
    return call;
}

// Bit for bit where no sum may be reordered.
void expect_agreement(const Algorithm& algorithm, const Schedule& schedule, const Target& target) {
    const Module compiled = compile(algorithm, schedule, target, {.disk_cache = false}),
                 meant = compile(algorithm, {}, parse_target("interpreter"));
    for (const std::vector<std::int64_t>& extents : {std::vector<std::int64_t>{5, 7, 3}, {1, 1, 1}, {17, 21, 4}, {2, 0, 4}}) {
        const Call a = make_call(compiled.descriptor(), extents, 1), b = make_call(compiled.descriptor(), extents, 1);
        compiled(a.inputs, a.outputs);
        meant(b.inputs, b.outputs);
        for (const auto& [name, got] : a.outputs) {
            const AnyBuffer& wanted = b.outputs.at(name);
            if (got.dtype() != TESSERA_F32 && got.dtype() != TESSERA_F64 && got.dtype() != TESSERA_BF16) {
                EXPECT_EQ(
                    std::memcmp(got.data(), wanted.data(), static_cast<size_t>(got.size()) * tessera_dtype_bytes(got.dtype())), 0)
                    << extents[1];
                continue;
            }
            for (std::int64_t i = 0; i < got.size(); ++i) {
                const auto value = [&](const AnyBuffer& buffer) {
                    if (buffer.dtype() == TESSERA_BF16) return double{float(static_cast<bfloat16*>(buffer.data())[i])};
                    return buffer.dtype() == TESSERA_F32 ? double{static_cast<float*>(buffer.data())[i]}
                                                         : static_cast<double*>(buffer.data())[i];
                };
                const double unit = got.dtype() == TESSERA_F64 ? 0x1p-52 : 0x1p-23;
                // Sums of up to 300 terms of one sign; stored as bf16 they may round to either side.
                const double stored = got.dtype() == TESSERA_BF16 ? 0x1p-7 : 0;
                ASSERT_NEAR(value(got), value(wanted), (300 * unit + stored) * std::max(1.0, std::abs(value(wanted))))
                    << name << " at " << i << " of extents " << extents[1];
            }
        }
    }
}

class Generators : public testing::TestWithParam<Row> {};

// What a generator ships under its default schedule is what the interpreter computes.
TEST_P(Generators, DefaultScheduleAgreesWithTheInterpreter) {
    const auto [algorithm, schedule] = shipped(GetParam().generator, GetParam().params);
    expect_agreement(algorithm, schedule, {});
}

bool has_wide_vectors() {
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512bw") != 0;
#else
    return true;
#endif
}

class ScheduleFiles : public testing::TestWithParam<std::pair<const char*, const char*>> {};

// The schedules written by hand and those of tuning sessions, compiled for this machine and, where it has wider ones, for 256-bit
// vectors.
TEST_P(ScheduleFiles, AgreeWithTheInterpreter) {
    const auto& [generator, file] = GetParam();
    const Algorithm algorithm = shipped(generator, "").first;
    const Schedule schedule = read_schedule(fmt::format("{}/schedules/{}.json", TESSERA_SOURCE_DIR, file));
    expect_agreement(algorithm, schedule, {});
    // 32 stages take half a minute to compile thrice; where vectors have 256 bits anyway, the same code comes out again.
    if (std::string(file) == "stencil_chain" || !has_wide_vectors()) return;
    const Target narrow = parse_target("x86-64-linux-avx2-fma");
    try {
        expect_agreement(algorithm, schedule, narrow);
        if (std::string(file) == generator) expect_agreement(algorithm, default_schedule(algorithm, narrow), narrow);
    } catch (const Error& e) {
        if (e.code() != E0803_target_unavailable) throw;
        GTEST_SKIP() << "[SKIP] " << e.what();
    }
}

INSTANTIATE_TEST_SUITE_P(All, ScheduleFiles,
                         testing::Values(std::pair{"bilateral_grid", "bilateral_grid"}, std::pair{"blur", "blur"},
                                         std::pair{"equalize", "equalize"}, std::pair{"harris", "harris"},
                                         std::pair{"max_filter", "max_filter"}, std::pair{"stencil_chain", "stencil_chain"},
                                         std::pair{"unsharp", "unsharp"}, std::pair{"matmul", "matmul"},
                                         std::pair{"matmul", "matmul_avx512"}, std::pair{"blur", "blur_avx512"},
                                         std::pair{"harris", "harris_avx512"}, std::pair{"max_filter", "max_filter_avx512"},
                                         std::pair{"harris", "tuned/harris_avx512"}),
                         [](const auto& each) {
                             std::string name = each.param.second;
                             std::replace(name.begin(), name.end(), '/', '_');
                             return name;
                         });

INSTANTIATE_TEST_SUITE_P(
    All, Generators,
    testing::Values(Row{"blur", ""}, Row{"unsharp", ""}, Row{"harris", ""}, Row{"matmul", ""},
                    Row{"matmul", "--param dtype=f64 --param epilogue=bias"}, Row{"matmul", "--param dtype=i8"},
                    Row{"matmul", "--param dtype=bf16"}, Row{"matmul", "--param dtype=bf16 --param epilogue=bias_gelu"},
                    Row{"matmul", "--param epilogue=bias_relu --dim k=16"}, Row{"matmul", "--param epilogue=bias_gelu"},
                    Row{"softmax", ""}, Row{"layer_norm", ""}, Row{"conv2d", ""},
                    Row{"conv2d", "--param stride=2 --param kernel=5 --param activation=relu"}, Row{"histogram", ""},
                    Row{"iir_blur", ""}, Row{"separable_conv", ""}, Row{"separable_conv", "--dim i=32 --dim o=16"},
                    Row{"equalize", ""}, Row{"bilateral_grid", ""}, Row{"stencil_chain", "--param stencils=2"},
                    Row{"max_filter", "--param radius=3"}),
    [](const auto& each) { return fmt::format("{}_{}", each.param.generator, each.index); });

}  // namespace
}  // namespace tessera
