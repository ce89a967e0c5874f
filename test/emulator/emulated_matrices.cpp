#include <fmt/format.h>

#include "emulator/emulated_ops.h"
#include "emulator/machine.h"

namespace tessera::emulator {
namespace {

void run_copy(const Cta& cta, ThreadCopy& copy) {
    if (copy.is_complete) return;
    copy.is_complete = true;
    ++machine().counts.thread_copies;
    char* to = shared_at(cta, copy.to);
    if (copy.valid)
        std::memcpy(to, copy.from, copy.bytes);
    else
        std::memset(to, 0, copy.bytes);
}

struct MatrixLane {
    std::uint32_t* registers;
    std::uint32_t offset;
    const Cta* cta;
};

/// Row i of matrix m lies at the address of lane 8 m + i. Register m of lane l holds elements 2 (l%4), 2 (l%4) + 1 of row l/4.
void exchange_matrices(std::vector<void*>& lanes, int count, bool transposed, bool loads) {
    for (int m = 0; m < count; ++m) {
        std::uint16_t e[8][8];
        const auto lane = [&](int l) -> MatrixLane& { return *static_cast<MatrixLane*>(lanes[static_cast<std::size_t>(l)]); };
        const auto row_at = [&](int i) { return shared_at(*lane(8 * m + i).cta, lane(8 * m + i).offset); };
        if (loads)
            for (int i = 0; i < 8; ++i) std::memcpy(e[i], row_at(i), 16);
        for (int l = 0; l < 32; ++l) {
            std::uint32_t& r = lane(l).registers[m];
            const int i = l / 4, j = 2 * (l % 4);
            std::uint16_t& low = transposed ? e[j][i] : e[i][j];
            std::uint16_t& high = transposed ? e[j + 1][i] : e[i][j + 1];
            if (loads) {
                r = low | static_cast<std::uint32_t>(high) << 16;
            } else {
                low = static_cast<std::uint16_t>(r & 0xffff);
                high = static_cast<std::uint16_t>(r >> 16);
            }
        }
        if (!loads)
            for (int i = 0; i < 8; ++i) std::memcpy(row_at(i), e[i], 16);
    }
}

/// Lanes whose addresses count touch their rows; the others' addresses are ignored.
MatrixLane matrix_lane(std::uint32_t* registers, int count, std::uint32_t address, AccessKind kind, const char* what) {
    const Thread& t = current_thread();
    MatrixLane lane{registers, 0, t.cta};
    if (t.index % 32 < 8 * count) {
        lane.offset = shared_offset(address, 16, 16, what);
        touch_shared(lane.offset, 16, kind, what);
    }
    return lane;
}

struct ProductLane {
    void* c;
    const std::uint32_t* a;
    std::uint32_t b[2];
};

/// The fragments of m16n8: c[e] is row lane/4 + 8 (e/2), column 2 (lane%4) + e%2; register i of A holds row lane/4 + 8 (i%2),
/// bytes 16 (i/2) + 4 (lane%4) of the row; register i of B column lane/4, the same bytes along k.
template <class Sum>
void multiply_warp(std::vector<void*>& lanes, Number number) {
    const int width = bytes_of(number), per_register = 4 / width, depth = 32 / width;
    Sum a[16][32], b[32][8], c[16][8];
    const auto element = [&](std::uint32_t bits, int e) {
        const std::uint32_t own = bits >> (8 * width * e);
        return static_cast<Sum>(number_value(number, &own));
    };
    for (int l = 0; l < 32; ++l) {
        const auto& lane = *static_cast<ProductLane*>(lanes[static_cast<std::size_t>(l)]);
        const int q = l / 4, first = l % 4 * per_register;
        for (int e = 0; e < per_register; ++e) {
            for (int i = 0; i < 4; ++i) a[q + 8 * (i % 2)][first + i / 2 * depth / 2 + e] = element(lane.a[i], e);
            for (int i = 0; i < 2; ++i) b[first + i * depth / 2 + e][q] = element(lane.b[i], e);
        }
        for (int e = 0; e < 4; ++e) c[q + 8 * (e / 2)][2 * (l % 4) + e % 2] = static_cast<Sum*>(lane.c)[e];
    }
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < depth; ++k)
            for (int j = 0; j < 8; ++j) c[i][j] = static_cast<Sum>(c[i][j] + a[i][k] * b[k][j]);
    for (int l = 0; l < 32; ++l) {
        const auto& lane = *static_cast<ProductLane*>(lanes[static_cast<std::size_t>(l)]);
        for (int e = 0; e < 4; ++e) static_cast<Sum*>(lane.c)[e] = c[l / 4 + 8 * (e / 2)][2 * (l % 4) + e % 2];
    }
}

constexpr const char* product_names[] = {"mma bf16", "mma f16", "mma tf32", "mma e4m3", "mma e5m2", "mma s8", "mma u8"};

}  // namespace

