#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <functional>
#include <optional>
#include "backend/cuda/combine_text.h"
#include "backend/cuda/cuda_source.h"
#include "backend/cuda/device_functions.h"
#include "backend/cuda/product_text.h"
#include "backend/cuda/ring_text.h"
#include "backend/cuda/scalar_text.h"
#include "base/check.h"
#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/async_copy.h"
#include "tile/environment.h"
#include "tile/lower.h"
#include "tile/shared_layout.h"
#include "tile/whole_nest.h"

namespace tessera::cuda {

using tile::Acquire;
using tile::Alloc;
using tile::Assign;
using tile::AsyncCopy;
using tile::Await;
using tile::Axis;
using tile::Barrier;
using tile::BoxCopy;
using tile::Combine;
using tile::Commit;
using tile::DealtAxis;
using tile::Environment;
using tile::Fence;
using tile::For;
using tile::If;
using tile::InBuffer;
using tile::Kernel;
using tile::Let;
using tile::Program;
using tile::Release;
using tile::Roles;
using tile::Scope;
using tile::Scratch;
using tile::Sequence;
using tile::SharedPlan;
using tile::Spread;
using tile::Statement;
using tile::StatementPtr;
using tile::Tiles;

/// How a cell of a stage is reached.
struct Address {
    Expr offset;                       // undefined: none
    std::string load, store, pointer;  // patterns: {0} the offset, {1} the value
    bool shared = false;
    std::string base = {};           // of global memory
    std::vector<Expr> strides = {};  // of it, in cells
};

/// Where the cells of a stage in shared memory start: of the buffer that is meant, where there are several.
struct SharedMemory {
    const Alloc* alloc = nullptr;
    std::vector<Expr> begin;
    std::string base;
};

inline Expr product_of(const Expr& a, const Expr& b) { return simplify_index(make_op(Op::mul, DType::i64, {a, b})); }

/// The text of one kernel of a tile program. Its parts: emit_kernel.cpp has statements, emit_memory.cpp addresses, emit_whole.cpp
/// nests without guards, emit_product.cpp what threads do together.
class KernelEmitter {
public:
    KernelEmitter(const Program& program, const Kernel& kernel, std::string name, IndexWidth width)
        : program_(program), kernel_(kernel), plan_(plan_shared(program, kernel)),
          index_type_(width == IndexWidth::narrow ? "i32" : "i64"),
          scalars_(
              lines_, out_.functions,
              {[this](const Expr& v) { return variable(v); }, [this](const Expr& e) { return extent(e); },
               [this](const Expr& access, const std::vector<Expr>& place) { return read(access, place); },
               [](const Expr& access, size_t d) { return boundary_extent(access, d); }, index_type_, reach_, kernel.fast_math}) {
        out_.name = std::move(name);
        out_.threads = kernel.all_threads();
        if (!kernel.cluster.empty()) out_.cluster = integer_constant(kernel.cluster[0].extent).value();
        out_.resident = kernel.persistent ? kernel.min_ctas : 0;
        out_.shared_bytes = plan_.bytes;
        find_grouped(*kernel.body, grouped_sums_);
    }

    EmittedKernel run();

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }

    std::string variable(const Expr& v);
    const std::string& declare(const Expr& v) { return names_[v.get()] = lines_.fresh(tile::name_of(v)); }

    // The parameter as an Expr; made at its first use.
    Expr parameter(KernelParam wanted, const std::string& type);
    std::string extent(const Expr& e);

    void grid();
    void emit_roles(const Roles& r);
    void emit_tiles(const Tiles& t);
    void emit_acquire(const Acquire& a);
    void emit_release(const Release& r);
    void emit_take_turn();
    void emit_pass_turn();
    void emit_turn(const std::string& condition, const char* meet, std::int64_t next);
    // A statement that is another one for every consumer.
    void by_consumer(const std::function<std::string(std::int64_t)>& text);
    // The number of a thread, warp or warpgroup in its consumer, which has `count` of them.
    std::string in_consumer(std::string number, std::int64_t count) const;
    std::string of_clusters(const char* count);
    // "if (tid() == 0) " where all threads come by.
    std::string by_one_thread();
    std::string slot(const Expr& token, std::int64_t ring);
    // The axes' variables from a linear position, the last one fastest.
    void decode(const std::vector<Axis>& axes, const std::string& position);

    void emit(const Statement& s);

