#include "schedule/target_support.h"

#include "base/json_text.h"
#include "schedule/primitive_table.h"
#include "schedule/schedule_json.h"

#include <fmt/format.h>

namespace tessera {
namespace {

using nlohmann::json;

// Which of the two columns of the table; both for the interpreter, which refuses what no backend has.
std::string_view alternative_in(std::string_view cpu, std::string_view cuda, Target::Kind target) {
    if (target == Target::Kind::cpu) return cpu;
    if (target == Target::Kind::cuda) return cuda;
    return cpu.empty() ? cpu : cuda;
}

std::string_view alternative_of(const PrimitiveRow& row, const json& value, Target::Kind target) {
    if (const auto own = alternative_in(row.cpu_alternative, row.cuda_alternative, target); !own.empty()) return own;
    if (!value.is_string()) return {};
    const auto& text = value.get_ref<const std::string&>();
    for (const WordRow& choice : row.words) {
        const std::string_view stem = choice.word.substr(0, choice.word.find('<'));
        if (choice.word == text || (stem != choice.word && text.starts_with(stem)))
            return alternative_in(choice.cpu_alternative, choice.cuda_alternative, target);
    }
    return {};
}

void find_unsupported(const PrimitiveNode& node, const json& value, const std::string& path, Target::Kind target,
                      std::vector<Unsupported>& found) {
    if (!node.row->default_json.empty() && value == json::parse(node.row->default_json)) return;
    if (const std::string_view alternative = alternative_of(*node.row, value, target); !alternative.empty()) {
        found.push_back({path, value.dump(), std::string(alternative)});
        return;
    }
    if (value.is_array())
        for (size_t i = 0; i < value.size(); ++i)
            find_unsupported(*node.element, value[i], fmt::format("{}/{}", path, i), target, found);
    if (!value.is_object()) return;
    for (const auto& item : value.items()) {
        const PrimitiveNode* member = node.has(form_record) ? node.field(item.key()) : node.element;
        find_unsupported(*member, item.value(), path + "/" + pointer_escape(item.key()), target, found);
    }
}

std::vector<Unsupported> unsupported_on(const Schedule& schedule, Target::Kind target) {
    const json value = schedule_to_value(schedule);
    check_fields(value);
    std::vector<Unsupported> found;
    find_unsupported(primitive_root(), value, "", target, found);
    return found;
}

std::string_view backend_name(Target::Kind target) {
    if (target == Target::Kind::cpu) return "which the CPU backend does not have";
    return target == Target::Kind::cuda ? "which the CUDA backend does not have" : "which no backend has";
}
std::string_view place_name(Target::Kind target) {
    if (target == Target::Kind::cpu) return "on the CPU";
    return target == Target::Kind::cuda ? "on CUDA" : "anywhere";
}

}  // namespace

std::vector<Unsupported> unsupported_on_cpu(const Schedule& schedule) { return unsupported_on(schedule, Target::Kind::cpu); }
std::vector<Unsupported> unsupported_on_cuda(const Schedule& schedule) { return unsupported_on(schedule, Target::Kind::cuda); }

void require_support(const Schedule& schedule, Target::Kind target) {
    const std::vector<Unsupported> found = unsupported_on(schedule, target);
    if (found.empty()) return;
    std::vector<Hint> hints{fix(fmt::format("use {}", found[0].alternative))};
    if (found.size() > 1)
        hints.push_back(
            note(fmt::format("{} more fields of this schedule are not supported {}", found.size() - 1, place_name(target))));
    throw Limit(L0903_schedule, {}, fmt::format("{} is {}, {}", found[0].path, found[0].value, backend_name(target)),
                std::move(hints));
}

}  // namespace tessera
