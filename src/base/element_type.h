#pragma once

#include <tessera/float8.h>
#include <tessera/tessera_runtime.h>

#include <cstdint>

namespace tessera {

/// Calls visit(T{}) for the C++ type of a dtype.
template <class Visit>
auto with_element(tessera_dtype dtype, Visit visit) {
    switch (dtype) {
        case TESSERA_BOOL: return visit(bool{});
        case TESSERA_I8: return visit(std::int8_t{});
        case TESSERA_I16: return visit(std::int16_t{});
        case TESSERA_I32: return visit(std::int32_t{});
        case TESSERA_I64: return visit(std::int64_t{});
        case TESSERA_U8: return visit(std::uint8_t{});
        case TESSERA_U16: return visit(std::uint16_t{});
        case TESSERA_U32: return visit(std::uint32_t{});
        case TESSERA_U64: return visit(std::uint64_t{});
        case TESSERA_F16: return visit(float16{});
        case TESSERA_BF16: return visit(bfloat16{});
        case TESSERA_F8E4M3: return visit(float8_e4m3{});
        case TESSERA_F8E5M2: return visit(float8_e5m2{});
        case TESSERA_F64: return visit(double{});
        default: return visit(float{});
    }
}

}  // namespace tessera
