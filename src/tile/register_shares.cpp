#include "tile/register_shares.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

void require_fragment(const Stage& s, const BoundLoop& loop, std::int64_t extent) {
    if (extent % 16 == 0) return;
    throw Error(E0506_loop_kind, s.where, fmt::format("frag loop {} of {} covers {} positions", loop.name, s.name, extent),
                {expected("a multiple of 16"), fix("change the tile of the warp loop outside it")});
}

}  // namespace

std::vector<std::vector<Share>> register_shares(const Stage& s, const std::vector<BoundLoop>& nest,
                                                std::vector<std::int64_t> extent) {
    std::vector<std::vector<Share>> shares(s.dims.size());
    std::vector<std::pair<LoopKind, Share*>> dealt;
    for (std::vector<Share>& each : shares) each.reserve(nest.size() + 1);
    bool rows = false, grouped = false;
    for (const BoundLoop& loop : nest) {
        size_t d = 0;
        while (s.dims[d].id() != loop.dim.id()) ++d;
        if (loop.kind == LoopKind::frag) {
            if (grouped && !rows) shares[d].push_back({16, 32, 4});
            shares[d].push_back(rows ? Share{2, 1, 4} : Share{1, 4, 8});
            require_fragment(s, loop, extent[d]);
            rows = true;
            continue;
        }
        if (!is_spread(loop.kind)) {
            extent[d] = std::min(extent[d], loop.tile);  // who has a cell depends on its place in the tile
            continue;
        }
        const std::int64_t count = (extent[d] + loop.tile - 1) / loop.tile;
        extent[d] = loop.tile;
        grouped = grouped || loop.kind == LoopKind::warpgroup;
        if (count == 1) continue;  // deals nothing out
        shares[d].push_back({loop.tile, 1, count});
        dealt.emplace_back(loop.kind, &shares[d].back());
    }
    std::int64_t threads = 1, warps = 32, groups = 128;
    for (size_t l = dealt.size(); l-- > 0;) {
        std::int64_t& stride = dealt[l].first == LoopKind::warpgroup ? groups
                               : dealt[l].first == LoopKind::warp    ? warps
                                                                     : threads;
        dealt[l].second->stride = stride;
        stride *= dealt[l].second->count;
    }
    return shares;
}

}  // namespace tessera::tile
