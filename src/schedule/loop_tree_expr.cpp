#include "schedule/loop_tree_expr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

namespace tessera {
namespace {

struct Symbol {
    Op op;
    std::string_view text;
    int level;
};
constexpr std::array<Symbol, 11> symbols{{{Op::or_, "||", 1},
                                          {Op::and_, "&&", 2},
                                          {Op::eq, "==", 3},
                                          {Op::ne, "!=", 3},
                                          {Op::lt, "<", 3},
                                          {Op::le, "<=", 3},
                                          {Op::add, "+", 4},
                                          {Op::sub, "-", 4},
                                          {Op::mul, "*", 5},
                                          {Op::div, "/", 5},
                                          {Op::mod, "%", 5}}};
constexpr std::array<std::string_view, 6> boundaries{"none", "clamp", "mirror", "mirror_interior", "periodic", "constant"};
constexpr std::array<std::string_view, 17> keywords{"let",    "if",     "allocate", "produce", "for",       "parallel",
                                                    "unroll", "vector", "block",    "cluster", "warpgroup", "warp",
                                                    "lane",   "thread", "frag",     "mesh",    "in"};

const Symbol* symbol_of(Op op) {
    for (const Symbol& s : symbols)
        if (s.op == op) return &s;
    return nullptr;
}
const OpRow* row_named(std::string_view name) {
    for (const OpRow& row : op_table())
        if (row.name == name && is_scalar_op(row.op)) return &row;
    return nullptr;
}
bool is_conversion(Op op) { return op == Op::cast || op == Op::saturate_cast || op == Op::bitcast; }

std::string constant_word(const ExprNode& n) {
    if (n.dtype == DType::bool_) return n.integer() ? "true" : "false";
    if (!is_float(n.dtype))
        return n.dtype == DType::i64 ? std::to_string(n.integer()) : fmt::format("{}{}", n.integer(), dtype_name(n.dtype));
    const double v = n.floating();
    if (std::isnan(v)) return fmt::format("nan_{}", dtype_name(n.dtype));
    if (std::isinf(v)) return fmt::format("{}inf_{}", v < 0 ? "-" : "", dtype_name(n.dtype));
    std::string text = fmt::format("{}", v);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text + std::string(dtype_name(n.dtype));
}

class ExprWriter {
public:
    TreeExprText run(const std::vector<Expr>& exprs) {
        count(exprs);
        TreeExprText out;
        for_each_node(exprs, [&](const Expr& n) {
            Use& use = uses_[n.get()];
            use.size = 1;
            use.height = 1;
            for (const Expr& a : n->args) {
                const Use& of = uses_[a.get()];
                use.size = std::min(use.size + (of.name.empty() ? of.size : 1), 1000);
                use.height = std::max(use.height, (of.name.empty() ? of.height : 0) + 1);
            }
            if (n->args.empty() || ((use.count < 2 || use.size < 8) && use.height < 40)) return;
            const std::string line = text(n, 0);
            use.name = fmt::format("%{}", out.shared.size());
            out.shared.push_back(fmt::format("{} = {}", use.name, line));
        });
        for (const Expr& e : exprs) out.texts.push_back(text(e, 0));
        return out;
    }

private:
    struct Use {
        int count = 0, size = 0, height = 0;
        std::string name;
    };

    void count(const std::vector<Expr>& exprs) {
        for (const Expr& e : exprs) ++uses_[e.get()].count;
        for_each_node(exprs, [&](const Expr& n) {
            for (const Expr& a : n->args) ++uses_[a.get()].count;
        });
    }

    std::string list(const Expr& e) {
        std::string out = "(";
        for (size_t i = 0; i < e->args.size(); ++i) out += (i ? ", " : "") + text(e->args[i], 0);
        return out + ")";
    }

