#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

// The C functions that random algorithms call. Each does what its meaning in random_algorithm.cpp says, element by element of
// buffers of any rank and strides.
namespace {

// Calls visit(offset of each of the buffers) for every row along the last dim, whose extent and strides the caller reads.
template <class Visit>
void for_each_row(const tessera_buffer& shape, const tessera_buffer* const* buffers, int count, Visit&& visit) {
    const int rank = shape.rank;
    std::int64_t rows = 1;
    for (int d = 0; d + 1 < rank; ++d) rows *= shape.extents[d];
    for (std::int64_t row = 0; row < rows; ++row) {
        std::int64_t offsets[4] = {0, 0, 0, 0}, rest = row;
        for (int d = rank - 2; d >= 0; --d) {
            const std::int64_t i = rest % shape.extents[d];
            rest /= shape.extents[d];
            for (int b = 0; b < count; ++b) offsets[b] += i * buffers[b]->strides[d];
        }
        visit(offsets);
    }
}

std::uint32_t& word(const tessera_buffer& b, std::int64_t at) { return static_cast<std::uint32_t*>(b.data)[at]; }

}  // namespace

extern "C" {

int tessera_fuzz_reversed(const tessera_buffer* operands, const tessera_buffer* results) {
    const tessera_buffer &from = operands[0], &to = results[0];
    if (from.rank < 1 || from.rank != to.rank || from.dtype != to.dtype) return 1;
    const auto bytes = static_cast<std::int64_t>(tessera_dtype_bytes(from.dtype));
    const tessera_buffer* const both[] = {&from, &to};
    const int last = to.rank - 1;
    for_each_row(to, both, 2, [&](const std::int64_t* offsets) {
        for (std::int64_t i = 0; i < to.extents[last]; ++i)
            std::memcpy(
                static_cast<char*>(to.data) + bytes * (offsets[1] + i * to.strides[last]),
                static_cast<const char*>(from.data) + bytes * (offsets[0] + (to.extents[last] - 1 - i) * from.strides[last]),
                static_cast<std::size_t>(bytes));
    });
    return 0;
}

int tessera_fuzz_running_sums(const tessera_buffer* operands, const tessera_buffer* results) {
    const tessera_buffer &from = operands[0], &to = results[0];
    if (from.rank < 1 || from.rank != to.rank || from.dtype != TESSERA_I32 || to.dtype != TESSERA_I32) return 1;
    const tessera_buffer* const both[] = {&from, &to};
    const int last = to.rank - 1;
    for_each_row(to, both, 2, [&](const std::int64_t* offsets) {
        std::uint32_t sum = 0;
        for (std::int64_t i = 0; i < to.extents[last]; ++i)
            word(to, offsets[1] + i * to.strides[last]) = sum += word(from, offsets[0] + i * from.strides[last]);
    });
    return 0;
}

int tessera_fuzz_sum_and_larger(const tessera_buffer* operands, const tessera_buffer* results) {
    const tessera_buffer& shape = results[0];
    if (shape.rank < 1 || operands[1].rank != shape.rank || results[1].dtype != TESSERA_I32) return 1;
    const tessera_buffer* const all[] = {&operands[0], &operands[1], &results[0], &results[1]};
    const int last = shape.rank - 1;
    for_each_row(shape, all, 4, [&](const std::int64_t* offsets) {
        for (std::int64_t i = 0; i < shape.extents[last]; ++i) {
            const auto at = [&](int b) -> std::uint32_t& { return word(*all[b], offsets[b] + i * all[b]->strides[last]); };
            const std::uint32_t a = at(0), b = at(1);
            at(2) = a + b;
            at(3) = static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b) ? b : a;
        }
    });
    return 0;
}

}  // extern "C"
