#pragma once

#include <tessera/algorithm.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tessera {

/// Derivatives of definitions. What these functions make are Funcs: they print, are scheduled, tuned and compiled like any other,
/// and may be differentiated again, in any nesting.
///
/// Names: the derivative of loss by W is d_loss/W, and so are those in between; parts of them have one more /. A definition with
/// reductions inside others is first split: y/sum is the reduction inside y, y.1 is y written with it. Derivatives of f16 and
/// bf16 values are added up in f32 and rounded once, when the result is stored.
///
/// On a tie of max, min, relu and abs the derivative goes to the operand that no Input reaches, else to the first; abs'(0) = 0; a
/// reduction's maximum takes the first of equal values. Values of integers and bools have no derivative.
///
/// Common errors: E1001 an operation without derivative on the way, naming the way; E1002 what is differentiated, or by what, is
/// no float; E1003 dims that do not fit.

/// By what is differentiated: an Input, or a Func, which is then cut: its value is independent of what it is defined by.
class Wrt {
public:
    Wrt(const Input& input, SourceLoc where = SourceLoc::current()) : input_(input.state()), where_(where) {}
    Wrt(const Func& func, SourceLoc where = SourceLoc::current()) : func_(func.state()), where_(where) {}
    [[nodiscard]] const std::shared_ptr<const InputState>& input() const { return input_; }
    [[nodiscard]] const std::shared_ptr<FuncState>& func() const { return func_; }
    [[nodiscard]] SourceLoc where() const { return where_; }

private:
    std::shared_ptr<const InputState> input_;
    std::shared_ptr<FuncState> func_;
    SourceLoc where_;
};

/// A tangent or cotangent: a tensor with the dims of what it belongs to, or a number that stands at every point.
class Direction {
public:
    Direction(const Input& input, SourceLoc where = SourceLoc::current());
    Direction(const Func& func, SourceLoc where = SourceLoc::current());
    template <class T>
    requires std::is_arithmetic_v<T> Direction(T value, SourceLoc where = SourceLoc::current())
        : number_(static_cast<double>(value)), where_(where) {}
    /// The value at a point of `dims` in `dtype`. Throws E1003 when the dims differ, E0201 when the dtype does.
    [[nodiscard]] Expr at(const std::vector<Dim>& dims, DType dtype, std::string_view of) const;

private:
    std::optional<Input> input_;
    std::optional<Func> func_;
    double number_ = 1;
    SourceLoc where_;
};

struct GradOptions {
    /// Dims that are not summed over: grad(loss, {W}, {.per = {b}}) of loss(b) is the gradient of every example, over b and W's
    /// dims. What has such a dim itself is differentiated on the diagonal, and must only be read there (E1003).
    std::vector<Dim> per = {};
    /// Of the sums that the transform makes.
    Order order = {};
    /// First part of the names of what is made, instead of d_<y>. Two transforms of one Algorithm that would use one name need
    /// it.
    std::string name = {};
    /// Compare every inverted access with what reads each element, point by point at small extents: B0951 where they differ.
    bool check_inverses = false;
};

/// The gradient of y, of rank 0 apart from `per`, by each of `wrt`: Funcs over the per dims and those of the wrt, in its dtype.
/// Zero where y does not depend on it.
[[nodiscard]] std::vector<Func> grad(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options = {});

struct ValueAndGrad {
    Func value;  // y, split so that it shares its stages with the gradients: put it into the Algorithm instead of y
    std::vector<Func> gradients;
    std::vector<std::string> warnings = {};  // a sentence for each variable that y does not reach
};
[[nodiscard]] ValueAndGrad value_and_grad(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options = {});

struct Cotangent {
    Func of;
    Direction value = 1;
};
/// Sum over all outputs and their points of cotangent * derivative, by each of `wrt`.
[[nodiscard]] std::vector<Func> vjp(const std::vector<Cotangent>& outputs, const std::vector<Wrt>& wrt,
                                    const GradOptions& options = {});
struct ValuesAndGrads {
    std::vector<Func> values;  // the outputs, split so that they share their stages with the gradients
    std::vector<Func> gradients;
};
/// The outputs' values beside what vjp() gives.
[[nodiscard]] ValuesAndGrads value_and_vjp(const std::vector<Cotangent>& outputs, const std::vector<Wrt>& wrt,
                                           const GradOptions& options = {});

struct Tangent {
    Wrt of;
    Direction value = 1;
};
/// The derivative of y along the tangents, over y's dims: jvp(y, {{x, 1}}) by x. What is not named stays fixed.
[[nodiscard]] Func jvp(const Func& y, const std::vector<Tangent>& tangents, const GradOptions& options = {});
/// A Func and its derivative along tangents.
struct ValueAndTangent {
    Func value;  // y, split so that it shares its stages with the derivative
    Func tangent;
};
/// The value of y beside what jvp() gives.
[[nodiscard]] ValueAndTangent value_and_jvp(const Func& y, const std::vector<Tangent>& tangents, const GradOptions& options = {});

