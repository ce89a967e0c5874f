// Every scalar op and conversion in every dtype, vectorised, against the interpreter: equal bits (any NaN equals any NaN).
#include "backend/interpreter/interpreter.h"
#include "unit/cpu/kernel_run.h"

#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tessera {
namespace {

constexpr std::int64_t count = 1031;  // prime: a vector tail
constexpr DType all_dtypes[] = {bool_, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, f8e4m3, f8e5m2};

// Special values first, then random ones: small, of the sampled range, and of any bits.
AnyBuffer samples(DType t, double low, double high, unsigned seed) {
    AnyBuffer b(test::buffer_dtype(t), {count});
    std::mt19937_64 random(seed);
    const int bytes = dtype_bytes(t);
    std::vector<double> special{
        0,    -0.0,   1,      -1,   2,     -2,    0.5,   3,     7,     -7,  31,         32,           63,
        64,   100,    127,    128,  255,   256,   32767, 65504, 65520, 1e5, 2147483647, 2147483648.0, 4294967296.0,
        1e10, 9.3e18, 1.9e19, 1e30, 1e-30, 1e-42, 1e300};
    if (is_float(t))
        special.insert(special.end(), {std::nan(""), HUGE_VAL, -HUGE_VAL, -1e5, -1e10, -3e9, -1e20, -1e300, 1e-7, -0.25, 0.999,
                                       -0.999, 1.5, 2.5, -2.5});
    for (std::int64_t i = 0; i < count; ++i) {
        std::uint64_t bits = random();
        const double chosen = i < 200 ? special[(static_cast<size_t>(i) * (2 * seed + 1) + seed) % special.size()]
                                      : std::uniform_real_distribution<double>(low, high)(random);
        if (is_float(t)) {
            if (i < 800) {
                const float narrow = static_cast<float>(chosen);
                if (t == f16) bits = float16(chosen).bits;
                if (t == bf16) bits = bfloat16(chosen).bits;
                if (t == f8e4m3) bits = float8_e4m3(chosen).bits;
                if (t == f8e5m2) bits = float8_e5m2(chosen).bits;
                if (t == f32) std::memcpy(&bits, &narrow, 4);
                if (t == f64) std::memcpy(&bits, &chosen, 8);
            }
        } else if (t == bool_)
            bits &= 1;
        else if (i < 600)
            bits =
                std::abs(chosen) < 9e18 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(chosen)) : ~std::uint64_t{0} << 63;
        std::memcpy(static_cast<std::uint8_t*>(b.data()) + i * bytes, &bits, static_cast<size_t>(bytes));
    }
    return b;
}

template <class T>
double real_at(const AnyBuffer& b, std::int64_t i) {
    return static_cast<double>(static_cast<const T*>(b.data())[i]);
}
double real(const AnyBuffer& b, std::int64_t i) {
    switch (b.dtype()) {
        case TESSERA_F16: return static_cast<float>(static_cast<const float16*>(b.data())[i]);
        case TESSERA_BF16: return static_cast<float>(static_cast<const bfloat16*>(b.data())[i]);
        case TESSERA_F8E4M3: return static_cast<float>(static_cast<const float8_e4m3*>(b.data())[i]);
        case TESSERA_F8E5M2: return static_cast<float>(static_cast<const float8_e5m2*>(b.data())[i]);
        case TESSERA_F32: return real_at<float>(b, i);
        case TESSERA_F64: return real_at<double>(b, i);
        case TESSERA_BOOL:
        case TESSERA_U8: return real_at<std::uint8_t>(b, i);
        case TESSERA_I8: return real_at<std::int8_t>(b, i);
        case TESSERA_I16: return real_at<std::int16_t>(b, i);
        case TESSERA_U16: return real_at<std::uint16_t>(b, i);
        case TESSERA_I32: return real_at<std::int32_t>(b, i);
        case TESSERA_U32: return real_at<std::uint32_t>(b, i);
        case TESSERA_I64: return real_at<std::int64_t>(b, i);
        default: return real_at<std::uint64_t>(b, i);
    }
}

void expect_equal(const std::string& what, const AnyBuffer& want, const AnyBuffer& got, const std::vector<AnyBuffer>& operands) {
    const auto bytes = static_cast<std::int64_t>(tessera_dtype_bytes(want.dtype()));
    int shown = 0;
    for (std::int64_t i = 0; i < want.size() && shown < 3; ++i) {
        if (std::memcmp(static_cast<const std::uint8_t*>(want.data()) + i * bytes,
                        static_cast<const std::uint8_t*>(got.data()) + i * bytes, static_cast<size_t>(bytes)) == 0)
            continue;
        if (std::isnan(real(want, i)) && std::isnan(real(got, i))) continue;
        ++shown;
        std::string from;
        for (const AnyBuffer& o : operands) from += fmt::format(" {:a}", real(o, i));
        ADD_FAILURE() << fmt::format("{} of{}: {:a}, the interpreter says {:a}", what, from, real(got, i), real(want, i));
    }
}

struct Case {
    std::string name;
    Expr value;
};

