#pragma once

#include "schedule/stages.h"

#include <optional>
#include <vector>

namespace tessera {

/// What a row of values reads along `row` of one producer or Input, at one place beside it: rows row + low .. row + high.
struct RowStream {
    std::int64_t low = 0, high = 0;
    std::int64_t places = 1;  // such streams, where a small reduced dim moves the place
    [[nodiscard]] std::int64_t span() const { return high - low; }
};

/// e = row + [low, high] for small static dims besides `row`; nothing for other forms.
[[nodiscard]] std::optional<RowStream> shift_from(const Expr& e, const Dim& row);

/// The reads in `exprs` at row + shifts; an access with another use of `row` is left out.
[[nodiscard]] std::vector<RowStream> row_streams(const std::vector<Expr>& exprs, const Dim& row);

/// How many rows are worth computing together, so that they share what they read: a power of two up to `most` whose rows fit
/// `registers`; 1 where no two rows read the same.
[[nodiscard]] std::int64_t rows_together(const std::vector<RowStream>& streams, std::int64_t registers, std::int64_t most);

}  // namespace tessera
