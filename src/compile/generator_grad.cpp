#include "compile/generator_grad.h"

#include "base/closest_name.h"

#include <fmt/format.h>

#include <charconv>

namespace tessera {
namespace {

std::int64_t whole_number(const std::string& text, const std::string& word) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1)
        refuse_usage(fmt::format("--save {} is malformed", word), {expected("a number >= 1, as in every=8")});
    return value;
}

DType float_named(const std::string& name, const std::string& word) {
    std::vector<std::string> names;
    for (const DType t : {DType::f16, DType::bf16, DType::f32}) {
        if (dtype_name(t) == name) return t;
        names.emplace_back(dtype_name(t));
    }
    refuse_usage(fmt::format("--save {} names no narrower float", word), {fix_spelling(name, names)});
}

}  // namespace

void refuse_usage(const std::string& message, std::vector<Hint> hints) {
    throw Error(E0805_usage, {}, message, std::move(hints));
}

SavePolicy save_policy(const std::vector<std::string>& words) {
    SavePolicy policy;
    for (const std::string& word : words) {
        const size_t at = word.find('=');
        const std::string key = word.substr(0, at), value = at == std::string::npos ? "" : word.substr(at + 1);
        if (word == "automatic")
            policy.kind = SavePolicy::Kind::automatic;
        else if (word == "save")
            policy.kind = SavePolicy::Kind::save;
        else if (word == "recompute")
            policy.kind = SavePolicy::Kind::recompute;
        else if (key == "every" && !value.empty())
            policy.every = whole_number(value, word);
        else if (key == "as" && !value.empty())
            policy.as = float_named(value, word);
        else if (key == "keep" && !value.empty())
            policy.keep.push_back(value);
        else
            refuse_usage(fmt::format("--save {} is not known", word),
                         {fix_spelling(key, {"automatic", "save", "recompute", "every", "as", "keep"})});
    }
    return policy;
}

std::vector<GradFunction> grad_functions(const Algorithm& algorithm, const GradRequest& request) {
    if (!request.wrt.empty() && !request.value_and_grad.empty())
        refuse_usage("--grad and --value-and-grad exclude each other", {fix("give one of them")});
    if (request.wrt.empty() && !request.save.empty())
        refuse_usage("--save says what is kept between two functions, and there is one", {fix("add --grad and the inputs")});
    if (!request.value_and_grad.empty()) return {{"", value_and_grad(algorithm, request.value_and_grad)}};
    const ForwardBackward pair = vjp(algorithm, {.wrt = request.wrt, .save = save_policy(request.save)});
    return {{"", pair.forward}, {"_backward", pair.backward}};
}

}  // namespace tessera
