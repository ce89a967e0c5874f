#include <tessera/float8.h>

#include "base/check.h"
#include "base/hash.h"
#include "expr/expr_node.h"

#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <unordered_map>

namespace tessera {
namespace {

std::uint64_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

bool same_exprs(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (!a[i].same_as(b[i])) return false;
    return true;
}

bool same_dims(const std::vector<Dim>& a, const std::vector<Dim>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (a[i].id() != b[i].id()) return false;
    return true;
}

bool same(const Reduction& a, const Reduction& b) {
    return a.monoid == b.monoid && same_dims(a.dims, b.dims) && same_exprs(a.identity, b.identity) &&
           same_exprs(a.combined, b.combined) && a.order == b.order && a.has_where == b.has_where && a.exclusive == b.exclusive &&
           a.reverse == b.reverse && a.name == b.name;
}

// Attributes are compared by content where the front end makes a fresh object per call.
bool same_attribute(const Attribute& a, const Attribute& b) {
    if (a.index() != b.index()) return false;
    if (const auto* x = std::get_if<AccessTarget>(&a)) {
        const auto& y = std::get<AccessTarget>(b);
        return x->input == y.input && x->func == y.func && x->boundary == y.boundary;
    }
    if (const auto* x = std::get_if<std::shared_ptr<const Reduction>>(&a))
        return same(**x, *std::get<std::shared_ptr<const Reduction>>(b));
    if (const auto* x = std::get_if<std::shared_ptr<const Scatter>>(&a)) {
        const auto& y = std::get<std::shared_ptr<const Scatter>>(b);
        return same(*(*x)->reduction, *y->reduction) && same_dims((*x)->destination, y->destination) &&
               (*x)->has_init == y->has_init;
    }
    return a == b;
}

void hash_reduction(Hasher& h, const Reduction& r) {
    h.word(address(r.monoid.get())).word(r.dims.size()).text(r.name);
    for (const Dim& d : r.dims) h.word(address(d.id()));
}

std::uint64_t hash_of(const ExprNode& n) {
    Hasher h;
    h.word(static_cast<std::uint64_t>(n.op)).word(static_cast<std::uint64_t>(n.dtype)).word(n.weak).word(n.bits);
    for (const Expr& a : n.args) h.word(address(a.get()));
    h.word(static_cast<std::uint64_t>(n.where.line));
    if (const auto* d = std::get_if<std::shared_ptr<const DimState>>(&n.attribute)) h.word(address(d->get()));
    if (const auto* v = std::get_if<std::shared_ptr<const Variable>>(&n.attribute)) h.word(address(v->get()));
    if (const auto* t = std::get_if<AccessTarget>(&n.attribute))
        h.word(address(t->input.get())).word(address(t->func.get())).word(static_cast<std::uint64_t>(t->boundary));
    if (const auto* r = std::get_if<std::shared_ptr<const Reduction>>(&n.attribute)) hash_reduction(h, **r);
    if (const auto* s = std::get_if<std::shared_ptr<const Scatter>>(&n.attribute)) hash_reduction(h, *(*s)->reduction);
    return h.value();
}

bool equal(const ExprNode& a, const ExprNode& b) {
    return a.op == b.op && a.dtype == b.dtype && a.weak == b.weak && a.bits == b.bits && a.where.line == b.where.line &&
           a.where.file == b.where.file && same_exprs(a.args, b.args) && same_attribute(a.attribute, b.attribute);
}

// The table of live nodes. It holds no reference: a node removes itself when its last handle goes.
class Pool {
public:
    Expr intern(ExprNode&& node) {
        node.hash = hash_of(node);
        const std::lock_guard lock(mutex_);
        const auto [first, last] = nodes_.equal_range(node.hash);
        for (auto it = first; it != last; ++it)
            if (equal(*it->second.raw, node))
                if (auto alive = it->second.handle.lock()) return Expr(std::move(alive));
        auto* raw = new ExprNode(std::move(node));
        std::shared_ptr<const ExprNode> handle(raw, [this](const ExprNode* dead) { release(const_cast<ExprNode*>(dead)); });
        nodes_.emplace(raw->hash, Entry{raw, handle});
        return Expr(std::move(handle));
    }

private:
    struct Entry {
        const ExprNode* raw;
        std::weak_ptr<const ExprNode> handle;
    };

