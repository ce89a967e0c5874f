#include "schedule/condition.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace tessera {
namespace {

using Kind = Condition::Kind;

struct OperatorRow {
    Kind kind;
    std::string_view text;
    int level;  // binds tighter when higher
};
constexpr std::array operator_rows{
    OperatorRow{Kind::or_, "||", 1}, OperatorRow{Kind::and_, "&&", 2}, OperatorRow{Kind::eq, "==", 3},
    OperatorRow{Kind::ne, "!=", 3},  OperatorRow{Kind::le, "<=", 3},   OperatorRow{Kind::ge, ">=", 3},
    OperatorRow{Kind::lt, "<", 3},   OperatorRow{Kind::gt, ">", 3},    OperatorRow{Kind::add, "+", 4},
    OperatorRow{Kind::sub, "-", 4},  OperatorRow{Kind::mul, "*", 5},   OperatorRow{Kind::div, "/", 5},
    OperatorRow{Kind::mod, "%", 5},
};
constexpr int comparison_level = 3;
constexpr int unary_level = 6;
constexpr int deepest_nesting = 64;
constexpr size_t longest_condition = 4096;

const OperatorRow* row_of(Kind kind) {
    for (const OperatorRow& row : operator_rows)
        if (row.kind == kind) return &row;
    return nullptr;
}

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class ConditionParser {
public:
    explicit ConditionParser(std::string_view text) : text_(text) {}

    Condition parse() {
        if (text_.size() > longest_condition) fail(fmt::format("it is longer than {} bytes", longest_condition));
        Condition whole = binary(1);
        skip_space();
        if (at_ != text_.size()) fail("an operator is missing");
        if (!whole.is_boolean()) fail("it is a number, not a comparison");
        return whole;
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw Error(E0511_variant, {}, fmt::format("condition '{}' is malformed: {}", text_.substr(0, 200), what),
                    {note(fmt::format("at column {}", at_ + 1)),
                     fix("write comparisons joined by && || !, as in \"m % 192 == 0 && k <= 256\"")});
    }
    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }
    const OperatorRow* peek_operator() {
        skip_space();
        for (const OperatorRow& row : operator_rows)
            if (text_.substr(at_).starts_with(row.text)) return &row;
        return nullptr;
    }
    void expect_kind(const Condition& operand, bool boolean, std::string_view op) const {
        if (operand.is_boolean() != boolean) fail(fmt::format("'{}' takes {}", op, boolean ? "comparisons" : "numbers"));
    }

    // Precedence climbing; comparisons do not chain.
    Condition binary(int level) {
        if (level == unary_level) return unary();
        Condition left = binary(level + 1);
        while (const OperatorRow* row = peek_operator()) {
            if (row->level != level) break;
            at_ += row->text.size();
            Condition right = binary(level + 1);
            const bool boolean = level < comparison_level;
            expect_kind(left, boolean, row->text);
            expect_kind(right, boolean, row->text);
            Condition joined{.kind = row->kind};
            joined.args.push_back(std::move(left));
            joined.args.push_back(std::move(right));
            left = std::move(joined);
        }
        return left;
    }

    Condition unary() {
        if (++depth_ > deepest_nesting) fail(fmt::format("it nests deeper than {}", deepest_nesting));
        Condition result = unary_inside();
        --depth_;
        return result;
    }

    Condition unary_inside() {
        skip_space();
        if (at_ == text_.size()) fail("it ends where a value should stand");
        const char c = text_[at_];
        if (c == '!' || c == '-') {
            ++at_;
            Condition operand = unary();
            expect_kind(operand, c == '!', std::string_view(&c, 1));
            Condition result{.kind = c == '!' ? Kind::not_ : Kind::negate};
            result.args.push_back(std::move(operand));
            return result;
        }
        if (c == '(') {
            ++at_;
            Condition inside = binary(1);
            skip_space();
            if (at_ == text_.size() || text_[at_] != ')') fail("')' is missing");
            ++at_;
            return inside;
        }
        if (is_digit(c)) return number();
        if (is_name_start(c)) return name();
        fail("here should be a number, a name or '('");
    }

