#pragma once

#include <tessera/algorithm.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Optimisers as definitions: from parameters and their gradients the parameters of the next step. States are Inputs beside the
/// parameters, named after them, and share memory with what replaces them.
///
/// Arithmetic is in the parameter's dtype, for f16 and bf16 in f32; states are in that dtype too, and start as zeros. A gradient
/// has the parameter's dims and may have another float dtype.
namespace tessera::optim {

struct Parameter {
    Input value;
    Func gradient;
};

/// What a step adds to an algorithm.
struct Step {
    /// <W>/next for every parameter, a tuple of the parameter and its states where they have its dims; <W>/<state>/next for other
    /// states.
    std::vector<Func> outputs;
    std::vector<Input> states;
    /// (W, W/next), or (W, W/next.0), (W/mean, W/next.1), ...: what shares memory, by the names of buffers.
    std::vector<std::pair<std::string, std::string>> in_place;

    /// An algorithm with these outputs behind the given ones; its arguments are what they read.
    [[nodiscard]] Algorithm algorithm(const std::vector<Func>& before = {}, const std::string& name = "step") const;
};

/// g = gradient + weight_decay * W;  m = momentum * m + g;  W -= rate * (nesterov ? g + momentum * m : m).
/// Without momentum there is no state. Source: Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and
/// momentum in deep learning", in the form whose momentum holds sums of gradients.
struct SgdOptions {
    double momentum = 0;
    bool nesterov = false;
    double weight_decay = 0;
    std::optional<Func> only_if = {};  // a bool of rank 0: where it is false nothing changes, as after an overflow
};
/// `rate`: a number or a Scalar. Throws E0106 for a gradient whose dims are not the parameter's, E0202 for one that is no float.
[[nodiscard]] Step sgd(const std::vector<Parameter>& parameters, const Operand& rate, const SgdOptions& options = {});

/// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g g;  W -= rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + decay W),
/// with t counted in the state `step` from 1 on. Source: Kingma, Ba 2014, "Adam: a method for stochastic optimization"; decay:
/// Loshchilov, Hutter 2017, "Decoupled weight decay regularization" (AdamW).
struct AdamOptions {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    double weight_decay = 0;
    std::optional<Func> only_if = {};
};
[[nodiscard]] Step adam(const std::vector<Parameter>& parameters, const Operand& rate, const AdamOptions& options = {});

/// Second moments of matrices as a column times a row (of the last two dims), of vectors whole; no first moment. The update has a
/// root mean square of at most `clip`, and is relative to that of the parameter: rate * max(epsilon2, rms(W)).
/// Source: Shazeer, Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost", algorithms 4 to 6.
struct AdafactorOptions {
    double decay = 0.8;  // b2 = 1 - t^-decay
    double epsilon1 = 1e-30, epsilon2 = 1e-3;
    double clip = 1;
    std::optional<Func> only_if = {};
};
[[nodiscard]] Step adafactor(const std::vector<Parameter>& parameters, const Operand& rate, const AdafactorOptions& options = {});

// ---- what stands between gradients and the step

/// Every element of every gradient kept within [-most, most].
[[nodiscard]] std::vector<Parameter> clipped_by_value(const std::vector<Parameter>& parameters, double most);
/// All gradients times min(1, most / norm), the norm being that of all elements together, as f32.
struct ClippedByNorm {
    std::vector<Parameter> parameters;
    Func norm;
};
[[nodiscard]] ClippedByNorm clipped_by_norm(const std::vector<Parameter>& parameters, double most);
/// Gradients of a loss that was multiplied by `scale` (a number or a Scalar), divided by it.
[[nodiscard]] std::vector<Parameter> unscaled(const std::vector<Parameter>& parameters, const Operand& scale);

/// A loss scale that is a state: halved when a gradient overflows, and that step is left out; doubled after `interval` steps
/// without. Source: Micikevicius et al. 2017, "Mixed precision training".
struct DynamicScaleOptions {
    double growth = 2, backoff = 0.5;
    std::int64_t interval = 2000;
    std::string name = "loss_scale";
};
class DynamicScale {
public:
    explicit DynamicScale(DynamicScaleOptions options = {});
    /// loss * scale, whose gradient is to be taken.
    [[nodiscard]] Func scaled(const Func& loss) const;
    struct Gradients {
        std::vector<Parameter> parameters;  // divided by the scale
        Func finite;                        // `only_if` of the step
        Step step;                          // the states of the scale
    };
    [[nodiscard]] Gradients unscaled(const std::vector<Parameter>& parameters) const;
    [[nodiscard]] const Input& scale() const { return scale_; }

private:
    DynamicScaleOptions options_;
    Input scale_, good_;  // f32; i32: steps since the scale changed
    Func current_;        // the scale, read once: the state itself is overwritten
};

/// Gradients added up over calls, in place: <W>/total/next = <W>/total + gradient.
[[nodiscard]] Step accumulated(const std::vector<Parameter>& parameters);
/// Parameters with the totals of `count` calls, divided by it, as gradients. The totals are Inputs <W>/total.
[[nodiscard]] std::vector<Parameter> from_totals(const std::vector<Input>& values, std::int64_t count);

/// Both steps in one.
[[nodiscard]] Step operator+(const Step& a, const Step& b);

}  // namespace tessera::optim
