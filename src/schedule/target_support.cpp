#include "schedule/target_support.h"

#include "base/json_text.h"
#include "schedule/primitive_table.h"
#include "schedule/schedule_json.h"

#include <fmt/format.h>

namespace tessera {
namespace {

using nlohmann::json;

std::string_view alternative_of(const PrimitiveRow& row, const json& value) {
    if (!row.cpu_alternative.empty()) return row.cpu_alternative;
    if (!value.is_string()) return {};
    const auto& text = value.get_ref<const std::string&>();
    for (const WordRow& choice : row.words) {
        const std::string_view stem = choice.word.substr(0, choice.word.find('<'));
        if (choice.word == text || (stem != choice.word && text.starts_with(stem))) return choice.cpu_alternative;
    }
    return {};
}

void find_unsupported(const PrimitiveNode& node, const json& value, const std::string& path, std::vector<Unsupported>& found) {
    if (!node.row->default_json.empty() && value == json::parse(node.row->default_json)) return;
    if (const std::string_view alternative = alternative_of(*node.row, value); !alternative.empty()) {
        found.push_back({path, value.dump(), std::string(alternative)});
        return;
    }
    if (value.is_array())
        for (size_t i = 0; i < value.size(); ++i) find_unsupported(*node.element, value[i], fmt::format("{}/{}", path, i), found);
    if (!value.is_object()) return;
    for (const auto& item : value.items()) {
        const PrimitiveNode* member = node.has(form_record) ? node.field(item.key()) : node.element;
        find_unsupported(*member, item.value(), path + "/" + pointer_escape(item.key()), found);
    }
}

}  // namespace

std::vector<Unsupported> unsupported_on_cpu(const Schedule& schedule) {
    const json value = schedule_to_value(schedule);
    check_fields(value);
    std::vector<Unsupported> found;
    find_unsupported(primitive_root(), value, "", found);
    return found;
}

void require_cpu_support(const Schedule& schedule) {
    const std::vector<Unsupported> found = unsupported_on_cpu(schedule);
    if (found.empty()) return;
    std::vector<Hint> hints{fix(fmt::format("use {}", found[0].alternative))};
    if (found.size() > 1)
        hints.push_back(note(fmt::format("{} more fields of this schedule are not supported on the CPU", found.size() - 1)));
    throw Limit(L0903_schedule, {}, fmt::format("{} is {}, which the CPU backend does not have", found[0].path, found[0].value),
                std::move(hints));
}

}  // namespace tessera
