#pragma once

#include "tile/environment.h"
#include "tile/kernel_state.h"

#include <functional>
#include <optional>
#include <set>
#include <string>

namespace tessera {

/// What a KernelBuilder has written so far: blocks of statements, one inside the other, with what is bound and allocated there.
struct KernelBuilderState {
    explicit KernelBuilderState(const Algorithm& algorithm) : program{{{algorithm, {}}, {}, {}}, {}, {}} {}

    /// A statement, or a let or an allocation whose body is what follows in its block.
    using Entry = std::variant<tile::StatementPtr, tile::Let, tile::Alloc>;
    /// Who runs a statement: all threads of the block, one warp, one warpgroup, one thread.
    enum class Place { block, warp, group, thread };

    tile::Program program;
    tile::Kernel kernel;
    SourceLoc where;
    bool has_grid = false, finished = false;
    std::vector<std::vector<Entry>> blocks;
    Place place = Place::block;
    std::vector<tile::Axis> warps;  // or warpgroups, around
    tile::Environment environment;
    std::set<const ExprNode*> bound;  // variables
    std::set<size_t> alive;           // stages with memory
    std::set<size_t> boxed;           // of tiles of boxes
    std::optional<size_t> flying;     // the sums of the product in flight
    std::optional<size_t> held;       // its left factor, in registers
    std::map<std::string, int> names;

    [[nodiscard]] const Stage& stage(size_t i) const { return program.bound.graph.stages[i]; }
    /// Throws E0506 before grid() and behind finish().
    void require_open(std::string_view what, SourceLoc loc) const;
    void add(Entry entry);
    /// What `body` writes.
    [[nodiscard]] tile::StatementPtr block_of(const std::function<void()>& body);
    /// A variable in [0, extent) that is bound until forget().
    [[nodiscard]] Expr variable(const std::string& name, const Expr& extent);
    void forget(const Expr& variable) { bound.erase(variable.get()); }

    /// An i64 without reads of tiles, and a value of `dtype`; both of what is bound here. Throws E0103, E0201, E0204, E0508,
    /// L0901.
    [[nodiscard]] Expr index(const Index& given) const;
    [[nodiscard]] Expr value(const Operand& given, DType dtype, std::string_view of) const;
    /// Extents and conditions of what several threads do together are the same for all of them.
    void require_shared(const Expr& e, SourceLoc loc, std::string_view what) const;
    [[nodiscard]] const TileState& alive_tile(const Tile& tile, SourceLoc loc) const;
    /// Throws E0508 for sums whose product is in flight.
    void require_landed(size_t stage, SourceLoc loc) const;
    /// The axes of the warps or warpgroups around, which must be as many as share the fragment.
    [[nodiscard]] std::array<Expr, 2> warps_of(const TileState& fragment, SourceLoc loc) const;

private:
    void check(const Expr& e, SourceLoc loc, bool may_read) const;
};

}  // namespace tessera
