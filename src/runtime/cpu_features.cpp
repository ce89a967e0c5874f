#include <tessera/tessera_kernel.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tessera::runtime {
namespace {

uint32_t detect_cpu_features() {
    uint32_t found = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.1")) found |= TESSERA_CPU_SSE41;
    if (__builtin_cpu_supports("avx")) found |= TESSERA_CPU_AVX;
    // Every processor with AVX2 has F16C; the compilers in use cannot ask for it by name.
    if (__builtin_cpu_supports("avx2")) found |= TESSERA_CPU_AVX2 | TESSERA_CPU_F16C;
    if (__builtin_cpu_supports("fma")) found |= TESSERA_CPU_FMA;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found |= TESSERA_CPU_AVX512;
    if (__builtin_cpu_supports("avx512vnni")) found |= TESSERA_CPU_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16")) found |= TESSERA_CPU_AVX512_BF16;
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512ifma")) found |= TESSERA_CPU_AVX512_VBMI;
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg") &&
        __builtin_cpu_supports("avx512vpopcntdq"))
        found |= TESSERA_CPU_AVX512_VBMI2;
    // CPUID leaf 7, subleaf 1: EAX bit 4. The compilers in use do not all know it by name.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if ((found & TESSERA_CPU_AVX2) != 0 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & 1U << 4U) != 0)
        found |= TESSERA_CPU_AVX_VNNI;
#endif
    return found;
}

}  // namespace
}  // namespace tessera::runtime

extern "C" uint32_t tessera_cpu_features(void) {
    static const uint32_t features = tessera::runtime::detect_cpu_features();
    return features;
}
