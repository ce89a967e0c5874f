#include "schedule/scatter_place.h"

#include "expr/bounds.h"

namespace tessera {

Expr lands_inside(const Expr& index, const Dim& destination) {
    const Expr extent(destination.extent());
    const Interval range = bounds(index, Domain{});
    const bool above = range.low.defined() && proves_nonnegative(range.low);
    const bool below = range.high.defined() && proves_nonnegative(extent - 1 - range.high);
    if (above) return below ? Expr() : index < extent;
    return below ? index >= 0 : index >= 0 && index < extent;
}

}  // namespace tessera
