#pragma once

#include "algorithm/expr_classes.h"
#include "algorithm/graph_names.h"

namespace tessera {

/// Prints Exprs in the notation of the text: shared or deep parts are lets %0, %1, … of a block.
class ExprText {
public:
    ExprText(ExprClasses& classes, GraphNames& names, std::function<std::string(int)> monoid_name)
        : classes_(classes), names_(names), monoid_name_(std::move(monoid_name)) {}

    /// One value, a tuple `(a, b)`, or a block `{ lets, value }`; `indent` is of the line it starts on.
    [[nodiscard]] std::string body(const std::vector<Expr>& roots, const std::string& indent = "");

private:
    struct Use {
        int count = 0;
        int size = 1, height = 1;  // of the text that stands where it is used
        int let = -1;
    };
    void plan(const std::vector<int>& roots);
    bool becomes_let(int c, const Use& use) const;
    std::string dtype_of(int c) const;
    std::string text(int c, int precedence);
    std::string spell(int c, int precedence);
    std::string access(const ExprClasses::Class& c);
    std::string structured(const ExprClasses::Class& c);
    std::string call(std::string_view name, const std::vector<int>& args, size_t first = 0);
    std::string dims(const std::vector<Dim>& dims) const;

    ExprClasses& classes_;
    GraphNames& names_;
    std::function<std::string(int)> monoid_name_;
    std::unordered_map<int, Use> uses_;
    std::vector<int> order_;  // args before users
};

/// A constant with its dtype: 3, 9u16, 0.5f32, -f32.inf, true.
[[nodiscard]] std::string constant_text(const ExprNode& constant);

}  // namespace tessera
