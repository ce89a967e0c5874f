#include "algorithm/graph_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace tessera {
namespace {

constexpr size_t longest_text = size_t{16} << 20;
constexpr size_t longest_quote = 60;

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    // False where a character starts no token; the last token of `tokens` is then that character.
    bool run(std::vector<Token>& tokens) {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '\n') {
                if (parentheses_ == 0) add(tokens, Token::Kind::newline, 1);
                ++at_, ++line_, start_ = at_;
            } else if (c == ' ' || c == '\t' || c == '\r') {
                ++at_;
            } else if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (!scan(tokens, c)) {
                add(tokens, Token::Kind::symbol, 1);
                return false;
            }
        }
        add(tokens, Token::Kind::end, 0);
        return true;
    }

private:
    void add(std::vector<Token>& tokens, Token::Kind kind, size_t length, size_t skip = 0) {
        tokens.push_back({kind, text_.substr(at_ + skip, length), line_, static_cast<int>(at_ - start_) + 1});
    }
    char ahead(size_t n) const { return at_ + n < text_.size() ? text_[at_ + n] : '\0'; }
    template <class Predicate>
    size_t run_of(size_t from, Predicate is) const {
        size_t n = from;
        while (at_ + n < text_.size() && is(text_[at_ + n])) ++n;
        return n;
    }

    bool scan(std::vector<Token>& tokens, char c) {
        if (is_letter(c)) return push(tokens, Token::Kind::word, word_length());
        if (is_digit(c)) return push(tokens, Token::Kind::number, number_length());
        if (c == '%' && is_digit(ahead(1))) {
            const size_t n = run_of(1, is_digit);
            add(tokens, Token::Kind::let, n - 1, 1);
            at_ += n;
            return true;
        }
        if (c == '\'') {
            const size_t n = run_of(1, [](char x) { return x != '\'' && x != '\n'; });
            if (ahead(n) != '\'') return false;
            add(tokens, Token::Kind::quoted, n - 1, 1);
            at_ += n + 1;
            return true;
        }
        for (const std::string_view two : {"==", "!=", "<=", "&&", "||"})
            if (text_.substr(at_, 2) == two) return push(tokens, Token::Kind::symbol, 2);
        if (std::string_view("(){}[],:=<+-*/%!").find(c) == std::string_view::npos) return false;
        if (c == '(' || c == '[') ++parentheses_;
        if ((c == ')' || c == ']') && parentheses_ > 0) --parentheses_;
        return push(tokens, Token::Kind::symbol, 1);
    }

    bool push(std::vector<Token>& tokens, Token::Kind kind, size_t length) {
        add(tokens, kind, length);
        at_ += length;
        return true;
    }

    // A name goes on over / before a letter and over . before a letter or digit; division has spaces.
    size_t word_length() const {
        size_t n = 1;
        while (is_word(ahead(n)) || (ahead(n) == '/' && is_letter(ahead(n + 1))) || (ahead(n) == '.' && is_word(ahead(n + 1))))
            ++n;
        return n;
    }

    size_t number_length() const {
        size_t n = run_of(1, is_digit);
        if (ahead(n) == '.' && is_digit(ahead(n + 1))) n = run_of(n + 1, is_digit);
        const size_t sign = ahead(n + 1) == '-' || ahead(n + 1) == '+' ? 1 : 0;
        if (ahead(n) == 'e' && is_digit(ahead(n + 1 + sign))) n = run_of(n + 1 + sign, is_digit);
        return run_of(n, is_word);
    }

    std::string_view text_;
    size_t at_ = 0, start_ = 0;
    int line_ = 1, parentheses_ = 0;
};

std::string described(const Token& t) {
    if (t.kind == Token::Kind::end) return "the end of the text";
    if (t.kind == Token::Kind::newline) return "the end of the line";
    if (t.kind == Token::Kind::let) return fmt::format("'%{}'", t.text.substr(0, longest_quote));
    const auto byte = static_cast<unsigned char>(t.text.empty() ? ' ' : t.text[0]);
    if (t.text.size() == 1 && (byte < 32 || byte > 126)) return fmt::format("the byte 0x{:02x}", byte);
    return fmt::format("'{}'", t.text.substr(0, longest_quote));
}

}  // namespace

TokenStream::TokenStream(std::string_view text) : text_(text) {
    if (text.size() > longest_text)
        throw Error(E0604_size, {}, fmt::format("a text of {} bytes is too large", text.size()),
                    {expected(fmt::format("at most {} bytes", longest_text)), fix("split the algorithm")});
    if (!Lexer(text).run(tokens_)) fail(tokens_.back(), "a name, a number or an operator");
}

Token TokenStream::take() {
    const Token t = peek();
    if (next_ + 1 < tokens_.size()) ++next_;
    return t;
}
bool TokenStream::at(std::string_view text) const {
    const Token& t = peek();
    return (t.kind == Token::Kind::symbol || t.kind == Token::Kind::word) && t.text == text;
}
bool TokenStream::accept(std::string_view text) {
    if (!at(text)) return false;
    take();
    return true;
}
void TokenStream::expect(std::string_view text) {
    if (!accept(text)) fail(peek(), fmt::format("'{}'", text));
}
std::string TokenStream::expect_name(std::string_view what) {
    if (!at_name()) fail(peek(), std::string(what));
    return std::string(take().text);
}
std::int64_t TokenStream::expect_integer(std::string_view what) {
    const Token t = peek();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), value);
    if (t.kind != Token::Kind::number || error != std::errc{} || end != t.text.data() + t.text.size()) fail(t, std::string(what));
    take();
    return value;
}
void TokenStream::skip_newlines() {
    while (peek().kind == Token::Kind::newline) take();
}

std::string TokenStream::marked(const Token& token) const {
    size_t begin = 0;
    for (int line = 1; line < token.line; ++line) begin = text_.find('\n', begin) + 1;
    std::string line(text_.substr(begin, text_.find('\n', begin) - begin));
    // Long lines are cut around the token.
    constexpr size_t width = 120;
    size_t column = static_cast<size_t>(token.column) - 1;
    if (line.size() > width) {
        const size_t cut = column > width / 2 ? column - width / 2 : 0;
        line = line.substr(cut, width);
        column -= cut;
    }
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = c == '\t' ? ' ' : '?';
    return fmt::format("{:5} | {}\n      | {}^", token.line, line, std::string(column, ' '));
}

void TokenStream::fail(const Token& token, const std::string& wanted, std::vector<Hint> hints) const {
    hints.insert(hints.begin(), note(fmt::format("in the text\n{}", marked(token))));
    hints.insert(hints.begin(), received(described(token)));
    hints.insert(hints.begin(), expected(wanted));
    throw Error(
        E0601_syntax, {},
        fmt::format("graph text {}:{}: found {} where {} is expected", token.line, token.column, described(token), wanted),
        std::move(hints));
}

}  // namespace tessera
