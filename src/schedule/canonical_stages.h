#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>

namespace tessera {

/// The canonical form of a schedule in names that depend on the structure of its algorithm alone (stages s0, s0.sum; dims d0;
/// inputs i0; derived stages copy0, clone0, partial0): what fits one algorithm fits every algorithm of its hash.
[[nodiscard]] Schedule in_canonical_names(const Algorithm& algorithm, const Schedule& schedule);
/// Back into the names of an algorithm; derived stages are called after what they are of ("A.copy0"). Stages that the algorithm
/// has not got keep their names, which bind() then refuses.
[[nodiscard]] Schedule in_user_names(const Algorithm& algorithm, const Schedule& schedule);

/// Names a schedule of an algorithm in headers, metadata, databases and lock files: content_hash() in canonical names. It tells
/// nothing of the user's names, so it is no key for compiled code.
[[nodiscard]] std::string schedule_hash(const Algorithm& algorithm, const Schedule& schedule);

}  // namespace tessera
