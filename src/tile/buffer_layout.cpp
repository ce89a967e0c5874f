#include "tile/buffer_layout.h"

#include "tile/shared_layout.h"

#include <fmt/format.h>

namespace tessera::tile {

void lay_out(const Stage& s, const BoundStage& b, Alloc& out) {
    out.buffers = b.storage.buffers.value_or(1);
    const Swizzle swizzle = b.storage.swizzle.value_or(Swizzle::none);
    out.swizzled = swizzle != Swizzle::none;
    if (out.space != Space::shared && (out.buffers > 1 || out.swizzled))
        throw Limit(
            L0903_schedule, s.where,
            fmt::format("{} has {} but is not stored in shared memory", s.name, out.swizzled ? "a swizzle" : "several buffers"),
            {fix("store it in shared memory")});
    if (b.engine == Engine::tma && (out.buffers == 1 || out.space != Space::shared))
        throw Limit(L0903_schedule, s.where, fmt::format("{} is moved by the copy engine into one buffer", s.name),
                    {fix("give it 2 to 8 buffers in shared memory"), fix("use engine cp_async")});
    if (out.buffers > 1 && ((b.engine != Engine::cp_async && b.engine != Engine::tma) || b.store_at || b.alloc_at))
        throw Limit(L0903_schedule, s.where, fmt::format("{} has {} buffers", s.name, out.buffers),
                    {expected("copies that cp_async or the copy engine moves, stored at the loop that they are computed at"),
                     fix("give it engine cp_async"), fix("use buffers 1")});
    if (!out.swizzled) return;
    const std::int64_t bytes = out.extent.back() * dtype_bytes(s.dtypes[0]);
    const std::int64_t pattern = swizzle == Swizzle::bytes32 ? 32 : swizzle == Swizzle::bytes64 ? 64 : 128;
    if (swizzle != Swizzle::xor_ && (bytes != pattern || s.dtypes.size() != 1))
        throw Limit(
            L0903_schedule, s.where, fmt::format("rows of {} take {} bytes", s.name, bytes),
            {expected(fmt::format("{}, for swizzle {}", pattern, word(swizzle))), fix("change the tile of its last dim")});
    if (s.dtypes.size() != 1 || !swizzle_of(bytes))
        throw Limit(L0903_schedule, s.where, fmt::format("rows of {} take {} bytes", s.name, bytes),
                    {expected("a power of two of at least 32 bytes, for swizzle xor"),
                     fix(fmt::format("round them up: store.align {}", s.dims.back().name())), fix("use swizzle none")});
}

}  // namespace tessera::tile