    std::string text(const Expr& e, int level) {
        if (const std::string& name = uses_[e.get()].name; !name.empty()) return name;
        if (const Symbol* s = symbol_of(e->op)) {
            const bool tight = s->level == 5;
            const std::string out = text(e->args[0], s->level) + (tight ? "" : " ") + std::string(s->text) + (tight ? "" : " ") +
                                    text(e->args[1], s->level + 1);
            return s->level < level ? "(" + out + ")" : out;
        }
        if (e->op == Op::constant) return constant_word(*e);
        if (e->op == Op::dim || e->op == Op::extent) return tree_name(e->dim().name());
        if (e->op == Op::variable) return tree_name(std::get<std::shared_ptr<const Variable>>(e->attribute)->name);
        if (e->op == Op::access) {
            const AccessTarget& t = e->target();
            std::string out = tree_name(t.input ? t.input->name : t.func->name);
            if (t.boundary != Boundary::none) out += "@" + std::string(boundaries[static_cast<size_t>(t.boundary)]);
            out += list(e);
            return e->component() ? out + fmt::format("[{}]", e->component()) : out;
        }
        std::string name(op_row(e->op).name);
        if (is_conversion(e->op)) name += "." + std::string(dtype_name(e->dtype));
        return name + list(e);
    }

    std::unordered_map<const ExprNode*, Use> uses_;
};

bool name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; }

class ExprReader {
public:
    ExprReader(TreeLine& line, const TreeScope& scope) : t_(line), scope_(scope) {}

    Expr infix(int level) {
        if (++depth_ > 400) t_.fail("the expression is too deep");
        Expr left = primary();
        while (true) {
            const std::string token = t_.peek();
            const Symbol* found = nullptr;
            for (const Symbol& s : symbols)
                if (s.text == token && s.level >= level) found = &s;
            if (!found) break;
            t_.take();
            const Expr right = infix(found->level + 1);
            left = make_op(found->op, op_row(found->op).result == Result::boolean ? DType::bool_ : left->dtype, {left, right});
        }
        --depth_;
        return left;
    }

private:
    Expr primary() {
        if (t_.accept("(")) {
            const Expr e = infix(0);
            t_.expect(")");
            return e;
        }
        const bool negative = t_.accept("-");
        const std::string token = t_.peek();
        if (!token.empty() && (std::isdigit(static_cast<unsigned char>(token[0])) || token.rfind("inf_", 0) == 0))
            return number(t_.take(), negative);
        if (negative) t_.fail("a number is missing behind -");
        if (token.rfind("nan_", 0) == 0) return number(t_.take(), false);
        if (token == "true" || token == "false") return make_constant(DType::bool_, std::int64_t{t_.take() == "true"});
        if (token[0] == '%') {
            const auto found = scope_.shared.find(token);
            if (found == scope_.shared.end()) t_.fail(fmt::format("{} is not bound", token));
            t_.take();
            return found->second;
        }
        bool quoted = false;
        const std::string name = t_.name(&quoted);
        if (t_.peek() == "(" || t_.peek() == "@") return call(name, quoted);
        for (size_t i = scope_.variables.size(); i-- > 0;)
            if (scope_.variables[i].first == name) return scope_.variables[i].second;
        const auto extent = scope_.extents.find(name);
        if (extent == scope_.extents.end()) t_.fail(fmt::format("{} is neither a variable nor a dim", name));
        return extent->second;
    }

    Expr number(const std::string& token, bool negative) const {
        if (token.rfind("inf_", 0) == 0) return make_constant(parse_dtype(token.substr(4)), negative ? -INFINITY : INFINITY);
        if (token.rfind("nan_", 0) == 0) return make_constant(parse_dtype(token.substr(4)), std::nan(""));
        size_t end = 0;
        while (end < token.size() && (std::isdigit(static_cast<unsigned char>(token[end])) || token[end] == '.' ||
                                      token[end] == '-' || token[end] == '+' || (token[end] == 'e')))
            ++end;
        const std::string digits = (negative ? "-" : "") + token.substr(0, end);
        const DType dtype = end == token.size() ? DType::i64 : parse_dtype(token.substr(end));
        if (is_float(dtype)) return make_constant(dtype, std::strtod(digits.c_str(), nullptr));
        return make_constant(dtype, static_cast<std::int64_t>(std::strtoll(digits.c_str(), nullptr, 10)));
    }

