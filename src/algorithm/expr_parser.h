#pragma once

#include "algorithm/graph.h"
#include "algorithm/graph_lexer.h"

#include <map>
#include <set>

namespace tessera {

/// What the names of a text stand for at a point of it.
struct GraphScope {
    std::map<std::string, Dim> dims;
    std::map<std::string, std::shared_ptr<InputState>> inputs;
    std::map<std::string, Func> funcs;
    std::map<std::string, Monoid> monoids;
    std::map<std::string, Expr> variables;  // a0, b0, … inside a monoid, where there are no dims
    std::string defining;                   // the Func whose definition is read
    std::set<std::string> defined_later;    // Funcs that the text defines somewhere
};

/// The place of a token in the errors of what is built from it.
[[nodiscard]] SourceLoc text_place(const Token& token);

/// Reads expressions, building them as the operators of the language do: what they refuse is refused here.
class ExprParser {
public:
    enum class Mode { values, extents };
    ExprParser(TokenStream& tokens, const GraphScope& scope, Mode mode = Mode::values) : t_(tokens), scope_(scope), mode_(mode) {}

    /// `count` values: one expression, a tuple, or a block of lets that ends in either.
    [[nodiscard]] std::vector<Expr> body(size_t count);
    [[nodiscard]] Expr expression();
    [[nodiscard]] DType dtype();
    [[nodiscard]] Dim dim();

private:
    using Values = std::vector<Expr>;  // more than one: a reduction's components

    Expr infix(int precedence);
    Values unary();
    Values primary();
    Values number(bool negative);
    Values word();
    Values value_of_name(const Token& name);
    Values call(const Token& name);
    Values scalar_op(const Token& name, const OpRow& row);
    Values conversion(const Token& name, Op op);
    Values access(const Token& name, Boundary boundary);
    Values reduction(const Token& name, const Monoid& monoid);
    Values scan_of(const Token& name);
    Values scatter_of(const Token& name);

    struct Options {
        Where where;
        Order order;
        bool exclusive = false, reverse = false;
        std::string name;
        std::vector<Operand> init;
    };
    Options options();
    Order order();
    bool at_option() const;
    std::vector<Operand> operands();  // up to an option or the closing parenthesis, which stays
    std::vector<Index> indices();     // with both parentheses
    std::vector<Dim> braced_dims();
    Monoid monoid();
    int component(const Token& of, size_t count);
    Expr single(const Values& values, const Token& at) const;
    Operand operand(const Expr& e, const Token& at) const { return {e, text_place(at)}; }
    [[noreturn]] void unknown_tensor(const Token& name) const;

    TokenStream& t_;
    const GraphScope& scope_;
    Mode mode_;
    std::map<std::string, Values, std::less<>> lets_;
    int depth_ = 0;
};

}  // namespace tessera
