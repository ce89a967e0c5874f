#pragma once

#include "backend/cpu/cpu_backend.h"

#include <Halide.h>

#include <functional>
#include <map>
#include <optional>

// What the sources of this room that see Halide share.
namespace tessera::cpu {

// ---- values

/// The Halide type in which values of a dtype are kept: floats of 8 and 16 bits as their bits, so that every conversion is ours.
[[nodiscard]] Halide::Type value_type(DType dtype);
/// The constant of an ExprNode.
[[nodiscard]] Halide::Expr constant_value(DType dtype, std::uint64_t bits);
/// The op table's meaning on values; `from` is the dtype of the first operand that is no condition.
[[nodiscard]] Halide::Expr scalar_op(Op op, DType from, DType to, const std::vector<Halide::Expr>& args);
/// Floor division and remainder of int32 indices; 0 where the divisor is.
[[nodiscard]] Halide::Expr floor_division(const Halide::Expr& a, const Halide::Expr& b);
[[nodiscard]] Halide::Expr floor_remainder(const Halide::Expr& a, const Halide::Expr& b);

/// Halide finds an update's reduction domain by the variables that stand in it: a body that does not depend on one names it too.
[[nodiscard]] Halide::Expr show_domain(const Halide::RDom& domain, const Halide::Expr& v);
/// An int32 index held inside [0, extent), or brought there by a boundary condition; `edge`: the interior is worth a loop of its
/// own.
[[nodiscard]] Halide::Expr held_index(const Halide::Expr& i, const Halide::Expr& extent, bool edge);
[[nodiscard]] Halide::Expr bounded_index(Boundary boundary, const Halide::Expr& i, const Halide::Expr& extent, bool edge);

/// `made`, the translation of `value`, with its shared parts named where written out it would be large: several of Halide's
/// passes walk an expression as the tree that it is not.
[[nodiscard]] Halide::Expr with_named_parts(const Expr& value, const Halide::Expr& made);

// ---- stages

/// A stage as a Func, or as the last update of the Func of the stage in whose memory it replaces the values. Row-major where the
/// bound schedule is; Halide's order only in args.
struct StageFunc {
    Halide::Func func;
    std::vector<Halide::Var> vars;             // per dim of the stage
    Halide::RDom domain;                       // one variable per reduction loop of the update nest, innermost first
    std::map<size_t, size_t> domain_position;  // loop of the update nest -> variable of the domain
    std::map<size_t, std::pair<Halide::Expr, Halide::Expr>> held;  // dim -> first cell and extent that hold all reads of it
};

/// An extern stage as Halide calls it, by the name `function`, and the C function that stands for it.
struct RoutineStage {
    std::string function, symbol;
    size_t operands = 0;                             // buffers that it is given, ahead of its results
    std::vector<DType> dtypes;                       // of all buffers
    std::vector<std::vector<Halide::Expr>> extents;  // of all buffers, Halide's order
};

struct Translation {
    std::vector<StageFunc> stages;
    std::vector<RoutineStage> routines;
    std::vector<Halide::Func> outputs;  // in the order of the algorithm's outputs
    std::vector<Halide::Argument> arguments;
    std::vector<Parameter> parameters;
    std::map<const void*, Halide::Expr> extents;  // of dims by id, int32
    std::map<std::string, Halide::ImageParam> images;
};
[[nodiscard]] Translation translate(const BoundSchedule& bound, KernelChecks checks);

/// A name that Halide takes as it is, distinct per stage.
[[nodiscard]] std::string halide_name(const BoundSchedule& bound, size_t stage);

// ---- directives

/// Sets loops, placement and storage of every stage.
void apply_schedule(const BoundSchedule& bound, Translation& translation);

/// The Func of a routine's stage, as an extern one.
void define_routine(const BoundSchedule& bound, size_t stage, Translation& translation,
                    const std::function<Halide::Expr(const Dim&)>& extent_of);
/// Makes lowering call the C functions of routines with Tessera's buffers, and know what they need and compute: all of it.
void call_routines(Halide::Pipeline& pipeline, const Translation& translation);
/// Makes lowering compute once what the components of a tuple have in common.
void share_tuple_values(Halide::Pipeline& pipeline);
/// Makes comparisons of floats plain again once no interval of Halide's is asked about them.
void show_comparisons(Halide::Pipeline& pipeline);
/// Lets whole blocks read folded values ahead of those that are needed, in kernels with checks.
void allow_reads_ahead(Halide::Pipeline& pipeline);
/// Makes vectors that reach over the edge of a tensor load what is inside at once.
void load_edges_whole(Halide::Pipeline& pipeline);
/// Lets the kernel tell the runtime which stage each thread is in, and what each call has to do:
///     produce f {for x {produce g {...} ...}}
///  -> let p = tessera_profile_begin("kernel\nf\n...g\n..."); tessera_profile_work(p, 0, operations, bytes) ...
///     enter(p, 0) for x {enter(p, 1) ... leave(p) ...} leave(p)  tessera_profile_end(p)
/// Tasks of parallel loops enter the stage of the loop on the thread that runs them.
void profile_stages(Halide::Pipeline& pipeline, const BoundSchedule& bound, const Translation& translation);

}  // namespace tessera::cpu