    std::vector<Expr> arguments() {
        std::vector<Expr> args;
        t_.expect("(");
        while (!t_.accept(")")) {
            if (!args.empty()) t_.expect(",");
            args.push_back(infix(0));
        }
        return args;
    }

    Expr call(const std::string& name, bool quoted) {
        if (!quoted) {
            if (const OpRow* row = row_named(name)) return scalar(*row, arguments());
            const size_t dot = name.rfind('.');
            const OpRow* row = dot == std::string::npos ? nullptr : row_named(name.substr(0, dot));
            if (row && is_conversion(row->op)) return make_op(row->op, parse_dtype(name.substr(dot + 1)), arguments());
        }
        AccessTarget target;
        if (t_.accept("@")) {
            const std::string word = t_.name();
            const auto found = std::find(boundaries.begin(), boundaries.end(), word);
            if (found == boundaries.end()) t_.fail(fmt::format("{} is no boundary condition", word));
            target.boundary = static_cast<Boundary>(found - boundaries.begin());
        }
        const auto stage = scope_.stages.find(name);
        const auto input = scope_.inputs.find(name);
        if (stage != scope_.stages.end())
            target.func = stage->second;
        else if (input != scope_.inputs.end())
            target.input = input->second;
        else
            t_.fail(fmt::format("{} is neither a stage nor an input nor an operation", name));
        std::vector<Expr> args = arguments();
        const size_t rank = target.func ? target.func->dims.size() : target.input->dims.size();
        if (args.size() != rank + (target.boundary == Boundary::constant ? 1 : 0))
            t_.fail(fmt::format("{} has {} dims", name, rank));
        int component = 0;
        if (t_.accept("[")) {
            component = static_cast<int>(number(t_.take(), false)->integer());
            t_.expect("]");
        }
        if (component < 0 || (target.func ? static_cast<size_t>(component) >= target.func->dtypes.size() : component > 0))
            t_.fail(fmt::format("{} has no component {}", name, component));
        const DType dtype = target.func ? target.func->dtypes[static_cast<size_t>(component)] : target.input->dtype;
        return make_access(target, std::move(args), dtype, component, {});
    }

    Expr scalar(const OpRow& row, std::vector<Expr> args) const {
        if (row.arity >= 0 && args.size() != static_cast<size_t>(row.arity))
            t_.fail(fmt::format("{} takes {} operands", row.name, row.arity));
        if (args.empty() || (row.op == Op::select && args.size() != 3)) t_.fail(fmt::format("{} takes other operands", row.name));
        DType dtype = args[row.op == Op::select ? 1 : 0]->dtype;
        if (row.result == Result::boolean) dtype = DType::bool_;
        if (row.result == Result::f32) dtype = DType::f32;
        if (row.result == Result::u32) dtype = DType::u32;
        return make_op(row.op, dtype, std::move(args));
    }

    TreeLine& t_;
    const TreeScope& scope_;
    int depth_ = 0;
};

}  // namespace

std::string tree_name(const std::string& name) {
    bool plain = !name.empty() && name_start(name[0]) && std::all_of(name.begin(), name.end(), name_char) && name != "true" &&
                 name != "false" && name.rfind("inf_", 0) != 0 && name.rfind("nan_", 0) != 0 && !row_named(name);
    for (const std::string_view k : keywords) plain = plain && name != k;
    return plain ? name : "`" + name + "`";
}

