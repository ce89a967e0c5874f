#pragma once

#include "autodiff/names.h"

#include <optional>

namespace tessera {

/// A recurrence of which the states at the ends of segments of k steps are kept; the steps of a segment are computed once more
/// from there.
///
///   h(t) = f(a(t), h(t - 1)), h(-1) = h0
///   ->  kept(s) = h(s k + k - 1)
///       again(s, j) = f(a(s k + j), again(s, j - 1)), again(s, -1) = s == 0 ? h0 : kept(s - 1)
///       a read of h(t), t >= 0, is one of again(t / k, t % k)
class RecurrenceSegments {
public:
    /// `funcs`: of the graph that the recurrence stands in. Throws L0904 where a step reads a state at another time than a fixed
    /// number of steps before.
    RecurrenceSegments(const Recurrence& recurrence, const std::vector<Func>& funcs, std::int64_t steps, std::optional<DType> as,
                       NameSupply& names);

    /// Of every state what the forward part stores, and the input that it is for the backward part.
    [[nodiscard]] const std::vector<Func>& kept() const { return kept_; }
    [[nodiscard]] const std::vector<Input>& saved() const { return saved_; }
    /// The states and what stands between them: reads of them are replaced.
    [[nodiscard]] const std::vector<const FuncState*>& members() const { return inside_; }
    /// A read of a state at a time after the start.
    [[nodiscard]] Expr read(const Expr& access) const;

private:
    struct Copy {
        Func func;
        size_t time = 0;  // position of t among the dims of what it is a copy of
    };
    void find_inside(const std::vector<Func>& funcs);
    [[nodiscard]] std::int64_t lag_of(const FuncState& f) const;
    [[nodiscard]] std::int64_t steps_back(const FuncState& reader, const Expr& access) const;
    [[nodiscard]] size_t time_position(const FuncState& f) const;
    [[nodiscard]] std::vector<Dim> segment_dims(const FuncState& f) const;
    [[nodiscard]] Expr time_at(const Expr& segment, const Expr& step) const;
    [[nodiscard]] Expr inside(const Expr& time) const;
    [[nodiscard]] Expr moved(const FuncState& f, const Expr& e, const Expr& time) const;
    void keep(const std::shared_ptr<FuncState>& given, std::optional<DType> as, NameSupply& names);

    const Recurrence& recurrence_;
    std::int64_t steps_, lag_ = 1;
    Expr extent_;  // of t
    Dim segment_, step_, ends_, back_;
    std::vector<const FuncState*> inside_;  // states, then what stands between them
    std::map<const FuncState*, Copy> copies_;
    std::vector<Func> kept_, again_;
    std::vector<Input> saved_;
};

}  // namespace tessera
