#include "tune/kernel_arguments.h"

#include <tessera/tune_strategy.h>

#include "algorithm/graph.h"
#include "base/element_type.h"
#include "schedule/stage_cost.h"
#include "types/runtime_dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tessera::tune {
namespace {

constexpr std::uint8_t guard_pattern = 0xC3;

// Extents of dims: given, static, or derived from others and from integer scalars.
class Extents {
public:
    explicit Extents(const std::map<std::string, std::int64_t>& given) : given_(given) {}
    std::int64_t operator()(const Dim& d) const {
        if (const auto constant = d.extent().constant()) return *constant;
        if (const auto found = given_.find(d.name()); found != given_.end()) return found->second;
        if (d.state().extent) return value(Expr(*d.state().extent));
        throw Error(E0805_usage, {}, fmt::format("dim {} has no extent to tune for", d.name()),
                    {fix(fmt::format("give it one: {}=1024", d.name()))});
    }
    std::int64_t value(const Expr& e) const {
        if (e->op == Op::constant) return e->integer();
        if (e->op == Op::extent) return (*this)(e->dim());
        if (e->op == Op::access) {
            const auto found = given_.find(e->target().input->name);
            return found == given_.end() ? 1 : found->second;
        }
        if (e->args.empty()) return 0;
        const std::int64_t a = value(e->args[0]);
        if (e->args.size() == 1) return a;
        const std::int64_t b = value(e->args[1]);
        if (e->op == Op::add) return a + b;
        if (e->op == Op::sub) return a - b;
        if (e->op == Op::mul) return a * b;
        if (e->op == Op::min) return std::min(a, b);
        if (e->op == Op::max) return std::max(a, b);
        if (b == 0) return 0;
        const std::int64_t remainder = ((a % b) + b) % b;
        return e->op == Op::div ? (a - remainder) / b : remainder;
    }

private:
    const std::map<std::string, std::int64_t>& given_;
};

template <class T>
void fill(const AnyBuffer& buffer, const std::vector<double>& values) {
    T* at = static_cast<T*>(buffer.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if constexpr (std::is_arithmetic_v<T>)
            at[i] = static_cast<T>(values[i]);
        else
            at[i] = T(static_cast<float>(values[i]));
    }
}

// Significant bits of a float's rounding error; 0 for integers.
double unit_roundoff(tessera_dtype dtype) {
    switch (dtype) {
        case TESSERA_F16: return 0x1p-10;
        case TESSERA_BF16: return 0x1p-7;
        case TESSERA_F8E4M3: return 0x1p-3;
        case TESSERA_F8E5M2: return 0x1p-2;
        case TESSERA_F32: return 0x1p-23;
        case TESSERA_F64: return 0x1p-52;
        default: return 0;
    }
}

double random_value(const InputState& input, const Extents& extents, Random& random) {
    if (input.values) {
        const std::int64_t low = extents.value(Expr(input.values->first)), high = extents.value(Expr(input.values->second));
        return static_cast<double>(low + random.below(std::max<std::int64_t>(high - low, 1)));
    }
    if (is_float(input.dtype)) return 2 * random.uniform() - 1;
    if (input.dtype == DType::bool_) return static_cast<double>(random.below(2));
    return static_cast<double>(is_unsigned(input.dtype) ? random.below(200) : random.below(200) - 100);
}

}  // namespace

GuardedBuffer::GuardedBuffer(tessera_dtype dtype, const std::vector<std::int64_t>& extents) {
    std::int64_t count = 1;
    for (const std::int64_t e : extents) count *= e;
    const std::int64_t element = with_element(dtype, [](auto zero) { return static_cast<std::int64_t>(sizeof zero); });
    bytes_ = static_cast<std::size_t>(count * element);
    memory_.resize(bytes_ + 2 * guard_bytes + 64);
    const auto start = reinterpret_cast<std::uintptr_t>(memory_.data()) + guard_bytes;
    offset_ = guard_bytes + (64 - start % 64) % 64;
    buffer_ = AnyBuffer(dtype, memory_.data() + offset_, extents);
}

void GuardedBuffer::poison(std::uint8_t pattern) {
    std::fill(memory_.begin(), memory_.end(), guard_pattern);
    std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(offset_), bytes_, pattern);
}

bool GuardedBuffer::guards_hold() const {
    const auto intact = [](std::uint8_t b) { return b == guard_pattern; };
    const auto first = memory_.begin() + static_cast<std::ptrdiff_t>(offset_);
    return std::all_of(memory_.begin(), first, intact) &&
           std::all_of(first + static_cast<std::ptrdiff_t>(bytes_), memory_.end(), intact);
}

