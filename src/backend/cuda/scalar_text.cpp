#include "backend/cuda/scalar_text.h"

#include "backend/cuda/cuda_source.h"
#include "schedule/inline_stages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <set>
#include <utility>

namespace tessera::cuda {
namespace {

/// How an op of floats and one of integers is written, with {0}, {1}, … for its operands. "": by name of the math function.
struct Spelling {
    Op op;
    std::string_view real, integer;  // "function" or a pattern with {0}
};
constexpr Spelling spellings[] = {
    {Op::add, "add_rn", "add_wrap"},
    {Op::sub, "sub_rn", "sub_wrap"},
    {Op::mul, "mul_rn", "mul_wrap"},
    {Op::div, "div_rn", "div_floor"},
    {Op::mod, "mod_floor_of", "mod_floor"},
    {Op::neg, "-{0}", "neg_wrap"},
    {Op::min, "min_of", "min_of"},
    {Op::max, "max_of", "max_of"},
    {Op::fma, "fma_rn", ""},
    {Op::abs, "abs_of", "abs_wrap"},
    {Op::bit_and, "", "({0} & {1})"},
    {Op::bit_or, "", "({0} | {1})"},
    {Op::bit_xor, "", "({0} ^ {1})"},
    {Op::bit_not, "", "(~{0})"},
    {Op::shl, "", "shift_left"},
    {Op::shr, "", "shift_right"},
    {Op::eq, "({0} == {1})", "({0} == {1})"},
    {Op::ne, "({0} != {1})", "({0} != {1})"},
    {Op::lt, "({0} < {1})", "({0} < {1})"},
    {Op::le, "({0} <= {1})", "({0} <= {1})"},
    {Op::and_, "", "({0} && {1})"},
    {Op::or_, "", "({0} || {1})"},
    {Op::not_, "", "(!{0})"},
    {Op::is_nan, "({0} != {0})", ""},
    {Op::round, "round_of", ""},
    {Op::floor, "floor_of", ""},
    {Op::ceil, "ceil_of", ""},
    {Op::trunc, "trunc_of", ""},
    {Op::sqrt, "sqrt_rn", ""},
};

constexpr std::pair<Op, std::string_view> fast_functions[] = {
    {Op::exp2, "exp2_approx"},
    {Op::log2, "log2_approx"},
    {Op::max, "max_number"},
    {Op::min, "min_number"},
};

}  // namespace

std::string filled_pattern(std::string_view pattern, const std::vector<std::string>& args) {
    std::string out;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '{') {
            out += args.at(static_cast<size_t>(pattern[i + 1] - '0'));
            i += 2;
        } else {
            out += pattern[i];
        }
    }
    return out;
}

std::string Lines::fresh(const std::string& wanted) {
    std::string name;
    for (const char c : wanted) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) name = "v" + name;
    // A name ends in a digit or letter of the user's, or in _<number> of ours.
    const int n = taken_[name]++;
    if (n == 0) return name;
    return fresh(fmt::format("{}_{}", name, n));
}

void ScalarText::count(const std::vector<Expr>& exprs) {
    for (const Expr& e : exprs) {
        kept_.push_back(e);
        ++uses_[e.get()];
    }
    for_each_node(exprs, [&](const Expr& n) {
        for (const Expr& a : n->args) ++uses_[a.get()];
    });
}

bool ScalarText::reads(const Expr& e) {
    for_each_node({e}, [&](const Expr& n) {
        bool any = n->op == Op::access && n->index_count() > 0;
        for (const Expr& a : n->args) any = any || reads_[a.get()];
        reads_[n.get()] = any;
    });
    return reads_[e.get()];
}

std::vector<std::string> ScalarText::values(const std::vector<Expr>& exprs) {
    uses_.clear();
    reads_.clear();
    kept_.clear();
    count(exprs);
    Known known;
    std::vector<std::string> out;
    for (const Expr& e : exprs) out.push_back(text(e, known));
    return out;
}

std::string ScalarText::index(const Expr& e) {
    reads_.clear();
    index_ = !reads(e);
    if (index_) leaves_.reach.note(e);
    std::string out = value(e);
    index_ = false;
    return out;
}

std::string ScalarText::named(const std::string& type, const std::string& value) {
    const std::string name = lines_.fresh("t");
    lines_.add(fmt::format("const {} {} = {};", type, name, value));
    return name;
}

std::string ScalarText::type_of(DType dtype) const {
    return index_ && dtype == DType::i64 ? leaves_.index_type : cuda_type(dtype);
}

std::string ScalarText::text(const Expr& e, Known& known) {
    if (const auto found = known.find(e.get()); found != known.end()) return found->second;
    std::string out = make(e, known);
    const bool leaf = e->op == Op::constant || e->op == Op::variable || e->op == Op::extent;
    if (!leaf && (uses_[e.get()] > 1 || out.size() > 160)) out = named(type_of(e->dtype), out);
    return known[e.get()] = out;
}

