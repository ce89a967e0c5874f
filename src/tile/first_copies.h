#pragma once

#include "tile/lower.h"

#include <set>
#include <vector>

namespace tessera::tile {

/// Copies by threads into one buffer each, one statement behind the other: they are started together.
struct FirstCopies {
    std::vector<StatementPtr> statements;
    std::set<size_t> stages;
};
/// Those that begin with a statement of the sequence; none where that is no such copy.
[[nodiscard]] FirstCopies first_copies(const Sequence& sequence, size_t begin);
/// The copies, awaited where they were started.
[[nodiscard]] StatementPtr awaited(const FirstCopies& copies);
/// The loop with copies of threads ahead, among or inside the statements, that alone uses the stages: what is copied before it is
/// there with its own first copies. Null: there is none.
[[nodiscard]] const Statement* loop_that_uses(const Program& program, const std::vector<StatementPtr>& statements,
                                              const std::set<size_t>& stages);

/// What is copied inside.
void copied_stages(const Statement& s, std::set<size_t>& out);
/// Allocations with several buffers that no loop inside is nearer to.
void find_rings(const Statement& s, std::vector<Alloc>& out);

}  // namespace tessera::tile
