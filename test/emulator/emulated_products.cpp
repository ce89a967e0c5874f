// Products of warpgroups. They read shared memory asynchronously from when they are issued until they are waited for, and their
// accumulators hold nothing meanwhile.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "emulator/emulated_ops.h"
#include "emulator/machine.h"

namespace tessera::emulator {
namespace {

struct Descriptor {
    std::uint32_t address, leading, stride;
    int swizzle;
};

Descriptor decode(std::uint64_t d) {
    static constexpr int spans[] = {0, 128, 64, 32};
    return {static_cast<std::uint32_t>(d & 0x3fff) << 4, static_cast<std::uint32_t>(d >> 16 & 0x3fff) << 4,
            static_cast<std::uint32_t>(d >> 32 & 0x3fff) << 4, spans[d >> 62]};
}

/// The address of 16 bytes of an operand: row `r` (along m or n) and byte `k` along k, or, where it is transposed, k-row `r` and
/// byte `k` along m or n.
std::uint32_t chunk_address(const Descriptor& d, bool transposed, int r, int k) {
    const auto row = static_cast<std::uint32_t>(r), byte = static_cast<std::uint32_t>(k),
               span = static_cast<std::uint32_t>(d.swizzle);
    if (transposed)  // atoms of 8 k-rows, `stride` apart along k and `leading` apart along m or n
        return swizzled(d.address + byte / span * d.leading + row / 8 * d.stride + row % 8 * span + byte % span, d.swizzle);
    if (d.swizzle != 0) return swizzled(d.address + row / 8 * d.stride + row % 8 * span + byte, d.swizzle);
    return d.address + row / 8 * d.stride + byte / 16 * d.leading + row % 8 * 16;
}

/// Calls visit(row, byte in the row, offset in shared memory) for every 16-byte chunk that a product reads of an operand.
template <class Visit>
void for_each_chunk(const Descriptor& d, Number number, bool transposed, int extent, Visit visit) {
    const int rows = transposed ? 16 : extent, bytes = transposed ? extent * bytes_of(number) : 32;
    for (int r = 0; r < rows; ++r)
        for (int k = 0; k < bytes; k += 16) visit(r, k, chunk_address(d, transposed, r, k) - Machine::shared_base);
}

void check_operand(const Descriptor& d, Number number, bool transposed, int extent) {
    if (transposed && d.swizzle == 0) fault("wgmma: the emulator knows transposed operands with a swizzle only");
    if (transposed && (extent * bytes_of(number)) % d.swizzle != 0)
        fault(fmt::format("wgmma: {} elements along m or n are not whole swizzled rows of {} bytes", extent, d.swizzle));
    const std::uint32_t size = machine().shape.shared_bytes;
    for_each_chunk(d, number, transposed, extent, [&](int, int, std::uint32_t offset) {
        if (offset > size || 16 > size - offset)
            fault(fmt::format("out of bounds: wgmma at shared offset {}, of {}", static_cast<std::int32_t>(offset), size));
    });
}

void record_reads(Cta& cta, const Warpgroup& w, const Descriptor& d, Number number, bool transposed, int extent,
                  const VectorClock& known) {
    for_each_chunk(d, number, transposed, extent, [&](int, int, std::uint32_t offset) {
        record_shared(cta, offset, 16, AccessKind::read, {w.actor, w.committed + 1, false}, known, "wgmma");
        require_fenced(cta, offset, 16, "wgmma");
    });
}

/// out[i * depth + k]: the operand's elements as numbers.
void read_operand(const Cta& cta, const Descriptor& d, Number number, bool transposed, int extent, int depth,
                  std::vector<float>& out) {
    const int width = bytes_of(number);
    out.resize(static_cast<std::size_t>(extent * depth));
    for_each_chunk(d, number, transposed, extent, [&](int r, int byte, std::uint32_t offset) {
        const char* chunk = shared_at(cta, offset);
        for (int e = 0; e < 16 / width; ++e) {
            const int along = byte / width + e;
            const int i = transposed ? along : r, k = transposed ? r : along;
            out[static_cast<std::size_t>(i * depth + k)] = number_value(number, chunk + e * width);
        }
    });
}

void spread_registers(const WarpgroupProduct& p, Number number, int depth, std::vector<float>& out) {
    const int width = bytes_of(number), per_register = 4 / width;
    out.resize(static_cast<std::size_t>(64 * depth));
    for (int t = 0; t < 128; ++t)
        for (int i = 0; i < 4; ++i)
            for (int e = 0; e < per_register; ++e) {
                const std::uint32_t element = p.a_registers[static_cast<std::size_t>(4 * t + i)] >> (8 * width * e);
                const int row = 16 * (t / 32) + t % 32 / 4 + 8 * (i % 2), k = t % 4 * per_register + i / 2 * depth / 2 + e;
                out[static_cast<std::size_t>(row * depth + k)] = number_value(number, &element);
            }
}

/// d[e] of thread t: row 16 (t/32) + t%32/4 + 8 (e/2 % 2), column 8 (e/4) + 2 (t%4) + e%2.
template <class Sum>
void multiply(const Cta& cta, const WarpgroupProduct& p) {
    const auto number = static_cast<Number>(p.kind);
    const int depth = 32 / bytes_of(number), n = p.n;
    std::vector<float> a, b;
    if (p.a_in_registers)
        spread_registers(p, number, depth, a);
    else
        read_operand(cta, decode(p.a), number, p.a_transposed, 64, depth, a);
    read_operand(cta, decode(p.b), number, p.b_transposed, n, depth, b);
    std::vector<Sum> columns(static_cast<std::size_t>(depth * n)), sums(static_cast<std::size_t>(64 * n));
    for (int j = 0; j < n; ++j)
        for (int k = 0; k < depth; ++k)
            columns[static_cast<std::size_t>(k * n + j)] = static_cast<Sum>(b[static_cast<std::size_t>(j * depth + k)]);
    const auto place = [n](int t, int e) {
        return static_cast<std::size_t>((16 * (t / 32) + t % 32 / 4 + 8 * (e / 2 % 2)) * n + 8 * (e / 4) + 2 * (t % 4) + e % 2);
    };
    if (p.accumulates)
        for (int t = 0; t < 128; ++t)
            for (int e = 0; e < n / 2; ++e) sums[place(t, e)] = static_cast<Sum*>(p.d[t])[e];
    for (int i = 0; i < 64; ++i)
        for (int k = 0; k < depth; ++k) {
            const Sum factor = static_cast<Sum>(a[static_cast<std::size_t>(i * depth + k)]);
            Sum* row = &sums[static_cast<std::size_t>(i * n)];
            const Sum* column = &columns[static_cast<std::size_t>(k * n)];
            for (int j = 0; j < n; ++j) row[j] = static_cast<Sum>(row[j] + factor * column[j]);
        }
    for (int t = 0; t < 128; ++t)
        for (int e = 0; e < n / 2; ++e) static_cast<Sum*>(p.d[t])[e] = sums[place(t, e)];
}

void run_product(const Cta& cta, const WarpgroupProduct& p) {
    ++machine().counts.warpgroup_products;
    if (static_cast<Number>(p.kind) == Number::s8)
        multiply<std::int32_t>(cta, p);
    else
        multiply<float>(cta, p);
}

/// The accumulators' values are put aside and poison in their place, until the products are waited for.
void hide_accumulators(Warpgroup& w, const WarpgroupProduct& p) {
    const auto [it, is_visible] = w.hidden.try_emplace(p.d[0]);
    if (!is_visible) return;
    const auto count = static_cast<std::size_t>(p.n / 2);
    HiddenAccumulators& h = it->second;
    std::copy_n(p.d, 128, h.d);
    h.values.resize(128 * count);
    for (std::size_t t = 0; t < 128; ++t) {
        std::memcpy(&h.values[t * count], p.d[t], 4 * count);
        std::memset(p.d[t], 0xff, 4 * count);
    }
}

void show_accumulators(Warpgroup& w) {
    for (const auto& [key, h] : w.hidden)
        for (std::size_t t = 0; t < 128; ++t)
            std::memcpy(h.d[t], &h.values[t * (h.values.size() / 128)], h.values.size() / 128 * 4);
    w.hidden.clear();
}

/// Completes the oldest groups until `keep` remain, and with `also_later` runs what remains early. Its accumulators stay hidden.
void advance(const Cta& cta, Warpgroup& w, std::size_t keep, bool also_later) {
    const auto run = [&](std::vector<WarpgroupProduct>& group) {
        for (WarpgroupProduct& p : group)
            if (!p.is_complete) {
                run_product(cta, p);
                p.is_complete = true;
            }
    };
    show_accumulators(w);
    for (; w.groups.size() > keep; w.groups.pop_front(), ++w.finished) run(w.groups.front());
    if (also_later) {
        for (auto& group : w.groups) run(group);
        run(w.open);
    }
    for (const auto& group : w.groups)
        for (const WarpgroupProduct& p : group) hide_accumulators(w, p);
    for (const WarpgroupProduct& p : w.open) hide_accumulators(w, p);
}

Warpgroup& own_warpgroup() {
    const Thread& t = current_thread();
    return t.cta->warpgroups[static_cast<std::size_t>(t.index / 128)];
}

struct ProductLane {
    const WarpgroupProduct* product;
    const std::uint32_t* a_registers;
    void* d;
};

/// What all 128 threads know: a product is issued by all of them.
VectorClock known_to_all(const Cta& cta, std::size_t first_thread) {
    VectorClock known = cta.threads[first_thread]->clock;
    for (std::size_t t = 1; t < 128; ++t) known.meet(cta.threads[first_thread + t]->clock);
    for (std::size_t t = 0; t < 128; ++t) {
        const Thread& own = *cta.threads[first_thread + t];
        known[own.actor] = own.clock[own.actor];
    }
    return known;
}

void issue(std::vector<void*>& lanes) {
    Thread& t = current_thread();
    Cta& cta = *t.cta;
    Warpgroup& w = own_warpgroup();
    WarpgroupProduct p = *static_cast<ProductLane*>(lanes[0])->product;
    if (w.open.empty() && w.warps_fenced < 4) fault("fence: wgmma without wgmma_fence since the last wgmma_commit");
    for (std::size_t i = 0; i < 128; ++i) {
        const auto& lane = *static_cast<ProductLane*>(lanes[i]);
        const WarpgroupProduct& q = *lane.product;
        if (q.a != p.a || q.b != p.b || q.accumulates != p.accumulates || q.n != p.n || q.kind != p.kind ||
            q.a_in_registers != p.a_in_registers)
            fault("divergence: operands of wgmma differ in the warpgroup");
        p.d[i] = lane.d;
        if (p.a_in_registers) p.a_registers.insert(p.a_registers.end(), lane.a_registers, lane.a_registers + 4);
    }
    const auto number = static_cast<Number>(p.kind);
    if (!p.a_in_registers) check_operand(decode(p.a), number, p.a_transposed, 64);
    check_operand(decode(p.b), number, p.b_transposed, p.n);
    if (machine().checks_races()) {
        const VectorClock known = known_to_all(cta, static_cast<std::size_t>(t.index / 128 * 128));
        if (!p.a_in_registers) record_reads(cta, w, decode(p.a), number, p.a_transposed, 64, known);
        record_reads(cta, w, decode(p.b), number, p.b_transposed, p.n, known);
    }
    hide_accumulators(w, p);
    w.open.push_back(std::move(p));
    Machine& m = machine();
    if (m.options.async == Async::eager || (m.options.async == Async::random && m.coin())) advance(cta, w, w.groups.size(), true);
}

void submit(const WarpgroupProduct& p, void* d, const std::uint32_t* a_registers) {
    ProductLane own{&p, a_registers, d};
    meet_warpgroup("wgmma", &own, issue);
}

}  // namespace

void product_fence() {
    meet_warp("wgmma_fence", nullptr, false, [](auto&) { ++own_warpgroup().warps_fenced; });
}

void product_commit() {
    meet_warpgroup("wgmma_commit", nullptr, [](auto&) {
        Warpgroup& w = own_warpgroup();
        w.groups.push_back(std::move(w.open));
        w.open.clear();
        ++w.committed;
        w.warps_fenced = 0;
    });
}

void product_wait(int groups) {
    meet_warpgroup("wgmma_wait", nullptr,
                   [groups](auto&) { advance(*current_thread().cta, own_warpgroup(), static_cast<std::size_t>(groups), false); });
    Thread& t = current_thread();
    const Warpgroup& w = own_warpgroup();
    if (machine().checks_races()) t.clock[w.actor] = std::max(t.clock[w.actor], w.finished);
}

void warpgroup_product(Number number, int n, void* d, std::uint64_t a, std::uint64_t b, int scale_d, bool a_transposed,
                       bool b_transposed) {
    WarpgroupProduct p;
    p.n = n;
    p.kind = static_cast<int>(number);
    p.a = a;
    p.b = b;
    p.a_transposed = a_transposed;
    p.b_transposed = b_transposed;
    p.accumulates = scale_d != 0;
    submit(p, d, nullptr);
}

void warpgroup_product_rs(Number number, int n, void* d, const std::uint32_t (&a)[4], std::uint64_t b, int scale_d,
                          bool b_transposed) {
    WarpgroupProduct p;
    p.n = n;
    p.kind = static_cast<int>(number);
    p.a_in_registers = true;
    p.b = b;
    p.b_transposed = b_transposed;
    p.accumulates = scale_d != 0;
    submit(p, d, a);
}

}  // namespace tessera::emulator