    // Frees a node; its args are queued, so that a deep DAG does not recurse.
    void release(ExprNode* dead) {
        {
            const std::lock_guard lock(mutex_);
            const auto [first, last] = nodes_.equal_range(dead->hash);
            for (auto it = first; it != last; ++it)
                if (it->second.raw == dead) {
                    nodes_.erase(it);
                    break;
                }
        }
        // Of the outermost release of the thread. A pointer, which static objects still find when thread_local ones are gone.
        thread_local std::vector<Expr>* pending = nullptr;
        std::vector<Expr> args = std::move(dead->args);
        delete dead;
        if (pending) {
            for (Expr& arg : args) pending->push_back(std::move(arg));
            return;
        }
        pending = &args;
        while (!args.empty()) {
            const Expr next = std::move(args.back());
            args.pop_back();
        }
        pending = nullptr;
    }

    std::mutex mutex_;
    std::unordered_multimap<std::uint64_t, Entry> nodes_;
};

// Never destroyed: handles in static objects may outlive any order of destruction.
Pool& pool() {
    static auto* the_pool = new Pool;
    return *the_pool;
}

}  // namespace

// The value that a constant of `dtype` has: equal constants are one node.
static double rounded_to(DType dtype, double value) {
    if (std::isnan(value)) return std::numeric_limits<double>::quiet_NaN();
    switch (dtype) {
        case DType::f16: return static_cast<float>(float16(value));
        case DType::bf16: return static_cast<float>(bfloat16(value));
        case DType::f8e4m3: return static_cast<float>(float8_e4m3(value));
        case DType::f8e5m2: return static_cast<float>(float8_e5m2(value));
        case DType::f32: return static_cast<double>(static_cast<float>(value));
        default: return value;
    }
}

Expr make_node(ExprNode node) { return pool().intern(std::move(node)); }

Expr make_op(Op op, DType dtype, std::vector<Expr> args, bool weak) {
    return make_node({.op = op, .dtype = dtype, .weak = weak, .args = std::move(args)});
}

Expr make_constant_bits(DType dtype, std::uint64_t bits, bool weak) {
    if (is_float(dtype)) bits = std::bit_cast<std::uint64_t>(rounded_to(dtype, std::bit_cast<double>(bits)));
    return make_node({.op = Op::constant, .dtype = dtype, .weak = weak, .bits = bits});
}
Expr make_constant(DType dtype, std::int64_t value) {
    if (is_float(dtype)) return make_constant(dtype, static_cast<double>(value));
    return make_constant_bits(dtype, static_cast<std::uint64_t>(value));
}
Expr make_constant(DType dtype, double value) {
    TESSERA_CHECK(is_float(dtype), "a float constant of an integer dtype");
    return make_constant_bits(dtype, std::bit_cast<std::uint64_t>(value));
}
Expr make_variable(std::string name, DType dtype) {
    return make_node(
        {.op = Op::variable, .dtype = dtype, .attribute = std::make_shared<const Variable>(Variable{std::move(name)})});
}
Expr make_dim(const Dim& dim) {
    return make_node({.op = Op::dim, .dtype = DType::i64, .attribute = std::shared_ptr<const DimState>(dim.shared())});
}
Expr make_access(AccessTarget target, std::vector<Expr> args, DType dtype, int component, SourceLoc where) {
    return make_node({.op = Op::access,
                      .dtype = dtype,
                      .bits = static_cast<std::uint64_t>(component),
                      .args = std::move(args),
                      .attribute = std::move(target),
                      .where = where});
}
Expr with_args(const Expr& e, std::vector<Expr> args) {
    ExprNode node = *e;
    node.args = std::move(args);
    return make_node(std::move(node));
}

double ExprNode::floating() const { return std::bit_cast<double>(bits); }
Dim ExprNode::dim() const { return Dim(std::const_pointer_cast<DimState>(std::get<std::shared_ptr<const DimState>>(attribute))); }
const AccessTarget& ExprNode::target() const { return std::get<AccessTarget>(attribute); }
const Scatter& ExprNode::scatter() const { return *std::get<std::shared_ptr<const Scatter>>(attribute); }
const Reduction& ExprNode::reduction() const {
    if (op == Op::scatter) return *scatter().reduction;
    return *std::get<std::shared_ptr<const Reduction>>(attribute);
}
size_t ExprNode::index_count() const { return args.size() - (target().boundary == Boundary::constant ? 1 : 0); }
Expr ExprNode::where_condition() const { return reduction().has_where ? args.back() : Expr(); }

bool is_constant(const Expr& e) { return e->op == Op::constant; }
std::optional<std::int64_t> integer_constant(const Expr& e) {
    if (e->op == Op::constant && !is_float(e->dtype)) return e->integer();
    return std::nullopt;
}

}  // namespace tessera
