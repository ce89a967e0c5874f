#include "autodiff/names.h"

#include "base/check.h"

#include <cctype>
#include <mutex>
#include <unordered_map>

namespace tessera {

NameSupply::NameSupply(const AlgorithmState& algorithm) {
    const auto dim = [&](const Dim& d) { dims_.insert(d.name()); };
    for (const Argument& a : algorithm.arguments) {
        funcs_.insert(a.state()->name);
        for (const Dim& d : a.state()->dims) dim(d);
    }
    for (const Dim& d : algorithm.dims) dim(d);
    for (const Func& f : algorithm.funcs) {
        funcs_.insert(f.name());
        for (const Dim& d : f.dims()) dim(d);
        std::vector<Expr> roots = f.state()->values;
        if (f.state()->init.defined()) roots.push_back(f.state()->init);
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::dim || n->op == Op::extent) dim(n->dim());
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter)
                for (const Dim& d : n->reduction().dims) dim(d);
            if (n->op == Op::scatter)
                for (const Dim& d : n->scatter().destination) dim(d);
        });
    }
}

std::string NameSupply::prefix(const std::string& base) {
    while (true) {
        std::string name = func(base);
        const auto next = funcs_.lower_bound(name + "/");
        if (next == funcs_.end() || !next->starts_with(name + "/")) return name;
    }
}

std::string NameSupply::fresh(const std::string& base, std::set<std::string>& taken, char mark) {
    std::string name = base;
    for (int i = 1; !taken.insert(name).second; ++i) name = base + mark + std::to_string(i);
    return name;
}

void NameSupply::name_dims_after(const std::string& transform) {
    if (transform.empty()) return;
    dim_prefix_ = transform + "_";
    for (char& c : dim_prefix_)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
}
Dim NameSupply::dim(const std::string& base, const Extent& extent) {
    return Dim(fresh(dim_prefix_ + base, dims_, '_'), extent, SourceLoc{});
}
Dim NameSupply::dim(const std::string& base) { return Dim(fresh(dim_prefix_ + base, dims_, '_'), SourceLoc{}); }

Expr with_nodes(const Expr& e, const NodeValues& values) {
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({e}, [&](const Expr& n) {
        if (const auto found = values.find(n); found != values.end()) {
            done[n.get()] = found->second;
            return;
        }
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        done[n.get()] = args.empty() ? n : with_args(n, std::move(args));
    });
    return done.at(e.get());
}

Extent extent_of(const Expr& e) {
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::constant) {
            done[n.get()] = literal(n->integer());
        } else if (n->op == Op::extent) {
            done[n.get()] = Expr(n->dim().extent());
        } else if (n->op == Op::access) {
            done[n.get()] = Expr(Extent(Scalar(std::const_pointer_cast<InputState>(n->target().input))));
        } else if (n->op == Op::cast) {
            done[n.get()] = done.at(n->args[0].get());
        } else {
            std::vector<Operand> args;
            for (const Expr& a : n->args) args.emplace_back(done.at(a.get()));
            done[n.get()] = build_op(n->op, args);
        }
    });
    return Extent(done.at(e.get()).node());
}

void define_func(FuncState& f, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where) {
    f.dims = std::move(dims);
    f.dtypes.clear();
    for (const Expr& v : values) f.dtypes.push_back(v.dtype());
    f.values = std::move(values);
    f.where = where;
    f.defined = true;
}

Func made_func(std::string name, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where) {
    for (const Expr& v : values)
        for (const Dim& d : free_dims(v))
            TESSERA_CHECK(contains_dim(dims, d), "dim " + d.name() + " is free in the derivative " + name);
    Func f(std::move(name), where);
    define_func(*f.state(), std::move(dims), std::move(values), where);
    return f;
}

namespace {
// Funcs that transforms share, by base name, dims and values; it keeps none of them alive.
struct SharedFuncs {
    std::mutex mutex;
    std::map<std::vector<const void*>, std::map<std::string, std::weak_ptr<FuncState>>> by_definition;
};
SharedFuncs& shared_funcs() {
    static auto* all = new SharedFuncs;
    return *all;
}
}  // namespace

Func shared_func(const std::string& base, const std::vector<Dim>& dims, const std::vector<Expr>& values,
                 std::vector<const void*> apart, const std::function<Func()>& make) {
    std::vector<const void*> key = std::move(apart);
    key.push_back(nullptr);
    for (const Dim& d : dims) key.push_back(d.id());
    key.push_back(nullptr);
    for (const Expr& v : values) key.push_back(v.get());
    SharedFuncs& all = shared_funcs();
    const std::lock_guard lock(all.mutex);
    std::weak_ptr<FuncState>& known = all.by_definition[std::move(key)][base];
    if (const auto alive = known.lock()) return Func(alive);
    const Func made = make();
    known = made.state();
    return made;
}

Func shared_func(const std::string& base, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where, NameSupply& names,
                 const DerivativeRule* rule) {
    const Func f = shared_func(base, dims, values, {rule}, [&] { return made_func(names.func(base), dims, values, where); });
    names.reserve(f.name());
    return f;
}

Expr read_at(const Func& f, const std::vector<Expr>& indices, SourceLoc where, int component) {
    const DType dtype = f.state()->dtypes.at(static_cast<size_t>(component));
    return make_access({nullptr, f.state(), Boundary::none}, indices, dtype, component, where);
}

std::vector<Expr> dims_as_indices(const std::vector<Dim>& dims) {
    std::vector<Expr> indices;
    for (const Dim& d : dims) indices.push_back(make_dim(d));
    return indices;
}

}  // namespace tessera
