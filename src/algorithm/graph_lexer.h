#pragma once

#include <tessera/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// Characters of names and numbers, whatever the locale.
[[nodiscard]] inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
[[nodiscard]] inline bool is_word(char c) { return is_letter(c) || is_digit(c); }

/// A token of Graph IR text. Newlines count outside parentheses and brackets only.
struct Token {
    enum class Kind { word, quoted, number, let, symbol, newline, end };
    Kind kind = Kind::end;
    std::string_view text;  // of a quoted name without its quotes, of a let without its %
    int line = 1, column = 1;
};

/// A text as tokens, with one token looked at. Throws E0601 for what is no token, E0604 for a text of more than 16 MiB.
class TokenStream {
public:
    explicit TokenStream(std::string_view text);

    [[nodiscard]] const Token& peek(size_t ahead = 0) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }
    Token take();
    [[nodiscard]] const Token& last() const { return tokens_[next_ > 0 ? next_ - 1 : 0]; }
    [[nodiscard]] bool at(std::string_view symbol_or_word) const;
    bool accept(std::string_view symbol_or_word);
    void expect(std::string_view symbol_or_word);
    [[nodiscard]] bool at_name() const { return peek().kind == Token::Kind::word || peek().kind == Token::Kind::quoted; }
    /// A bare or quoted name.
    std::string expect_name(std::string_view what);
    std::int64_t expect_integer(std::string_view what);
    void skip_newlines();

    /// E0601 at the token: "found x where `wanted` is expected".
    [[noreturn]] void fail(const Token& token, const std::string& wanted, std::vector<Hint> hints = {}) const;
    /// The line of the token and a caret below it.
    [[nodiscard]] std::string marked(const Token& token) const;

private:
    std::string_view text_;
    std::vector<Token> tokens_;
    size_t next_ = 0;
};

}  // namespace tessera
