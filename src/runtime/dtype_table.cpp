#include <tessera/tessera_runtime.h>

namespace tessera::runtime {
namespace {

struct DtypeRow {
    int32_t dtype;
    size_t bytes;
    const char* name;
};
constexpr DtypeRow dtype_rows[] = {
    {TESSERA_BOOL, 1, "bool"}, {TESSERA_I8, 1, "i8"},         {TESSERA_I16, 2, "i16"},       {TESSERA_I32, 4, "i32"},
    {TESSERA_I64, 8, "i64"},   {TESSERA_U8, 1, "u8"},         {TESSERA_U16, 2, "u16"},       {TESSERA_U32, 4, "u32"},
    {TESSERA_U64, 8, "u64"},   {TESSERA_F16, 2, "f16"},       {TESSERA_BF16, 2, "bf16"},     {TESSERA_F32, 4, "f32"},
    {TESSERA_F64, 8, "f64"},   {TESSERA_F8E4M3, 1, "f8e4m3"}, {TESSERA_F8E5M2, 1, "f8e5m2"},
};

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" size_t tessera_dtype_bytes(int32_t dtype) {
    for (const DtypeRow& row : dtype_rows)
        if (row.dtype == dtype) return row.bytes;
    return 0;
}

extern "C" const char* tessera_dtype_name(int32_t dtype) {
    for (const DtypeRow& row : dtype_rows)
        if (row.dtype == dtype) return row.name;
    return "?";
}
