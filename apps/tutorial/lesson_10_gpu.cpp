// Lesson 10: the definitions of lesson 2 as a GPU kernel. Nothing here needs a GPU: the kernel is looked at, not run.
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include <cstdio>

using namespace tessera;

int main() {
    Dim y("y"), x("x");
    Input photo("photo", f32, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = (clamp(photo)(y, x - 1) + clamp(photo)(y, x) + clamp(photo)(y, x + 1)) / 3.0f;
    blur(y, x) = (clamp(rows)(y - 1, x) + rows(y, x) + clamp(rows)(y + 1, x)) / 3.0f;
    Algorithm algorithm({blur}, {photo});

    // A block of 256 threads computes 8 x 32 pixels; the rows that they need, 10 x 32, wait in shared memory.
    Schedule schedule;
    schedule.stage("blur")
        .root()
        .loop({.dim = "y", .tile = 8, .as = LoopKind::block, .name = "yb"})
        .loop({.dim = "x", .tile = 32, .as = LoopKind::block, .name = "xb"})
        .loop({.dim = "y", .as = LoopKind::thread})
        .loop({.dim = "x", .as = LoopKind::thread});
    schedule.stage("rows")
        .at("blur", "xb")
        .space(Space::shared)
        .loop({.dim = "y", .as = LoopKind::thread})
        .loop({.dim = "x", .as = LoopKind::thread});

    const Module kernel = compile(algorithm, schedule, parse_target("cuda-sm_80"));
    for (const IrLevel level : {IrLevel::graph, IrLevel::schedule, IrLevel::tile, IrLevel::target})
        std::printf("%s\n", kernel.inspect_ir(level).c_str());
}
