#include "ops/broadcast.h"

#include <cmath>
#include <limits>

namespace tessera::ops {

namespace {
// The reduction of x over `over`, as a Func of the other dims.
template <class F>
Func reduced(const std::string& name, const Tensor& x, const Dims& over, F f) {
    const Dims dims = unpacked(x, over);
    return define(name, rest(x.dims(), dims), f(dims, Operand(x.value(), x.where())), x.where());
}
}  // namespace

Func sum(std::string name, const Tensor& x, const Dims& over) {
    return reduced(name, x, over, [](const Dims& d, const Operand& v) { return tessera::sum(d, v); });
}
Func prod(std::string name, const Tensor& x, const Dims& over) {
    return reduced(name, x, over, [](const Dims& d, const Operand& v) { return tessera::prod(d, v); });
}
Func max(std::string name, const Tensor& x, const Dims& over) {
    return reduced(name, x, over, [](const Dims& d, const Operand& v) { return tessera::max(d, v); });
}
Func min(std::string name, const Tensor& x, const Dims& over) {
    return reduced(name, x, over, [](const Dims& d, const Operand& v) { return tessera::min(d, v); });
}
Func mean(std::string name, const Tensor& x, const Dims& over) {
    return reduced(name, x, over, [](const Dims& d, const Operand& v) { return tessera::mean(d, v); });
}
Func argmax(std::string name, const Tensor& x, const Dim& over) {
    return reduced(name, x, {over}, [&](const Dims&, const Operand& v) { return tessera::argmax(over, v); });
}
Func argmin(std::string name, const Tensor& x, const Dim& over) {
    return reduced(name, x, {over}, [&](const Dims&, const Operand& v) { return tessera::argmin(over, v); });
}

Func variance(std::string name, const Tensor& x, const Dims& over, int ddof) {
    require_float("variance", x);
    const Dims dims = unpacked(x, over);
    const std::vector<Dim> kept = rest(x.dims(), dims);
    const DType w = wide(x.dtype());
    Func moments(name + "/moments", x.where());
    moments.at(indices_of(kept), x.where()) = welford(dims, Operand(tessera::cast(w, x.value()), x.where()));
    const FuncRef at = moments.at(indices_of(kept), x.where());
    return define(name, kept, tessera::cast(x.dtype(), at[2] / (at[0] - ddof)), x.where());
}

Func logsumexp(std::string name, const Tensor& x, const Dims& over) {
    require_float("logsumexp", x);
    const Dims dims = unpacked(x, over);
    const std::vector<Dim> kept = rest(x.dims(), dims);
    const Expr v = tessera::cast(wide(x.dtype()), x.value());
    const Func top = define(name + "/max", kept, tessera::max(dims, Operand(v, x.where())), x.where());
    // An infinite maximum would make the differences NaN: there the shift is 0. The result does not depend on the shift, so no
    // derivative goes through it.
    const Expr most = top.at(indices_of(kept), x.where());
    const Expr shift =
        straight_through(tessera::select(tessera::abs(most) == std::numeric_limits<double>::infinity(), 0, most), 0);
    const Func total = define(name + "/sum", kept, tessera::sum(dims, Operand(tessera::exp(v - shift), x.where())), x.where());
    return define(name, kept, tessera::cast(x.dtype(), tessera::log(total.at(indices_of(kept), x.where())) + shift), x.where());
}

Func cumsum(std::string name, const Tensor& x, const Dim& along, const ScanOptions& options) {
    require_dim(x, along);
    const bool half = is_narrow_float(x.dtype());
    const Expr body = half ? tessera::cast(f32, x.value()) : x.value();
    return define(name, x.dims(), tessera::cast(x.dtype(), scan(plus, along, Operand(body, x.where()), options)), x.where());
}

}  // namespace tessera::ops