// Computes every case as an output of one kernel and compares it with the interpreter.
void compare(const std::vector<Input>& inputs, const Dim& i, const std::vector<Case>& cases,
             const std::vector<AnyBuffer>& values) {
    std::vector<Func> outputs;
    Schedule schedule;
    for (size_t c = 0; c < cases.size(); ++c) {
        Func f(fmt::format("y{}", c));
        f(i) = cases[c].value;
        outputs.push_back(f);
        schedule.stage(f.name()).root().serial("i", 16).tail(Tail::guard).vector("i");
    }
    std::vector<tessera::Argument> arguments(inputs.begin(), inputs.end());
    const Algorithm algorithm(outputs, arguments);
    test::Arguments given;
    interpreter::Inputs oracle_inputs;
    for (size_t k = 0; k < inputs.size(); ++k) {
        given.buffers[inputs[k].name()] = values[k];
        oracle_inputs[inputs[k].name()] = values[k];
    }
    const cpu::CompiledKernel kernel = cpu::jit(bind(algorithm, schedule));
    test::Call call(algorithm, kernel.parameters, given);
    ASSERT_EQ(kernel.call(call.argv()), 0);
    interpreter::Outputs want;
    for (const auto& [name, buffer] : call.outputs) want[name] = AnyBuffer(buffer.dtype(), buffer.extents());
    interpreter::evaluate(algorithm, oracle_inputs, want);
    for (size_t c = 0; c < cases.size(); ++c)
        expect_equal(cases[c].name, want.at(outputs[c].name()), call.outputs.at(outputs[c].name()), values);
}

bool takes(Operands operands, DType t) {
    switch (operands) {
        case Operands::any: return true;
        case Operands::numeric: return t != bool_;
        case Operands::integer: return is_integer(t);
        case Operands::floating: return is_float(t);
        case Operands::boolean: return t == bool_;
        case Operands::structural: return false;
    }
    return false;
}

class Ops : public testing::TestWithParam<DType> {};

TEST_P(Ops, equal_the_interpreter) {
    const DType t = GetParam();
    const Dim i("i");
    const std::vector<Input> in{Input("a", t, {i}), Input("b", t, {i}), Input("c", t, {i})};
    std::vector<Case> cases;
    for (const OpRow& row : op_table()) {
        if (!is_scalar_op(row.op) || row.op == Op::cast || row.op == Op::saturate_cast || row.op == Op::bitcast ||
            row.op == Op::checked)
            continue;
        if (!takes(row.operands, t) || row.arity == 5) continue;
        std::vector<Operand> operands;
        if (row.op == Op::select) {
            cases.push_back({"select", select(in[0](i) == in[1](i), in[1](i), in[2](i))});
            continue;
        }
        for (int k = 0; k < row.arity; ++k) operands.emplace_back(in[static_cast<size_t>(k)](i));
        cases.push_back({fmt::format("{} {}", dtype_name(t), row.name), build_op(row.op, operands)});
        if (row.arity == 2 && is_integer(t) && (row.op == Op::div || row.op == Op::mod || row.op == Op::shl || row.op == Op::shr))
            cases.push_back({fmt::format("{} {} by 7", dtype_name(t), row.name), build_op(row.op, {in[0](i), 7})});
    }
    for (const double limit : {-2.0, -0.0, 0.0, 7.0})
        if (is_float(t))
            for (const Op op : {Op::min, Op::max})
                cases.push_back({fmt::format("{} {} by {}", dtype_name(t), op == Op::min ? "min" : "max", limit),
                                 build_op(op, {in[0](i), constant(t, limit)})});
    // Every argument is read.
    cases.push_back({"all", select(in[0](i) == in[1](i), in[2](i), in[0](i))});
    compare(in, i, cases, {samples(t, -100, 100, 1), samples(t, -8, 8, 2), samples(t, -2, 2, 3)});
}

TEST_P(Ops, conversions_equal_the_interpreter) {
    const DType t = GetParam();
    const Dim i("i");
    const Input a("a", t, {i});
    std::vector<Case> cases;
    for (const DType to : all_dtypes) {
        if (to == t) continue;
        cases.push_back({fmt::format("cast {} to {}", dtype_name(t), dtype_name(to)), cast(to, a(i))});
        cases.push_back({fmt::format("saturate_cast {} to {}", dtype_name(t), dtype_name(to)), saturate_cast(to, a(i))});
        if (dtype_bits(t) == dtype_bits(to) && t != bool_ && to != bool_)
            cases.push_back({fmt::format("bitcast {} to {}", dtype_name(t), dtype_name(to)), bitcast(to, a(i))});
    }
    compare({a}, i, cases, {samples(t, -70000, 70000, 4)});
}

INSTANTIATE_TEST_SUITE_P(dtypes, Ops, testing::ValuesIn(all_dtypes),
                         [](const auto& row) { return std::string(dtype_name(row.param)); });

TEST(Ops, random_numbers_equal_the_interpreter) {
    const Dim i("i");
    const Input a("a", i64, {i}), b("b", i64, {i});
    compare({a, b}, i,
            {{"uniform", uniform(a(i), {i, b(i)})},
             {"normal", normal(7, {b(i), a(i), i})},
             {"random_bits", random_bits(b(i), {a(i)})}},
            {samples(i64, 0, 1000, 5), samples(i64, -10, 10, 6)});
}

TEST(Ops, indices_as_values_equal_the_interpreter) {
    const Dim i("i");
    const Input a("a", i32, {i});
    compare({a}, i,
            {{"cast", cast(f32, Expr(i) * 3 - 5)},
             {"wide", cast(i64, Expr(i)) * 4000000000LL + cast(i64, a(i))},
             {"compare", cast(i32, Expr(i) * 2 < i.extent())},
             {"mod", cast(i32, Expr(i) % 5 - Expr(i) / 3)},
             {"mixed", cast(i32, Expr(i)) * a(i)}},
            {samples(i32, -100, 100, 7)});
}

}  // namespace
}  // namespace tessera
