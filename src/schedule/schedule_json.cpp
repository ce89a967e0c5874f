#include "schedule/schedule_json.h"

#include "base/json_text.h"
#include "schedule/primitive_table.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace tessera {
namespace {

using nlohmann::json;

constexpr size_t line_width = 120;

// Members with their nodes: of records in the table's order, of maps by name.
std::vector<std::pair<std::string, const PrimitiveNode*>> members_of(const json& object, const PrimitiveNode& node) {
    std::vector<std::pair<std::string, const PrimitiveNode*>> members;
    if (node.has(form_record)) {
        for (const PrimitiveNode* field : node.fields)
            if (object.contains(field->name())) members.emplace_back(field->name(), field);
    } else {
        for (const auto& item : object.items()) members.emplace_back(item.key(), node.element);
    }
    return members;
}

std::string one_line(const json& value, const PrimitiveNode& node, std::string_view space) {
    if (value.is_array()) {
        std::string out = "[";
        for (const json& item : value)
            out += fmt::format("{}{}", out.size() == 1 ? "" : "," + std::string(space), one_line(item, *node.element, space));
        return out + "]";
    }
    if (!value.is_object()) return value.dump(-1, ' ', false, json::error_handler_t::replace);
    std::string out = "{";
    for (const auto& [key, inner] : members_of(value, node))
        out += fmt::format("{}{}:{}{}", out.size() == 1 ? "" : "," + std::string(space),
                           json(key).dump(-1, ' ', false, json::error_handler_t::replace), space,
                           one_line(value[key], *inner, space));
    return out + "}";
}

// The schedule, its maps and each stage are broken over lines always, what is inside a stage only where it is too long.
bool keeps_open(const PrimitiveNode& node) {
    const std::string_view path = node.row->path;
    return path.empty() || path == "stages" || path == "kernels" || path == "variants";
}

void print_lines(const json& value, const PrimitiveNode& node, size_t indent, size_t used, std::string& out) {
    const std::string line = one_line(value, node, " ");
    const bool container = value.is_structured() && !value.empty();
    if (!container || (!keeps_open(node) && used + line.size() <= line_width)) {
        out += line;
        return;
    }
    const std::string margin(indent + 2, ' ');
    bool first = true;
    const auto next_line = [&] {
        out += first ? "\n" : ",\n";
        out += margin;
        first = false;
    };
    out += value.is_array() ? '[' : '{';
    if (value.is_array()) {
        for (const json& item : value) {
            next_line();
            print_lines(item, *node.element, indent + 2, indent + 2, out);
        }
    } else {
        for (const auto& [key, inner] : members_of(value, node)) {
            next_line();
            const std::string head = json(key).dump(-1, ' ', false, json::error_handler_t::replace) + ": ";
            out += head;
            print_lines(value[key], *inner, indent + 2, indent + 2 + head.size(), out);
        }
    }
    out += '\n' + std::string(indent, ' ') + (value.is_array() ? ']' : '}');
}

}  // namespace

std::string print_value(const json& value, JsonStyle style) {
    if (style == JsonStyle::compact) return one_line(value, primitive_root(), "");
    std::string out;
    print_lines(value, primitive_root(), 0, 0, out);
    return out + "\n";
}

std::string to_json(const Schedule& schedule, JsonStyle style) { return print_value(schedule_to_value(schedule), style); }

Schedule parse_schedule(std::string_view text) {
    const json value = parse_json(text, "the schedule");
    check_fields(value);
    Schedule schedule = schedule_from_value(value);
    check_contradictions(schedule);
    return schedule;
}

void verify(const Schedule& schedule) {
    check_fields(schedule_to_value(schedule));
    check_contradictions(schedule);
}

Schedule read_schedule(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in.is_open() || in.bad())
        throw Error(E0605_file, {}, fmt::format("schedule file {} cannot be read", path), {note("is it there, and readable?")});
    return parse_schedule(text);
}

}  // namespace tessera
