#include "algorithm/expr_parser.h"

#include "algorithm/infix.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace tessera {
namespace {

using Kind = Token::Kind;
constexpr int deepest = 200;
constexpr const char* text_file = "graph text";

struct Deeper {
    Deeper(int& depth, const TokenStream& t) : depth_(depth) {
        if (++depth_ > deepest)
            throw Error(E0604_size, {},
                        fmt::format("graph text {}:{}: an expression is nested more than {} deep", t.peek().line, t.peek().column,
                                    deepest),
                        {note(fmt::format("in the text\n{}", t.marked(t.peek()))), fix("name a part of it: %0 : f32 = ...")});
    }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    int& depth_;
};

const OpRow* scalar_row(std::string_view name) {
    for (const OpRow& row : op_table())
        if (is_scalar_op(row.op) && row.name == name) return &row;
    return nullptr;
}

const Monoid* builtin_monoid(std::string_view name) {
    for (const Monoid& m : builtin_monoids())
        if (m.name() == name) return &m;
    return nullptr;
}

constexpr std::pair<std::string_view, Boundary> boundaries[] = {{"clamp", Boundary::clamp},
                                                                {"mirror", Boundary::mirror},
                                                                {"mirror_interior", Boundary::mirror_interior},
                                                                {"periodic", Boundary::periodic},
                                                                {"constant", Boundary::constant}};

std::optional<DType> dtype_called(std::string_view name) {
    for (int t = 0; t <= static_cast<int>(DType::f8e5m2); ++t)
        if (dtype_name(static_cast<DType>(t)) == name) return static_cast<DType>(t);
    return {};
}

template <class Map>
std::vector<std::string> keys(const Map& map) {
    std::vector<std::string> out;
    for (const auto& [key, value] : map) out.push_back(key);
    return out;
}

}  // namespace

SourceLoc text_place(const Token& token) { return {text_file, token.line}; }

// ---- bodies

std::vector<Expr> ExprParser::body(size_t count) {
    const bool block = t_.accept("{");
    if (block) {
        t_.skip_newlines();
        while (t_.peek().kind == Kind::let && (t_.peek(1).text == ":")) {
            const Token name = t_.take();
            t_.expect(":");
            std::vector<DType> types;
            if (t_.accept("(")) {
                do types.push_back(dtype());
                while (t_.accept(","));
                t_.expect(")");
            } else {
                types.push_back(dtype());
            }
            t_.expect("=");
            const Token at = t_.peek();
            Values values = types.size() == 1 ? Values{expression()} : unary();
            if (values.size() != types.size())
                throw Error(E0305_tuple, text_place(at),
                            fmt::format("%{} is declared with {} components but has {}", name.text, types.size(), values.size()),
                            {fix("declare one dtype per component")});
            for (size_t i = 0; i < types.size(); ++i)
                if (values[i].dtype() != types[i])
                    throw Error(
                        E0201_dtype_mismatch, text_place(at),
                        fmt::format("%{} is declared {} but is {}", name.text, dtype_name(types[i]),
                                    dtype_name(values[i].dtype())),
                        {expected(std::string(dtype_name(types[i]))), received(std::string(dtype_name(values[i].dtype()))),
                         fix("write a cast, or declare the other dtype")});
            if (!lets_.emplace(std::string(name.text), std::move(values)).second) t_.fail(name, "a let that is not defined yet");
            if (t_.peek().kind != Kind::newline) t_.fail(t_.peek(), "the end of the line");
            t_.skip_newlines();
        }
    }
    Values values;
    if (count == 1) {
        values.push_back(expression());
    } else {
        t_.expect("(");
        do values.push_back(expression());
        while (t_.accept(","));
        const Token end = t_.peek();
        t_.expect(")");
        if (values.size() != count)
            throw Error(E0305_tuple, text_place(end), fmt::format("{} values stand where {} are expected", values.size(), count),
                        {expected(std::to_string(count)), received(std::to_string(values.size())),
                         fix("write one value per dtype on the left")});
    }
    if (block) {
        t_.skip_newlines();
        t_.expect("}");
    }
    lets_.clear();
    return values;
}

