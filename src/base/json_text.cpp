#include "base/json_text.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace tessera {
namespace {

struct TextPlace {
    size_t line = 1;
    size_t column = 1;
};

TextPlace place_of(std::string_view text, size_t byte) {
    TextPlace place;
    for (char c : text.substr(0, std::min(byte, text.size()))) {
        if (c == '\n') {
            ++place.line;
            place.column = 1;
        } else {
            ++place.column;
        }
    }
    return place;
}

// Messages stay short, whatever was read.
std::string shorten(std::string text) {
    if (text.size() > 300) text = text.substr(0, 300) + " ...";
    return text;
}

// Builds the value and watches nesting and keys. (The library's own parser with a callback takes quadratic time on large
// objects.)
class JsonBuilder : public nlohmann::json::json_sax_t {
public:
    using json = nlohmann::json;

    JsonBuilder(std::string_view text, std::string_view what, JsonLimits limits) : text_(text), what_(what), limits_(limits) {}

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(json::object()); }
    bool start_array(std::size_t) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& key) override {
        const auto [place, added] = open_.back()->get_ref<json::object_t&>().try_emplace(key);
        if (!added)
            throw Error(E0601_syntax, {}, fmt::format("{} has the key '{}' twice in one object", what_, shorten(key)),
                        {fix("keep one of them")});
        member_ = &place->second;
        return true;
    }
    bool parse_error(std::size_t byte, const std::string&, const json::exception& error) override {
        const TextPlace place = place_of(text_, byte == 0 ? 0 : byte - 1);
        throw Error(E0601_syntax, {}, fmt::format("{} is not JSON at line {}, column {}", what_, place.line, place.column),
                    {note(shorten(error.what())), note("comments, trailing commas and numbers beyond 1e308 are not read")});
    }

    json take() { return std::move(root_); }

private:
    json& place() {
        if (open_.empty()) return root_;
        return open_.back()->is_array() ? open_.back()->get_ref<json::array_t&>().emplace_back() : *member_;
    }
    bool add(json value) {
        place() = std::move(value);
        return true;
    }
    bool open(json empty) {
        if (open_.size() >= static_cast<size_t>(limits_.depth))
            throw Error(E0604_size, {}, fmt::format("{} is nested deeper than {} levels", what_, limits_.depth),
                        {note("no valid text needs that many")});
        json& added = place();
        added = std::move(empty);
        open_.push_back(&added);
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    std::string_view text_;
    std::string_view what_;
    JsonLimits limits_;
    json root_;
    std::vector<json*> open_;  // stay where they are: only the innermost grows
    json* member_ = nullptr;   // of the innermost object, awaiting its value
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view what, JsonLimits limits) {
    if (text.size() > limits.bytes)
        throw Error(E0604_size, {}, fmt::format("{} has {} bytes", what, text.size()),
                    {note(fmt::format("at most {} are read", limits.bytes))});
    JsonBuilder builder(text, what, limits);
    nlohmann::json::sax_parse(text, &builder);
    return builder.take();
}

std::string pointer_escape(std::string_view key) {
    std::string out;
    for (char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
}

std::string pointer_unescape(std::string_view token) {
    std::string out;
    for (size_t i = 0; i < token.size(); ++i) {
        if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1'))
            out += token[++i] == '0' ? '~' : '/';
        else
            out += token[i];
    }
    return out;
}

}  // namespace tessera