// A comparison inside a value of what is made of indices is computed as they are.
bool ScalarText::compares_indices(const Expr& e) {
    if ((e->op != Op::lt && e->op != Op::le && e->op != Op::eq && e->op != Op::ne) || e->args[0]->dtype != DType::i64)
        return false;
    bool of_indices = true;
    for_each_node(e->args, [&](const Expr& n) {
        static const std::set<Op> index_ops{Op::constant, Op::variable, Op::extent, Op::add, Op::sub,
                                            Op::mul,      Op::div,      Op::mod,    Op::min, Op::max};
        of_indices = of_indices && n->dtype == DType::i64 && index_ops.count(n->op) != 0;
    });
    return of_indices && leaves_.reach.most(e->args[0]).defined() && leaves_.reach.most(e->args[1]).defined();
}

std::string ScalarText::make(const Expr& e, Known& known) {
    if (!index_ && compares_indices(e)) {
        index_ = true;
        leaves_.reach.note(e);
        std::string out = make(e, known);
        index_ = false;
        return out;
    }
    const auto note = [&](const std::string& f) { return call(f); };
    if (e->op == Op::constant) return constant_text(e, note);
    if (e->op == Op::variable) return leaves_.variable(e);
    if (e->op == Op::extent) return leaves_.extent(e);
    if (e->op == Op::access) return read(e, known);
    if (e->op == Op::straight_through) return text(e->args[0], known);
    if (e->op == Op::select && (reads(e->args[1]) || reads(e->args[2]))) return branch(e, known);
    if ((e->op == Op::and_ || e->op == Op::or_) && reads(e->args[1])) return branch(e, known);
    if (e->op == Op::select)
        return fmt::format("({} ? {} : {})", text(e->args[0], known), text(e->args[1], known), text(e->args[2], known));
    if (e->op == Op::cast || e->op == Op::saturate_cast)
        return conversion_text(e->args[0]->dtype, e->dtype, e->op == Op::saturate_cast, text(e->args[0], known), note);
    std::vector<std::string> args;
    for (const Expr& a : e->args) args.push_back(text(a, known));
    return operation(e, args);
}

// select, and, or, whose later operands are computed only where they count.
std::string ScalarText::branch(const Expr& e, Known& known) {
    const std::string name = lines_.fresh("t");
    lines_.add(fmt::format("{} {};", cuda_type(e->dtype), name));
    const std::string condition = text(e->args[0], known);
    const auto side = [&](const Expr& value) {
        Known inner = known;
        lines_.add(fmt::format("{} = {};", name, text(value, inner)));
    };
    lines_.open(fmt::format("if ({}) {{", condition));
    if (e->op == Op::or_)
        lines_.add(fmt::format("{} = true;", name));
    else
        side(e->args[1]);
    lines_.otherwise();
    if (e->op == Op::and_)
        lines_.add(fmt::format("{} = false;", name));
    else
        side(e->args[e->op == Op::select ? 2 : 1]);
    lines_.close();
    return name;
}

std::string ScalarText::read(const Expr& e, Known& known) {
    const Boundary boundary = e->target().boundary;
    std::vector<Expr> place(e->args.begin(), e->args.begin() + static_cast<std::ptrdiff_t>(e->index_count()));
    if (boundary == Boundary::none || place.empty()) return at_place(e, place, known);
    std::vector<std::string> outside;
    for (size_t d = 0; d < place.size(); ++d) {
        const bool outer = std::exchange(index_, !reads(place[d]));
        std::string index = text(place[d], known);
        if (!std::all_of(index.begin(), index.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; }))
            index = named(type_of(DType::i64), index);
        const Expr here = make_variable(index, DType::i64), extent = leaves_.boundary_extent(e, d);
        // What is read from memory is computed in 64 bits, and inside the array behind the boundary's rule.
        if (index_) leaves_.reach.note(place[d]);
        if (index_ && boundary != Boundary::constant)
            leaves_.reach.add_value(here, place[d]);
        else
            leaves_.reach.add_variable(here, extent);
        kept_.push_back(here);
        known[here.get()] = index;
        if (boundary == Boundary::constant) {
            outside.push_back(fmt::format("{0} < 0 || {0} >= {1}", index, text(extent, known)));
            place[d] = here;
        } else {
            const Expr mapped = boundary_index(boundary, here, extent);
            count({mapped});
            if (index_) leaves_.reach.note(mapped);
            const std::string name = named(type_of(DType::i64), text(mapped, known));
            place[d] = make_variable(name, DType::i64);
            leaves_.reach.add_variable(place[d], extent);
            kept_.push_back(place[d]);
            known[place[d].get()] = name;
        }
        index_ = outer;
    }
    if (boundary != Boundary::constant) return at_place(e, place, known);
    const std::string name = lines_.fresh("t");
    lines_.add(fmt::format("{} {};", cuda_type(e->dtype), name));
    lines_.open(fmt::format("if ({}) {{", fmt::join(outside, " || ")));
    Known inner = known;
    lines_.add(fmt::format("{} = {};", name, text(e->args.back(), inner)));
    lines_.otherwise();
    inner = known;
    lines_.add(fmt::format("{} = {};", name, at_place(e, place, inner)));
    lines_.close();
    return name;
}