void copy_async(std::uint32_t to, const void* from, std::uint32_t bytes, bool valid) {
    Thread& t = current_thread();
    Machine& m = machine();
    const std::uint32_t offset = shared_offset(to, bytes, bytes, "cp_async");
    if (valid)
        touch_global(from, bytes, bytes, AccessKind::read, "cp_async");
    else if (reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
        fault("misaligned: cp_async");
    record_shared(*t.cta, offset, bytes, AccessKind::write, actor_of(t), t.clock, "cp_async", true);
    t.open_copies.push_back({offset, from, bytes, valid, false});
    if (m.options.async == Async::eager || (m.options.async == Async::random && m.coin()))
        run_copy(*t.cta, t.open_copies.back());
    else
        std::memset(shared_at(*t.cta, offset), 0xff, bytes);
}

void copy_commit() {
    Thread& t = current_thread();
    t.copy_groups.push_back(std::move(t.open_copies));
    t.open_copies.clear();
}

void copy_wait(int groups) {
    Thread& t = current_thread();
    while (t.copy_groups.size() > static_cast<std::size_t>(groups)) {
        for (ThreadCopy& copy : t.copy_groups.front()) {
            run_copy(*t.cta, copy);
            if (machine().checks_races()) t.cta->shadow.close(copy.to, copy.bytes, AccessKind::write, t.actor, t.clock[t.actor]);
        }
        t.copy_groups.pop_front();
    }
}

void load_matrices(std::uint32_t* registers, int count, std::uint32_t address, bool transposed) {
    static constexpr const char* names[] = {"ldmatrix_x1", "ldmatrix_x2", "", "ldmatrix_x4"};
    static constexpr const char* transposed_names[] = {"", "ldmatrix_x2_trans", "", "ldmatrix_x4_trans"};
    const char* const name = (transposed ? transposed_names : names)[count - 1];
    MatrixLane own = matrix_lane(registers, count, address, AccessKind::read, name);
    meet_warp(name, &own, false, [=](std::vector<void*>& lanes) { exchange_matrices(lanes, count, transposed, true); });
}

void store_matrices(const std::uint32_t* registers, int count, std::uint32_t address, bool transposed) {
    const char* const name = count == 2 ? "stmatrix_x2" : transposed ? "stmatrix_x4_trans" : "stmatrix_x4";
    std::uint32_t copy[4] = {};
    std::copy_n(registers, count, copy);
    MatrixLane own = matrix_lane(copy, count, address, AccessKind::write, name);
    meet_warp(name, &own, false, [=](std::vector<void*>& lanes) { exchange_matrices(lanes, count, transposed, false); });
}

void warp_product(Number number, void* c, const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    ProductLane own{c, a, {b0, b1}};
    meet_warp(product_names[static_cast<int>(number)], &own, false, [number](std::vector<void*>& lanes) {
        ++machine().counts.warp_products;
        if (number == Number::s8 || number == Number::u8)
            multiply_warp<std::int32_t>(lanes, number);
        else
            multiply_warp<float>(lanes, number);
    });
}

}  // namespace tessera::emulator
