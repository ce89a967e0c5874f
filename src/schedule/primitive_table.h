#pragma once

#include "schedule/schedule_words.h"

#include <tessera/error.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The one list of what a schedule can say. Reading and checking JSON, the order of fields in print, the JSON Schema, the
/// merge rules, defaults and the reference page derive from its rows.
namespace tessera {

/// The shapes a value may have; a row may allow several ("tile": 32 or {"parts": 16}).
enum Form : unsigned {
    form_record = 1,  // an object with the fields of the rows below it
    form_map = 2,     // an object from names to values of the row "<path>.*"
    form_list = 4,    // an array of values of the row "<path>[]"
    form_integer = 8,
    form_boolean = 16,
    form_name = 32,        // non-empty text without white space
    form_word = 64,        // one of `words`
    form_layout = 128,     // "k/16"
    form_condition = 256,  // "m % 8 == 0"
};

struct PrimitiveRow {
    std::string_view path;  // "stages.*.loops[].tile"
    unsigned forms;
    std::string_view doc;
    std::string_view default_json = "";  // "": none, or it depends
    std::int64_t low = 1;
    std::int64_t high = 2147483647;
    std::span<const WordRow> words = {};
    bool required = false;
    bool whole = false;                      // a record that merges and diffs as one value
    std::string_view cpu_alternative = "";   // what to do where the CPU backend refuses the field; "" where it has it
    std::string_view cuda_alternative = "";  // the same of the CUDA backend
    ErrorCode range_code = E0602_schema;
    std::string_view same_as = "";  // has the fields of this row
};
[[nodiscard]] std::span<const PrimitiveRow> primitive_rows();

/// A row with its fields, by name in the table's order; list and map rows have their element.
struct PrimitiveNode {
    const PrimitiveRow* row = nullptr;
    bool clearable = false;  // deltas may hold null here
    std::vector<const PrimitiveNode*> fields;
    const PrimitiveNode* element = nullptr;

    [[nodiscard]] std::string_view name() const;
    [[nodiscard]] const PrimitiveNode* field(std::string_view name) const;
    [[nodiscard]] bool has(Form form) const { return (row->forms & form) != 0; }
};
/// The root of the table: the whole schedule.
[[nodiscard]] const PrimitiveNode& primitive_root();

/// The reference page of schedule fields, in Markdown.
[[nodiscard]] std::string primitive_reference();
/// The JSON Schema (draft-07) of schedules and deltas.
[[nodiscard]] std::string schedule_schema();

}  // namespace tessera
