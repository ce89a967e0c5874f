#include "base/json_text.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>
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

// Watches nesting and keys while the parser runs.
class JsonWatch {
public:
    JsonWatch(std::string_view what, JsonLimits limits) : what_(what), limits_(limits) {}

    bool operator()(int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
        using Event = nlohmann::json::parse_event_t;
        switch (event) {
            case Event::object_start:
            case Event::array_start: open(); break;
            case Event::object_end:
            case Event::array_end: keys_.pop_back(); break;
            case Event::key: add_key(value.get<std::string>()); break;
            case Event::value: break;
        }
        return true;
    }

private:
    void open() {
        keys_.emplace_back();
        if (keys_.size() > static_cast<size_t>(limits_.depth))
            throw Error(E0604_size, {}, fmt::format("{} is nested deeper than {} levels", what_, limits_.depth),
                        {note("no valid text needs that many")});
    }
    void add_key(const std::string& key) {
        if (!keys_.back().insert(key).second)
            throw Error(E0601_syntax, {}, fmt::format("{} has the key '{}' twice in one object", what_, shorten(key)),
                        {fix("keep one of them")});
    }

    std::string_view what_;
    JsonLimits limits_;
    std::vector<std::set<std::string>> keys_;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view what, JsonLimits limits) {
    if (text.size() > limits.bytes)
        throw Error(E0604_size, {}, fmt::format("{} has {} bytes", what, text.size()),
                    {note(fmt::format("at most {} are read", limits.bytes))});
    try {
        JsonWatch watch(what, limits);
        return nlohmann::json::parse(text, [&watch](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
            return watch(depth, event, value);
        });
    } catch (const nlohmann::json::parse_error& error) {
        const TextPlace place = place_of(text, error.byte == 0 ? 0 : error.byte - 1);
        throw Error(E0601_syntax, {}, fmt::format("{} is not JSON at line {}, column {}", what, place.line, place.column),
                    {note(shorten(error.what())), note("comments and trailing commas are not JSON")});
    } catch (const nlohmann::json::exception& error) {
        throw Error(E0601_syntax, {}, fmt::format("{} has a value that JSON readers cannot hold", what),
                    {note(shorten(error.what()))});
    }
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
