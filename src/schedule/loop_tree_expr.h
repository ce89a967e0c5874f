#pragma once

#include "schedule/bound.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera {

/// A name as it stands in the text of a loop tree: quoted by backticks where it would read as something else.
[[nodiscard]] std::string tree_name(const std::string& name);

/// The Exprs of one statement: shared and tall parts first, as lines "%0 = …".
struct TreeExprText {
    std::vector<std::string> shared;
    std::vector<std::string> texts;  // one per Expr
};
[[nodiscard]] TreeExprText tree_expr_text(const std::vector<Expr>& exprs);

/// Reads the words of one line of a loop tree.
class TreeLine {
public:
    TreeLine(std::string_view text, int line) : text_(text), line_(line) {}

    [[nodiscard]] bool at_end();
    /// The next token without taking it: a name, a number, or one or two characters of punctuation; "" at the end.
    [[nodiscard]] std::string peek();
    std::string take();
    [[nodiscard]] bool accept(std::string_view token);
    void expect(std::string_view token);
    /// A name, without its quotes; `quoted` tells whether it had some.
    std::string name(bool* quoted = nullptr);
    [[noreturn]] void fail(const std::string& message) const;

private:
    size_t token_end();
    void skip_spaces();

    std::string_view text_;
    size_t at_ = 0;
    int line_;
};

/// What names stand for.
struct TreeScope {
    std::map<std::string, Expr> extents;
    std::map<std::string, std::shared_ptr<const InputState>> inputs;
    std::map<std::string, std::shared_ptr<FuncState>> stages;
    std::vector<std::pair<std::string, Expr>> variables;  // innermost last
    std::map<std::string, Expr> shared;                   // "%0"
};
/// The stages, inputs and extents of a bound schedule; no variables.
[[nodiscard]] TreeScope tree_scope(const BoundSchedule& bound);
[[nodiscard]] Expr parse_tree_expr(TreeLine& line, const TreeScope& scope);

}  // namespace tessera
