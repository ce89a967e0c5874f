#include "base/closest_name.h"
#include "base/json_text.h"
#include "schedule/condition.h"
#include "schedule/primitive_table.h"
#include "schedule/schedule_json.h"

#include <fmt/format.h>

#include <set>

namespace tessera {
namespace {

using nlohmann::json;

constexpr size_t longest_name = 256;

std::string shown_path(const std::string& path) { return path.empty() ? "the schedule" : path; }

std::string kind_text(const json& value) {
    if (value.is_number_float()) return "the number " + value.dump();
    if (value.is_number() || value.is_boolean()) return value.dump();
    if (value.is_string()) return fmt::format("\"{}\"", value.get_ref<const std::string&>().substr(0, 80));
    return value.is_null() ? "null" : value.is_array() ? "a list" : "an object";
}

std::vector<std::string> words_text(std::span<const WordRow> words) {
    std::vector<std::string> all;
    for (const WordRow& row : words) all.emplace_back(row.word);
    return all;
}

std::string expected_text(const PrimitiveNode& node) {
    std::vector<std::string> forms;
    const PrimitiveRow& row = *node.row;
    if (node.has(form_integer)) forms.push_back(fmt::format("an integer from {} to {}", row.low, row.high));
    if (node.has(form_boolean)) forms.emplace_back("true or false");
    if (node.has(form_name)) forms.emplace_back("a name");
    if (node.has(form_layout)) forms.emplace_back("a layout entry");
    if (node.has(form_condition)) forms.emplace_back("a condition");
    for (const WordRow& choice : row.words) forms.push_back(fmt::format("\"{}\"", choice.word));
    if (node.has(form_list)) forms.emplace_back("a list");
    if (node.has(form_map)) forms.emplace_back("an object");
    if (node.has(form_record)) {
        std::vector<std::string> names;
        for (const PrimitiveNode* field : node.fields) names.emplace_back(field->name());
        forms.push_back(fmt::format("an object of {}", join_names(names)));
    }
    std::string text;
    for (size_t i = 0; i < forms.size(); ++i) text += (i == 0 ? "" : i + 1 == forms.size() ? " or " : ", ") + forms[i];
    return text;
}

[[noreturn]] void refuse_value(const PrimitiveNode& node, const json& value, const std::string& path, ErrorCode code) {
    std::vector<Hint> hints{expected(expected_text(node)), received(kind_text(value))};
    if (value.is_string() && !node.row->words.empty())
        hints.push_back(fix_spelling(value.get<std::string>(), words_text(node.row->words)));
    throw Error(code, {}, fmt::format("{} is not what this field takes", shown_path(path)), std::move(hints));
}

void check_name(const std::string& name, const std::string& path) {
    const auto refuse = [&](std::string_view what) {
        throw Error(E0602_schema, {}, fmt::format("{} {}", shown_path(path), what),
                    {note("names are 1 to 256 bytes without white space or control characters")});
    };
    if (name.empty()) refuse("is an empty name");
    if (name.size() > longest_name) refuse(fmt::format("is a name of {} bytes", name.size()));
    for (unsigned char c : name)
        if (c <= ' ' || c == 0x7f) refuse("is a name with white space or control characters");
}

bool is_word_of(std::span<const WordRow> words, const std::string& text) {
    constexpr std::string_view argument = "<axis>";
    for (const WordRow& row : words) {
        if (row.word == text) return !row.word.ends_with(argument);
        if (!row.word.ends_with(argument)) continue;
        const std::string_view stem = row.word.substr(0, row.word.size() - argument.size());
        if (text.starts_with(stem) && text.size() > stem.size() && text.find_first_of(" \t\r\n") == std::string::npos &&
            text.size() <= longest_name)
            return true;
    }
    return false;
}

// The table's own code stands over that of the text's parser.
template <class Parse>
void check_parsed(const std::string& text, const std::string& path, ErrorCode code, Parse parse) {
    try {
        (void)parse(text);
    } catch (const Error& error) {
        std::vector<Hint> hints = error.hints();
        hints.push_back(note(fmt::format("at {}", path)));
        throw Error(code, {}, error.message(), std::move(hints));
    }
}

void check_value(const PrimitiveNode& node, const json& value, const std::string& path);

void check_text(const PrimitiveNode& node, const json& value, const std::string& path) {
    const auto& text = value.get_ref<const std::string&>();
    if (node.has(form_word)) {
        if (!is_word_of(node.row->words, text)) refuse_value(node, value, path, E0602_schema);
    } else if (node.has(form_name)) {
        check_name(text, path);
    } else if (node.has(form_layout)) {
        check_parsed(text, path, node.row->range_code, [](const std::string& t) { return parse_layout_entry(t); });
    } else if (node.has(form_condition)) {
        check_parsed(text, path, E0511_variant, [](const std::string& t) { return parse_condition(t); });
    } else {
        refuse_value(node, value, path, E0602_schema);
    }
}

void check_record(const PrimitiveNode& node, const json& value, const std::string& path) {
    for (const auto& item : value.items()) {
        const PrimitiveNode* field = node.field(item.key());
        if (field == nullptr) {
            std::vector<std::string> names;
            for (const PrimitiveNode* known : node.fields) names.emplace_back(known->name());
            throw Error(E0602_schema, {}, fmt::format("{} has an unknown field '{}'", shown_path(path), item.key().substr(0, 80)),
                        {fix_spelling(item.key().substr(0, 80), names)});
        }
        check_value(*field, item.value(), path + "/" + item.key());
    }
    for (const PrimitiveNode* field : node.fields)
        if (field->row->required && !value.contains(field->name()))
            throw Error(E0602_schema, {}, fmt::format("{} has no field '{}'", shown_path(path), field->name()),
                        {expected(expected_text(*field)), note(std::string(field->row->doc))});
}

void check_value(const PrimitiveNode& node, const json& value, const std::string& path) {
    if (value.is_null() && node.clearable) return;
    if (value.is_string()) return check_text(node, value, path);
    if (value.is_boolean() && node.has(form_boolean)) return;
    if (value.is_number_integer() && node.has(form_integer)) {
        // An unsigned number above the signed range is out of every row's.
        const bool fits = !value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(node.row->high);
        if (!fits || value.get<std::int64_t>() < node.row->low || value.get<std::int64_t>() > node.row->high)
            refuse_value(node, value, path, node.row->range_code);
        return;
    }
    if (value.is_array() && node.has(form_list)) {
        for (size_t i = 0; i < value.size(); ++i) check_value(*node.element, value[i], fmt::format("{}/{}", path, i));
        return;
    }
    if (value.is_object() && node.has(form_map)) {
        for (const auto& item : value.items()) {
            const std::string inner = path + "/" + pointer_escape(item.key());
            check_name(item.key(), inner);
            check_value(*node.element, item.value(), inner);
        }
        return;
    }
    if (value.is_object() && node.has(form_record)) return check_record(node, value, path);
    refuse_value(node, value, path, E0602_schema);
}

void check_version(const json& schedule) {
    const PrimitiveNode& version = *primitive_root().field("tessera_schedule");
    if (!schedule.is_object() || !schedule.contains("tessera_schedule")) return;  // refused with the other fields
    const json& value = schedule["tessera_schedule"];
    if (!value.is_number_integer()) return;
    const bool beyond_signed =
        value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(version.row->high);
    if (beyond_signed || value.get<std::int64_t>() > version.row->high)
        throw Error(E0603_version, {},
                    fmt::format("the schedule has version {}, this Tessera reads {}", value.dump(), version.row->high),
                    {fix("read it with a newer Tessera")});
}

// `at` and `loop` stand together; only "root" has no loop.
void check_pair(const json& record, const std::string& path) {
    const auto has = [&](const char* key) { return record.contains(key) && !record[key].is_null(); };
    if (has("at") == has("loop") || (has("at") && record["at"] == "root")) return;
    throw Error(E0602_schema, {},
                fmt::format("{} has '{}' without '{}'", path, has("at") ? "at" : "loop", has("at") ? "loop" : "at"),
                {fix("name the stage and its loop: \"at\" and \"loop\"")});
}

void check_store_pairs(const json& stages, const std::string& path) {
    for (const auto& item : stages.items()) {
        if (!item.value().is_object() || !item.value().contains("store") || !item.value()["store"].is_object()) continue;
        const json& store = item.value()["store"];
        const std::string inner = fmt::format("{}/{}/store", path, pointer_escape(item.key()));
        check_pair(store, inner);
        if (store.contains("alloc") && store["alloc"].is_object()) check_pair(store["alloc"], inner + "/alloc");
    }
}

void check_stage(const std::string& name, const StageSpec& stage, std::string_view where) {
    if (stage.tile && stage.loops)
        throw Error(E0512_tile_and_loops, {}, fmt::format("stage {} has both loops and a tile record{}", name, where),
                    {note(fmt::format("{} loops are listed", stage.loops->size())),
                     fix("keep one of them; deltas unset the other with null")});
    std::vector<std::string> kinds;
    if (stage.copy_of) kinds.push_back("copy_of " + *stage.copy_of);
    if (stage.clone_of) kinds.push_back("clone_of " + *stage.clone_of);
    if (stage.partial_of) kinds.push_back("partial_of " + *stage.partial_of);
    if (kinds.size() > 1)
        throw Error(E0509_derived_stage, {}, fmt::format("stage {} is {}{}", name, join_names(kinds), where),
                    {fix("a derived stage is one of them")});
    for (const auto* loops : {&stage.loops, &stage.init}) {
        std::set<std::string> names;
        if (!*loops) continue;
        for (const LoopSpec& loop : **loops)
            if (!loop.name.empty() && !names.insert(loop.name).second)
                throw Error(E0101_duplicate_name, {}, fmt::format("stage {} has two loops named {}{}", name, loop.name, where),
                            {note(fmt::format("one over {}", loop.dim)), fix("rename one of them")});
    }
}

}  // namespace

void check_fields(const json& schedule) {
    check_version(schedule);
    check_value(primitive_root(), schedule, "");
    if (schedule.contains("stages")) check_store_pairs(schedule["stages"], "/stages");
    if (schedule.contains("variants") && schedule["variants"].is_array())
        for (size_t i = 0; i < schedule["variants"].size(); ++i)
            if (schedule["variants"][i].contains("stages"))
                check_store_pairs(schedule["variants"][i]["stages"], fmt::format("/variants/{}/stages", i));
}

void check_contradictions(const Schedule& schedule) {
    for (const auto& [name, stage] : schedule.stages) check_stage(name, stage, "");
    for (const Variant& variant : schedule.variants) {
        Schedule touched;  // only what the variant changes, so that the check stays linear
        for (const auto& [name, stage] : variant.stages)
            if (const auto base = schedule.stages.find(name); base != schedule.stages.end()) touched.stages.insert(*base);
        const Schedule deltas{.stages = variant.stages, .clear = variant.clear};
        for (const auto& [name, stage] : derive_fields(touched, deltas).stages) check_stage(name, stage, " when " + variant.when);
    }
}

}  // namespace tessera