    Condition number() {
        Condition result;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), result.value);
        if (error != std::errc{}) fail("the number does not fit 64 bits");
        at_ = static_cast<size_t>(end - text_.data());
        return result;
    }

    Condition name() {
        const size_t start = at_;
        while (at_ < text_.size() && (is_name_start(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '.')) ++at_;
        return {.kind = Kind::name, .spelling = std::string(text_.substr(start, at_ - start))};
    }

    std::string_view text_;
    size_t at_ = 0;
    int depth_ = 0;
};

void print_condition(const Condition& c, int outer_level, std::string& out) {
    switch (c.kind) {
        case Kind::number: out += std::to_string(c.value); return;
        case Kind::name: out += c.spelling; return;
        case Kind::negate:
        case Kind::not_:
            out += c.kind == Kind::not_ ? '!' : '-';
            print_condition(c.args[0], unary_level, out);
            return;
        default: break;
    }
    const OperatorRow& row = *row_of(c.kind);
    const bool parentheses = row.level < outer_level;
    if (parentheses) out += '(';
    print_condition(c.args[0], row.level, out);
    out += fmt::format(" {} ", row.text);
    print_condition(c.args[1], row.level + 1, out);
    if (parentheses) out += ')';
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a));
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t wrap(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::int64_t evaluate_condition(const Condition& c, const std::map<std::string, std::int64_t>& values) {
    if (c.kind == Kind::number) return c.value;
    if (c.kind == Kind::name) {
        const auto found = values.find(c.spelling);
        if (found == values.end())
            throw Error(E0511_variant, {}, fmt::format("condition names '{}', which has no value", c.spelling),
                        {fix("use extents of dims, integer Scalars or strides of the algorithm")});
        return found->second;
    }
    const std::int64_t a = evaluate_condition(c.args[0], values);
    if (c.kind == Kind::not_) return a == 0;
    if (c.kind == Kind::negate) return wrap(0 - static_cast<std::uint64_t>(a));
    if (c.kind == Kind::and_ && a == 0) return 0;
    if (c.kind == Kind::or_ && a != 0) return 1;
    const std::int64_t b = evaluate_condition(c.args[1], values);
    const auto ua = static_cast<std::uint64_t>(a);
    const auto ub = static_cast<std::uint64_t>(b);
    switch (c.kind) {
        case Kind::mul: return wrap(ua * ub);
        case Kind::div: return floor_divide(a, b);
        case Kind::mod: return b == 0 ? 0 : wrap(ua - static_cast<std::uint64_t>(floor_divide(a, b)) * ub);
        case Kind::add: return wrap(ua + ub);
        case Kind::sub: return wrap(ua - ub);
        case Kind::lt: return a < b;
        case Kind::le: return a <= b;
        case Kind::gt: return a > b;
        case Kind::ge: return a >= b;
        case Kind::eq: return a == b;
        case Kind::ne: return a != b;
        default: return b != 0;  // and, or
    }
}

void collect_names(const Condition& c, std::set<std::string>& names) {
    if (c.kind == Kind::name) names.insert(c.spelling);
    for (const Condition& arg : c.args) collect_names(arg, names);
}

}  // namespace

Condition parse_condition(std::string_view text) { return ConditionParser(text).parse(); }

std::string to_text(const Condition& condition) {
    std::string out;
    print_condition(condition, 0, out);
    return out;
}

bool holds(const Condition& condition, const std::map<std::string, std::int64_t>& values) {
    return evaluate_condition(condition, values) != 0;
}

std::set<std::string> names_in(const Condition& condition) {
    std::set<std::string> names;
    collect_names(condition, names);
    return names;
}

std::vector<Condition> conjuncts(const Condition& condition) {
    if (condition.kind != Kind::and_) return {condition};
    std::vector<Condition> all = conjuncts(condition.args[0]);
    for (Condition& part : conjuncts(condition.args[1])) all.push_back(std::move(part));
    return all;
}

Condition renamed(const Condition& condition, const std::function<std::string(const std::string&)>& rename) {
    Condition result = condition;
    if (condition.kind == Kind::name) result.spelling = rename(condition.spelling);
    for (Condition& arg : result.args) arg = renamed(arg, rename);
    return result;
}

}  // namespace tessera