std::string ScalarText::at_place(const Expr& access, const std::vector<Expr>& place, Known& known) {
    const auto [pattern, offset] = leaves_.read(access, place);
    if (!offset.defined()) return pattern;
    count({offset});
    const bool outer = std::exchange(index_, !reads(offset));
    if (index_) leaves_.reach.note(offset);
    const std::string at = text(offset, known);
    index_ = outer;
    return filled_pattern(pattern, {at});
}

std::string ScalarText::operation(const Expr& e, const std::vector<std::string>& args) {
    const DType from = e->args[0]->dtype;
    const auto note = [&](const std::string& f) { return call(f); };
    if (e->op == Op::bitcast) {
        if (is_narrow_float(e->dtype) && is_narrow_float(from)) return fmt::format("{}{{({}).x}}", cuda_type(e->dtype), args[0]);
        if (is_narrow_float(e->dtype))
            return fmt::format("{}{{static_cast<u{}>({})}}", cuda_type(e->dtype), dtype_bits(e->dtype), args[0]);
        if (is_narrow_float(from)) return fmt::format("static_cast<{}>({}.x)", cuda_type(e->dtype), args[0]);
        if (is_float(e->dtype) == is_float(from)) return fmt::format("static_cast<{}>({})", cuda_type(e->dtype), args[0]);
        if (is_float(e->dtype))
            return fmt::format("{}(static_cast<{}>({}))", call("float_of"), e->dtype == DType::f32 ? "i32" : "i64", args[0]);
        return fmt::format("static_cast<{}>({}({}))", cuda_type(e->dtype), call("bits_of"), args[0]);
    }
    if (e->op == Op::uniform || e->op == Op::normal || e->op == Op::random_bits)
        return fmt::format("{}({})",
                           call(e->op == Op::uniform  ? "uniform_f32"
                                : e->op == Op::normal ? "normal_f32"
                                                      : "random_bits_u32"),
                           fmt::join(args, ", "));
    if (is_narrow_float(from)) {
        // Narrow floats compute in f32 and round.
        std::vector<Expr> wide;
        std::vector<std::string> singles;
        for (size_t i = 0; i < args.size(); ++i) {
            wide.push_back(make_op(Op::cast, DType::f32, {e->args[i]}));
            singles.push_back(conversion_text(from, DType::f32, false, args[i], note));
        }
        const DType result = e->dtype == from ? DType::f32 : e->dtype;
        const std::string value = operation(make_op(e->op, result, wide), singles);
        return e->dtype == from ? conversion_text(DType::f32, from, false, value, note) : value;
    }
    if (leaves_.fast_math && from == DType::f32)
        for (const auto& [op, function] : fast_functions)
            if (op == e->op) return fmt::format("{}({})", call(std::string(function)), fmt::join(args, ", "));
    if (is_math_function(e->op))
        return fmt::format("{}({})", call(fmt::format("{}_{}", op_row(e->op).name, from == DType::f64 ? "f64" : "f32")),
                           fmt::join(args, ", "));
    if (index_ && from == DType::i64 && (e->op == Op::add || e->op == Op::sub || e->op == Op::mul))
        return fmt::format("({} {} {})", args[0], e->op == Op::add ? '+' : e->op == Op::sub ? '-' : '*', args[1]);
    if (index_ && from == DType::i64 && (e->op == Op::div || e->op == Op::mod))
        if (const auto c = integer_constant(e->args[1]); c && *c > 0 && std::has_single_bit(static_cast<std::uint64_t>(*c)))
            return e->op == Op::div ? fmt::format("({} >> {})", args[0], std::countr_zero(static_cast<std::uint64_t>(*c)))
                                    : fmt::format("({} & {})", args[0], *c - 1);
    for (const Spelling& s : spellings) {
        if (s.op != e->op) continue;
        const std::string_view spelling = is_float(from) ? s.real : s.integer;
        if (spelling.empty()) break;
        if (spelling.find('{') != std::string_view::npos) return filled_pattern(spelling, args);
        const std::string type = is_float(from) ? "" : fmt::format("<{}>", type_of(from));
        return fmt::format("{}{}({})", call(std::string(spelling)), type, fmt::join(args, ", "));
    }
    throw Limit(L0901_not_on_target, {}, fmt::format("CUDA has no {} of {}", op_row(e->op).name, dtype_name(from)),
                {fix("compile for host"), fix("convert to f32 or i32 first")});
}

}  // namespace tessera::cuda
