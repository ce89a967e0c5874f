#include "fuzz/drawn_case.h"

#include <tessera/transform.h>

#include "algorithm/graph.h"
#include "fuzz/random_real.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tessera::fuzz {
namespace {

std::int64_t value_of(const Extent& extent, const std::map<std::string, std::int64_t>& extents) {
    if (const auto constant = extent.constant()) return *constant;
    const Dim& d = extent.node()->dim();
    const auto found = extents.find(d.name());
    return found != extents.end() ? found->second : value_of(*d.state().extent, extents);  // a dim along another one
}
std::vector<std::int64_t> shape_of(const std::vector<Dim>& dims, const std::map<std::string, std::int64_t>& extents) {
    std::vector<std::int64_t> out;
    for (const Dim& d : dims) out.push_back(value_of(d.extent(), extents));
    return out;
}

template <class T>
void fill(Random& random, const AnyBuffer& buffer, std::int64_t low) {
    T* at = static_cast<T*>(buffer.data());
    for (std::int64_t i = 0; i < buffer.size(); ++i) at[i] = static_cast<T>(static_cast<float>(draw(random, low, 9)));
}

AnyBuffer random_buffer(Random& random, DType t, std::vector<std::int64_t> extents) {
    AnyBuffer buffer(test::buffer_dtype(t), std::move(extents));
    switch (t) {
        case DType::bool_: {
            auto* at = static_cast<std::uint8_t*>(buffer.data());
            for (std::int64_t i = 0; i < buffer.size(); ++i) at[i] = chance(random, 0.5);
            break;
        }
        case DType::i8: fill<std::int8_t>(random, buffer, -4); break;
        case DType::i16: fill<std::int16_t>(random, buffer, -4); break;
        case DType::i32: fill<std::int32_t>(random, buffer, -4); break;
        case DType::i64: fill<std::int64_t>(random, buffer, -4); break;
        case DType::u8: fill<std::uint8_t>(random, buffer, 0); break;
        case DType::u16: fill<std::uint16_t>(random, buffer, 0); break;
        case DType::u32: fill<std::uint32_t>(random, buffer, 0); break;
        case DType::u64: fill<std::uint64_t>(random, buffer, 0); break;
        case DType::f16: fill<float16>(random, buffer, -4); break;
        case DType::bf16: fill<bfloat16>(random, buffer, -4); break;
        case DType::f8e4m3: fill<float8_e4m3>(random, buffer, -4); break;
        case DType::f8e5m2: fill<float8_e5m2>(random, buffer, -4); break;
        case DType::f32: fill<float>(random, buffer, -4); break;
        case DType::f64: fill<double>(random, buffer, -4); break;
    }
    return buffer;
}

// Reals of -1.5 ... 1.5; integers of the range that the input declares.
AnyBuffer random_reals(Random& random, const InputState& input, const std::map<std::string, std::int64_t>& extents,
                       std::vector<std::int64_t> shape) {
    AnyBuffer buffer(test::buffer_dtype(input.dtype), std::move(shape));
    const auto real = [&] { return std::uniform_real_distribution<double>(-1.5, 1.5)(random); };
    for (std::int64_t i = 0; i < buffer.size(); ++i) {
        if (input.dtype == DType::f64)
            static_cast<double*>(buffer.data())[i] = real();
        else if (input.dtype == DType::f32)
            static_cast<float*>(buffer.data())[i] = static_cast<float>(real());
        else
            static_cast<std::int32_t*>(buffer.data())[i] =
                static_cast<std::int32_t>(draw(random, 0, value_of(input.values->second, extents) - 1));
    }
    return buffer;
}

double number_at(const AnyBuffer& b, size_t i) {
    return b.dtype() == TESSERA_F64 ? static_cast<const double*>(b.data())[i]
                                    : static_cast<double>(static_cast<const float*>(b.data())[i]);
}

std::string differing_bits(const std::string& name, const AnyBuffer& a, const AnyBuffer& b) {
    const size_t bytes = tessera_dtype_bytes(a.dtype());
    const auto* x = static_cast<const unsigned char*>(a.data());
    const auto* y = static_cast<const unsigned char*>(b.data());
    for (size_t i = 0; i < static_cast<size_t>(a.size()); ++i) {
        if (std::memcmp(x + i * bytes, y + i * bytes, bytes) == 0) continue;
        const auto hex = [&](const unsigned char* at) {
            std::string text;
            for (size_t k = bytes; k-- > 0;) text += fmt::format("{:02x}", at[k]);
            return text;
        };
        return fmt::format("{} is {} at flat position {}, not {}", name, hex(y + i * bytes), i, hex(x + i * bytes));
    }
    return {};
}

std::string differing_number(const std::string& name, const AnyBuffer& a, const AnyBuffer& b, double tolerance) {
    double largest = 1;
    const auto count = static_cast<size_t>(a.size());
    for (size_t i = 0; i < count; ++i)
        if (std::isfinite(number_at(a, i))) largest = std::max(largest, std::abs(number_at(a, i)));
    for (size_t i = 0; i < count; ++i) {
        const double x = number_at(a, i), y = number_at(b, i);
        if ((std::isnan(x) && std::isnan(y)) || x == y || std::abs(x - y) <= tolerance * largest) continue;
        return fmt::format("{} is {} at flat position {}, not {}", name, y, i, x);
    }
    return {};
}

}  // namespace

