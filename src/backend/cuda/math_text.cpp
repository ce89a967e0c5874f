#include "backend/cuda/math_text.h"

#include "backend/cuda/text_builder.h"

#include <fmt/format.h>

#include <array>

namespace tessera::cuda {
namespace {

template <int bits>
using Unary = typename TextBuilder<bits>::Float (*)(TextBuilder<bits>&, typename TextBuilder<bits>::Float);
template <int bits>
using Binary = typename TextBuilder<bits>::Float (*)(TextBuilder<bits>&, typename TextBuilder<bits>::Float,
                                                     typename TextBuilder<bits>::Float);

template <int bits>
struct MathRow {
    std::string_view name;
    Unary<bits> unary;
    Binary<bits> binary;
};

template <int bits>
constexpr auto math_rows() {
    using B = TextBuilder<bits>;
    return std::to_array<MathRow<bits>>({
        {"exp", &math::exp<B>, nullptr},     {"exp2", &math::exp2<B>, nullptr},       {"expm1", &math::expm1<B>, nullptr},
        {"log", &math::log<B>, nullptr},     {"log2", &math::log2<B>, nullptr},       {"log1p", &math::log1p<B>, nullptr},
        {"sin", &math::sin<B>, nullptr},     {"cos", &math::cos<B>, nullptr},         {"tan", &math::tan<B>, nullptr},
        {"asin", &math::asin<B>, nullptr},   {"acos", &math::acos<B>, nullptr},       {"atan", &math::atan<B>, nullptr},
        {"sinh", &math::sinh<B>, nullptr},   {"cosh", &math::cosh<B>, nullptr},       {"tanh", &math::tanh<B>, nullptr},
        {"erf", &math::erf<B>, nullptr},     {"sigmoid", &math::sigmoid<B>, nullptr}, {"rsqrt", &math::rsqrt<B>, nullptr},
        {"atan2", nullptr, &math::atan2<B>}, {"pow", nullptr, &math::pow<B>},
    });
}

DeviceFunction portable_function(std::string name, std::string signature, std::string doc, const std::string& body) {
    DeviceFunction f;
    f.names = {name};
    f.name = std::move(name);
    f.arch = "any";
    f.level = "thread";
    f.instruction = "-";
    f.doc = std::move(doc);
    f.text = fmt::format("TSR_DEV {} {{\n{}}}\n", signature, body);
    f.signature = std::move(signature);
    return f;
}

template <int bits>
std::optional<DeviceFunction> typed_function(std::string_view base, std::string_view name) {
    const char* const type = bits == 32 ? "float" : "double";
    for (const MathRow<bits>& row : math_rows<bits>()) {
        if (row.name != base) continue;
        TextRecorder recorder;
        TextBuilder<bits> b(recorder);
        const typename TextBuilder<bits>::Float x{recorder.literal("x")};
        const typename TextBuilder<bits>::Float y{recorder.literal("y")};
        const auto result = row.unary != nullptr ? row.unary(b, x) : row.binary(b, x, y);
        const bool one = row.unary != nullptr;
        return portable_function(std::string(name),
                                 fmt::format("{} {}({} x{})", type, name, type, one ? "" : fmt::format(", {} y", type)),
                                 fmt::format("{} by the shared definition.", base), recorder.body(result.value));
    }
    return std::nullopt;
}

constexpr std::string_view random_names[] = {"uniform_f32", "normal_f32", "random_bits_u32"};

std::optional<DeviceFunction> random_function(std::string_view name) {
    TextRecorder recorder;
    TextRandomBuilder b(recorder);
    const TextRandomBuilder::I64 seed{recorder.literal("seed")};
    std::array<TextRandomBuilder::I64, 4> key{};
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = {recorder.literal(fmt::format("k{}", i))};
    int result = 0;
    if (name == random_names[0])
        result = math::uniform_f32(b, seed, key).value;
    else if (name == random_names[1])
        result = math::normal_f32(b, seed, key).value;
    else if (name == random_names[2])
        result = math::random_bits(b, seed, key).value;
    else
        return std::nullopt;
    const char* const type = name == random_names[2] ? "u32" : "float";
    return portable_function(std::string(name), fmt::format("{} {}(i64 seed, i64 k0, i64 k1, i64 k2, i64 k3)", type, name),
                             "Philox4x32-10 by the shared definition.", recorder.body(result));
}

}  // namespace

std::optional<DeviceFunction> math_function(std::string_view name) {
    if (name.ends_with("_f32"))
        if (auto f = typed_function<32>(name.substr(0, name.size() - 4), name)) return f;
    if (name.ends_with("_f64"))
        if (auto f = typed_function<64>(name.substr(0, name.size() - 4), name)) return f;
    return random_function(name);
}

std::vector<std::string> math_function_names() {
    std::vector<std::string> names;
    for (const auto& row : math_rows<32>()) {
        names.push_back(fmt::format("{}_f32", row.name));
        names.push_back(fmt::format("{}_f64", row.name));
    }
    names.insert(names.end(), std::begin(random_names), std::end(random_names));
    return names;
}

}  // namespace tessera::cuda
