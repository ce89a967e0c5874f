#pragma once

#include "tile/tile_ir.h"

#include <map>

namespace tessera::tile {

/// A statement with variables replaced, and variables of its own for what it binds, so that it may stand beside the original.
[[nodiscard]] StatementPtr renamed(const StatementPtr& s, std::map<const ExprNode*, Expr> names);

}  // namespace tessera::tile
