#pragma once

#include <tessera/ops.h>

#include "algorithm/graph.h"

#include <string>
#include <string_view>
#include <vector>

namespace tessera::ops {

/// Dims with the name and place that messages give them.
struct Shape {
    std::string name;
    std::vector<Dim> dims;
    SourceLoc where;
    Shape(const Tensor& t) : name(t.name()), dims(t.dims()), where(t.where()) {}
    Shape(const Tensor& t, std::vector<Dim> some) : name(t.name()), dims(std::move(some)), where(t.where()) {}
};

[[nodiscard]] bool equal_extents(const Dim& a, const Dim& b);
[[nodiscard]] std::string extent_text(const Dim& d);

/// Dims of the broadcast of `shapes`; E0313. Dims may repeat ([i, 1] with [i] gives i twice): see ResultDims.
[[nodiscard]] std::vector<Dim> broadcast(const std::vector<Shape>& shapes);
/// The indices that read dims `from` at a point of `result`, aligned at the end: 0 along extent 1.
[[nodiscard]] std::vector<Index> aligned(const std::vector<Dim>& from, const std::vector<Dim>& result);
/// `t` at the point of `dims`; E0313 where it would enlarge them.
[[nodiscard]] Expr broadcast_to(const Tensor& t, const Shape& shape);

/// E0106 unless the extents are provably equal.
void require_equal(const Shape& a, const Dim& of_a, const Shape& b, const Dim& of_b);
/// E0301 for fewer dims than `least`; `shape` shows what is wanted: "[..., m, k]".
void require_rank(const Tensor& t, size_t least, std::string_view shape);
/// E0202 unless floats / integers.
void require_float(std::string_view what, const Tensor& t);
void require_integer(std::string_view what, const Tensor& t);
/// E0103 unless `d` is a dim of `t`.
void require_dim(const Tensor& t, const Dim& d);
/// `dims` with the pack replaced by the dims of `t` that are not named; E0103, E0104.
[[nodiscard]] Dims unpacked(const Tensor& t, const Dims& dims);
/// `dims` without those of `without`.
[[nodiscard]] std::vector<Dim> rest(const std::vector<Dim>& dims, const std::vector<Dim>& without);

/// Where sums of `t` are kept: f32 for halves, i32 for integers below 32 bits.
[[nodiscard]] DType wide(DType t);
/// A Dim `<result>_<local>`; / and . of the result's name become _.
[[nodiscard]] Dim own_dim(const std::string& result, std::string_view local, const Extent& extent);

/// Dims that all differ: one that is there already is replaced by a Dim `<result>_<local>` of the same extent.
class DistinctDims {
public:
    explicit DistinctDims(std::string result) : result_(std::move(result)) {}
    Dim add(const Dim& d, std::string_view local);
    std::vector<Dim> add_all(const std::vector<Dim>& dims);
    [[nodiscard]] const std::vector<Dim>& dims() const { return dims_; }

private:
    std::string result_;
    std::vector<Dim> dims_;
};

/// Defines `<name>` at `dims` as `value`.
Func define(const std::string& name, const std::vector<Dim>& dims, const Expr& value, SourceLoc where);

}  // namespace tessera::ops
