#include "algorithm/expr_classes.h"

#include <fmt/format.h>

namespace tessera {
namespace {

std::string dims_key(const std::vector<Dim>& dims) {
    std::string key;
    for (const Dim& d : dims) key += fmt::format("{},", d.id());
    return key;
}

std::string reduction_key(const Reduction& r, int monoid) {
    return fmt::format("r{}|{}|{}.{}|{}{}{}|{}", monoid, dims_key(r.dims), static_cast<int>(r.order.kind), r.order.block,
                       int{r.has_where}, int{r.exclusive}, int{r.reverse}, r.name);
}

bool is_structured(Op op) { return op == Op::reduce || op == Op::scan || op == Op::scatter; }

}  // namespace

std::string ExprClasses::attribute_key(const ExprNode& n) {
    if (n.op == Op::dim || n.op == Op::extent) return fmt::format("{}", n.dim().id());
    if (n.op == Op::variable) return std::get<std::shared_ptr<const Variable>>(n.attribute)->name;
    if (n.op == Op::access) {
        const AccessTarget& t = n.target();
        return fmt::format("{}/{}/{}", fmt::ptr(t.input.get()), fmt::ptr(t.func.get()), static_cast<int>(t.boundary));
    }
    if (!is_structured(n.op)) return {};
    const std::string key = reduction_key(n.reduction(), monoid_number_(n.reduction()));
    return n.op == Op::scatter ? key + "|" + dims_key(n.scatter().destination) + (n.scatter().has_init ? "i" : "") : key;
}

int ExprClasses::intern(const std::string& key, Kind kind, const Expr& node, std::vector<int> args) {
    const auto [it, fresh] = by_key_.emplace(key, static_cast<int>(classes_.size()));
    if (fresh) classes_.push_back({kind, node, std::move(args)});
    return it->second;
}

int ExprClasses::number(const Expr& e) {
    if (const auto known = by_node_.find(e.get()); known != by_node_.end()) return known->second;
    alive_.push_back(e);
    for_each_node({e}, [&](const Expr& n) {
        if (by_node_.count(n.get())) return;
        std::vector<int> args;
        std::string key = fmt::format("{}:", static_cast<int>(n->op));
        for (const Expr& a : n->args) {
            args.push_back(by_node_.at(a.get()));
            key += fmt::format("{},", args.back());
        }
        key += attribute_key(*n);
        if (is_structured(n->op) && n->reduction().components() > 1) {
            const int bundle = intern("b" + key, Kind::bundle, n, std::move(args));
            by_node_[n.get()] = intern(fmt::format("p{}.{}", bundle, n->component()), Kind::part, n, {bundle});
            return;
        }
        key += fmt::format(";{}{}{}", static_cast<int>(n->dtype), n->weak ? "w" : "s", n->bits);
        by_node_[n.get()] = intern(key, Kind::node, n, std::move(args));
    });
    return by_node_.at(e.get());
}

}  // namespace tessera
