#pragma once

#include "schedule/bound.h"

namespace tessera {

/// Holds reads that may fall outside an Input, or outside an output that others read, at the edge:  a(x + 1)  ->  a(min(x + 1, n
/// - 1)). The Algorithm's own reads are proved inside at the points it needs; a stage is computed at more: rounded up to whole
/// tiles, over intervals that hold the needed points, with what a producer knew of its index lost when it was inlined. Nobody
/// reads those cells. An end of an index that is proved inside over the whole region of the stage stays as it is. Throws E0402
/// when a required region has no finite end.
void hold_reads_inside(BoundSchedule& bound);

}  // namespace tessera
