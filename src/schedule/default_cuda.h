#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>

namespace tessera {

/// A schedule for the GPU that is legal for all extents: cheap or singly used definitions inline, others and outputs a kernel
/// each with their last dim on threads; reductions of rows on the threads of a block that has the row; short ones, contractions
/// and ordered ones in the thread that reads them, or at root where it would need many; scans and recurrences serial in time,
/// with a thread a series.
[[nodiscard]] Schedule default_cuda_schedule(const Algorithm& algorithm);

}  // namespace tessera
