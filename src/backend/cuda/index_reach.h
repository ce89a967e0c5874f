#pragma once

#include "backend/cuda/cuda_source.h"

#include <map>
#include <utility>
#include <vector>

namespace tessera::cuda {

/// Collects how far the index arithmetic of a kernel reaches, while its text is written.
class ReachScan {
public:
    /// 0 <= variable <= most.
    void add_variable(const Expr& variable, const Expr& most);
    /// variable = value.
    void add_value(const Expr& variable, const Expr& value) { add_variable(variable, most(value)); }
    /// The variable holds the stride of an array of `rank` dims.
    void add_stride(const Expr& variable, KernelParam::Kind kind, size_t index, size_t axis, size_t rank);
    /// The kernel computes `e`, an index, condition or offset.
    void note(const Expr& e);
    /// What |e| is at most, over extents and scalars; undefined: not known.
    [[nodiscard]] Expr most(const Expr& e);

    [[nodiscard]] IndexReach result() const;

private:
    struct Stride {
        KernelParam::Kind kind;
        size_t index, axis, rank;
    };
    using Array = std::pair<KernelParam::Kind, size_t>;

    Expr find_most(const Expr& e);
    [[nodiscard]] const Stride* stride_in(const Expr& e) const;
    void note_value(const Expr& e);
    void note_offset(const Expr& offset, const Stride& of);

    bool known_ = true;
    std::vector<Expr> values_;
    std::map<Array, std::map<size_t, Expr>> steps_;
    std::map<const ExprNode*, Expr> most_;
    std::map<const ExprNode*, Stride> strides_;
    std::vector<Expr> kept_;  // nodes are named by address, so they stay alive
};

}  // namespace tessera::cuda
