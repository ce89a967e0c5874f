#pragma once

#include <tessera/buffer.h>

#include "algorithm/graph.h"
#include "backend/cpu/cpu_backend.h"
#include "runtime/halide_abi.h"
#include "types/runtime_dtype.h"

#include <cstring>
#include <list>
#include <map>
#include <random>
#include <string>

namespace tessera::test {

/// Values of arguments by name: buffers, and scalars as i64 or f64.
struct Arguments {
    std::map<std::string, AnyBuffer> buffers;
    std::map<std::string, std::int64_t> integers;
    std::map<std::string, double> reals;
};

inline tessera_dtype buffer_dtype(DType t) { return runtime_dtype(t); }

/// Extents of dims: bound by buffers and scalars, static, or derived.
class Extents {
public:
    Extents(const Algorithm& algorithm, const Arguments& arguments) : arguments_(arguments) {
        for (const Argument& a : algorithm.arguments()) {
            if (a.state()->scalar) continue;
            const AnyBuffer& buffer = arguments.buffers.at(a.state()->name);
            for (size_t d = 0; d < a.state()->dims.size(); ++d)
                known_.emplace(a.state()->dims[d].id(), buffer.extent(static_cast<int>(d)));
        }
    }
    void set(const Dim& d, std::int64_t extent) { known_[d.id()] = extent; }
    std::int64_t operator()(const Dim& d) const {
        if (d.extent().constant()) return *d.extent().constant();
        const auto found = known_.find(d.id());
        return found != known_.end() ? found->second : evaluate(Expr(*d.state().extent));
    }

private:
    std::int64_t evaluate(const Expr& e) const {
        if (e->op == Op::constant) return e->integer();
        if (e->op == Op::extent) return (*this)(e->dim());
        if (e->op == Op::access) return arguments_.integers.at(e->target().input->name);
        if (e->op == Op::cast) return evaluate(e->args[0]);
        const std::int64_t a = evaluate(e->args[0]), b = evaluate(e->args[1]);
        if (e->op == Op::add) return a + b;
        if (e->op == Op::sub) return a - b;
        if (e->op == Op::mul) return a * b;
        const std::int64_t q = b == 0 ? 0 : (a - ((a % b) + b) % b) / b;
        return e->op == Op::div ? q : b == 0 ? 0 : a - q * b;
    }
    const Arguments& arguments_;
    std::map<const void*, std::int64_t> known_;
};

/// Argv for a kernel, and the outputs it writes, keyed "y", or "y.0" and so on for a tuple.
class Call {
public:
    Call(const Algorithm& algorithm, const std::vector<cpu::Parameter>& parameters, const Arguments& arguments,
         const std::map<std::string, std::int64_t>& extents = {}) {
        Extents extent_of(algorithm, arguments);
        for (const Dim& d : algorithm.state().dims)
            if (const auto set = extents.find(d.name()); set != extents.end()) extent_of.set(d, set->second);
        for (const cpu::Parameter& p : parameters) {
            if (p.kind == cpu::Parameter::Kind::dim) {
                words_.push_back(static_cast<std::uint64_t>(extent_of(algorithm.state().dims[p.index])));
                argv_.push_back(&words_.back());
            } else if (p.kind == cpu::Parameter::Kind::output) {
                const Func& f = algorithm.outputs()[p.index];
                std::vector<std::int64_t> shape;
                for (const Dim& d : f.dims()) shape.push_back(extent_of(d));
                const std::string name = f.components() == 1 ? f.name() : f.name() + "." + std::to_string(p.component);
                outputs[name] = AnyBuffer(buffer_dtype(f.dtype(static_cast<int>(p.component))), shape);
                add(outputs[name]);
            } else {
                const auto& input = algorithm.arguments()[p.index].state();
                if (input->scalar)
                    add_scalar(*input, arguments);
                else
                    add(arguments.buffers.at(input->name));
            }
        }
    }
    void** argv() { return argv_.data(); }

    std::map<std::string, AnyBuffer> outputs;

private:
    void add_scalar(const InputState& input, const Arguments& arguments) {
        std::uint64_t word = 0;
        if (is_float(input.dtype)) {
            const double value = arguments.reals.at(input.name);
            const float narrow = static_cast<float>(value);
            if (input.dtype == DType::f32)
                std::memcpy(&word, &narrow, 4);
            else
                std::memcpy(&word, &value, 8);
        } else
            word = static_cast<std::uint64_t>(arguments.integers.at(input.name));
        words_.push_back(word);
        argv_.push_back(&words_.back());
    }
    void add(const AnyBuffer& b) {
        static std::uint8_t none[64];
        dims_.emplace_back();
        for (int d = b.rank(); d-- > 0;)
            dims_.back().push_back({0, static_cast<std::int32_t>(b.extent(d)), static_cast<std::int32_t>(b.stride(d)), 0});
        runtime::HalideBuffer made{};
        made.host = b.size() == 0 ? none : static_cast<std::uint8_t*>(b.data());
        const bool half = b.dtype() == TESSERA_F16 || b.dtype() == TESSERA_BF16;
        made.type = runtime::halide_type(half ? TESSERA_U16 : b.dtype());
        made.dimensions = b.rank();
        made.dim = dims_.back().data();
        buffers_.push_back(made);
        argv_.push_back(&buffers_.back());
    }
    std::list<std::vector<runtime::HalideDim>> dims_;
    std::list<runtime::HalideBuffer> buffers_;
    std::list<std::uint64_t> words_;
    std::vector<void*> argv_;
};

}  // namespace tessera::test