DType ExprParser::dtype() {
    const Token t = t_.peek();
    const auto found = dtype_called(t.text);
    if (!found || t.kind != Kind::word)
        t_.fail(t, "a dtype", {fix("choose one of bool, i8 to i64, u8 to u64, f8e4m3, f8e5m2, f16, bf16, f32 and f64")});
    t_.take();
    return *found;
}

Dim ExprParser::dim() {
    const Token t = t_.peek();
    const std::string name = t_.expect_name("a dim");
    const auto found = scope_.dims.find(name);
    if (found == scope_.dims.end())
        throw Error(E0103_unknown_dim, text_place(t), fmt::format("there is no dim {}", name),
                    {fix_spelling(name, keys(scope_.dims)), fix(fmt::format("declare it above: dim {}", name))});
    return found->second;
}

// ---- operators

Expr ExprParser::expression() { return infix(0); }

Expr ExprParser::infix(int precedence) {
    const Deeper deeper(depth_, t_);
    const Token first = t_.peek();
    Values left = unary();
    while (true) {
        const Infix* row = nullptr;
        for (const Infix& candidate : infix_table)
            if (t_.peek().kind == Kind::symbol && t_.peek().text == candidate.symbol) row = &candidate;
        if (row == nullptr || row->precedence < precedence) return single(left, first);
        const Token at = t_.take();
        const Expr right = infix(row->precedence + 1);
        left = {build_op(row->op, {operand(single(left, first), at), operand(right, at)})};
    }
}

Expr ExprParser::single(const Values& values, const Token& at) const {
    if (values.size() == 1) return values[0];
    throw Error(E0305_tuple, text_place(at), fmt::format("a value of {} components stands where one is needed", values.size()),
                {fix("choose one: write [0] behind it")});
}

ExprParser::Values ExprParser::unary() {
    const Deeper deeper(depth_, t_);
    const Token at = t_.peek();
    if (t_.accept("-")) {
        if (t_.peek().kind == Kind::number) return number(true);
        const std::string_view next = t_.peek().text;
        if (t_.peek().kind == Kind::word && next.size() > 4 && next.substr(next.size() - 4) == ".inf" &&
            dtype_called(next.substr(0, next.size() - 4)))
            return {make_constant(*dtype_called(t_.take().text.substr(0, next.size() - 4)),
                                  -std::numeric_limits<double>::infinity())};
        return {build_op(Op::neg, {operand(single(unary(), at), at)})};
    }
    if (t_.accept("!")) return {build_op(Op::not_, {operand(single(unary(), at), at)})};
    const Token first = t_.peek();
    Values values = primary();
    if (values.size() > 1 && t_.at("[")) return {values[static_cast<size_t>(component(first, values.size()))]};
    return values;
}

int ExprParser::component(const Token& of, size_t count) {
    t_.expect("[");
    const std::int64_t i = t_.expect_integer("the number of a component");
    t_.expect("]");
    if (i < 0 || i >= static_cast<std::int64_t>(count))
        throw Error(E0305_tuple, text_place(of), fmt::format("component {} of {} does not exist", i, count),
                    {expected(fmt::format("0 to {}", count - 1)), received(std::to_string(i)), fix("choose one that exists")});
    return static_cast<int>(i);
}

// ---- primaries

ExprParser::Values ExprParser::primary() {
    const Token t = t_.peek();
    switch (t.kind) {
        case Kind::number: return number(false);
        case Kind::let: {
            const auto found = lets_.find(t.text);
            if (found == lets_.end()) t_.fail(t, "a let of this definition", {fix("write spaces around % for the remainder")});
            t_.take();
            return found->second;
        }
        case Kind::word: return word();
        case Kind::quoted: t_.take(); return t_.at("(") ? access(t, Boundary::none) : value_of_name(t);
        default: break;
    }
    if (t_.accept("(")) {
        const Expr e = expression();
        t_.expect(")");
        return {e};
    }
    t_.fail(t, "a value");
}

