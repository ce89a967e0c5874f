#include "compiled_program.h"

#include <tessera/schedule_default.h>

#include <cmath>

namespace apps {
namespace {

using namespace tessera;

AnyBuffer array_of(DType dtype, const std::vector<Dim>& dims) {
    std::vector<std::int64_t> extents;
    for (const Dim& d : dims) extents.push_back(d.extent().constant().value());
    if (dtype == f64) return Buffer<double>(extents);
    if (dtype == i32) return Buffer<std::int32_t>(extents);
    return Buffer<float>(extents);
}

}  // namespace

CompiledProgram::CompiledProgram(const Algorithm& algorithm, const std::vector<std::pair<std::string, std::string>>& in_place)
    : module_(compile(algorithm, default_schedule(algorithm))) {
    for (const Argument& a : algorithm.arguments()) {
        const Input input(a.state());
        inputs_[input.name()] = array_of(input.dtype(), input.dims());
    }
    for (const auto& [argument, output] : in_place) outputs_[output] = inputs_.at(argument);
    for (const Func& f : algorithm.outputs())
        for (int c = 0; c < f.components(); ++c) {
            const std::string name = f.components() == 1 ? f.name() : f.name() + "." + std::to_string(c);
            if (!outputs_.count(name)) outputs_[name] = array_of(f.dtype(c), f.dims());
        }
}

void CompiledProgram::run() const { module_(NamedInputs(inputs_.begin(), inputs_.end()), outputs_); }

// splitmix64 (Steele, Lea, Flood 2014).
double RandomNumbers::uniform() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

double RandomNumbers::normal() {
    const double u = 1 - uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * uniform());
}

}  // namespace apps
