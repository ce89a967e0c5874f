#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// A line of the user's program. `file` is a string literal (never owned); an unknown location has line 0.
struct SourceLoc {
    const char* file = "";
    int line = 0;

    static constexpr SourceLoc current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
    [[nodiscard]] constexpr bool known() const { return line > 0; }
};

/// Stable codes, one per line of src/base/error_codes.def. E: the user's program, L: not supported yet, B: our fault.
enum class ErrorCode {
#define TESSERA_ERROR_CODE(code, summary) code,
#include <tessera/error_codes.def>
#undef TESSERA_ERROR_CODE
};
using enum ErrorCode;

/// "E0101" for E0101_unknown_dim.
[[nodiscard]] std::string_view code_text(ErrorCode code);
/// "unknown_dim" for E0101_unknown_dim.
[[nodiscard]] std::string_view code_name(ErrorCode code);
/// One line that says what the code is about.
[[nodiscard]] std::string_view code_summary(ErrorCode code);
[[nodiscard]] const std::vector<ErrorCode>& all_error_codes();

/// What stands below an error's message: a note with the place it talks about, the expected and the received value, or a
/// possible fix.
struct Hint {
    enum class Kind { note, expected, received, fix, token };
    Kind kind;
    std::string text;
    SourceLoc where;
};
[[nodiscard]] Hint note(SourceLoc where, std::string text);
[[nodiscard]] Hint note(std::string text);
[[nodiscard]] Hint expected(std::string text);
[[nodiscard]] Hint received(std::string text);
[[nodiscard]] Hint fix(std::string text);
/// The word of the source line that the printer marks; the first occurrence after which the statement's text is searched.
[[nodiscard]] Hint token(std::string text);

/// Base of Error, Limit and Bug. what() is the whole rendered text: message, place with the source line and the token marked
/// (when the file can be read), expected and received, notes, possible fixes.
class Exception : public std::exception {
public:
    [[nodiscard]] ErrorCode code() const { return code_; }
    [[nodiscard]] SourceLoc where() const { return where_; }
    [[nodiscard]] const std::string& message() const { return message_; }
    [[nodiscard]] const std::vector<Hint>& hints() const { return hints_; }
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

protected:
    Exception(std::string_view kind, ErrorCode code, SourceLoc where, std::string message, std::vector<Hint> hints);

private:
    ErrorCode code_;
    SourceLoc where_;
    std::string message_;
    std::vector<Hint> hints_;
    std::string text_;
};

/// The user's program is wrong.
class Error : public Exception {
public:
    Error(ErrorCode code, SourceLoc where, std::string message, std::vector<Hint> hints = {})
        : Exception("error", code, where, std::move(message), std::move(hints)) {}
};

/// Right, but not supported yet; a fix names the alternative.
class Limit : public Exception {
public:
    Limit(ErrorCode code, SourceLoc where, std::string message, std::vector<Hint> hints = {})
        : Exception("limit", code, where, std::move(message), std::move(hints)) {}
};

/// Tessera's own fault.
class Bug : public Exception {
public:
    Bug(ErrorCode code, SourceLoc where, std::string message, std::vector<Hint> hints = {})
        : Exception("bug", code, where, std::move(message), std::move(hints)) {}
};

}  // namespace tessera
