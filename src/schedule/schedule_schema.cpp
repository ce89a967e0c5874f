#include "schedule/primitive_table.h"

#include <nlohmann/json.hpp>

namespace tessera {
namespace {

// Keeps the table's order, so that the file reads like the reference.
using Json = nlohmann::ordered_json;

std::string definition_name(std::string_view path) { return path.ends_with("loops[]") ? "loop" : "stages"; }

Json schema_of(const PrimitiveNode& node, bool inside_definition);

Json record_schema(const PrimitiveNode& node) {
    Json schema{{"type", "object"}, {"additionalProperties", false}};
    Json required = Json::array();
    Json properties = Json::object();
    for (const PrimitiveNode* field : node.fields) {
        properties[std::string(field->name())] = schema_of(*field, false);
        if (field->row->required) required.push_back(field->name());
    }
    if (!required.empty()) schema["required"] = required;
    schema["properties"] = properties;
    return schema;
}

Json word_schema(std::span<const WordRow> words, bool patterns) {
    Json plain = Json::array();
    for (const WordRow& row : words) {
        const size_t argument = row.word.find('<');
        if (argument == std::string_view::npos)
            plain.push_back(row.word);
        else if (patterns)
            return {{"type", "string"},
                    {"maxLength", 256},
                    {"pattern", "^" + std::string(row.word.substr(0, argument)) + "[^\\s]+$"}};
    }
    return patterns ? Json() : Json{{"enum", plain}};
}

Json schema_of(const PrimitiveNode& node, bool inside_definition) {
    const PrimitiveRow& row = *node.row;
    Json choices = Json::array();
    const std::string_view shared = row.same_as.empty() ? row.path : row.same_as;
    const bool is_shared = shared == "stages" || shared == "stages.*.loops[]";
    if (is_shared && !inside_definition) {
        choices.push_back({{"$ref", "#/definitions/" + definition_name(shared)}});
    } else {
        if (node.has(form_integer)) choices.push_back({{"type", "integer"}, {"minimum", row.low}, {"maximum", row.high}});
        if (node.has(form_boolean)) choices.push_back({{"type", "boolean"}});
        if (node.has(form_name))
            choices.push_back({{"type", "string"}, {"minLength", 1}, {"maxLength", 256}, {"pattern", "^[^\\s]+$"}});
        if (node.has(form_layout))
            choices.push_back({{"type", "string"}, {"maxLength", 300}, {"pattern", "^[^\\s/%]+(/[1-9][0-9]*)?(%[1-9][0-9]*)?$"}});
        if (node.has(form_condition)) choices.push_back({{"type", "string"}, {"minLength", 1}, {"maxLength", 4096}});
        if (node.has(form_word)) {
            choices.push_back(word_schema(row.words, false));
            if (Json pattern = word_schema(row.words, true); !pattern.is_null()) choices.push_back(pattern);
        }
        if (node.has(form_list)) choices.push_back({{"type", "array"}, {"items", schema_of(*node.element, false)}});
        if (node.has(form_map))
            choices.push_back({{"type", "object"}, {"additionalProperties", schema_of(*node.element, false)}});
        if (node.has(form_record)) choices.push_back(record_schema(node));
    }
    if (node.clearable) choices.push_back({{"type", "null"}});
    Json schema{{"description", row.doc}};
    if (choices.size() == 1 && !choices[0].contains("$ref"))
        schema.update(choices[0]);
    else
        schema["anyOf"] = choices;
    return schema;
}

}  // namespace

std::string schedule_schema() {
    const PrimitiveNode& root = primitive_root();
    Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "Tessera schedule"}};
    schema.update(schema_of(root, false));
    const PrimitiveNode& stages = *root.field("stages");
    schema["definitions"] = {{"stages", schema_of(stages, true)},
                             {"loop", schema_of(*stages.element->field("loops")->element, true)}};
    return schema.dump(2) + "\n";
}

}  // namespace tessera