ExprParser::Values ExprParser::number(bool negative) {
    const Token t = t_.take();
    size_t digits = t.text.size();
    std::optional<DType> dtype;
    for (size_t n = 2; n <= 6 && n < t.text.size(); ++n)
        if (const auto found = dtype_called(t.text.substr(t.text.size() - n))) dtype = found, digits = t.text.size() - n;
    const std::string spelling = (negative ? "-" : "") + std::string(t.text.substr(0, digits));
    const char* begin = spelling.data();
    const char* end = begin + spelling.size();
    const auto read = [&](auto& value) {
        const auto [stop, error] = std::from_chars(begin, end, value);
        if (stop != end) t_.fail(t, "a number", {fix("write the dtype behind it: 0.5f32, 3u8; a number without one is an i64")});
        if (error != std::errc{})
            throw Error(E0203_literal, text_place(t),
                        fmt::format("the number {} does not fit {}", spelling, dtype ? dtype_name(*dtype) : "i64"),
                        {fix("choose a wider dtype")});
    };
    if (dtype == DType::f64) {
        double value = 0;
        read(value);
        return {make_constant(DType::f64, value)};
    }
    if (dtype && is_float(*dtype)) {
        float value = 0;
        read(value);
        return {make_constant(*dtype, static_cast<double>(value))};
    }
    if (dtype == DType::u64) {
        std::uint64_t value = 0;
        read(value);
        return {make_constant_bits(DType::u64, value)};
    }
    std::int64_t value = 0;
    read(value);
    if (!dtype && mode_ == Mode::extents) return {literal(value)};
    return {constant(dtype.value_or(DType::i64), value, text_place(t))};
}

ExprParser::Values ExprParser::word() {
    const Token t = t_.take();
    if (t.text == "true" || t.text == "false") return {literal(t.text == "true")};
    if (t.text.size() > 4 && t.text[t.text.size() - 4] == '.')
        if (const auto dtype = dtype_called(t.text.substr(0, t.text.size() - 4)); dtype && is_float(*dtype)) {
            if (t.text.ends_with(".inf")) return {highest(*dtype)};
            if (t.text.ends_with(".nan")) return {make_constant(*dtype, std::numeric_limits<double>::quiet_NaN())};
        }
    return t_.at("(") ? call(t) : value_of_name(t);
}

ExprParser::Values ExprParser::value_of_name(const Token& name) {
    if (const auto variable = scope_.variables.find(std::string(name.text)); variable != scope_.variables.end())
        return {variable->second};
    const auto dim = scope_.dims.find(std::string(name.text));
    if (dim != scope_.dims.end() && scope_.variables.empty()) return {make_dim(dim->second)};
    std::vector<Hint> hints{fix_spelling(name.text, scope_.variables.empty() ? keys(scope_.dims) : keys(scope_.variables))};
    if (name.text.find('/') != std::string_view::npos) hints.push_back(fix("write spaces around / to divide"));
    if (scope_.inputs.count(std::string(name.text)) || scope_.funcs.count(std::string(name.text)))
        hints.push_back(fix(fmt::format("write {}() to read a value without dims", name.text)));
    throw Error(E0103_unknown_dim, text_place(name), fmt::format("there is no dim {}", name.text), std::move(hints));
}

ExprParser::Values ExprParser::call(const Token& name) {
    for (const auto& [word, boundary] : boundaries)
        if (name.text == word) return access(name, boundary);
    if (name.text == "extent") {
        t_.expect("(");
        const Expr e(dim().extent());
        t_.expect(")");
        return {mode_ == Mode::extents ? e : resolve_weak(e, DType::i64, text_place(name))};
    }
    if (const Monoid* m = builtin_monoid(name.text); m != nullptr && t_.peek(1).text == "{") {
        t_.expect("(");
        return reduction(name, *m);
    }
    if (name.text == "reduce") {
        t_.expect("(");
        const Monoid m = monoid();
        t_.expect(",");
        return reduction(name, m);
    }
    if (name.text == "scan") return scan_of(name);
    if (name.text == "scatter") return scatter_of(name);
    if (const OpRow* row = scalar_row(name.text)) return scalar_op(name, *row);
    return access(name, Boundary::none);
}

ExprParser::Values ExprParser::conversion(const Token& name, Op op) {
    t_.expect("(");
    const DType to = dtype();
    t_.expect(",");
    const Operand value = operand(expression(), name);
    t_.expect(")");
    if (op == Op::cast) return {cast(to, value)};
    return {op == Op::bitcast ? bitcast(to, value) : saturate_cast(to, value)};
}

