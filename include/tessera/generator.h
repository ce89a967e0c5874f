#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Generators: programs that build an algorithm from parameters and compile it ahead of time.
namespace tessera {

/// A value of a generator's parameter: a dtype, a word, an integer or a flag.
class ParamValue {
public:
    enum class Kind { dtype, text, integer, flag };
    ParamValue(DType value) : kind_(Kind::dtype), text_(dtype_name(value)) {}
    ParamValue(const char* value) : kind_(Kind::text), text_(value) {}
    ParamValue(std::string value) : kind_(Kind::text), text_(std::move(value)) {}
    ParamValue(bool value) : kind_(Kind::flag), text_(value ? "true" : "false") {}
    template <IntegerLiteral T>
    ParamValue(T value) : kind_(Kind::integer), text_(std::to_string(value)) {}
    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    Kind kind_;
    std::string text_;
};

struct GeneratorParam {
    std::string name;
    ParamValue initial;
    std::vector<ParamValue> choices;         // empty: any value of the initial one's kind
    std::optional<std::int64_t> least = {};  // of an integer

    /// param("levels", 8).at_least(1): smaller values are refused (E0801) before anything is built.
    [[nodiscard]] GeneratorParam at_least(std::int64_t value) const {
        GeneratorParam out = *this;
        out.least = value;
        return out;
    }
};
[[nodiscard]] GeneratorParam param(std::string name, ParamValue initial, std::initializer_list<ParamValue> choices = {});

/// The values that a generator builds with. Each getter throws E0801 with the closest name for a parameter that does not exist.
class Params {
public:
    explicit Params(std::map<std::string, ParamValue> values) : values_(std::move(values)) {}
    [[nodiscard]] DType dtype(const std::string& name) const;
    [[nodiscard]] const std::string& text(const std::string& name) const;
    [[nodiscard]] std::int64_t integer(const std::string& name) const;
    [[nodiscard]] bool flag(const std::string& name) const;
    [[nodiscard]] const std::map<std::string, ParamValue>& values() const { return values_; }

private:
    [[nodiscard]] const ParamValue& at(const std::string& name) const;
    std::map<std::string, ParamValue> values_;
};

using BuildFunction = std::function<Algorithm(const Params&)>;
/// Nothing: the default schedule.
using ScheduleFunction = std::function<std::optional<Schedule>(const Algorithm&, const Target&)>;

/// `build` makes Dims of its own each time it is called: --dim binds extents of those it gets.
struct Generator {
    std::string name;
    std::string doc;
    std::vector<GeneratorParam> params;
    BuildFunction build;
    ScheduleFunction schedule;
};
[[nodiscard]] Generator generator(std::string name, std::string doc, std::vector<GeneratorParam> params, BuildFunction build,
                                  ScheduleFunction schedule = {});

/// The parameters of `generator` with `given` ("dtype" -> "bf16") over the initial values. Throws E0801 with the closest name.
[[nodiscard]] Params make_params(const Generator& generator, const std::map<std::string, std::string>& given);
/// Binds dims of an algorithm by name: "?" leaves the extent to the callers, "1024" fixes it, "*8" promises a multiple. Changes
/// the Dims themselves. Throws E0805 for a dim that does not exist or a malformed value, E0105 for one that contradicts the
/// definitions.
[[nodiscard]] Algorithm bind_dims(const Algorithm& algorithm, const std::map<std::string, std::string>& dims);

/// The command line of a generator program: see --help. Returns 0, or 1 after printing the error; then nothing is written.
int generator_main(int argc, const char* const* argv, const std::vector<Generator>& generators);

}  // namespace tessera
