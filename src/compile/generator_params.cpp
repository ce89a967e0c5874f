#include <tessera/generator.h>

#include "algorithm/graph.h"
#include "base/check.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

namespace tessera {
namespace {

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    return value;
}

ParamValue parse_value(const GeneratorParam& param, const std::string& text) {
    std::vector<std::string> words;
    for (const ParamValue& choice : param.choices) words.push_back(choice.text());
    if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end())
        throw Error(E0801_unknown_param, {}, fmt::format("parameter {} cannot be '{}'", param.name, text),
                    {fix_spelling(text, words), note(fmt::format("it can be {}", join_names(words)))});
    switch (param.initial.kind()) {
        case ParamValue::Kind::dtype: return parse_dtype(text);
        case ParamValue::Kind::text: return text;
        case ParamValue::Kind::flag:
            if (text == "true" || text == "false") return text == "true";
            break;
        case ParamValue::Kind::integer:
            if (const auto value = parse_integer(text); value && *value >= param.least.value_or(*value)) return *value;
            break;
    }
    const std::string integers = param.least ? fmt::format("an integer of at least {}", *param.least) : "an integer";
    throw Error(E0801_unknown_param, {}, fmt::format("parameter {} cannot be '{}'", param.name, text),
                {expected(param.initial.kind() == ParamValue::Kind::flag ? "true or false" : integers),
                 note(fmt::format("its initial value is {}", param.initial.text()))});
}

void bind_dim(const Dim& dim, const std::string& value) {
    DimState& state = *dim.shared();
    const auto refuse = [&](ErrorCode code, const std::string& what) {
        throw Error(code, state.where, fmt::format("--dim {}={}: {}", dim.name(), value, what),
                    {note("write ? for any extent, 1024 for a fixed one, *8 for a multiple of 8")});
    };
    const bool multiple = value.starts_with("*");
    const auto number = parse_integer(multiple ? std::string_view(value).substr(1) : std::string_view(value));
    if (value != "?" && (!number || *number < (multiple ? 1 : 0) || *number > INT32_MAX))
        refuse(E0805_usage, "the value is malformed");
    const auto fixed = state.extent ? state.extent->constant() : std::nullopt;
    if (state.extent && !fixed) refuse(E0105_extent, "its extent follows from other dims; bind those");
    if (value == "?" && fixed) refuse(E0105_extent, fmt::format("the definitions give it the extent {}", *fixed));
    if (value == "?") return;
    if (multiple) {
        if (fixed && *fixed % *number != 0) refuse(E0105_extent, fmt::format("the definitions give it the extent {}", *fixed));
        state.multiple_of = std::lcm(state.multiple_of, *number);
        return;
    }
    if (fixed && *fixed != *number) refuse(E0105_extent, fmt::format("the definitions give it the extent {}", *fixed));
    if (*number % state.multiple_of != 0) refuse(E0105_extent, fmt::format("it must be a multiple of {}", state.multiple_of));
    if (state.at_most && *number > *state.at_most) refuse(E0105_extent, fmt::format("it must be at most {}", *state.at_most));
    state.extent = Extent(*number);
}

}  // namespace

GeneratorParam param(std::string name, ParamValue initial, std::initializer_list<ParamValue> choices) {
    return {.name = std::move(name), .initial = std::move(initial), .choices = choices};
}

Generator generator(std::string name, std::string doc, std::vector<GeneratorParam> params, BuildFunction build,
                    ScheduleFunction schedule) {
    return {std::move(name), std::move(doc), std::move(params), std::move(build), std::move(schedule)};
}

const ParamValue& Params::at(const std::string& name) const {
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& entry : values_) names.push_back(entry.first);
    throw Error(E0801_unknown_param, {}, fmt::format("there is no parameter {}", name), {fix_spelling(name, names)});
}
DType Params::dtype(const std::string& name) const { return parse_dtype(at(name).text()); }
const std::string& Params::text(const std::string& name) const { return at(name).text(); }
bool Params::flag(const std::string& name) const { return at(name).text() == "true"; }
std::int64_t Params::integer(const std::string& name) const {
    const auto value = parse_integer(at(name).text());
    if (!value)
        throw Error(E0801_unknown_param, {}, fmt::format("parameter {} is '{}' and no integer", name, at(name).text()),
                    {fix("read it with text()")});
    return *value;
}

Params make_params(const Generator& generator, const std::map<std::string, std::string>& given) {
    std::map<std::string, ParamValue> values;
    std::vector<std::string> names;
    for (const GeneratorParam& p : generator.params) {
        names.push_back(p.name);
        const auto found = given.find(p.name);
        values.emplace(p.name, found == given.end() ? p.initial : parse_value(p, found->second));
    }
    for (const auto& [name, value] : given)
        if (values.count(name) == 0)
            throw Error(E0801_unknown_param, {}, fmt::format("generator {} has no parameter {}", generator.name, name),
                        {fix_spelling(name, names)});
    return Params(std::move(values));
}

Algorithm bind_dims(const Algorithm& algorithm, const std::map<std::string, std::string>& dims) {
    const AlgorithmState& state = algorithm.state();
    std::vector<std::string> names;
    for (const Dim& d : state.dims) names.push_back(d.name());
    for (const auto& [name, value] : dims) {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end())
            throw Error(E0805_usage, state.where,
                        fmt::format("--dim {}={}: {} has no dim {}", name, value, algorithm.name(), name),
                        {fix_spelling(name, names), note(fmt::format("its dims are {}", join_names(names)))});
        bind_dim(state.dims[static_cast<size_t>(found - names.begin())], value);
    }
    // Checked anew, with the extents that are known.
    AlgorithmOptions options{.name = state.name, .require = state.require};
    for (const InPlacePair& p : state.in_place)
        options.in_place.emplace_back(state.arguments[p.argument].state()->name,
                                      buffer_name(state.outputs[p.output], p.component));
    return Algorithm(state.outputs, state.arguments, options, state.where);
}

}  // namespace tessera