ExprParser::Values ExprParser::scalar_op(const Token& name, const OpRow& row) {
    if (row.op == Op::cast || row.op == Op::saturate_cast || row.op == Op::bitcast) return conversion(name, row.op);
    t_.expect("(");
    const std::vector<Operand> args = operands();
    t_.expect(")");
    if (static_cast<int>(args.size()) != row.arity) t_.fail(name, fmt::format("{} with {} operands", row.name, row.arity));
    const std::vector<Operand> keys(args.begin() + 1, args.end());
    if (row.op == Op::select) return {select(args[0], args[1], args[2])};
    if (row.op == Op::uniform) return {uniform(args[0], keys)};
    if (row.op == Op::normal) return {normal(args[0], keys)};
    if (row.op == Op::random_bits) return {random_bits(args[0], keys)};
    return {build_op(row.op, args)};
}

// ---- accesses

std::vector<Operand> ExprParser::operands() {
    std::vector<Operand> out;
    while (!t_.at(")") && !at_option()) {
        const Token at = t_.peek();
        out.push_back(operand(expression(), at));
        if (!t_.accept(",")) break;
    }
    return out;
}

std::vector<Index> ExprParser::indices() {
    t_.expect("(");
    std::vector<Index> out;
    for (const Operand& o : operands()) out.emplace_back(o.expr, o.where);
    t_.expect(")");
    return out;
}

void ExprParser::unknown_tensor(const Token& name) const {
    const std::string spelling(name.text);
    if (spelling == scope_.defining)
        throw Error(E0304_recursive, text_place(name), fmt::format("the definition of {} reads itself", spelling),
                    {fix("use scan(), or a recurrence with a time dim")});
    if (scope_.defined_later.count(spelling))
        throw Error(E0304_recursive, text_place(name), fmt::format("{} is read above its definition", spelling),
                    {fix(fmt::format("move the definition of {} up", spelling)),
                     fix("definitions that read each other are states of a recurrence")});
    std::vector<std::string> names = keys(scope_.funcs);
    for (const std::string& input : keys(scope_.inputs)) names.push_back(input);
    for (const OpRow& row : op_table())
        if (is_scalar_op(row.op)) names.emplace_back(row.name);
    throw Error(E0303_undefined, text_place(name), fmt::format("there is no {}", spelling), {fix_spelling(spelling, names)});
}

ExprParser::Values ExprParser::access(const Token& name, Boundary boundary) {
    Token tensor = name;
    Operand outside = Expr();
    if (boundary != Boundary::none) {
        t_.expect("(");
        tensor = t_.peek();
        t_.expect_name("an input or a Func");
        if (boundary == Boundary::constant) {
            t_.expect(",");
            outside = operand(expression(), tensor);
        }
        t_.expect(")");
    }
    const std::string spelling(tensor.text);
    const SourceLoc where = text_place(tensor);
    const auto input = scope_.inputs.find(spelling);
    if (input != scope_.inputs.end()) {
        const std::vector<Index> at = indices();
        if (mode_ == Mode::extents && input->second->scalar && at.empty()) return {Expr(Extent(Scalar(input->second)))};
        const Input handle(input->second);
        return {boundary == Boundary::none ? handle.at(at, where) : Bounded(handle, boundary, outside.expr).at(at, where)};
    }
    const auto func = scope_.funcs.find(spelling);
    if (func == scope_.funcs.end()) unknown_tensor(tensor);
    const std::vector<Index> at = indices();
    const Func& f = func->second;
    const size_t components = f.defined() ? static_cast<size_t>(f.components()) : 1;
    if (components > 1 && !t_.at("[")) return {f.at(at, where).read()};
    const int which = components > 1 ? component(tensor, components) : 0;
    return {read_func(f.state(), which, boundary, outside.expr, at, where)};
}

// ---- reductions, scans, scatters

