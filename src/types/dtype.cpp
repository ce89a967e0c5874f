#include "base/closest_name.h"
#include "types/runtime_dtype.h"

#include <array>

namespace tessera {
namespace {
constexpr std::array<std::string_view, 15> names{"bool", "i8",  "i16",  "i32", "i64", "u8",     "u16",   "u32",
                                                 "u64",  "f16", "bf16", "f32", "f64", "f8e4m3", "f8e5m2"};
}

std::string_view dtype_name(DType dtype) { return names.at(static_cast<size_t>(dtype)); }

DType parse_dtype(std::string_view name) {
    for (size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<DType>(i);
    throw Error(E0202_dtype_unsupported, {}, "there is no dtype '" + std::string(name) + "'",
                {fix_spelling(name, {names.begin(), names.end()})});
}

tessera_dtype runtime_dtype(DType dtype) {
    switch (dtype) {
        case DType::bool_: return TESSERA_BOOL;
        case DType::i8: return TESSERA_I8;
        case DType::i16: return TESSERA_I16;
        case DType::i32: return TESSERA_I32;
        case DType::i64: return TESSERA_I64;
        case DType::u8: return TESSERA_U8;
        case DType::u16: return TESSERA_U16;
        case DType::u32: return TESSERA_U32;
        case DType::u64: return TESSERA_U64;
        case DType::f16: return TESSERA_F16;
        case DType::bf16: return TESSERA_BF16;
        case DType::f32: return TESSERA_F32;
        case DType::f64: return TESSERA_F64;
        case DType::f8e4m3: return TESSERA_F8E4M3;
        case DType::f8e5m2: return TESSERA_F8E5M2;
    }
    throw Bug(B0951_internal, {}, "a dtype without a number");
}

}  // namespace tessera
