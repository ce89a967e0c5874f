#include <tessera/tensor.h>

#include "algorithm/graph.h"
#include "ops/broadcast.h"

#include <fmt/format.h>

#include <unordered_map>

namespace tessera {

Tensor::Tensor(const Input& input, SourceLoc where)
    : dims_(input.dims()), value_(input.at(indices_of(input.dims()), where)), name_(input.name()), where_(where), input_(input) {}
Tensor::Tensor(const Func& func, SourceLoc where)
    : dims_(func.dims()), value_(func.at(indices_of(func.dims()), where).read()), name_(func.name()), where_(where), func_(func) {
}
Tensor::Tensor(const Scalar& scalar, SourceLoc where) : value_(scalar), name_(scalar.name()), where_(where) {}
Tensor::Tensor(std::vector<Dim> dims, const Operand& value) : dims_(std::move(dims)), value_(value.expr), where_(value.where) {
    for (size_t i = 0; i < dims_.size(); ++i)
        for (size_t j = i + 1; j < dims_.size(); ++j)
            if (dims_[i].id() == dims_[j].id())
                throw Error(E0104_repeated_dim, where_, fmt::format("a tensor has dim {} twice", dims_[i].name()),
                            {token(dims_[i].name()), fix("use a second Dim of the same extent")});
    for (const Dim& d : free_dims(value_))
        if (!contains_dim(dims_, d))
            throw Error(E0103_unknown_dim, where_,
                        fmt::format("dim {} is free in a tensor's value but not among its dims", d.name()),
                        {token(d.name()), fix(fmt::format("list {} among the dims", d.name()))});
}

Expr Tensor::at(const std::vector<Index>& indices) const {
    if (indices.size() != rank())
        throw Error(E0301_rank, where_, fmt::format("{} has {} dims but is read with {} indices", name_, rank(), indices.size()),
                    {expected(fmt::format("{} indices", rank())), received(std::to_string(indices.size()))});
    std::unordered_map<const void*, Expr> moved;
    for (size_t i = 0; i < rank(); ++i)
        if (const Expr index = index_expr(indices[i]); !index.same_as(make_dim(dims_[i]))) moved[dims_[i].id()] = index;
    if (moved.empty()) return value_;
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({value_}, [&](const Expr& n) {
        if (n->op == Op::dim) {
            const auto found = moved.find(n->dim().id());
            done[n.get()] = found == moved.end() ? n : found->second;
            return;
        }
        std::vector<Expr> args;
        bool changed = false;
        for (const Expr& a : n->args) {
            args.push_back(done.at(a.get()));
            changed = changed || !args.back().same_as(a);
        }
        done[n.get()] = changed ? with_args(n, std::move(args)) : n;
    });
    return done.at(value_.get());
}

namespace {
template <class F>
Tensor binary(const Tensor& a, const Tensor& b, F f) {
    return ops::map({a, b}, [&](const std::vector<Expr>& x) { return f(Operand(x[0], a.where()), Operand(x[1], b.where())); });
}
}  // namespace

Tensor operator+(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x + y; });
}
Tensor operator-(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x - y; });
}
Tensor operator*(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x * y; });
}
Tensor operator/(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x / y; });
}
Tensor operator%(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x % y; });
}
Tensor operator<(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x < y; });
}
Tensor operator<=(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x <= y; });
}
Tensor operator>(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x > y; });
}
Tensor operator>=(const Tensor& a, const Tensor& b) {
    return binary(a, b, [](const Operand& x, const Operand& y) { return x >= y; });
}
Tensor operator-(const Tensor& a) {
    return ops::map(a, [&](const Expr& x) { return -Operand(x, a.where()); });
}

}  // namespace tessera
