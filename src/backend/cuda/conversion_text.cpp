#include "backend/cuda/cuda_source.h"
#include "backend/cuda/scalar_text.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace tessera::cuda {
namespace {

using Call = std::function<std::string(const std::string&)>;

// f32 -> a narrow float and back.
std::string narrowed(DType to, const std::string& single, const Call& call) {
    if (to == DType::f16) return fmt::format("{}({})", call("f32_to_f16"), single);
    if (to == DType::bf16) return fmt::format("{}({})", call("f32_to_bf16"), single);
    return fmt::format("{}{{{}<{}>(static_cast<u32>({}({})))}}", cuda_type(to), call("f32_bits_to_f8"),
                       to == DType::f8e4m3 ? 3 : 2, call("bits_of"), single);
}
std::string widened(DType from, const std::string& value, const Call& call) {
    if (from == DType::f16) return fmt::format("{}({})", call("f16_to_f32"), value);
    if (from == DType::bf16) return fmt::format("{}({})", call("bf16_to_f32"), value);
    return fmt::format("{}(static_cast<i32>({}<{}>(({}).x)))", call("float_of"), call("f8_to_f32_bits"),
                       from == DType::f8e4m3 ? 3 : 2, value);
}

std::string highest_text(DType to) {
    switch (to) {
        case DType::f16: return "65504.0f";
        case DType::bf16: return "0x1.fep127f";
        case DType::f8e4m3: return "448.0f";
        case DType::f8e5m2: return "57344.0f";
        case DType::f32: return "0x1.fffffep127f";
        default: return "0x1.fffffffffffffp1023";
    }
}

[[noreturn]] void refuse(DType from, DType to, std::string_view what) {
    throw Limit(L0901_not_on_target, {},
                fmt::format("CUDA has no {} from {} to {} that rounds once", what, dtype_name(from), dtype_name(to)),
                {fix("convert to f32 first"), fix("compile for host")});
}

}  // namespace

std::string cuda_type(DType dtype) {
    switch (dtype) {
        case DType::bool_: return "bool";
        case DType::f32: return "float";
        case DType::f64: return "double";
        case DType::f8e4m3: return "e4m3";
        case DType::f8e5m2: return "e5m2";
        default: return std::string(dtype_name(dtype));
    }
}

std::string constant_text(const Expr& constant, const std::function<std::string(const std::string&)>& call) {
    const DType t = constant->dtype;
    if (t == DType::bool_) return constant->integer() != 0 ? "true" : "false";
    if (!is_float(t)) {
        const std::int64_t v = constant->integer();
        if (t == DType::i64) return v == INT64_MIN ? "(-9223372036854775807ll - 1)" : fmt::format("{}", v);
        if (t == DType::u64) return fmt::format("{}ull", static_cast<std::uint64_t>(v));
        return fmt::format("{}{{{}}}", cuda_type(t), v);
    }
    const double v = constant->floating();
    if (is_narrow_float(t)) {
        const Expr single = make_constant(DType::f32, v);
        return narrowed(t, constant_text(single, call), call);
    }
    if (std::isnan(v) || std::isinf(v))
        return t == DType::f32 ? fmt::format("{}({})", call("float_of"), std::bit_cast<std::int32_t>(static_cast<float>(v)))
                               : fmt::format("{}({}ll)", call("float_of"), std::bit_cast<std::int64_t>(v));
    std::string text = t == DType::f32 ? fmt::format("{}", static_cast<float>(v)) : fmt::format("{}", v);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return t == DType::f32 ? text + "f" : text;
}

std::string conversion_text(DType from, DType to, bool saturate, const std::string& value,
                            const std::function<std::string(const std::string&)>& call) {
    if (from == to) return value;
    if (to == DType::bool_)
        return is_narrow_float(from) ? fmt::format("({} != 0)", widened(from, value, call)) : fmt::format("({} != 0)", value);
    if (is_narrow_float(from)) {
        return conversion_text(DType::f32, to, saturate, widened(from, value, call), call);
    }
    if (is_narrow_float(to)) {
        const bool exact = from == DType::f32 || from == DType::bool_ || (!is_float(from) && dtype_bits(from) <= 16);
        if (!exact) refuse(from, to, saturate ? "saturate_cast" : "cast");
        const std::string single = from == DType::f32 ? value : fmt::format("static_cast<float>({})", value);
        if (!saturate || from == DType::bool_) return narrowed(to, single, call);
        const std::string high = highest_text(to);
        return narrowed(to, fmt::format("({0} > {1} ? {1} : {0} < -{1} ? -{1} : {0})", single, high), call);
    }
    if (is_float(from) && !is_float(to)) return fmt::format("{}<{}>({})", call("to_integer"), cuda_type(to), value);
    if (!saturate || is_float(to) != is_float(from) || from == DType::bool_ || (from == DType::f32 && to == DType::f64))
        return fmt::format("static_cast<{}>({})", cuda_type(to), value);
    if (is_float(to)) {
        const std::string high = highest_text(to);
        return fmt::format("static_cast<float>({0} > {1} ? {1} : {0} < -{1} ? -{1} : {0})", value, "0x1.fffffep127");
    }
    return fmt::format("{}<{}>({})", call("clamp_integer"), cuda_type(to), value);
}

}  // namespace tessera::cuda