/// All derivatives of y by x: over y's dims, then `wrt_dims` for the dims of x (without those of `per`; default: x's own, or new
/// ones where y has them). jacrev takes them by rows, jacfwd by columns; jacobian chooses the one with fewer dims. Zeros of
/// diagonal and banded accesses cost nothing: they are solved, not added up.
[[nodiscard]] Func jacobian(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims = {}, const GradOptions& options = {});
[[nodiscard]] Func jacrev(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims = {}, const GradOptions& options = {});
[[nodiscard]] Func jacfwd(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims = {}, const GradOptions& options = {});
/// Second derivatives of y, of rank 0: over x's dims, then `second_dims`.
[[nodiscard]] Func hessian(const Func& y, const Wrt& x, const std::vector<Dim>& second_dims = {},
                           const GradOptions& options = {});
/// The hessian of y times the directions, by each of their variables: the forward derivative of the gradient.
[[nodiscard]] std::vector<Func> hvp(const Func& y, const std::vector<Tangent>& directions, const GradOptions& options = {});

struct Linearized {
    Func tangent;                   // of y, linear in the directions
    std::vector<Input> directions;  // d_x for each x, inputs to bind
};
[[nodiscard]] Linearized linearize(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options = {});
/// What a definition that is linear in `by` gives to each of them when `cotangent` comes in at its values. E1003 when it is not
/// linear.
[[nodiscard]] std::vector<Func> transpose(const Func& linear, const std::vector<Wrt>& by, const Direction& cotangent = 1,
                                          const GradOptions& options = {});

/// `algorithm` with the gradient of its first output, of rank 0, by the named inputs as further outputs d_W. Its outputs keep
/// their names.
[[nodiscard]] Algorithm value_and_grad(const Algorithm& algorithm, const std::vector<std::string>& wrt,
                                       const GradOptions& options = {});

/// What a backward algorithm reads of the forward one, and what it computes once more.
struct SavePolicy {
    /// automatic keeps reductions, states of recurrences and what costs more than a few loads; save keeps all that is read;
    /// recompute keeps nothing: the backward algorithm has the definitions of the forward one.
    enum class Kind : std::uint8_t { automatic, save, recompute };
    Kind kind = Kind::automatic;
    std::optional<DType> as = {};  // kept in this narrower dtype: a cast, visible in the text
    /// k > 1: of what is kept only every k-th definition along the way, and of a recurrence the states at every k-th step; the
    /// others are computed once more from there, to the same bits. L0904 for steps that read at other times than a fixed number
    /// of steps before.
    std::int64_t every = 1;
    std::vector<std::string> keep = {};  // definitions that are kept in any case, by name
    /// At most so many bytes are kept, for these extents of dims: what costs least to compute once more for its memory is left
    /// out first, recurrences last, by segments. L0904 when that is not enough.
    std::optional<std::int64_t> bytes = {};
    std::map<std::string, std::int64_t> extents = {};

    [[nodiscard]] static SavePolicy checkpoint_every(std::int64_t steps);
    [[nodiscard]] static SavePolicy save_as(DType dtype);
    /// These definitions alone.
    [[nodiscard]] static SavePolicy only(std::vector<std::string> names);
    [[nodiscard]] static SavePolicy within(std::int64_t bytes, std::map<std::string, std::int64_t> extents);
};
struct VjpOptions {
    std::vector<std::string> wrt = {};
    SavePolicy save = {};
    Order order = {};
};
struct ForwardBackward {
    Algorithm forward;         // the outputs, then what is kept
    Algorithm backward;        // arguments: inputs, d_<output> for every float output, what is kept; outputs d_<wrt>
    std::vector<Input> saved;  // arguments of the backward algorithm that are outputs of the forward one, by name
    std::vector<std::string> warnings = {};
};
/// The memory between the two calls at these extents of dims, by name: all of `saved`, also what is an output anyway.
[[nodiscard]] std::int64_t saved_bytes(const ForwardBackward& pair, const std::map<std::string, std::int64_t>& extents);
/// Two algorithms for two calls: the values, and later the derivatives by the named inputs, given what comes in at the outputs.
[[nodiscard]] ForwardBackward vjp(const Algorithm& algorithm, const VjpOptions& options);

/// The Inputs and Scalars that `outputs` need, in the order of first use: Algorithm(outputs, arguments_of(outputs)).
[[nodiscard]] std::vector<Argument> arguments_of(const std::vector<Func>& outputs);

/// From the cotangent of a definition (a Func over its dims) those of its operands, each over the dims of the operand.
using ReverseRule = std::function<std::vector<Func>(const Func& cotangent)>;
/// From tangents of the operands that of the definition.
using ForwardRule = std::function<Func(const std::vector<Func>& tangents)>;
/// A Func with the value of `value` and the derivative that `rule` says. Rules are definitions, linear in what they are given;
/// the other mode is their transpose, and higher orders differentiate the rules themselves. What `value` reads and is no operand
/// must not be differentiated by. Throws E1004 for a rule that does not fit, is not linear or captures. A text of the graph has
/// no rules.
[[nodiscard]] Func custom_vjp(std::string name, const Func& value, const std::vector<Wrt>& operands, ReverseRule rule);
[[nodiscard]] Func custom_jvp(std::string name, const Func& value, const std::vector<Wrt>& operands, ForwardRule rule);

/// The value of e, whose derivative is zero.
[[nodiscard]] Expr stop_gradient(const Operand& e);

}  // namespace tessera