Monoid ExprParser::monoid() {
    const Token t = t_.peek();
    const std::string name = t_.expect_name("a monoid");
    if (t.kind == Kind::word)
        if (const Monoid* m = builtin_monoid(name)) return *m;
    const auto found = scope_.monoids.find(name);
    if (found != scope_.monoids.end()) return found->second;
    std::vector<std::string> names = keys(scope_.monoids);
    for (const Monoid& m : builtin_monoids()) names.push_back(m.name());
    throw Error(E0303_undefined, text_place(t), fmt::format("there is no monoid {}", name), {fix_spelling(name, names)});
}

std::vector<Dim> ExprParser::braced_dims() {
    std::vector<Dim> dims;
    t_.expect("{");
    while (!t_.at("}")) {
        dims.push_back(dim());
        if (!t_.accept(",")) break;
    }
    t_.expect("}");
    return dims;
}

bool ExprParser::at_option() const {
    if (t_.peek().kind != Kind::word) return false;
    const std::string_view word = t_.peek().text;
    if (word == "exclusive" || word == "reverse") return true;
    return (word == "where" || word == "order" || word == "name" || word == "init") && t_.peek(1).text == "=";
}

Order ExprParser::order() {
    const Token t = t_.take();
    if (t.text == "any") return Order::any();
    if (t.text == "ascending") return Order::ascending();
    if (t.text == "kahan") return Order::kahan();
    if (t.text != "pairwise" && t.text != "blocked") t_.fail(t, "any, ascending, pairwise(n), kahan or blocked(n)");
    t_.expect("(");
    const std::int64_t block = t_.expect_integer("the size of a block");
    t_.expect(")");
    return t.text == "pairwise" ? Order::pairwise(block) : Order::blocked(block);
}

ExprParser::Options ExprParser::options() {
    Options out;
    while (at_option()) {
        const Token t = t_.take();
        if (t.text == "exclusive")
            out.exclusive = true;
        else if (t.text == "reverse")
            out.reverse = true;
        else
            t_.expect("=");
        if (t.text == "where") out.where = tessera::where(operand(expression(), t));
        if (t.text == "order") out.order = order();
        if (t.text == "name") out.name = t_.expect_name("the name of a stage");
        if (t.text == "init") {
            t_.expect("(");
            out.init = operands();
            t_.expect(")");
        }
        if (!t_.accept(",")) break;
    }
    t_.expect(")");
    return out;
}

namespace {
std::vector<Expr> exprs_of(const Tuple& tuple) {
    std::vector<Expr> out;
    for (size_t i = 0; i < tuple.size(); ++i) out.push_back(tuple[i]);
    return out;
}
}  // namespace

ExprParser::Values ExprParser::reduction(const Token& name, const Monoid& m) {
    const std::vector<Dim> dims = braced_dims();
    t_.expect(",");
    std::vector<Operand> values = operands();
    for (Operand& o : values) o.where = text_place(name);
    const Options o = options();
    return exprs_of(reduce(m, dims, values, o.where, {.order = o.order, .name = o.name}));
}

ExprParser::Values ExprParser::scan_of(const Token& name) {
    t_.expect("(");
    const Monoid m = monoid();
    t_.expect(",");
    const Dim t = dim();
    t_.expect(",");
    std::vector<Operand> values = operands();
    for (Operand& o : values) o.where = text_place(name);
    const Options o = options();
    return exprs_of(scan(m, t, values, {.exclusive = o.exclusive, .reverse = o.reverse, .name = o.name}));
}

ExprParser::Values ExprParser::scatter_of(const Token& name) {
    t_.expect("(");
    const Monoid m = monoid();
    t_.expect(",");
    t_.expect("{");
    std::vector<To> destination;
    while (t_.at("to")) {
        const Token at = t_.take();
        t_.expect("(");
        const Dim d = dim();
        t_.expect(",");
        destination.push_back(to(d, operand(expression(), at)));
        t_.expect(")");
        if (!t_.accept(",")) break;
    }
    t_.expect("}");
    t_.expect(",");
    const std::vector<Dim> over = braced_dims();
    t_.expect(",");
    std::vector<Operand> values = operands();
    for (Operand& o : values) o.where = text_place(name);
    const Options o = options();
    return exprs_of(scatter(m, destination, over, values, {.order = o.order, .name = o.name, .init = o.init}));
}

}  // namespace tessera
