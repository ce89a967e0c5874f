#pragma once

#include "tile/tile_ir.h"

#include <optional>

namespace tessera::tile {

/// A scan whose steps threads share, each with consecutive ones:
///   thread i in [0, n): for t of its steps: s(t) = s(t - 1) ⊕ x(t)
/// becomes two passes over the steps, with a register `before` a thread:
///   before = identity; thread i: for t: before = before ⊕ x(t)
///   prefix before
///   thread i: { before = s(first - 1) ⊕ before; for t: { before = before ⊕ x(t); s(t) = before } }
struct ThreadScan {
    size_t stage = 0;
    size_t before = 0;
    bool stores = false;  // the second pass
};

/// The store of the scan whose time the loop, the outermost one that does so, deals out to threads or lanes; null for other
/// loops.
[[nodiscard]] const tessera::Store* scanned_by(const BoundSchedule& bound, const tessera::Loop& l);
/// Adds the stage of one cell that `before` is.
[[nodiscard]] size_t add_before(BoundSchedule& bound, size_t scan);

/// before = identity
[[nodiscard]] StatementPtr start_scan(const BoundSchedule& bound, const ThreadScan& scan);
/// before = s(first - 1) ⊕ before, where `loop` deals the steps out.
[[nodiscard]] StatementPtr continue_scan(const BoundSchedule& bound, const ThreadScan& scan, const tessera::Loop& loop,
                                         const tessera::Store& store);
/// One step, at the place of `store`.
[[nodiscard]] StatementPtr scan_step(const BoundSchedule& bound, const ThreadScan& scan, const tessera::Store& store);
/// The store of an init where it is needed: at the step before the first one.
[[nodiscard]] StatementPtr start_of_time(const BoundSchedule& bound, const tessera::Store& store);

}  // namespace tessera::tile
