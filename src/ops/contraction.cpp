#include "ops/broadcast.h"

#include <fmt/format.h>

namespace tessera::ops {

namespace {

// What a contraction of x stores when the user does not say.
DType result_dtype(const Tensor& x) { return is_float(x.dtype()) ? x.dtype() : wide(x.dtype()); }

void require_same_dtype(const Tensor& a, const Tensor& b) {
    if (a.dtype() == b.dtype()) return;
    throw Error(E0201_dtype_mismatch, b.where(),
                fmt::format("{} is {} but {} is {}", a.name(), dtype_name(a.dtype()), b.name(), dtype_name(b.dtype())),
                {note(a.where(), fmt::format("{} is used here", a.name())), fix("convert one of them: ops::cast(dtype, x)")});
}

Expr product_sum(const Dims& over, const Expr& a, const Expr& b, DType accumulate, SourceLoc where) {
    return tessera::sum(over, Operand(tessera::cast(accumulate, a) * tessera::cast(accumulate, b), where));
}

Tensor with_last_two_swapped(const Tensor& t) {
    require_rank(t, 2, "[..., m, n] to be transposed");
    std::vector<Dim> order = t.dims();
    std::swap(order[t.rank() - 1], order[t.rank() - 2]);
    return transpose(t, order);
}

std::vector<Dim> leading(const Tensor& t, size_t last) {
    return {t.dims().begin(), t.dims().end() - static_cast<std::ptrdiff_t>(std::min(last, t.rank()))};
}

}  // namespace

Func matmul(std::string name, const Tensor& a, const Tensor& b, const MatmulOptions& options) {
    require_rank(a, 1, "[..., m, k]");
    require_rank(b, 1, "[..., k, n]");
    require_same_dtype(a, b);
    const std::vector<Dim> a_dims = options.transpose_a ? with_last_two_swapped(a).dims() : a.dims();
    const std::vector<Dim> b_dims = options.transpose_b ? with_last_two_swapped(b).dims() : b.dims();
    const Dim k_of_a = a_dims.back(), k_of_b = b.rank() == 1 ? b_dims[0] : b_dims[b.rank() - 2];
    require_equal(Shape(a), k_of_a, Shape(b), k_of_b);
    const std::vector<Dim> a_leading = leading(a, 2), b_leading = leading(b, 2);

    DistinctDims distinct(name);
    const std::vector<Dim> lead = distinct.add_all(broadcast({Shape(a, a_leading), Shape(b, b_leading)}));
    std::vector<Index> a_at = aligned(a_leading, lead), b_at = aligned(b_leading, lead);
    if (a.rank() > 1) a_at.emplace_back(distinct.add(a_dims[a.rank() - 2], "m"));
    std::vector<Index> n_at;
    if (b.rank() > 1) n_at.emplace_back(distinct.add(b_dims.back(), "n"));
    const std::vector<Dim> result = distinct.dims();
    const Dim k = distinct.add(k_of_a, "k");
    a_at.emplace_back(k);
    b_at.emplace_back(k);
    b_at.insert(b_at.end(), n_at.begin(), n_at.end());
    if (options.transpose_a) std::swap(a_at[a.rank() - 1], a_at[a.rank() - 2]);
    if (options.transpose_b) std::swap(b_at[b.rank() - 1], b_at[b.rank() - 2]);
    const DType stored = options.dtype.value_or(result_dtype(a));
    return define(name, result, tessera::cast(stored, product_sum({k}, a.at(a_at), b.at(b_at), wide(a.dtype()), a.where())),
                  a.where());
}

Func linear(std::string name, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    require_rank(x, 1, "x[..., k]");
    require_rank(weight, 2, "weight[n, k]");
    require_same_dtype(x, weight);
    require_equal(Shape(x), x.dims().back(), Shape(weight), weight.dims()[1]);
    DistinctDims distinct(name);
    std::vector<Index> x_at = indices_of(distinct.add_all(leading(x, 1)));
    const Dim n = distinct.add(weight.dims()[0], "n");
    const std::vector<Dim> result = distinct.dims();
    const Dim k = distinct.add(x.dims().back(), "k");
    x_at.emplace_back(k);
    const DType w = wide(x.dtype());
    Expr value = product_sum({k}, x.at(x_at), weight.at({n, k}), w, x.where());
    if (bias.defined()) value = value + tessera::cast(w, broadcast_to(bias, {x, {n}}));
    return define(name, result, tessera::cast(result_dtype(x), value), x.where());
}

namespace {

// One axis of a sliding window: the Dim of its results and the place that is read.
struct Axis {
    Dim out;
    Expr at;      // index along the image's dim
    Expr inside;  // undefined when it always is
};

Axis slide(const std::string& name, std::string_view local, const Dim& image, const Dim& element, const Window& w,
           SourceLoc where) {
    if (w.stride < 1 || w.dilation < 1 || w.padding < 0)
        throw Error(E0105_extent, where,
                    fmt::format("{} slides along {} with stride {}, dilation {}, padding {}", name, image.name(), w.stride,
                                w.dilation, w.padding),
                    {expected("stride >= 1, dilation >= 1, padding >= 0"), fix("check the options of the window")});
    const Dim out =
        own_dim(name, local, (image.extent() + (2 * w.padding - 1) - (element.extent() - 1) * w.dilation) / w.stride + 1);
    const Expr at = out * w.stride + element * w.dilation - w.padding;
    return {out, at, w.padding > 0 ? at >= 0 && at < image.extent() : Expr()};
}

}  // namespace

Func conv2d(std::string name, const Tensor& image, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
    require_rank(image, 3, "image[..., h, w, c]");
    require_rank(weight, 4, "weight[kh, kw, c, o]");
    require_same_dtype(image, weight);
    const std::vector<Dim>& dims = image.dims();
    const Dim h = dims[dims.size() - 3], w = dims[dims.size() - 2];
    require_equal(Shape(image), dims.back(), Shape(weight), weight.dims()[2]);
    DistinctDims distinct(name);
    const std::vector<Dim> lead = distinct.add_all(leading(image, 3));
    const Dim kh = distinct.add(weight.dims()[0], "kh"), kw = distinct.add(weight.dims()[1], "kw"),
              o = distinct.add(weight.dims()[3], "o");
    const Dim c = distinct.add(weight.dims()[2], "c");
    const Axis y = slide(name, "y", h, kh, options.y, image.where()), x = slide(name, "x", w, kw, options.x, image.where());

    std::vector<Index> at = indices_of(lead);
    at.insert(at.end(), {y.at, x.at, c});
    const bool padded = y.inside.defined() || x.inside.defined();
    Expr read;
    if (!padded)
        read = image.at(at);
    else if (image.input())
        read = constant(*image.input(), 0).at(at, image.where());
    else
        read = constant(image.func() ? *image.func() : named(name + "/image", image), 0).at(at, image.where());

    const DType accumulate = wide(image.dtype());
    Expr value = product_sum({kh, kw, c}, read, weight.at({kh, kw, c, o}), accumulate, image.where());
    if (bias.defined()) value = value + tessera::cast(accumulate, broadcast_to(bias, {image, {o}}));
    std::vector<Dim> result = lead;
    result.insert(result.end(), {y.out, x.out, o});
    return define(name, result, tessera::cast(result_dtype(image), value), image.where());
}

namespace {
template <class F>
Func pooled(const std::string& name, const Tensor& image, const PoolOptions& options, F reduce_window) {
    require_rank(image, 3, "image[..., h, w, c]");
    const std::vector<Dim>& dims = image.dims();
    const auto check = [&](std::int64_t size, const Window& w) {
        if (size >= 1 && w.padding <= (size - 1) * w.dilation) return;
        throw Error(E0105_extent, image.where(),
                    fmt::format("the window of {} has {} elements and a padding of {}", name, size, w.padding),
                    {expected("at least 1 element, and a padding below the reach of the window"),
                     fix("check the options of the window")});
    };
    check(options.height, options.y);
    check(options.width, options.x);
    const Dim r = own_dim(name, "r", options.height), s = own_dim(name, "s", options.width);
    const Axis y = slide(name, "y", dims[dims.size() - 3], r, options.y, image.where()),
               x = slide(name, "x", dims[dims.size() - 2], s, options.x, image.where());
    std::vector<Dim> result = leading(image, 3);
    std::vector<Index> at = indices_of(result);
    at.insert(at.end(), {y.at, x.at, dims.back()});
    result.insert(result.end(), {y.out, x.out, dims.back()});
    Where inside;
    if (y.inside.defined() && x.inside.defined())
        inside = where(y.inside && x.inside);
    else if (y.inside.defined() || x.inside.defined())
        inside = where(y.inside.defined() ? y.inside : x.inside);
    return define(name, result, reduce_window(Dims{r, s}, Operand(image.at(at), image.where()), inside), image.where());
}
}  // namespace

Func max_pool2d(std::string name, const Tensor& image, const PoolOptions& options) {
    return pooled(name, image, options, [](const Dims& d, const Operand& v, const Where& w) { return tessera::max(d, v, w); });
}
Func avg_pool2d(std::string name, const Tensor& image, const PoolOptions& options) {
    return pooled(name, image, options, [](const Dims& d, const Operand& v, const Where& w) { return tessera::mean(d, v, w); });
}

}  // namespace tessera::ops
