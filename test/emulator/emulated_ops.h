#pragma once
// What emulated_device.h calls: the operations of the emulator for the current thread.
#include <cstddef>
#include <cstdint>

namespace tessera::emulator {

// ---- narrow_numbers.cpp: rounding as the hardware's conversions do
[[nodiscard]] std::uint16_t bf16_bits(float value);
[[nodiscard]] std::uint16_t f16_bits(float value);
[[nodiscard]] float f16_value(std::uint16_t bits);
[[nodiscard]] std::uint32_t tf32_bits(float value);
[[nodiscard]] std::uint8_t e4m3_bits(float value);
[[nodiscard]] float e4m3_value(std::uint8_t bits);
[[nodiscard]] std::uint8_t e5m2_bits(float value);
[[nodiscard]] float e5m2_value(std::uint8_t bits);

/// The types of operands of products.
enum class Number { bf16, f16, tf32, e4m3, e5m2, s8, u8 };
[[nodiscard]] int bytes_of(Number number);
/// The value of the element at `at`.
[[nodiscard]] float number_value(Number number, const void* at);

// ---- emulated_thread.cpp
[[nodiscard]] int thread_index();
[[nodiscard]] int cta_index(int axis);
[[nodiscard]] int grid_size(int axis);
[[nodiscard]] std::uint32_t shared_begin();
void sync_cta();
void sync_warp();
void sync_named(int id, int threads);
void arrive_named(int id, int threads);
enum class Shuffle { exclusive_or, up, down, index, uniform };
void shuffle(void* value, std::size_t bytes, Shuffle how, int by);
[[nodiscard]] std::uint32_t vote(bool condition);
void load_global(void* to, const void* from, std::size_t bytes);
void store_global(void* to, const void* from, std::size_t bytes);
void load_shared(void* to, std::uint32_t address, std::size_t bytes);
void store_shared(std::uint32_t address, const void* from, std::size_t bytes);
void touch_atomic_global(void* at, std::size_t bytes);
[[nodiscard]] void* atomic_shared(std::uint32_t address);
[[nodiscard]] std::uint32_t load_acquire(const std::uint32_t* at);
void store_release(std::uint32_t* at, std::uint32_t value);
void fence_gpu();

/// Replaces *p by change(*p) and returns what was there.
template <class T, class Change>
T atomic_global(T* p, std::size_t bytes, Change change) {
    touch_atomic_global(p, bytes);
    const T was = *p;
    *p = change(was);
    return was;
}

// ---- emulated_matrices.cpp
void copy_async(std::uint32_t to, const void* from, std::uint32_t bytes, bool valid);
void copy_commit();
void copy_wait(int groups);
void load_matrices(std::uint32_t* registers, int count, std::uint32_t address, bool transposed);
void store_matrices(const std::uint32_t* registers, int count, std::uint32_t address, bool transposed);
void warp_product(Number number, void* c, const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);

// ---- emulated_barriers.cpp
[[nodiscard]] std::uint32_t cluster_rank();
void cluster_sync();
[[nodiscard]] std::uint32_t map_shared(std::uint32_t address, std::uint32_t cta);
void load_cluster(void* to, std::uint32_t address);
void store_cluster(std::uint32_t address, const void* from);
[[nodiscard]] bool elect_one();
void set_registers(int registers, bool more);
void barrier_init(std::uint32_t barrier, int arrivals);
void barrier_fence_init();
void barrier_arrive(std::uint32_t barrier, std::uint32_t bytes);
void barrier_arrive_at(std::uint32_t barrier, std::uint32_t cta);
void barrier_wait(std::uint32_t barrier, std::uint32_t parity);
void fence_proxy_async();

// ---- emulated_copy_engine.cpp
struct Coordinates {
    int rank;
    int at[5];
};
/// To the own CTA, or to those of `mask` where it is not 0.
void tensor_load(std::uint32_t to, const void* map, std::uint32_t barrier, Coordinates at, std::uint32_t mask);
void tensor_store(const void* map, std::uint32_t from, Coordinates at);
void bulk_load(std::uint32_t to, const void* from, std::uint32_t bytes, std::uint32_t barrier);
void bulk_store(void* to, std::uint32_t from, std::uint32_t bytes);
void store_commit();
void store_wait(int groups);

// ---- emulated_products.cpp
void product_fence();
void product_commit();
void product_wait(int groups);
void warpgroup_product(Number number, int n, void* d, std::uint64_t a, std::uint64_t b, int scale_d, bool a_transposed,
                       bool b_transposed);
void warpgroup_product_rs(Number number, int n, void* d, const std::uint32_t (&a)[4], std::uint64_t b, int scale_d,
                          bool b_transposed);

}  // namespace tessera::emulator