std::span<std::uint8_t> GuardedBuffer::with_guards() {
    return std::span(memory_).subspan(offset_ - guard_bytes, bytes_ + 2 * guard_bytes);
}

NamedOutputs KernelArguments::named_outputs() const {
    NamedOutputs out;
    for (const auto& [name, guarded] : outputs) out.emplace(name, guarded.buffer());
    return out;
}

KernelArguments make_arguments(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& given, std::uint64_t seed) {
    const Extents extents(given);
    Random random(seed);
    KernelArguments out;
    const auto shape = [&](const std::vector<Dim>& dims) {
        std::vector<std::int64_t> s;
        for (const Dim& d : dims) s.push_back(extents(d));
        return s;
    };
    for (const Argument& arg : algorithm.arguments()) {
        const InputState& input = *arg.state();
        if (input.scalar) {
            const auto found = given.find(input.name);
            if (is_float(input.dtype))
                out.inputs.emplace(input.name, ArgumentValue(0.5));
            else
                out.inputs.emplace(
                    input.name, ArgumentValue(static_cast<std::int64_t>(found != given.end() ? static_cast<double>(found->second)
                                                                        : input.values ? random_value(input, extents, random)
                                                                                       : 1)));
            continue;
        }
        const AnyBuffer buffer(runtime_dtype(input.dtype), shape(input.dims));
        std::vector<double> values(static_cast<std::size_t>(buffer.size()));
        for (double& v : values) v = random_value(input, extents, random);
        const std::int64_t row = buffer.rank() > 0 ? buffer.extent(buffer.rank() - 1) : 1;
        if (input.increasing && row > 0)
            for (auto at = values.begin(); at != values.end(); at += row) std::sort(at, at + row);
        with_element(buffer.dtype(), [&](auto zero) { fill<decltype(zero)>(buffer, values); });
        out.inputs.emplace(input.name, buffer);
    }
    for (const Func& f : algorithm.outputs())
        for (int c = 0; c < f.components(); ++c) {
            const std::string name = f.components() == 1 ? f.name() : fmt::format("{}.{}", f.name(), c);
            out.outputs.emplace(name, GuardedBuffer(runtime_dtype(f.dtype(c)), shape(f.dims())));
        }
    return out;
}

std::string difference(const AnyBuffer& got, const AnyBuffer& wanted, double reduced_values) {
    return with_element(got.dtype(), [&](auto zero) -> std::string {
        using T = decltype(zero);
        const T *a = static_cast<const T*>(got.data()), *b = static_cast<const T*>(wanted.data());
        const auto count = static_cast<std::size_t>(got.size());
        const double unit = unit_roundoff(got.dtype());
        const auto number = [](T v) {
            if constexpr (std::is_arithmetic_v<T>)
                return static_cast<double>(v);
            else
                return static_cast<double>(static_cast<float>(v));
        };
        double largest = 0;
        for (std::size_t i = 0; unit > 0 && i < count; ++i)
            if (std::isfinite(number(b[i]))) largest = std::max(largest, std::abs(number(b[i])));
        const double tolerance = unit * (4 + reduced_values) * largest;
        for (std::size_t i = 0; i < count; ++i) {
            if (std::memcmp(&a[i], &b[i], sizeof(T)) == 0) continue;
            const double x = number(a[i]), y = number(b[i]);
            if (unit > 0 && (std::abs(x - y) <= tolerance || (std::isnan(x) && std::isnan(y)))) continue;
            return fmt::format("element {} is {} instead of {}", i, x, y);
        }
        return "";
    });
}

std::string output_problem(KernelArguments& arguments, const std::map<std::string, AnyBuffer>& reference, double reduced_values,
                           const std::function<void()>& call) {
    for (const int pattern : {0xA5, 0x5A}) {
        for (auto& [name, guarded] : arguments.outputs) guarded.poison(static_cast<std::uint8_t>(pattern));
        call();
        for (auto& [name, guarded] : arguments.outputs) {
            if (!guarded.guards_hold()) return fmt::format("memory beside output {} was written", name);
            const std::string wrong = difference(guarded.buffer(), reference.at(name), reduced_values);
            if (!wrong.empty()) return fmt::format("output {}: {}", name, wrong);
        }
    }
    return "";
}

double reduction_length(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& given) {
    const Extents extents(given);
    double total = 0;
    for (const Stage& s : make_stages(algorithm).stages) {
        if (!s.update) continue;
        double points = 1;
        for (const Dim& d : s.update->reduction_dims)
            points *= static_cast<double>(d.extent().constant() || given.count(d.name()) || d.state().extent ? extents(d) : 1024);
        total += points;
    }
    return total;
}

}  // namespace tessera::tune
