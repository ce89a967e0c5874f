#include "backend/cuda/text_builder.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace tessera::cuda {
namespace {

// A value that is used once stands inside its user while the line stays shorter than this.
constexpr std::size_t inline_limit = 90;

bool is_call_pattern(std::string_view pattern) { return pattern.ends_with(')') && !pattern.starts_with('{'); }

class BodyText {
public:
    explicit BodyText(const std::vector<TextRecorder::Value>& values)
        : values_(values), uses_(values.size()), text_(values.size()) {}

    std::string write(int result) {
        count(result);
        std::string lines;
        for (int i = 0; i <= result; ++i) {
            const TextRecorder::Value& v = values_[static_cast<std::size_t>(i)];
            int& uses = uses_[static_cast<std::size_t>(i)];
            std::string& text = text_[static_cast<std::size_t>(i)];
            if (uses == 0) continue;
            text = expression(v);
            if (v.type.empty() || i == result) continue;
            if (uses == 1 && text.size() < inline_limit) {
                if (!v.is_call) text = "(" + text + ")";
                continue;
            }
            lines += fmt::format("    const {} v{} = {};\n", v.type, names_, text);
            text = fmt::format("v{}", names_++);
        }
        return lines + fmt::format("    return {};\n", text_[static_cast<std::size_t>(result)]);
    }

private:
    /// Uses of every value on the way to the result; those of a value that is itself unused do not count.
    void count(int result) {
        uses_[static_cast<std::size_t>(result)] = 1;
        for (int i = result; i >= 0; --i)
            if (uses_[static_cast<std::size_t>(i)] != 0)
                for (const int operand : values_[static_cast<std::size_t>(i)].operands)
                    ++uses_[static_cast<std::size_t>(operand)];
    }

    std::string expression(const TextRecorder::Value& v) const {
        std::string text = v.between[0];
        for (std::size_t k = 0; k < v.operands.size(); ++k)
            text += text_[static_cast<std::size_t>(v.operands[k])] + v.between[k + 1];
        return text;
    }

    const std::vector<TextRecorder::Value>& values_;
    std::vector<int> uses_;
    std::vector<std::string> text_;
    int names_ = 0;
};

}  // namespace

int TextRecorder::literal(std::string text) {
    values_.push_back({{}, {std::move(text)}, {}, true});
    return static_cast<int>(values_.size()) - 1;
}

int TextRecorder::operation(std::string type, std::string_view pattern, std::vector<int> operands) {
    Value v{std::move(type), {}, {}, is_call_pattern(pattern)};
    std::string piece;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        if (pattern[at] != '{') {
            piece += pattern[at];
            continue;
        }
        v.between.push_back(std::move(piece));
        piece.clear();
        v.operands.push_back(operands[static_cast<std::size_t>(pattern[at + 1] - '0')]);
        at += 2;
    }
    v.between.push_back(std::move(piece));
    values_.push_back(std::move(v));
    return static_cast<int>(values_.size()) - 1;
}

std::string TextRecorder::body(int result) const { return BodyText(values_).write(result); }

template <int width>
std::string TextBuilder<width>::float_literal(double value) {
    if (width == 32) value = static_cast<float>(value);
    if (std::isfinite(value)) return fmt::format("{:a}{}", value, width == 32 ? "f" : "");
    if constexpr (width == 32)
        return fmt::format("float_of({})", integer_literal(std::bit_cast<std::int32_t>(static_cast<float>(value))));
    return fmt::format("float_of({})", integer_literal(std::bit_cast<std::int64_t>(value)));
}

template <int width>
std::string TextBuilder<width>::integer_literal(std::int64_t value) {
    if constexpr (width == 32) {
        const auto cut = static_cast<std::uint32_t>(value);
        return fmt::format("static_cast<i32>({:#x}u)", cut);
    }
    return fmt::format("static_cast<i64>({:#x}ull)", static_cast<std::uint64_t>(value));
}

template <int width>
typename TextBuilder<width>::Int TextBuilder<width>::shifted(const char* by_operator, Int a, int by) {
    const char* const word = width == 32 ? "u32" : "u64";
    return whole(fmt::format("static_cast<{}>(static_cast<{}>({{0}}) {} {})", int_type, word, by_operator, by), a);
}

template class TextBuilder<32>;
template class TextBuilder<64>;

}  // namespace tessera::cuda
