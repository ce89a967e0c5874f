#include <fmt/format.h>

#include <algorithm>

#include "emulator/emulated_barriers.h"
#include "emulator/emulated_ops.h"

namespace tessera::emulator {
namespace {

/// The 128 bytes of an emulated tensor map.
struct EncodedMap {
    char* base;
    std::uint64_t strides[4];
    std::uint32_t extents[5];
    std::uint16_t box[5];
    std::uint8_t rank, element_bytes, swizzle;
    std::uint32_t mark;
};
static_assert(sizeof(EncodedMap) <= 128);
constexpr std::uint32_t map_mark = 0x7e55e4a0;

const EncodedMap& decode(const void* map) {
    const auto& m = *static_cast<const EncodedMap*>(map);
    if (reinterpret_cast<std::uintptr_t>(map) % 64 != 0) fault("tensor map: not aligned to 64 bytes");
    if (m.mark != map_mark) fault("tensor map: not one that encode_tensor_map wrote");
    return m;
}

std::uint32_t box_bytes(const EncodedMap& m) {
    std::uint32_t bytes = m.element_bytes;
    for (int d = 0; d < m.rank; ++d) bytes *= m.box[d];
    return bytes;
}

/// Calls visit(offset in the box, address or null outside the tensor, bytes) for pieces that lie together on both sides: 16 bytes
/// where all of them are inside, elements elsewhere.
template <class Visit>
void for_each_piece(const EncodedMap& m, const int* at, Visit visit) {
    const std::uint32_t per_piece = 16 / m.element_bytes;
    std::uint32_t index[5] = {};
    const std::uint32_t pieces = box_bytes(m) / 16;
    for (std::uint32_t n = 0; n < pieces; ++n) {
        bool inside = true;
        std::uint64_t row = 0;
        for (int d = 1; d < m.rank; ++d) {
            const std::int64_t x = at[d] + static_cast<std::int64_t>(index[d]);
            inside = inside && x >= 0 && x < static_cast<std::int64_t>(m.extents[d]);
            row += static_cast<std::uint64_t>(x) * m.strides[d - 1];
        }
        const std::int64_t x = at[0] + static_cast<std::int64_t>(index[0]);
        const auto address = [&](std::int64_t column) {
            return m.base + row + static_cast<std::uint64_t>(column) * m.element_bytes;
        };
        if (inside && x >= 0 && x + per_piece <= m.extents[0]) {
            visit(n * 16, address(x), 16u);
        } else {
            for (std::uint32_t e = 0; e < per_piece; ++e) {
                const bool here = inside && x + e >= 0 && x + e < m.extents[0];
                visit(n * 16 + e * m.element_bytes, here ? address(x + e) : nullptr, std::uint32_t{m.element_bytes});
            }
        }
        index[0] += per_piece;
        for (int d = 0; d < m.rank && index[d] == m.box[d]; ++d) {
            index[d] = 0;
            if (d + 1 < m.rank) ++index[d + 1];
        }
    }
}

void check_box_in_shared(const EncodedMap& m, Coordinates at, std::uint32_t address, const char* what) {
    if (at.rank != m.rank) fault(fmt::format("tensor map: {} of rank {} with a map of rank {}", what, at.rank, m.rank));
    if (at.at[0] * static_cast<int>(m.element_bytes) % 16 != 0)
        fault(fmt::format("misaligned: {} at {} of the innermost dim, not a multiple of 16 bytes", what, at.at[0]));
    // A swizzled tile whose atom does not begin where the pattern does would be read at other addresses than it was written to.
    const std::uint32_t alignment = m.swizzle == 0 ? 128 : 8u * m.swizzle;
    (void)shared_offset(address, box_bytes(m), alignment, what);
}

void poison(const BulkLoad& load) {
    for (Cta* cta : load.targets) std::memset(shared_at(*cta, load.to - Machine::shared_base), 0xff, load.bytes);
}

void issue_load(BulkLoad load, const char* what) {
    Machine& m = machine();
    Thread& t = current_thread();
    require_fenced_barriers(*t.cta, what);
    const std::uint32_t offset = load.to - Machine::shared_base;
    for (Cta* cta : load.targets) {
        const Mbarrier& b = barrier_at(*cta, load.barrier);
        record_shared(*cta, offset, load.bytes, AccessKind::write, {b.actor, static_cast<Clock>(b.phase) + 1, false}, t.clock,
                      what);
    }
    load.known = t.clock;
    poison(load);
    m.loads.push_back(std::move(load));
    if (m.options.async == Async::eager || (m.options.async == Async::random && m.coin())) m.run_load(m.loads.size() - 1);
}

void issue_store(BulkStore store, const char* what) {
    Thread& t = current_thread();
    require_fenced(*t.cta, store.from, store.bytes, what);
    // The read is open until its group is waited for.
    record_shared(*t.cta, store.from, store.bytes, AccessKind::read, actor_of(t), t.clock, what, true);
    t.open_stores.push_back(store);
}

void run_store(const Cta& cta, const BulkStore& store) {
    ++machine().counts.bulk_copies;
    const char* from = shared_at(cta, store.from);
    if (store.map == nullptr) {
        std::memcpy(store.to, from, store.bytes);
        return;
    }
    const EncodedMap& m = decode(store.map);
    const std::uint32_t address = store.from + Machine::shared_base;
    for_each_piece(m, store.coordinates, [&](std::uint32_t offset, char* to, std::uint32_t bytes) {
        if (to == nullptr) return;
        touch_global(to, m.element_bytes, bytes, AccessKind::write, "tma_store");
        std::memcpy(to, shared_at(cta, swizzled(address + offset, m.swizzle) - Machine::shared_base), bytes);
    });
}

}  // namespace

void Machine::run_load(std::size_t index) {
    const BulkLoad load = std::move(loads[index]);
    loads.erase(loads.begin() + static_cast<std::ptrdiff_t>(index));
    ++counts.bulk_copies;
    ++progress;
    for (Cta* cta : load.targets) {
        if (load.map == nullptr) {
            std::memcpy(shared_at(*cta, load.to - shared_base), load.from, load.bytes);
        } else {
            const EncodedMap& m = decode(load.map);
            for_each_piece(m, load.coordinates, [&](std::uint32_t offset, const char* from, std::uint32_t bytes) {
                char* to = shared_at(*cta, swizzled(load.to + offset, m.swizzle) - shared_base);
                if (from != nullptr)
                    std::memcpy(to, from, bytes);
                else
                    std::memset(to, 0, bytes);
            });
        }
        land_bytes(barrier_at(*cta, load.barrier), load.bytes, load.known);
    }
}

void tensor_load(std::uint32_t to, const void* map, std::uint32_t barrier, Coordinates at, std::uint32_t mask) {
    const EncodedMap& m = decode(map);
    check_box_in_shared(m, at, to, "tma_load");
    Cta& own = *current_thread().cta;
    BulkLoad load{map, nullptr, to, barrier, box_bytes(m), {}, {}, {}};
    std::copy_n(at.at, 5, load.coordinates);
    if (mask == 0) load.targets.push_back(&own);
    for (std::uint32_t r = 0; r < 16 && mask != 0; ++r)
        if ((mask >> r & 1) != 0) {
            if (r >= own.peers.size()) fault(fmt::format("cluster: multicast to cta {}, which there is not", r));
            load.targets.push_back(own.peers[r]);
        }
    issue_load(std::move(load), "tma_load");
}

void bulk_load(std::uint32_t to, const void* from, std::uint32_t bytes, std::uint32_t barrier) {
    if (bytes == 0 || bytes % 16 != 0) fault(fmt::format("misaligned: a bulk copy of {} bytes", bytes));
    (void)shared_offset(to, bytes, 16, "bulk_load");
    touch_global(from, 16, bytes, AccessKind::read, "bulk_load");
    issue_load({nullptr, static_cast<const char*>(from), to, barrier, bytes, {}, {current_thread().cta}, {}}, "bulk_load");
}

void tensor_store(const void* map, std::uint32_t from, Coordinates at) {
    const EncodedMap& m = decode(map);
    check_box_in_shared(m, at, from, "tma_store");
    BulkStore store{map, nullptr, from - Machine::shared_base, box_bytes(m), {}};
    std::copy_n(at.at, 5, store.coordinates);
    issue_store(store, "tma_store");
}

void bulk_store(void* to, std::uint32_t from, std::uint32_t bytes) {
    if (bytes == 0 || bytes % 16 != 0) fault(fmt::format("misaligned: a bulk copy of {} bytes", bytes));
    const std::uint32_t offset = shared_offset(from, bytes, 16, "bulk_store");
    touch_global(to, 16, bytes, AccessKind::write, "bulk_store");
    issue_store({nullptr, static_cast<char*>(to), offset, bytes, {}}, "bulk_store");
}

void store_commit() {
    Thread& t = current_thread();
    t.store_groups.push_back(std::move(t.open_stores));
    t.open_stores.clear();
}

void store_wait(int groups) {
    Thread& t = current_thread();
    while (t.store_groups.size() > static_cast<std::size_t>(groups)) {
        for (const BulkStore& store : t.store_groups.front()) {
            run_store(*t.cta, store);
            if (machine().checks_races())
                t.cta->shadow.close(store.from, store.bytes, AccessKind::read, t.actor, t.clock[t.actor]);
        }
        t.store_groups.pop_front();
    }
}

void encode_tensor_map(void* map, const TensorShape& tensor) {
    const std::size_t rank = tensor.extents.size();
    const auto refuse = [](const std::string& why) { throw Fault("tensor map: " + why); };
    if (rank < 1 || rank > 5 || tensor.box.size() != rank || tensor.strides.size() + 1 != rank)
        refuse("its lists do not fit each other");
    if (reinterpret_cast<std::uintptr_t>(tensor.base) % 16 != 0) refuse("the base is not aligned to 16 bytes");
    EncodedMap m{};
    m.base = static_cast<char*>(tensor.base);
    m.rank = static_cast<std::uint8_t>(rank);
    m.element_bytes = static_cast<std::uint8_t>(tensor.element_bytes);
    m.swizzle = static_cast<std::uint8_t>(tensor.swizzle);
    m.mark = map_mark;
    for (std::size_t d = 0; d < rank; ++d) {
        if (tensor.extents[d] < 1 || tensor.extents[d] > UINT32_MAX) refuse(fmt::format("an extent of {}", tensor.extents[d]));
        if (tensor.box[d] < 1 || tensor.box[d] > 256)
            refuse(fmt::format("a box of {} along dim {}, of at most 256", tensor.box[d], d));
        if (d > 0 && tensor.strides[d - 1] % 16 != 0)
            refuse(fmt::format("a stride of {} bytes, not a multiple of 16", tensor.strides[d - 1]));
        m.extents[d] = static_cast<std::uint32_t>(tensor.extents[d]);
        m.box[d] = static_cast<std::uint16_t>(tensor.box[d]);
        if (d > 0) m.strides[d - 1] = tensor.strides[d - 1];
    }
    const std::uint32_t inner = tensor.box[0] * static_cast<std::uint32_t>(tensor.element_bytes);
    if (inner % 16 != 0) refuse(fmt::format("an inner box of {} bytes, not a multiple of 16", inner));
    if (tensor.swizzle != 0 && inner > static_cast<std::uint32_t>(tensor.swizzle))
        refuse(fmt::format("an inner box of {} bytes, beyond the swizzle of {}", inner, tensor.swizzle));
    std::memset(map, 0, 128);
    std::memcpy(map, &m, sizeof m);
}

}  // namespace tessera::emulator
