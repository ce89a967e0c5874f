#include "backend/cuda/ring_text.h"

#include <fmt/format.h>

namespace tessera::cuda {

void start_rings(Lines& lines, ScalarText& scalars, const tile::SharedPlan& plan, const Releasing& by) {
    if (plan.rings.empty()) return;
    lines.open(fmt::format("if ({}() == 0) {{", scalars.call("tid")));
    for (const auto& [stage, ring] : plan.rings) {
        lines.add("TSR_UNROLL");
        lines.add(fmt::format("for (int i = 0; i < {}; ++i) {}(smem + static_cast<u32>({} + i * 8), 1);", ring.second,
                              scalars.call("mbar_init"), ring.first));
        const auto released = plan.released.find(stage);
        if (released == plan.released.end()) continue;
        lines.add("TSR_UNROLL");
        lines.add(fmt::format("for (int i = 0; i < {}; ++i) {}(smem + static_cast<u32>({} + i * 8), {});", ring.second,
                              scalars.call("mbar_init"), released->second, by.warps * by.blocks));
    }
    lines.add(fmt::format("{}();", scalars.call("mbar_fence_init")));
    lines.close();
    lines.add(fmt::format("{}();", scalars.call(by.blocks > 1 ? "cluster_sync" : "sync_cta")));
}

}  // namespace tessera::cuda
