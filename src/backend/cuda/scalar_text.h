#pragma once

#include "backend/cuda/index_reach.h"
#include "expr/expr_node.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tessera::cuda {

/// Lines of C++ with their indentation, and names that were not given before.
class Lines {
public:
    void add(const std::string& line) { text_ += std::string(indent_ * 4, ' ') + line + "\n"; }
    void open(const std::string& line) { add(line), ++indent_; }
    void close(const std::string& line = "}") { --indent_, add(line); }
    void otherwise() { close("} else {"), ++indent_; }
    /// `wanted` with everything but letters and digits made _, and a number where it is taken.
    std::string fresh(const std::string& wanted);
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] size_t indent() const { return indent_; }

private:
    std::string text_;
    size_t indent_ = 0;
    std::map<std::string, int> taken_;
};

/// Where the leaves of expressions are.
struct Leaves {
    std::function<std::string(const Expr& variable)> variable;
    std::function<std::string(const Expr& extent)> extent;
    /// A read whose indices are all inside: a pattern in which {0} is the text of the offset.
    std::function<std::pair<std::string, Expr>(const Expr& access, const std::vector<Expr>& place)> read;
    std::function<Expr(const Expr& access, size_t dim)> boundary_extent;
    std::string index_type;  // of index arithmetic
    ReachScan& reach;        // is told of it
    bool fast_math = false;  // of f32: what the hardware approximates, and max and min of numbers
};

/// Writes scalar expressions: what is used twice gets a line of its own, branches are taken only where they must be, as a read in
/// the other one may be outside its memory.
class ScalarText {
public:
    ScalarText(Lines& lines, std::set<std::string>& functions, Leaves leaves)
        : lines_(lines), functions_(functions), leaves_(std::move(leaves)) {}

    /// The text of each value; lines that they need are written before.
    std::vector<std::string> values(const std::vector<Expr>& exprs);
    std::string value(const Expr& e) { return values({e})[0]; }
    /// An index, extent or condition over them: it does not overflow, so + - * stand as they are. What reads memory is a value.
    std::string index(const Expr& e);
    /// A device function's name, noted as used.
    std::string call(const std::string& function) { return functions_.insert(function), function; }

private:
    using Known = std::map<const ExprNode*, std::string>;

    std::string text(const Expr& e, Known& known);
    std::string make(const Expr& e, Known& known);
    bool compares_indices(const Expr& e);
    std::string branch(const Expr& e, Known& known);
    std::string read(const Expr& e, Known& known);
    std::string named(const std::string& type, const std::string& value);
    /// The type of values of a dtype where the text stands.
    [[nodiscard]] std::string type_of(DType dtype) const;
    std::string operation(const Expr& e, const std::vector<std::string>& args);
    void count(const std::vector<Expr>& exprs);
    [[nodiscard]] bool reads(const Expr& e);
    std::string at_place(const Expr& access, const std::vector<Expr>& place, Known& known);

    bool index_ = false;
    Lines& lines_;
    std::set<std::string>& functions_;
    Leaves leaves_;
    std::map<const ExprNode*, int> uses_;
    std::map<const ExprNode*, bool> reads_;
    std::vector<Expr> kept_;  // nodes are named by address, so they stay alive
};

/// `pattern` with {0}, {1}, … replaced.
[[nodiscard]] std::string filled_pattern(std::string_view pattern, const std::vector<std::string>& args);
/// A constant as C++ text of its dtype.
[[nodiscard]] std::string constant_text(const Expr& constant, const std::function<std::string(const std::string&)>& call);
/// The text of a conversion between dtypes. Throws L0901 for one that would round twice.
[[nodiscard]] std::string conversion_text(DType from, DType to, bool saturate, const std::string& value,
                                          const std::function<std::string(const std::string&)>& call);

}  // namespace tessera::cuda
