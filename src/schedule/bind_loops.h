#pragma once

#include "schedule/bound.h"

namespace tessera {

/// What a nest computes, which decides the tails that it may have.
enum class NestKind {
    definition,
    update,   // of a reduction, or its init
    in_place  // of two stages that share memory: each cell exactly once
};

/// The nest that `specs` describe over `pure` dims and `reduction` dims: dims that are not listed run serially, outermost, in the
/// order given; names and tails filled in.
/// Throws E0502 (unknown dim or two loops of one name), E0503 (tiles), E0505 (a reduction that may not be split), E0506 (kinds),
/// E0507 (tails), L0903 (kinds that the target does not have).
[[nodiscard]] std::vector<BoundLoop> bind_loops(const Stage& stage, const std::vector<LoopSpec>& specs,
                                                const std::vector<Dim>& pure, const std::vector<Dim>& reduction, NestKind kind,
                                                Target::Kind target);

/// The loop that `name` refers to: by its name, or by its dim when that has one loop. E0502 otherwise.
[[nodiscard]] size_t find_loop(const std::string& stage, const std::vector<BoundLoop>& nest, const std::string& name,
                               const std::string& who);

/// E0505, E0506 for a scan whose time threads share in a way that its method does not have, and for a method that is of scans.
void check_scan(const Stage& stage, const std::vector<BoundLoop>& nest, Method method);

/// E0505 when the nest combines in an order that the update does not allow.
void check_order(const Stage& stage, const std::vector<BoundLoop>& nest);

}  // namespace tessera
