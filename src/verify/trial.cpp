#include "verify/trial.h"

#include <tessera/schedule_default.h>

#include "base/element_type.h"
#include "types/runtime_dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

struct Random {
    std::uint64_t state;
    double next(double low, double high) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return low + (high - low) * (static_cast<double>(state >> 11) * 0x1p-53);
    }
};

std::optional<std::int64_t> integer_of(const ArgumentValue& value) {
    if (const auto* i = std::get_if<std::int64_t>(&value.value())) return *i;
    if (const auto* u = std::get_if<std::uint64_t>(&value.value())) return static_cast<std::int64_t>(*u);
    return std::nullopt;
}

}  // namespace

ExtentValues extents_of(const Algorithm& algorithm, const NamedInputs& inputs) {
    ExtentValues extents;
    for (const Argument& a : algorithm.arguments()) {
        const InputState& input = *a.state();
        const auto found = inputs.find(input.name);
        if (found == inputs.end())
            throw Error(E0701_argument, input.where, fmt::format("{} is called without input {}", algorithm.name(), input.name),
                        {token(input.name), fix(fmt::format("pass {}", input.name))});
        if (const auto number = integer_of(found->second)) extents.set_scalar(input.name, *number);
        const auto* buffer = std::get_if<AnyBuffer>(&found->second.value());
        if (!buffer || static_cast<size_t>(buffer->rank()) != input.dims.size()) continue;
        for (size_t d = 0; d < input.dims.size(); ++d)
            if (!input.dims[d].state().extent) extents.set(input.dims[d], buffer->extent(static_cast<int>(d)));
    }
    return extents;
}

AnyBuffer random_buffer(const InputState& input, ExtentValues& extents, std::uint64_t seed, double low, double high) {
    Random random{seed * 0x9E3779B97F4A7C15ull};
    for (const char c : input.name) random.state = random.state * 31 + static_cast<std::uint64_t>(c);
    for (int i = 0; i < 4; ++i) random.next(0, 1);
    const std::vector<std::int64_t> shape = extents.shape(input.dims);
    std::int64_t size = 1;
    for (const std::int64_t e : shape) size *= e;
    std::vector<double> numbers(static_cast<size_t>(size));
    std::int64_t first = 0, end = 4;
    if (input.values) {
        first = extents.value(Expr(input.values->first));
        end = extents.value(Expr(input.values->second));
    } else if (input.dtype == DType::bool_) {
        end = 2;
    }
    for (double& v : numbers)
        v = is_float(input.dtype) ? random.next(low, high)
                                  : std::floor(random.next(static_cast<double>(first), static_cast<double>(end)));
    const std::int64_t row = shape.empty() ? 1 : shape.back();
    if (input.increasing && row > 0)
        for (auto at = numbers.begin(); at != numbers.end(); at += row) std::sort(at, at + row);
    return buffer_of(input.dtype, shape, numbers);
}

std::vector<std::string> buffer_names(const Func& output) {
    std::vector<std::string> names;
    for (int c = 0; c < output.components(); ++c) names.push_back(buffer_name(output, c));
    return names;
}

NamedOutputs allocated_outputs(const Algorithm& algorithm, ExtentValues& extents) {
    NamedOutputs out;
    for (const Func& f : algorithm.outputs()) {
        const std::vector<std::string> names = buffer_names(f);
        for (size_t c = 0; c < names.size(); ++c)
            out.emplace(names[c], AnyBuffer(runtime_dtype(f.dtype(static_cast<int>(c))), extents.shape(f.dims())));
    }
    return out;
}

std::vector<double> numbers_of(const AnyBuffer& buffer) {
    return with_element(buffer.dtype(), [&](auto zero) {
        std::vector<double> out;
        Buffer<decltype(zero)>(buffer).for_each([&](const auto& v) {
            if constexpr (std::is_arithmetic_v<decltype(zero)>)
                out.push_back(static_cast<double>(v));
            else
                out.push_back(static_cast<double>(static_cast<float>(v)));
        });
        return out;
    });
}

AnyBuffer buffer_of(DType dtype, const std::vector<std::int64_t>& extents, const std::vector<double>& numbers) {
    AnyBuffer buffer(runtime_dtype(dtype), extents);
    with_element(buffer.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* at = static_cast<T*>(buffer.data());
        for (const double v : numbers) {
            if constexpr (std::is_arithmetic_v<T>)
                *at++ = static_cast<T>(v);
            else
                *at++ = T(static_cast<float>(v));
        }
    });
    return buffer;
}

std::vector<std::int64_t> index_at(std::int64_t position, const std::vector<std::int64_t>& extents) {
    std::vector<std::int64_t> index(extents.size());
    for (size_t d = extents.size(); d-- > 0;) {
        index[d] = extents[d] > 0 ? position % extents[d] : 0;
        position = extents[d] > 0 ? position / extents[d] : 0;
    }
    return index;
}

std::string place_text(const std::vector<std::int64_t>& index) { return fmt::format("({})", fmt::join(index, ", ")); }

Module default_module(const Algorithm& algorithm, const Target& target) {
    return compile(algorithm, default_schedule(algorithm, target), target);
}

}  // namespace tessera