interpreter::Outputs DrawnCase::outputs() const {
    interpreter::Outputs out;
    for (const Func& f : algorithm.outputs()) {
        const std::vector<std::string> names = interpreter::output_names(f);
        for (size_t i = 0; i < names.size(); ++i) {
            AnyBuffer buffer(test::buffer_dtype(f.dtype(static_cast<int>(i))), shapes.at(f.name()));
            std::memset(buffer.data(), 0xa5, static_cast<size_t>(buffer.size()) * tessera_dtype_bytes(buffer.dtype()));
            out.emplace(names[i], buffer);
        }
    }
    return out;
}

std::string DrawnCase::extents_text() const {
    std::string text;
    for (const auto& [name, value] : extents) text += fmt::format("{}={} ", name, value);
    return text;
}

bool DrawnCase::is_empty() const {
    return std::all_of(shapes.begin(), shapes.end(), [](const auto& output) {
        return std::find(output.second.begin(), output.second.end(), 0) != output.second.end();
    });
}

bool DrawnCase::is_hollow() const {
    for (const char* name : {"p", "c", "y", "x"})
        if (const auto found = extents.find(name); found != extents.end() && found->second == 0) return true;
    return false;
}

std::string DrawnCase::difference(const interpreter::Outputs& wanted, const interpreter::Outputs& got) const {
    for (const auto& [name, buffer] : wanted) {
        const bool bits = tolerance == 0 || (buffer.dtype() != TESSERA_F64 && buffer.dtype() != TESSERA_F32);
        std::string found =
            bits ? differing_bits(name, buffer, got.at(name)) : differing_number(name, buffer, got.at(name), tolerance);
        if (!found.empty()) return found;
    }
    return {};
}

DrawnCase draw_case(Random& random, bool routines) {
    DrawnCase c{random_algorithm(random, routines), {}};
    const auto extent = [&](std::int64_t most) { return chance(random, 0.04) ? 0 : draw(random, 1, most); };
    const bool deep = c.algorithm.outputs()[0].rank() > 3;
    c.extents = {
        {"p", extent(3)}, {"c", extent(4)}, {"y", extent(deep ? 6 : 13)}, {"x", extent(deep ? 18 : 21)}, {"k", extent(9)}};
    const auto shape = [&](const std::vector<Dim>& dims) { return shape_of(dims, c.extents); };
    for (const Argument& arg : c.algorithm.arguments()) {
        if (arg.state()->scalar) {
            const std::int64_t value = draw(random, -3, 9);
            c.inputs.emplace(arg.state()->name, value);
            c.named.integers.emplace(arg.state()->name, value);
            continue;
        }
        const AnyBuffer buffer = random_buffer(random, arg.state()->dtype, shape(arg.state()->dims));
        c.inputs.emplace(arg.state()->name, buffer);
        c.named.buffers.emplace(arg.state()->name, buffer);
    }
    for (const Func& f : c.algorithm.outputs()) c.shapes[f.name()] = shape(f.dims());
    return c;
}

DrawnCase draw_real_case(Random& random) {
    const RealProgram program = random_real(random);
    DrawnCase c{chance(random, 0.25) ? contracted(program.algorithm) : program.algorithm, program.extents};
    c.tolerance = program.ordered ? 0 : 1e-9;
    const auto shape = [&](const std::vector<Dim>& dims) { return shape_of(dims, c.extents); };
    for (const Argument& arg : c.algorithm.arguments()) {
        const AnyBuffer buffer = random_reals(random, *arg.state(), c.extents, shape(arg.state()->dims));
        c.inputs.emplace(arg.state()->name, buffer);
        c.named.buffers.emplace(arg.state()->name, buffer);
    }
    for (const Func& f : c.algorithm.outputs()) c.shapes[f.name()] = shape(f.dims());
    return c;
}

}  // namespace tessera::fuzz
