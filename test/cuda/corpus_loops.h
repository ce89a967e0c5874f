#pragma once

#include <tessera/schedule.h>

#include <string>
#include <utility>
#include <vector>

// Short words for the loops of the corpus' schedules; a tile of 0 is no tile.
namespace tessera::cuda_test {

inline LoopSpec kind(LoopKind as, std::string dim, std::int64_t tile = 0, std::string name = "") {
    LoopSpec l{.dim = std::move(dim), .as = as, .name = std::move(name)};
    if (tile != 0) l.tile = tile;
    return l;
}
inline LoopSpec block(std::string dim, std::int64_t tile = 0, std::string name = "") {
    return kind(LoopKind::block, std::move(dim), tile, std::move(name));
}
inline LoopSpec thread(std::string dim, std::int64_t tile = 0, std::string name = "") {
    return kind(LoopKind::thread, std::move(dim), tile, std::move(name));
}
inline LoopSpec serial(std::string dim, std::int64_t tile = 0, std::string name = "") {
    return kind(LoopKind::serial, std::move(dim), tile, std::move(name));
}
inline LoopSpec unroll(std::string dim) { return kind(LoopKind::unroll, std::move(dim)); }
inline LoopSpec warp(std::string dim, std::int64_t tile = 0, std::string name = "") {
    return kind(LoopKind::warp, std::move(dim), tile, std::move(name));
}
inline LoopSpec frag(std::string dim) { return kind(LoopKind::frag, std::move(dim)); }
inline LoopSpec vector(std::string dim) { return kind(LoopKind::vector, std::move(dim)); }
/// With zeros behind the dim's range.
inline LoopSpec padded(LoopSpec l) {
    l.tail = Tail::pad;
    return l;
}
inline StageEdit loops(StageEdit edit, const std::vector<LoopSpec>& specs) {
    for (const LoopSpec& l : specs) edit.loop(l);
    return edit;
}

}  // namespace tessera::cuda_test
