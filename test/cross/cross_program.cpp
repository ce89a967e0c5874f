// Runs blur and a small matmul on numbers that every machine makes alike and prints a checksum of the outputs' bits: the same
// program built for another architecture must print the same line.
#include "cross_blur.h"
#include "cross_matmul.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

std::uint64_t checksum = 1469598103934665603u;  // FNV-1a

void add(const void* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) checksum = (checksum ^ static_cast<const unsigned char*>(bytes)[i]) * 1099511628211u;
}

std::uint32_t next(std::uint32_t& state) { return (state = state * 1664525u + 1013904223u) >> 8; }

template <class T>
tessera_buffer buffer_of(std::vector<T>& values, const std::int64_t* extents, std::uint8_t rank, std::uint8_t dtype) {
    tessera_buffer b;
    std::memset(&b, 0, sizeof b);
    b.data = values.data();
    b.extents = extents;
    b.rank = rank;
    b.dtype = dtype;
    return b;
}

}  // namespace

int main() {
    std::uint32_t state = 1;
    const std::int64_t in_size[] = {41, 67}, size[] = {39, 65};
    std::vector<std::uint16_t> in(41 * 67), blurred(39 * 65);
    for (auto& v : in) v = static_cast<std::uint16_t>(next(state));
    tessera_buffer photo = buffer_of(in, in_size, 2, TESSERA_U16), blur = buffer_of(blurred, size, 2, TESSERA_U16);
    if (cross_blur(&photo, &blur) != TESSERA_OK) return std::fprintf(stderr, "%s\n", tessera_last_error()), 1;
    add(blurred.data(), blurred.size() * sizeof(std::uint16_t));

    const std::int64_t a_size[] = {17, 29}, b_size[] = {29, 37}, c_size[] = {17, 37};
    std::vector<float> a(17 * 29), b(29 * 37), c(17 * 37);
    for (auto* values : {&a, &b})
        for (float& v : *values) v = static_cast<float>(next(state)) * 0x1p-24f - 0.5f;
    tessera_buffer A = buffer_of(a, a_size, 2, TESSERA_F32), B = buffer_of(b, b_size, 2, TESSERA_F32),
                   C = buffer_of(c, c_size, 2, TESSERA_F32);
    if (cross_matmul(&A, &B, &C) != TESSERA_OK) return std::fprintf(stderr, "%s\n", tessera_last_error()), 1;
    add(c.data(), c.size() * sizeof(float));
    std::printf("%016" PRIx64 "\n", checksum);
    return 0;
}
