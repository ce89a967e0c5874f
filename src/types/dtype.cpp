#include <tessera/dtype.h>

#include "base/closest_name.h"

#include <array>

namespace tessera {
namespace {
constexpr std::array<std::string_view, 13> names{"bool", "i8",  "i16", "i32",  "i64", "u8", "u16",
                                                 "u32",  "u64", "f16", "bf16", "f32", "f64"};
}

std::string_view dtype_name(DType dtype) { return names.at(static_cast<size_t>(dtype)); }

DType parse_dtype(std::string_view name) {
    for (size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<DType>(i);
    throw Error(E0202_dtype_unsupported, {}, "there is no dtype '" + std::string(name) + "'",
                {fix_spelling(name, {names.begin(), names.end()})});
}

}  // namespace tessera
