#include <tessera/schedule.h>

#include <fmt/format.h>

#include <charconv>

namespace tessera {
namespace {

[[noreturn]] void refuse_entry(std::string_view text, std::string_view what) {
    throw Error(E0508_storage, {}, fmt::format("layout entry '{}' is malformed: {}", text.substr(0, 200), what),
                {fix("write a dim, \"k/16\" for blocks of 16, \"k%16\" for the position in a block")});
}

// The positive number that follows the operator, which is taken off `rest`.
std::int64_t take_number(std::string_view text, std::string_view& rest) {
    const size_t end = std::min(rest.find_first_of("/%", 1), rest.size());
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + end, value);
    if (error != std::errc{} || stop != rest.data() + end) refuse_entry(text, "a number must follow / and %");
    if (value < 1 || value > 2147483647) refuse_entry(text, "its number must be from 1 to 2147483647");
    rest.remove_prefix(end);
    return value;
}

}  // namespace

LayoutEntry parse_layout_entry(std::string_view text) {
    LayoutEntry entry;
    std::string_view rest = text;
    const size_t end = std::min(text.find_first_of("/%"), text.size());
    entry.dim = text.substr(0, end);
    rest.remove_prefix(end);
    if (entry.dim.empty()) refuse_entry(text, "it has no dim");
    if (entry.dim.find_first_of(" \t\r\n") != std::string::npos) refuse_entry(text, "it has white space");
    if (rest.starts_with("/")) entry.div = take_number(text, rest);
    if (rest.starts_with("%")) entry.mod = take_number(text, rest);
    if (!rest.empty()) refuse_entry(text, "one / and then one % may stand in it");
    return entry;
}

std::string to_text(const LayoutEntry& entry) {
    std::string out = entry.dim;
    if (entry.div != 1) out += fmt::format("/{}", entry.div);
    if (entry.mod != 0) out += fmt::format("%{}", entry.mod);
    return out;
}

}  // namespace tessera