TreeScope tree_scope(const BoundSchedule& bound) {
    TreeScope scope;
    const auto add_extent = [&](const Dim& d) {
        scope.extents.emplace(d.name(), resolve_weak(Expr(d.extent()), DType::i64, {}));
        if (!d.state().extent) return;
        for_each_node({Expr(*d.state().extent)}, [&](const Expr& n) {
            if (n->op == Op::extent) scope.extents.emplace(n->dim().name(), resolve_weak(n, DType::i64, {}));
        });
    };
    // The algorithm's first, which have one name each: memory that a backend adds may have dims that are called alike.
    for (const Dim& d : bound.graph.algorithm.state().dims) add_extent(d);
    for (const Argument& a : bound.graph.algorithm.arguments()) {
        scope.inputs.emplace(a.state()->name, a.state());
        for (const Dim& d : a.state()->dims) add_extent(d);
    }
    for (const Stage& s : bound.graph.stages) {
        scope.stages.emplace(s.name, s.func);
        for (const Dim& d : s.dims) add_extent(d);
        if (s.update)
            for (const Dim& d : s.update->reduction_dims) add_extent(d);
    }
    return scope;
}

TreeExprText tree_expr_text(const std::vector<Expr>& exprs) { return ExprWriter().run(exprs); }

Expr parse_tree_expr(TreeLine& line, const TreeScope& scope) { return ExprReader(line, scope).infix(0); }

// ---- words of a line

void TreeLine::skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
}
bool TreeLine::at_end() {
    skip_spaces();
    return at_ == text_.size();
}
size_t TreeLine::token_end() {
    skip_spaces();
    if (at_ == text_.size()) return at_;
    const char c = text_[at_];
    size_t end = at_ + 1;
    if (c == '`') {
        end = text_.find('`', at_ + 1);
        if (end == std::string_view::npos) fail("a quoted name does not end");
        return end + 1;
    }
    if (name_start(c)) {
        while (end < text_.size() && name_char(text_[end])) ++end;
        return end;
    }
    if (std::isdigit(static_cast<unsigned char>(c))) {
        // Digits, an exponent with its sign, a dtype.
        while (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '.' ||
                                      ((text_[end] == '+' || text_[end] == '-') && text_[end - 1] == 'e')))
            ++end;
        return end;
    }
    if (c == '%' && end < text_.size() && std::isdigit(static_cast<unsigned char>(text_[end])) &&
        (at_ == 0 || std::string_view(" (*+/%[{").find(text_[at_ - 1]) != std::string_view::npos)) {
        while (end < text_.size() && std::isdigit(static_cast<unsigned char>(text_[end]))) ++end;
        return end;
    }
    const std::string_view two = text_.substr(at_, 2);
    for (const std::string_view t : {"||", "&&", "==", "!=", "<="})
        if (two == t) return at_ + 2;
    return end;
}
std::string TreeLine::peek() {
    const size_t end = token_end();
    return std::string(text_.substr(at_, end - at_));
}
std::string TreeLine::take() {
    std::string token = peek();
    if (token.empty()) fail("the line ends early");
    at_ += token.size();
    return token;
}
bool TreeLine::accept(std::string_view token) {
    if (peek() != token) return false;
    at_ += token.size();
    return true;
}
void TreeLine::expect(std::string_view token) {
    if (!accept(token)) fail(fmt::format("{} is missing before '{}'", token, peek()));
}
std::string TreeLine::name(bool* quoted) {
    std::string token = take();
    if (token[0] == '`') {
        if (quoted) *quoted = true;
        return token.substr(1, token.size() - 2);
    }
    if (!name_start(token[0])) fail(fmt::format("a name is missing before '{}'", token));
    return token;
}
void TreeLine::fail(const std::string& message) const {
    throw Error(E0601_syntax, {}, fmt::format("line {} of a loop tree: {}", line_, message),
                {note(fmt::format("the line is: {}", text_)), note(fmt::format("at column {}", at_ + 1))});
}

}  // namespace tessera
