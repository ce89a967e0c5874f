#pragma once
// The device functions for a kernel that runs in the emulator: include this before the kernel's text. What
// src/backend/cuda/device has as plain C++ is that very text; the rest calls the emulator, which checks what it does.
#include <bit>
#include <cmath>
#include <cstring>

#include "emulator/emulated_ops.h"

#define TSR_DEV inline
#define TSR_KERNEL(threads, ctas) void
#define TSR_CLUSTER(ctas)
#define TSR_CLUSTER_2D(x, y)
#define TSR_GRID_CONST const
#define TSR_UNROLL
#define TSR_NOUNROLL
#ifndef __restrict__
#define __restrict__
#endif

#include "backend/cuda/device/integer_ops.cuh"
#include "backend/cuda/device/matrix_desc.cuh"
#include "backend/cuda/device/word_types.cuh"

namespace tsr {

namespace emulator = tessera::emulator;

// ---- float_ops.cuh
TSR_DEV float add_rn(float a, float b) { return a + b; }
TSR_DEV double add_rn(double a, double b) { return a + b; }
TSR_DEV float sub_rn(float a, float b) { return a - b; }
TSR_DEV double sub_rn(double a, double b) { return a - b; }
TSR_DEV float mul_rn(float a, float b) { return a * b; }
TSR_DEV double mul_rn(double a, double b) { return a * b; }
TSR_DEV float div_rn(float a, float b) { return a / b; }
TSR_DEV double div_rn(double a, double b) { return a / b; }
TSR_DEV float fma_rn(float a, float b, float c) { return std::fma(a, b, c); }
TSR_DEV double fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
TSR_DEV float sqrt_rn(float a) { return std::sqrt(a); }
TSR_DEV double sqrt_rn(double a) { return std::sqrt(a); }
TSR_DEV float abs_of(float a) { return std::fabs(a); }
TSR_DEV double abs_of(double a) { return std::fabs(a); }
TSR_DEV float floor_of(float a) { return std::floor(a); }
TSR_DEV double floor_of(double a) { return std::floor(a); }
TSR_DEV float ceil_of(float a) { return std::ceil(a); }
TSR_DEV double ceil_of(double a) { return std::ceil(a); }
TSR_DEV float trunc_of(float a) { return std::trunc(a); }
TSR_DEV double trunc_of(double a) { return std::trunc(a); }
TSR_DEV float round_of(float a) { return std::nearbyint(a); }
TSR_DEV double round_of(double a) { return std::nearbyint(a); }
TSR_DEV i32 bits_of(float a) { return std::bit_cast<i32>(a); }
TSR_DEV i64 bits_of(double a) { return std::bit_cast<i64>(a); }
TSR_DEV float float_of(i32 a) { return std::bit_cast<float>(a); }
TSR_DEV double float_of(i64 a) { return std::bit_cast<double>(a); }
TSR_DEV float mod_floor_of(float a, float b) { return a - b * std::floor(a / b); }
TSR_DEV double mod_floor_of(double a, double b) { return a - b * std::floor(a / b); }
TSR_DEV bf16 f32_to_bf16(float a) { return {emulator::bf16_bits(a)}; }
TSR_DEV float bf16_to_f32(bf16 a) { return float_of(static_cast<i32>(static_cast<u32>(a.x) << 16)); }
TSR_DEV u32 pack_bf16x2(float low, float high) {
    return emulator::bf16_bits(low) | static_cast<u32>(emulator::bf16_bits(high)) << 16;
}
TSR_DEV f16 f32_to_f16(float a) { return {emulator::f16_bits(a)}; }
TSR_DEV float f16_to_f32(f16 a) { return emulator::f16_value(a.x); }
TSR_DEV u32 pack_f16x2(float low, float high) {
    return emulator::f16_bits(low) | static_cast<u32>(emulator::f16_bits(high)) << 16;
}
TSR_DEV u32 f32_to_tf32(float a) { return emulator::tf32_bits(a); }
TSR_DEV u16 pack_e4m3x2(float low, float high) {
    return static_cast<u16>(emulator::e4m3_bits(low) | emulator::e4m3_bits(high) << 8);
}
TSR_DEV u16 pack_e5m2x2(float low, float high) {
    return static_cast<u16>(emulator::e5m2_bits(low) | emulator::e5m2_bits(high) << 8);
}
TSR_DEV u32 e4m3x2_to_f16x2(u16 a) {
    return pack_f16x2(emulator::e4m3_value(static_cast<u8>(a & 0xff)), emulator::e4m3_value(static_cast<u8>(a >> 8)));
}
TSR_DEV u32 e5m2x2_to_f16x2(u16 a) {
    return pack_f16x2(emulator::e5m2_value(static_cast<u8>(a & 0xff)), emulator::e5m2_value(static_cast<u8>(a >> 8)));
}
TSR_DEV float max_number(float a, float b) { return std::fmax(a, b); }
TSR_DEV float min_number(float a, float b) { return std::fmin(a, b); }
TSR_DEV float exp2_approx(float a) { return std::exp2(a); }
TSR_DEV float log2_approx(float a) { return std::log2(a); }
TSR_DEV float rcp_approx(float a) { return 1.0f / a; }
TSR_DEV float rsqrt_approx(float a) { return 1.0f / std::sqrt(a); }
TSR_DEV float tanh_approx(float a) { return std::tanh(a); }

// ---- thread_ops.cuh
TSR_DEV int tid() { return emulator::thread_index(); }
TSR_DEV int cta_x() { return emulator::cta_index(0); }
TSR_DEV int cta_y() { return emulator::cta_index(1); }
TSR_DEV int cta_z() { return emulator::cta_index(2); }
TSR_DEV int grid_x() { return emulator::grid_size(0); }
TSR_DEV int grid_y() { return emulator::grid_size(1); }
TSR_DEV int grid_z() { return emulator::grid_size(2); }
TSR_DEV u32 smem_base() { return emulator::shared_begin(); }
TSR_DEV void sync_cta() { emulator::sync_cta(); }
TSR_DEV void sync_warp() { emulator::sync_warp(); }
TSR_DEV void sync_named(int id, int threads) { emulator::sync_named(id, threads); }
TSR_DEV void arrive_named(int id, int threads) { emulator::arrive_named(id, threads); }
template <class T>
TSR_DEV T shfl_xor(T v, int mask) {
    emulator::shuffle(&v, sizeof v, emulator::Shuffle::exclusive_or, mask);
    return v;
}
template <class T>
TSR_DEV T shfl_up(T v, int by) {
    emulator::shuffle(&v, sizeof v, emulator::Shuffle::up, by);
    return v;
}
template <class T>
TSR_DEV T shfl_down(T v, int by) {
    emulator::shuffle(&v, sizeof v, emulator::Shuffle::down, by);
    return v;
}
template <class T>
TSR_DEV T shfl_idx(T v, int from) {
    emulator::shuffle(&v, sizeof v, emulator::Shuffle::index, from);
    return v;
}
TSR_DEV int uniform(int v) {
    emulator::shuffle(&v, sizeof v, emulator::Shuffle::uniform, 0);
    return v;
}
TSR_DEV u32 vote(bool condition) { return emulator::vote(condition); }
template <class T>
TSR_DEV T ldg(const T* p) {
    T v;
    emulator::load_global(&v, p, sizeof v);
    return v;
}
template <class T>
TSR_DEV void stg(void* p, T v) {
    emulator::store_global(p, &v, sizeof v);
}
template <class T>
TSR_DEV T lds(u32 address) {
    T v;
    emulator::load_shared(&v, address, sizeof v);
    return v;
}
template <class T>
TSR_DEV void sts(u32 address, T v) {
    emulator::store_shared(address, &v, sizeof v);
}
template <class T>
TSR_DEV T atom_add(T* p, T v) {
    return emulator::atomic_global(p, sizeof v, [v](T was) { return add_wrap(was, v); });
}
template <class T>
TSR_DEV T atom_min(T* p, T v) {
    return emulator::atomic_global(p, sizeof v, [v](T was) { return was < v ? was : v; });
}
template <class T>
TSR_DEV T atom_max(T* p, T v) {
    return emulator::atomic_global(p, sizeof v, [v](T was) { return was > v ? was : v; });
}
template <class T>
TSR_DEV T atom_exchange(T* p, T v) {
    return emulator::atomic_global(p, sizeof v, [v](T) { return v; });
}
template <class T>
TSR_DEV T atom_compare(T* p, T expected, T v) {
    return emulator::atomic_global(p, sizeof v, [expected, v](T was) { return was == expected ? v : was; });
}
TSR_DEV u32 atom_add_shared(u32 address, u32 v) {
    u32* p = static_cast<u32*>(emulator::atomic_shared(address));
    const u32 was = *p;
    *p = was + v;
    return was;
}
TSR_DEV i32 atom_min_shared(u32 address, i32 v) {
    i32* p = static_cast<i32*>(emulator::atomic_shared(address));
    const i32 was = *p;
    *p = was < v ? was : v;
    return was;
}
TSR_DEV i32 atom_max_shared(u32 address, i32 v) {
    i32* p = static_cast<i32*>(emulator::atomic_shared(address));
    const i32 was = *p;
    *p = was > v ? was : v;
    return was;
}
TSR_DEV u32 ld_acquire(const u32* p) { return emulator::load_acquire(p); }
TSR_DEV void st_release(u32* p, u32 v) { emulator::store_release(p, v); }
TSR_DEV void fence_gpu() { emulator::fence_gpu(); }

// ---- tensor_core.cuh
TSR_DEV void cp_async16(u32 to, const void* from, bool valid) { emulator::copy_async(to, from, 16, valid); }
TSR_DEV void cp_async8(u32 to, const void* from, bool valid) { emulator::copy_async(to, from, 8, valid); }
TSR_DEV void cp_async4(u32 to, const void* from, bool valid) { emulator::copy_async(to, from, 4, valid); }
TSR_DEV void cp_async_commit() { emulator::copy_commit(); }
template <int groups>
TSR_DEV void cp_async_wait() {
    emulator::copy_wait(groups);
}
TSR_DEV void ldmatrix_x1(u32 (&r)[1], u32 address) { emulator::load_matrices(r, 1, address, false); }
TSR_DEV void ldmatrix_x2(u32 (&r)[2], u32 address) { emulator::load_matrices(r, 2, address, false); }
TSR_DEV void ldmatrix_x4(u32 (&r)[4], u32 address) { emulator::load_matrices(r, 4, address, false); }
TSR_DEV void ldmatrix_x2_trans(u32 (&r)[2], u32 address) { emulator::load_matrices(r, 2, address, true); }
TSR_DEV void ldmatrix_x4_trans(u32 (&r)[4], u32 address) { emulator::load_matrices(r, 4, address, true); }
TSR_DEV void stmatrix_x2(u32 address, u32 r0, u32 r1) {
    const u32 r[2] = {r0, r1};
    emulator::store_matrices(r, 2, address, false);
}
TSR_DEV void stmatrix_x4(u32 address, u32 r0, u32 r1, u32 r2, u32 r3) {
    const u32 r[4] = {r0, r1, r2, r3};
    emulator::store_matrices(r, 4, address, false);
}
TSR_DEV void stmatrix_x4_trans(u32 address, u32 r0, u32 r1, u32 r2, u32 r3) {
    const u32 r[4] = {r0, r1, r2, r3};
    emulator::store_matrices(r, 4, address, true);
}
#define TSR_EMULATED_MMA(name, element, kind)                             \
    TSR_DEV void name(element(&c)[4], const u32(&a)[4], u32 b0, u32 b1) { \
        emulator::warp_product(emulator::Number::kind, c, a, b0, b1);     \
    }
TSR_EMULATED_MMA(mma_m16n8k16_bf16, float, bf16)
TSR_EMULATED_MMA(mma_m16n8k16_f16, float, f16)
TSR_EMULATED_MMA(mma_m16n8k8_tf32, float, tf32)
TSR_EMULATED_MMA(mma_m16n8k32_s8, i32, s8)
TSR_EMULATED_MMA(mma_m16n8k32_u8, i32, u8)
TSR_EMULATED_MMA(mma_m16n8k32_e4m3, float, e4m3)
#undef TSR_EMULATED_MMA

// ---- cluster_ops.cuh
TSR_DEV u32 cluster_rank() { return emulator::cluster_rank(); }
TSR_DEV void cluster_sync() { emulator::cluster_sync(); }
TSR_DEV u32 map_shared(u32 address, u32 cta) { return emulator::map_shared(address, cta); }
template <class T>
TSR_DEV T lds_cluster(u32 address) {
    static_assert(sizeof(T) == 4);
    T v;
    emulator::load_cluster(&v, address);
    return v;
}
template <class T>
TSR_DEV void sts_cluster(u32 address, T v) {
    static_assert(sizeof(T) == 4);
    emulator::store_cluster(address, &v);
}
TSR_DEV bool elect_one() { return emulator::elect_one(); }
template <int registers>
TSR_DEV void reg_alloc() {
    emulator::set_registers(registers, true);
}
template <int registers>
TSR_DEV void reg_dealloc() {
    emulator::set_registers(registers, false);
}
TSR_DEV void mbar_init(u32 barrier, int arrivals) { emulator::barrier_init(barrier, arrivals); }
TSR_DEV void mbar_fence_init() { emulator::barrier_fence_init(); }
TSR_DEV void mbar_arrive(u32 barrier) { emulator::barrier_arrive(barrier, 0); }
TSR_DEV void mbar_expect_tx(u32 barrier, u32 bytes) { emulator::barrier_arrive(barrier, bytes); }
TSR_DEV void mbar_arrive_cluster(u32 barrier, u32 cta) { emulator::barrier_arrive_at(barrier, cta); }
TSR_DEV void mbar_arrive_remote(u32 barrier, u32 cta) { emulator::barrier_arrive_at(barrier, cta); }
TSR_DEV void mbar_wait(u32 barrier, u32 parity) { emulator::barrier_wait(barrier, parity); }
TSR_DEV void mbar_wait_cluster(u32 barrier, u32 parity) { emulator::barrier_wait(barrier, parity); }
TSR_DEV void fence_proxy_async() { emulator::fence_proxy_async(); }
TSR_DEV void tma_prefetch_desc(const TensorMap*) {}
TSR_DEV void tma_load_2d(u32 to, const TensorMap* map, u32 barrier, int x, int y) {
    emulator::tensor_load(to, map, barrier, {2, {x, y}}, 0);
}
TSR_DEV void tma_load_3d(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z) {
    emulator::tensor_load(to, map, barrier, {3, {x, y, z}}, 0);
}
TSR_DEV void tma_load_4d(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z, int w) {
    emulator::tensor_load(to, map, barrier, {4, {x, y, z, w}}, 0);
}
TSR_DEV void tma_load_2d_multicast(u32 to, const TensorMap* map, u32 barrier, int x, int y, u16 mask) {
    emulator::tensor_load(to, map, barrier, {2, {x, y}}, mask);
}
TSR_DEV void tma_load_3d_multicast(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z, u16 mask) {
    emulator::tensor_load(to, map, barrier, {3, {x, y, z}}, mask);
}
TSR_DEV void tma_store_2d(const TensorMap* map, u32 from, int x, int y) { emulator::tensor_store(map, from, {2, {x, y}}); }
TSR_DEV void tma_store_3d(const TensorMap* map, u32 from, int x, int y, int z) {
    emulator::tensor_store(map, from, {3, {x, y, z}});
}
TSR_DEV void bulk_load(u32 to, const void* from, u32 bytes, u32 barrier) { emulator::bulk_load(to, from, bytes, barrier); }
TSR_DEV void bulk_store(void* to, u32 from, u32 bytes) { emulator::bulk_store(to, from, bytes); }
TSR_DEV void tma_store_commit() { emulator::store_commit(); }
template <int groups>
TSR_DEV void tma_store_wait_read() {
    emulator::store_wait(groups);
}
template <int groups>
TSR_DEV void tma_store_wait() {
    emulator::store_wait(groups);
}

// ---- wgmma_ops.cuh and the products of wgmma_text.cpp
TSR_DEV void wgmma_fence() { emulator::product_fence(); }
TSR_DEV void wgmma_commit() { emulator::product_commit(); }
template <int groups>
TSR_DEV void wgmma_wait() {
    emulator::product_wait(groups);
}
TSR_DEV void reg_fence(float&) {}
TSR_DEV void reg_fence(i32&) {}
TSR_DEV void reg_fence(u32&) {}

#define TSR_EMULATED_WGMMA(n, depth, kind, element, transposes)                                                        \
    TSR_IF_##transposes(template <int trans_a = 0, int trans_b = 0>)                                                   \
        TSR_DEV void wgmma_m64n##n##k##depth##_##kind(element(&d)[n / 2], u64 a, u64 b, int scale_d) {                 \
        emulator::warpgroup_product(emulator::Number::kind, n, d, a, b, scale_d, TSR_TRANSPOSES_##transposes);         \
    }                                                                                                                  \
    TSR_IF_##transposes(template <int trans_b = 0>)                                                                    \
        TSR_DEV void wgmma_m64n##n##k##depth##_##kind##_rs(element(&d)[n / 2], const u32(&a)[4], u64 b, int scale_d) { \
        emulator::warpgroup_product_rs(emulator::Number::kind, n, d, a, b, scale_d, TSR_TRANSPOSES_B_##transposes);    \
    }
#define TSR_IF_true(...) __VA_ARGS__
#define TSR_IF_false(...)
#define TSR_TRANSPOSES_true trans_a != 0, trans_b != 0
#define TSR_TRANSPOSES_false false, false
#define TSR_TRANSPOSES_B_true trans_b != 0
#define TSR_TRANSPOSES_B_false false
#define TSR_FLOAT_KINDS(n)                        \
    TSR_EMULATED_WGMMA(n, 16, bf16, float, true)  \
    TSR_EMULATED_WGMMA(n, 16, f16, float, true)   \
    TSR_EMULATED_WGMMA(n, 8, tf32, float, false)  \
    TSR_EMULATED_WGMMA(n, 32, e4m3, float, false) \
    TSR_EMULATED_WGMMA(n, 32, e5m2, float, false)
#define TSR_ALL_KINDS(n) TSR_FLOAT_KINDS(n) TSR_EMULATED_WGMMA(n, 32, s8, i32, false)
#define TSR_BOTH_KINDS(n, next) TSR_ALL_KINDS(n) TSR_FLOAT_KINDS(next)
TSR_ALL_KINDS(8)
TSR_ALL_KINDS(16)
TSR_ALL_KINDS(24)
TSR_BOTH_KINDS(32, 40)
TSR_BOTH_KINDS(48, 56)
TSR_BOTH_KINDS(64, 72)
TSR_BOTH_KINDS(80, 88)
TSR_BOTH_KINDS(96, 104)
TSR_BOTH_KINDS(112, 120)
TSR_BOTH_KINDS(128, 136)
TSR_BOTH_KINDS(144, 152)
TSR_BOTH_KINDS(160, 168)
TSR_BOTH_KINDS(176, 184)
TSR_BOTH_KINDS(192, 200)
TSR_BOTH_KINDS(208, 216)
TSR_BOTH_KINDS(224, 232)
TSR_BOTH_KINDS(240, 248)
TSR_ALL_KINDS(256)
#undef TSR_BOTH_KINDS
#undef TSR_ALL_KINDS
#undef TSR_FLOAT_KINDS
#undef TSR_EMULATED_WGMMA
#undef TSR_IF_true
#undef TSR_IF_false
#undef TSR_TRANSPOSES_true
#undef TSR_TRANSPOSES_false
#undef TSR_TRANSPOSES_B_true
#undef TSR_TRANSPOSES_B_false

}  // namespace tsr
