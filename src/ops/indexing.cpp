#include "ops/broadcast.h"

namespace tessera::ops {

Func embedding(std::string name, const Tensor& table, const Tensor& indices) {
    require_rank(table, 1, "table[v, ...]");
    require_integer("the index operand of embedding", indices);
    DistinctDims distinct(name);
    distinct.add_all(indices.dims());
    const std::vector<Dim> cells = distinct.add_all({table.dims().begin() + 1, table.dims().end()});
    std::vector<Index> at{Index(indices.value(), indices.where())};
    for (const Dim& d : cells) at.emplace_back(d);
    return define(name, distinct.dims(), table.at(at), table.where());
}

Tensor one_hot(const Tensor& indices, const Dim& classes, DType dtype) {
    require_integer("one_hot", indices);
    std::vector<Dim> dims = indices.dims();
    dims.push_back(classes);
    return {dims, Operand(tessera::cast(dtype, tessera::cast(i64, indices.value()) == classes), indices.where())};
}

Func histogram(std::string name, const Tensor& x, const Dim& bin, const Dims& over) {
    require_integer("histogram", x);
    const Dims dims = unpacked(x, over);
    std::vector<Dim> result = rest(x.dims(), dims);
    result.push_back(bin);
    return define(name, result,
                  scatter(plus, {to(bin, Operand(x.value(), x.where()))}, dims, Operand(tessera::cast(u32, 1), x.where())),
                  x.where());
}

}  // namespace tessera::ops
