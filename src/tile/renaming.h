#pragma once

#include "tile/tile_ir.h"

#include <map>
#include <string>

namespace tessera::tile {

/// A statement with variables replaced, and variables of its own for what it binds, called after them, so that it may stand
/// beside the original.
[[nodiscard]] StatementPtr renamed(const StatementPtr& s, std::map<const ExprNode*, Expr> names, std::string suffix = ".ahead");

}  // namespace tessera::tile
