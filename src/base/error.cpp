#include <tessera/error.h>

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <fstream>
#include <utility>

namespace tessera {
namespace {

struct CodeRow {
    std::string_view name;
    std::string_view summary;
};

constexpr std::array code_rows{
#define TESSERA_ERROR_CODE(code, summary) CodeRow{#code, summary},
#include <tessera/error_codes.def>
#undef TESSERA_ERROR_CODE
};

std::string source_line(SourceLoc where) {
    std::ifstream in(where.file);
    std::string line;
    for (int n = 0; n < where.line; ++n)
        if (!std::getline(in, line)) return {};
    return line;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Where `marked` stands in the line: as a word of its own outside of string literals, best before a parenthesis.
size_t find_token(const std::string& line, std::string_view marked) {
    if (marked.empty()) return std::string::npos;
    size_t first = std::string::npos;
    bool quoted = false;
    for (size_t at = 0; at + marked.size() <= line.size(); ++at) {
        if (line[at] == '"' && marked[0] != '"') quoted = !quoted;
        if (quoted || line.compare(at, marked.size(), marked) != 0) continue;
        const char before = at > 0 ? line[at - 1] : ' ';
        const char after = at + marked.size() < line.size() ? line[at + marked.size()] : ' ';
        if ((is_word(marked.front()) && is_word(before)) || (is_word(marked.back()) && is_word(after))) continue;
        const bool declared = at + marked.size() + 1 < line.size() && line[at + marked.size() + 1] == '"';
        if ((after == '(' && !declared) || !is_word(marked.front())) return at;
        if (first == std::string::npos) first = at;
    }
    return first != std::string::npos ? first : line.find(marked);
}

void append_place(std::string& out, SourceLoc where, std::string_view marked) {
    out += fmt::format("  --> {}:{}\n", where.file, where.line);
    const std::string line = source_line(where);
    if (line.empty()) return;
    out += fmt::format("{:5} | {}\n", where.line, line);
    const size_t at = find_token(line, marked);
    if (at != std::string::npos) out += fmt::format("      | {}{}\n", std::string(at, ' '), std::string(marked.size(), '^'));
}

std::string render(std::string_view kind, ErrorCode code, SourceLoc where, const std::string& message,
                   const std::vector<Hint>& hints) {
    std::string out = fmt::format("{}[{}]: {}\n", kind, code_text(code), message);
    std::string_view marked;
    for (const Hint& hint : hints)
        if (hint.kind == Hint::Kind::token) marked = hint.text;
    if (where.known()) append_place(out, where, marked);
    std::vector<std::string_view> fixes;
    for (const Hint& hint : hints) {
        switch (hint.kind) {
            case Hint::Kind::expected: out += "  expected: " + hint.text + "\n"; break;
            case Hint::Kind::received: out += "  received: " + hint.text + "\n"; break;
            case Hint::Kind::note:
                out += "  note: " + hint.text + "\n";
                if (hint.where.known()) append_place(out, hint.where, {});
                break;
            case Hint::Kind::fix: fixes.push_back(hint.text); break;
            case Hint::Kind::token: break;
        }
    }
    if (!fixes.empty()) {
        out += "  possible fixes:\n";
        for (size_t i = 0; i < fixes.size(); ++i) out += fmt::format("    {}. {}\n", i + 1, fixes[i]);
    }
    out.pop_back();
    return out;
}

}  // namespace

std::string_view code_text(ErrorCode code) { return code_rows.at(static_cast<size_t>(code)).name.substr(0, 5); }
std::string_view code_name(ErrorCode code) { return code_rows.at(static_cast<size_t>(code)).name.substr(6); }
std::string_view code_summary(ErrorCode code) { return code_rows.at(static_cast<size_t>(code)).summary; }

const std::vector<ErrorCode>& all_error_codes() {
    static const std::vector<ErrorCode> codes = [] {
        std::vector<ErrorCode> all;
        for (size_t i = 0; i < code_rows.size(); ++i) all.push_back(static_cast<ErrorCode>(i));
        return all;
    }();
    return codes;
}

Hint note(SourceLoc where, std::string text) { return {Hint::Kind::note, std::move(text), where}; }
Hint note(std::string text) { return {Hint::Kind::note, std::move(text), {}}; }
Hint expected(std::string text) { return {Hint::Kind::expected, std::move(text), {}}; }
Hint received(std::string text) { return {Hint::Kind::received, std::move(text), {}}; }
Hint fix(std::string text) { return {Hint::Kind::fix, std::move(text), {}}; }
Hint token(std::string text) { return {Hint::Kind::token, std::move(text), {}}; }

Exception::Exception(std::string_view kind, ErrorCode code, SourceLoc where, std::string message, std::vector<Hint> hints)
    : code_(code), where_(where), message_(std::move(message)), hints_(std::move(hints)),
      text_(render(kind, code_, where_, message_, hints_)) {}

}  // namespace tessera
