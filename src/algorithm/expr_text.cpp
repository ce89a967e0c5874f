#include "algorithm/expr_text.h"

#include "algorithm/infix.h"

#include <fmt/format.h>

#include <cmath>

namespace tessera {
namespace {

using Class = ExprClasses::Class;

// A shared value of at most this many nodes is written again where it is used; an unshared one nests at most this deep.
constexpr int repeated_size = 4;
constexpr int nested_height = 16;

constexpr int unary_precedence = 6;

const Infix* infix(Op op) {
    for (const Infix& row : infix_table)
        if (row.op == op) return &row;
    return nullptr;
}

bool is_structured(const Class& c) {
    return c.kind != ExprClasses::Kind::node || c.node->op == Op::reduce || c.node->op == Op::scan || c.node->op == Op::scatter;
}
bool is_leaf(const Class& c) { return c.kind == ExprClasses::Kind::node && c.args.empty() && c.node->op != Op::access; }

std::string_view boundary_word(Boundary b) {
    switch (b) {
        case Boundary::none: return "";
        case Boundary::clamp: return "clamp";
        case Boundary::mirror: return "mirror";
        case Boundary::mirror_interior: return "mirror_interior";
        case Boundary::periodic: return "periodic";
        case Boundary::constant: return "constant";
    }
    return "";
}

std::string order_text(Order order) {
    switch (order.kind) {
        case Order::Kind::any: return "any";
        case Order::Kind::ascending: return "ascending";
        case Order::Kind::pairwise: return fmt::format("pairwise({})", order.block);
        case Order::Kind::kahan: return "kahan";
        case Order::Kind::blocked: return fmt::format("blocked({})", order.block);
    }
    return {};
}

bool is_builtin(const Reduction& r) {
    for (const Monoid& m : builtin_monoids())
        if (m.shared() == r.monoid) return true;
    return false;
}

}  // namespace

std::string constant_text(const ExprNode& c) {
    const std::string_view suffix = dtype_name(c.dtype);
    if (c.dtype == DType::bool_) return c.bits != 0 ? "true" : "false";
    if (c.dtype == DType::i64) return fmt::format("{}", c.integer());
    if (c.dtype == DType::u64) return fmt::format("{}{}", c.bits, suffix);
    if (is_integer(c.dtype)) return fmt::format("{}{}", c.integer(), suffix);
    const double value = c.floating();
    if (std::isnan(value)) return fmt::format("{}.nan", suffix);
    if (std::isinf(value)) return fmt::format("{}{}.inf", value < 0 ? "-" : "", suffix);
    return c.dtype == DType::f64 ? fmt::format("{}{}", value, suffix) : fmt::format("{}{}", static_cast<float>(value), suffix);
}

bool ExprText::becomes_let(int c, const Use& use) const {
    const Class& k = classes_.at(c);
    if (is_leaf(k)) return false;
    if (k.kind == ExprClasses::Kind::part && uses_.at(k.args[0]).let >= 0) return false;
    return use.height >= nested_height || (use.count > 1 && (is_structured(k) || use.size > repeated_size));
}

void ExprText::plan(const std::vector<int>& roots) {
    uses_.clear();
    order_.clear();
    std::vector<std::pair<int, size_t>> stack;
    const auto enter = [&](int c) {
        if (++uses_[c].count == 1) stack.emplace_back(c, 0);
    };
    for (const int root : roots) {
        enter(root);
        while (!stack.empty()) {
            const int c = stack.back().first;
            const auto& args = classes_.at(c).args;
            if (stack.back().second < args.size()) {
                enter(args[stack.back().second++]);
                continue;
            }
            order_.push_back(c);
            stack.pop_back();
        }
    }
    int lets = 0;
    for (const int c : order_) {
        Use& use = uses_.at(c);
        for (const int a : classes_.at(c).args) {
            const Use& arg = uses_.at(a);
            use.size = std::min(1 << 20, use.size + (arg.let >= 0 ? 1 : arg.size));
            use.height = std::max(use.height, 1 + (arg.let >= 0 ? 1 : arg.height));
        }
        if (becomes_let(c, use)) use.let = lets++;
    }
}

std::string ExprText::dtype_of(int c) const {
    const Class& k = classes_.at(c);
    if (k.kind != ExprClasses::Kind::bundle) return std::string(dtype_name(k.node->dtype));
    std::string out;
    for (const Expr& e : k.node->reduction().identity)
        out += fmt::format("{}{}", out.empty() ? "(" : ", ", dtype_name(e.dtype()));
    return out + ")";
}

std::string ExprText::body(const std::vector<Expr>& roots, const std::string& indent) {
    std::vector<int> numbers;
    for (const Expr& e : roots) numbers.push_back(classes_.number(e));
    plan(numbers);
    std::string lets;
    for (const int c : order_)
        if (const int let = uses_.at(c).let; let >= 0)
            lets += fmt::format("{}  %{} : {} = {}\n", indent, let, dtype_of(c), spell(c, 0));
    std::string value = text(numbers[0], 0);
    if (numbers.size() > 1) {
        for (size_t i = 1; i < numbers.size(); ++i) value += ", " + text(numbers[i], 0);
        value = "(" + value + ")";
    }
    return lets.empty() ? value : fmt::format("{{\n{}{}  {}\n{}}}", lets, indent, value, indent);
}

std::string ExprText::text(int c, int precedence) {
    const int let = uses_.at(c).let;
    return let >= 0 ? fmt::format("%{}", let) : spell(c, precedence);
}

std::string ExprText::call(std::string_view name, const std::vector<int>& args, size_t first) {
    std::string out(name);
    out += "(";
    for (size_t i = first; i < args.size(); ++i) out += (i > first ? ", " : "") + text(args[i], 0);
    return out + ")";
}

std::string ExprText::dims(const std::vector<Dim>& dims) const {
    std::string out = "{";
    for (size_t i = 0; i < dims.size(); ++i) out += (i > 0 ? ", " : "") + names_.dim(dims[i]);
    return out + "}";
}

std::string ExprText::spell(int number, int precedence) {
    const Class& c = classes_.at(number);
    const ExprNode& n = *c.node;
    if (c.kind == ExprClasses::Kind::part) return fmt::format("{}[{}]", text(c.args[0], unary_precedence + 1), n.component());
    if (is_structured(c)) return structured(c);
    if (const Infix* row = infix(n.op)) {
        const int left = row->precedence == 3 ? 4 : row->precedence;
        const std::string out = fmt::format("{} {} {}", text(c.args[0], left), row->symbol, text(c.args[1], row->precedence + 1));
        return row->precedence < precedence ? "(" + out + ")" : out;
    }
    if (n.op == Op::constant) return constant_text(n);
    if (n.op == Op::dim) return names_.dim(n.dim());
    if (n.op == Op::extent) return fmt::format("extent({})", names_.dim(n.dim()));
    if (n.op == Op::variable) return std::get<std::shared_ptr<const Variable>>(n.attribute)->name;
    if (n.op == Op::access) return access(c);
    if (n.op == Op::neg || n.op == Op::not_) {
        const std::string operand = text(c.args[0], unary_precedence);
        const std::string_view sign = n.op == Op::neg ? "-" : "!";
        // A minus before a number would be part of the number.
        const std::string out = classes_.at(c.args[0]).node->op == Op::constant ? fmt::format("{}({})", sign, operand)
                                                                                : fmt::format("{}{}", sign, operand);
        return precedence > unary_precedence ? "(" + out + ")" : out;
    }
    // The conversion of a Scalar in an extent.
    if (n.op == Op::cast && n.weak) return text(c.args[0], precedence);
    if (n.op == Op::cast || n.op == Op::saturate_cast || n.op == Op::bitcast)
        return fmt::format("{}({}, {})", op_row(n.op).name, dtype_name(n.dtype), text(c.args[0], 0));
    return call(op_row(n.op).name, c.args);
}

std::string ExprText::access(const Class& c) {
    const ExprNode& n = *c.node;
    const AccessTarget& target = n.target();
    std::string name = target.input ? names_.input(*target.input) : names_.func(*target.func);
    std::vector<int> indices = c.args;
    if (target.boundary == Boundary::constant) {
        name = fmt::format("constant({}, {})", name, text(indices.back(), 0));
        indices.pop_back();
    } else if (target.boundary != Boundary::none) {
        name = fmt::format("{}({})", boundary_word(target.boundary), name);
    }
    const bool tuple = target.func && target.func->dtypes.size() > 1;
    return call(name, indices) + (tuple ? fmt::format("[{}]", n.component()) : "");
}

std::string ExprText::structured(const Class& c) {
    const ExprNode& n = *c.node;
    const Reduction& r = n.reduction();
    const std::string monoid = monoid_name_(classes_.monoid(r));
    std::string out;
    size_t next = 0;
    const size_t values = r.components();
    if (n.op == Op::scatter) {
        out = fmt::format("scatter({}, {{", monoid);
        for (const Dim& d : n.scatter().destination) {
            out += fmt::format("{}to({}, {})", next == 0 ? "" : ", ", names_.dim(d), text(c.args[next], 0));
            ++next;
        }
        out += "}, " + dims(r.dims);
    } else if (n.op == Op::scan) {
        out = fmt::format("scan({}, {}", monoid, names_.dim(r.dims[0]));
    } else {
        out = is_builtin(r) ? fmt::format("{}({}", monoid, dims(r.dims)) : fmt::format("reduce({}, {}", monoid, dims(r.dims));
    }
    for (size_t i = 0; i < values; ++i) out += ", " + text(c.args[next++], 0);
    if (n.op == Op::scatter && n.scatter().has_init) {
        out += ", init = (";
        for (size_t i = 0; i < values; ++i) out += (i > 0 ? ", " : "") + text(c.args[next++], 0);
        out += ")";
    }
    if (r.has_where) out += ", where = " + text(c.args[next], 0);
    if (r.order != Order::any()) out += ", order = " + order_text(r.order);
    if (r.exclusive) out += ", exclusive";
    if (r.reverse) out += ", reverse";
    if (!r.name.empty()) out += ", name = " + names_.stage(r.name);
    return out + ")";
}

}  // namespace tessera