    // In global memory, where its dims' first cells are.
    bool is_global(size_t i) const;
    // In boxes of a warpgroup.
    bool is_boxed(size_t i) const;

    // A nest of stores first without guards and by vectors, where that is right for all of it.
    bool emit_whole(const Statement& s);
    // Base and rows of memory lie at multiples of so many cells.
    std::string aligned(const Address& a, std::int64_t cells, DType dtype);
    static std::vector<Expr> place_of(const Expr& access);

    // A loop as reads of vectors, rounds that compute their cells, and the store of one.
    bool emit_vector(const Statement& s);

    bool uses_registers(const Statement& s) const;

    std::string thread() { return fmt::format("{}()", scalars_.call("tid")); }

    void emit_spread(const Spread& p);

    void emit_alloc(const Alloc& a);

    void emit_copy(const AsyncCopy& c);

    std::string ring_barrier(size_t stage, const Expr& token);
    std::string map_name(BoxMap map, const std::string& of);
    void emit_box(const BoxCopy& c);
    void emit_put(const tile::BoxStore& b);
    void emit_group_barrier();
    void emit_role_barrier();

    void emit_assign(const Assign& a);

    // self + x -> x
    static Expr operand_of(const Stage& s, const Expr& value);
    void emit_atomic(const Stage& s, const Address& to, const std::string& at, const std::string& value);

    void emit_combine(const Combine& c);

    FactorText factor(const std::string& name, const Expr& access, bool rows_are_summed);

    HeldText held_text(const Expr& read, bool grouped);
    void emit_product(const tile::Mma& m);

    static Expr linear(const std::vector<Expr>& index, const std::vector<Expr>& strides);
    // Of a warpgroup's sums: cell (h, 2 j + w) of a thread's is register 4 j + 2 h + w.
    static Expr place_in_group(const std::vector<Expr>& index);
    static std::optional<size_t> sums_in_flight(const Statement& s);
    void hold_sums(size_t i);
    // A loop over two cells that are packed into one register.
    bool emit_pair(const Statement& s);
    static bool is_packed_wide(const Assign& a);
    void find_grouped(const Statement& s, std::set<size_t>& out);
    static std::int64_t cells_of(const std::vector<std::int64_t>& extent);
    std::string swizzled_pattern(const Alloc& a);
    // Strides of dense rows.
    static std::vector<Expr> dense(const std::vector<Expr>& extent);
    static std::vector<Expr> numbers(const std::vector<std::int64_t>& values);
    static std::vector<Expr> relative(const std::vector<Expr>& place, const std::vector<Expr>& begin);

    Address address(size_t i, size_t component, const std::vector<Expr>& place);
    // The last dim is dense.
    Expr stride(KernelParam::Kind kind, size_t index, size_t axis, size_t rank, const std::string& name);
    void global(Address& out, const std::string& pointer, const std::string& type);

    std::pair<std::string, Expr> read(const Expr& access, const std::vector<Expr>& place);
    Address source(const Expr& access, const std::vector<Expr>& place);
    static Expr boundary_extent(const Expr& access, size_t d);

    const Program& program_;
    const Kernel& kernel_;
    SharedPlan plan_;
    std::string index_type_;
    ReachScan reach_;
    EmittedKernel out_;
    Lines lines_;
    ScalarText scalars_;
    Environment environment_;
    std::vector<DealtAxis> dealt_;
    const tile::WholeNest* whole_ = nullptr;  // what is emitted without guards
    bool is_guarded_nest_ = false;            // what is emitted with them
    std::map<const ExprNode*, std::string> loaded_;
    const Assign* vector_store_ = nullptr;
    std::string stored_, round_;
    std::vector<Expr> param_exprs_;
    std::map<const ExprNode*, std::string> names_;
    std::map<size_t, const Alloc*> registers_;
    std::map<size_t, SharedMemory> shared_;
    std::string full_;    // the barrier of the copies that start
    bool alone_ = false;  // one thread runs the role
    bool in_role_ = false;
    std::string consumer_;                     // which one the thread is of
    std::string round_before_, round_behind_;  // whether the block has a tile in the round before, behind this one
    std::map<size_t, std::vector<std::string>> arrays_;
    std::set<size_t> grouped_sums_;
    std::set<size_t> packed_;       // factors of warpgroups in registers: two cells of 16 bits in one
    std::string pair_, pair_cell_;  // what a loop over two cells of them stores, and its variable
    std::optional<size_t> flying_;  // the sums of the product in flight
};

}  // namespace tessera::cuda
