#include "ops/broadcast.h"

#include <fmt/format.h>

namespace tessera::ops {

Func softmax(std::string name, const Tensor& x, const Dim& over) {
    require_float("softmax", x);
    require_dim(x, over);
    const SourceLoc where = x.where();
    const std::vector<Dim> kept = rest(x.dims(), {over});
    const Expr v = tessera::cast(wide(x.dtype()), x.value());
    const Func top = define(name + "/max", kept, tessera::max({over}, Operand(v, where)), where);
    // The result does not depend on the shift, so no derivative goes through it.
    const Expr shift = straight_through(top.at(indices_of(kept), where), 0);
    const Func weight = define(name + "/exp", x.dims(), tessera::exp(v - shift), where);
    const Expr e = weight.at(indices_of(x.dims()), where);
    const Func total = define(name + "/sum", kept, tessera::sum({over}, Operand(e, where)), where);
    return define(name, x.dims(), tessera::cast(x.dtype(), e / total.at(indices_of(kept), where)), where);
}

Func log_softmax(std::string name, const Tensor& x, const Dim& over) {
    require_float("log_softmax", x);
    require_dim(x, over);
    const Tensor wider = cast(wide(x.dtype()), x);
    const Func total = logsumexp(name + "/logsumexp", wider, {over});
    return define(name, x.dims(), tessera::cast(x.dtype(), wider.value() - total.at(indices_of(total.dims()), x.where())),
                  x.where());
}

Func layer_norm(std::string name, const Tensor& x, const Dims& over, const Tensor& scale, const Tensor& bias, double epsilon) {
    require_float("layer_norm", x);
    const SourceLoc where = x.where();
    const Dims dims = unpacked(x, over);
    const std::vector<Dim> kept = rest(x.dims(), dims);
    const DType w = wide(x.dtype());
    const Expr v = tessera::cast(w, x.value());
    const Func center = define(name + "/mean", kept, tessera::mean(dims, Operand(v, where)), where);
    const Expr deviation = v - center.at(indices_of(kept), where);
    // Two passes: the squared deviations are sums of what layer_norm needs anyway, and cancel nothing.
    const Func spread = define(name + "/variance", kept, tessera::mean(dims, Operand(deviation * deviation, where)), where);
    Expr value = deviation / tessera::sqrt(spread.at(indices_of(kept), where) + epsilon);
    if (scale.defined()) value = value * tessera::cast(w, broadcast_to(scale, x));
    if (bias.defined()) value = value + tessera::cast(w, broadcast_to(bias, x));
    return define(name, x.dims(), tessera::cast(x.dtype(), value), where);
}

Func rms_norm(std::string name, const Tensor& x, const Dims& over, const Tensor& scale, double epsilon) {
    require_float("rms_norm", x);
    const SourceLoc where = x.where();
    const Dims dims = unpacked(x, over);
    const std::vector<Dim> kept = rest(x.dims(), dims);
    const DType w = wide(x.dtype());
    const Expr v = tessera::cast(w, x.value());
    const Func square = define(name + "/mean_square", kept, tessera::mean(dims, Operand(v * v, where)), where);
    Expr value = v / tessera::sqrt(square.at(indices_of(kept), where) + epsilon);
    if (scale.defined()) value = value * tessera::cast(w, broadcast_to(scale, x));
    return define(name, x.dims(), tessera::cast(x.dtype(), value), where);
}

Func cross_entropy(std::string name, const Tensor& logits, const Tensor& labels) {
    require_rank(logits, 1, "logits[..., c]");
    require_float("cross_entropy", logits);
    require_integer("the label operand of cross_entropy", labels);
    const Tensor wider = cast(wide(logits.dtype()), logits);
    const std::vector<Dim> examples(logits.dims().begin(), logits.dims().end() - 1);
    const Func total = logsumexp(name + "/logsumexp", wider, {logits.dims().back()});
    std::vector<Index> at = indices_of(examples);
    const Expr all = total.at(at, logits.where());
    at.emplace_back(broadcast_to(labels, {logits, examples}), labels.where());
    return define(name, examples, tessera::cast(logits.dtype(), all - wider.at(at)), logits.where());
}

}  // namespace tessera::ops
