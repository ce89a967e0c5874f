#pragma once

#include <tessera/tensor.h>

/// The operator library: functions that write definitions. None of them is known to any pass by its name.
///
/// A function that makes Funcs takes the result's name first; its inner Funcs are `<name>/<local>`, Dims it makes are
/// `<name>_<local>`. Leading dims are free: "[..., m, k]" means any dims before the last two, broadcast where two tensors have
/// them. A list of dims may hold the pack Dim("..."): all dims of the tensor that the list does not name, in their order. f16 and
/// bf16 are computed in f32 and rounded when the result is stored; integers below 32 bits are summed in i32. Common errors: E0103
/// a dim that the tensor does not have, E0106 two dims that must have equal extents, E0301 too few dims, E0313 shapes that do not
/// broadcast, E0202 a dtype the operator does not take.
namespace tessera::ops {

// ---- elementwise (lazy: no Func is made)

/// `x` as a Func called `name`. dims and dtype of x. Throws E0203 for a literal.
[[nodiscard]] Func named(std::string name, const Tensor& x);
/// f at every point of the broadcast operands.
[[nodiscard]] Tensor map(const std::vector<Tensor>& operands, const std::function<Expr(const std::vector<Expr>&)>& f);
[[nodiscard]] Tensor map(const Tensor& x, const std::function<Expr(const Expr&)>& f);
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor subtract(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor multiply(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor divide(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor maximum(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor minimum(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor power(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor equal(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor not_equal(const Tensor& a, const Tensor& b);
/// a where `condition` (bool) holds, else b; all three broadcast.
[[nodiscard]] Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor cast(DType dtype, const Tensor& x);
/// The dims in another order; `order` names each of them once (E0103, E0104), a pack stands for the rest.
[[nodiscard]] Tensor transpose(const Tensor& x, const Dims& order);

/// Floats. sigmoid 1 / (1 + exp(-x)), by exp of a number <= 0 only; silu x sigmoid(x); softplus log(1 + exp(x)), likewise.
[[nodiscard]] Tensor exp(const Tensor& x);
[[nodiscard]] Tensor log(const Tensor& x);
[[nodiscard]] Tensor sqrt(const Tensor& x);
[[nodiscard]] Tensor tanh(const Tensor& x);
[[nodiscard]] Tensor sigmoid(const Tensor& x);
[[nodiscard]] Tensor silu(const Tensor& x);
[[nodiscard]] Tensor softplus(const Tensor& x);
/// max(x, 0) of any number; min(max(x, 0), 6); x < 0 ? slope x : x; x < 0 ? alpha (exp(x) - 1) : x.
[[nodiscard]] Tensor relu(const Tensor& x);
[[nodiscard]] Tensor relu6(const Tensor& x);
[[nodiscard]] Tensor leaky_relu(const Tensor& x, double slope = 0.01);
[[nodiscard]] Tensor elu(const Tensor& x, double alpha = 1.0);
/// Source: Hendrycks, Gimpel 2016, "Gaussian error linear units": x/2 (1 + erf(x / sqrt 2)), or the form with tanh.
enum class Gelu : std::uint8_t { erf, tanh };
[[nodiscard]] Tensor gelu(const Tensor& x, Gelu form = Gelu::erf);

// ---- order

struct SortOptions {
    bool descending = false;
};
/// The indices (i64) along `along` in the order of their values: equal ones in their own order, NaN last. A merge sort as a
/// recurrence; it makes as many passes as the extent needs, 31 where `along` has neither a static extent nor .at_most(n).
[[nodiscard]] Func argsort(std::string name, const Tensor& x, const Dim& along, const SortOptions& options = {});
/// The values in that order. Gradient: what comes in goes back to the place that the value was read at.
[[nodiscard]] Func sort(std::string name, const Tensor& x, const Dim& along, const SortOptions& options = {});
struct TopK {
    Func values, indices;  // `name`, and `name`/indices; `along` becomes a Dim <name>_rank of extent k
};
/// The k largest along `along`, the largest first; NaN last. E0105 for a k that is negative or larger than a static extent.
[[nodiscard]] TopK top_k(std::string name, const Tensor& x, const Dim& along, std::int64_t k);
/// The middle value along `along`, of an even number the mean of both; NaN when any value is. Floats.
[[nodiscard]] Func median(std::string name, const Tensor& x, const Dim& along);

// ---- reductions and scans

/// Over `over`; the other dims stay, dtype of x (argmax, argmin: i64, the first index on ties, -1 over nothing). mean and
/// variance: floats. Sums of integers below 32 bits wrap in their dtype: cast first.
[[nodiscard]] Func sum(std::string name, const Tensor& x, const Dims& over);
[[nodiscard]] Func prod(std::string name, const Tensor& x, const Dims& over);
[[nodiscard]] Func max(std::string name, const Tensor& x, const Dims& over);
[[nodiscard]] Func min(std::string name, const Tensor& x, const Dims& over);
[[nodiscard]] Func mean(std::string name, const Tensor& x, const Dims& over);
[[nodiscard]] Func argmax(std::string name, const Tensor& x, const Dim& over);
[[nodiscard]] Func argmin(std::string name, const Tensor& x, const Dim& over);
/// Sum of squared deviations from the mean over (count - ddof), in one pass: <name>/moments is (count, mean, sum of squares).
/// Source: Welford 1962, "Note on a method for calculating corrected sums of squares and products".
[[nodiscard]] Func variance(std::string name, const Tensor& x, const Dims& over, int ddof = 0);
/// log(sum(exp(x))) as max + log(sum(exp(x - max))). Floats.
[[nodiscard]] Func logsumexp(std::string name, const Tensor& x, const Dims& over);
/// Running sum along `along`; dims and dtype of x. exclusive: without the element itself; reverse: from the other end.
[[nodiscard]] Func cumsum(std::string name, const Tensor& x, const Dim& along, const ScanOptions& options = {});

// ---- contractions

struct MatmulOptions {
    bool transpose_a = false, transpose_b = false;  // of the last two dims
    std::optional<DType> dtype = {};                // of the result; default: that of float operands, i32 for small integers
};
/// a[..., m, k] b[..., k, n] -> [..., m, n], as NumPy's matmul: a rank-1 operand is a vector and gives no dim. a and b have one
/// dtype (E0201). A dim that would stand twice in the result (A times A) becomes a Dim of the result's own.
[[nodiscard]] Func matmul(std::string name, const Tensor& a, const Tensor& b, const MatmulOptions& options = {});
/// x[..., k] weight[n, k] + bias[n] -> [..., n], dtype of x.
[[nodiscard]] Func linear(std::string name, const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// A sliding window along one axis: element r of output o is input o * stride + r * dilation - padding.
struct Window {
    std::int64_t stride = 1, padding = 0, dilation = 1;
};
struct Conv2dOptions {
    Window y = {}, x = {};
};
/// image[..., h, w, c] weight[kh, kw, c, o] (+ bias[o]) -> [..., <name>_y, <name>_x, o], dtype of image; 0 outside the image.
/// Output extents: (h + 2 padding - dilation (kh - 1) - 1) / stride + 1. E0105 for stride or dilation < 1 or padding < 0.
[[nodiscard]] Func conv2d(std::string name, const Tensor& image, const Tensor& weight, const Tensor& bias = {},
                          const Conv2dOptions& options = {});

struct PoolOptions {
    std::int64_t height = 2, width = 2;
    Window y = {.stride = 2}, x = {.stride = 2};
};
/// image[..., h, w, c] -> [..., <name>_y, <name>_x, c]: maximum / mean of the window's elements that are inside the image (E0105
/// for a padding >= the window's reach). avg_pool2d: floats.
[[nodiscard]] Func max_pool2d(std::string name, const Tensor& image, const PoolOptions& options = {});
[[nodiscard]] Func avg_pool2d(std::string name, const Tensor& image, const PoolOptions& options = {});

// ---- normalisation and losses

/// exp(x - max) / sum over `over`; floats; dims and dtype of x. Stages: max, exp, sum.
/// Source: Milakov, Gimelshein 2018, "Online normalizer calculation for softmax", alg. 2.
[[nodiscard]] Func softmax(std::string name, const Tensor& x, const Dim& over);
/// x - logsumexp(x).
[[nodiscard]] Func log_softmax(std::string name, const Tensor& x, const Dim& over);
/// (x - mean) / sqrt(variance + epsilon) * scale + bias over `over`; scale and bias broadcast to x. Floats; dims and dtype of x.
/// Source: Ba, Kiros, Hinton 2016, "Layer normalization".
[[nodiscard]] Func layer_norm(std::string name, const Tensor& x, const Dims& over, const Tensor& scale = {},
                              const Tensor& bias = {}, double epsilon = 1e-5);
/// x / sqrt(mean(x^2) + epsilon) * scale. Source: Zhang, Sennrich 2019, "Root mean square layer normalization".
[[nodiscard]] Func rms_norm(std::string name, const Tensor& x, const Dims& over, const Tensor& scale = {}, double epsilon = 1e-6);
/// logits[..., c], labels[...] integers -> [...]: logsumexp(logits) - logits[label]. The labels' range must be known:
/// Input::values_in(0, c.extent()) (E0402 otherwise, when the Algorithm is made).
[[nodiscard]] Func cross_entropy(std::string name, const Tensor& logits, const Tensor& labels);

struct AttentionOptions {
    std::optional<double> scale = {};  // default 1 / sqrt(d)
    bool causal = false;               // the last query sees every key, the one before it all but the last, ...
    Tensor bias = {};                  // added to the scaled scores, broadcast to [..., q, k]
};
/// query[..., q, d] key[..., k, d] value[..., k, e] -> [..., q, e], dtype of query; leading dims broadcast. A query that sees no
/// key gives 0. Stages: scores, max, exp, sum. Source: Vaswani et al. 2017, "Attention is all you need", eq. 1.
[[nodiscard]] Func attention(std::string name, const Tensor& query, const Tensor& key, const Tensor& value,
                             const AttentionOptions& options = {});

// ---- gathers and scatters

/// table[v, ...], indices[...] integers in [0, v) (values_in(), else E0402) -> dims of indices, then those of table but v.
[[nodiscard]] Func embedding(std::string name, const Tensor& table, const Tensor& indices);
/// 1 where the index equals the class, else 0: dims of indices, then `classes`. Lazy.
[[nodiscard]] Tensor one_hot(const Tensor& indices, const Dim& classes, DType dtype = f32);
/// Counts (u32) of the values of integer x along `over`; the other dims stay, then `bin`. Values outside [0, bin) are not
/// counted.
[[nodiscard]] Func histogram(std::string name, const Tensor& x, const Dim& bin, const Dims& over = {Dim("...")});

}  // namespace tessera::ops
