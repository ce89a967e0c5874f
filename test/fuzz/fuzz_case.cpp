#include "fuzz/fuzz_case.h"

#include "algorithm/graph.h"
#include "backend/interpreter/interpreter.h"
#include "schedule/default_schedule.h"
#include "schedule/loop_tree.h"
#include "unit/cpu/kernel_run.h"

#include <fmt/format.h>

#include <cstring>

namespace tessera::fuzz {
namespace {

std::int64_t extent_of(const Dim& d, const std::map<std::string, std::int64_t>& extents) {
    const auto constant = d.extent().constant();
    return constant ? *constant : extents.at(d.name());
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
        case DType::f32: fill<float>(random, buffer, -4); break;
        case DType::f64: fill<double>(random, buffer, -4); break;
    }
    return buffer;
}

struct Case {
    Algorithm algorithm;
    interpreter::Inputs inputs;
    test::Arguments named;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    std::string extents;
    std::map<std::string, std::int64_t> values;

    // Every byte set, so that what nothing writes shows.
    [[nodiscard]] interpreter::Outputs outputs() const {
        interpreter::Outputs out;
        for (const Func& f : algorithm.outputs()) {
            const std::vector<std::string> names = interpreter::output_names(f);
            for (size_t i = 0; i < names.size(); ++i) {
                AnyBuffer buffer(test::buffer_dtype(f.dtype(static_cast<int>(i))), shapes.at(f.name()));
                std::memset(buffer.data(), 0xa5, bytes_of(buffer));
                out.emplace(names[i], buffer);
            }
        }
        return out;
    }
    static size_t bytes_of(const AnyBuffer& buffer) {
        return static_cast<size_t>(buffer.size()) * tessera_dtype_bytes(buffer.dtype());
    }
};

Case make_case(Random& random) {
    Case c{random_algorithm(random), {}, {}, {}, {}, {}};
    const auto extent = [&](std::int64_t most) { return chance(random, 0.04) ? 0 : draw(random, 1, most); };
    const bool deep = c.algorithm.outputs()[0].rank() > 3;
    const std::map<std::string, std::int64_t> extents{
        {"p", extent(3)}, {"c", extent(4)}, {"y", extent(deep ? 6 : 13)}, {"x", extent(deep ? 18 : 21)}, {"k", extent(9)}};
    for (const auto& [name, value] : extents) c.extents += fmt::format("{}={} ", name, value);
    c.values = extents;
    const auto shape = [&](const std::vector<Dim>& dims) {
        std::vector<std::int64_t> out;
        for (const Dim& d : dims) out.push_back(extent_of(d, extents));
        return out;
    };
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

std::string difference(const interpreter::Outputs& wanted, const interpreter::Outputs& got) {
    for (const auto& [name, a] : wanted) {
        const AnyBuffer& b = got.at(name);
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
    }
    return {};
}

// The outputs of the kernel compiled for this machine, which checks what it relies on.
interpreter::Outputs run_compiled(const Case& c, const BoundSchedule& bound) {
#if TESSERA_HAVE_HALIDE
    bool empty = false;
    for (const auto& [name, extent] : c.values) empty = empty || extent == 0;
    const cpu::CompiledKernel kernel = cpu::jit(bound, "host", empty ? cpu::KernelChecks::none : cpu::KernelChecks::all);
    test::Call call(c.algorithm, kernel.parameters, c.named, c.values);
    if (const int status = kernel.call(call.argv()); status != 0)
        throw Bug(B0951_internal, {}, fmt::format("the kernel returns {}: {}", status, tessera_last_error()));
    return call.outputs;
#else
    (void)c;
    throw Limit(L0901_not_on_target, {}, fmt::format("{} cannot be compiled in this build", bound.graph.algorithm.name()));
#endif
}

}  // namespace

CaseResult run_case(std::uint64_t seed, bool compiled) {
    Random random(seed);
    const Case c = make_case(random);
    CaseResult result;
    interpreter::Outputs wanted = c.outputs();
    const auto failed = [&](const std::string& what, const Schedule& schedule) {
        result.failed = true;
        result.text =
            fmt::format("seed {}: {}\nextents: {}\n{}\n{}\n", seed, what, c.extents, c.algorithm.text(), to_json(schedule));
    };
    try {
        interpreter::evaluate(c.algorithm, c.inputs, wanted);
    } catch (const Exception& e) {
        failed(std::string("the oracle throws: ") + e.what(), {});
        return result;
    }
    // The entry of a kernel returns before anything runs when there is nothing to write.
    bool empty = true;
    for (const auto& [name, buffer] : wanted) empty = empty && buffer.size() == 0;
    // Around an empty dim that an output reduces over, a stage with a border has cells whose inputs have none.
    const auto& sizes = c.values;
    const bool hollow = sizes.at("p") == 0 || sizes.at("c") == 0 || sizes.at("y") == 0 || sizes.at("x") == 0;
    if (hollow && !empty) return result;
    const auto check = [&](const std::string& name, const Schedule& schedule, bool must_bind) {
        if (result.failed) return;
        std::optional<BoundSchedule> bound;
        try {
            bound = bind(c.algorithm, schedule);
        } catch (const Bug& e) {
            failed(name + " bind: " + e.what(), schedule);
            return;
        } catch (const Exception& e) {
            if (must_bind) failed(name + " is refused: " + e.what(), schedule);
            return;
        }
        if (!must_bind) result.legal = true;
        if (empty) return;
        try {
            const LoopTree tree = build_loop_tree(*bound);
            interpreter::Outputs got = c.outputs();
            interpreter::execute(tree, c.inputs, got, {.shuffle_seed = seed | 1});
            if (const std::string d = difference(wanted, got); !d.empty()) {
                failed(name + " loop tree: " + d + "\n" + to_text(tree), schedule);
                return;
            }
        } catch (const Limit& e) {
            if (must_bind) failed(name + " loop tree: " + e.what(), schedule);
            return;
        } catch (const Exception& e) {
            failed(name + " loop tree: " + e.what(), schedule);
            return;
        }
        if (!compiled) return;
        try {
            const interpreter::Outputs got = run_compiled(c, *bound);
            if (const std::string d = difference(wanted, got); !d.empty()) failed(name + " compiled: " + d, schedule);
        } catch (const Limit& e) {
            if (must_bind) failed(name + " compiled: " + e.what(), schedule);
        } catch (const Exception& e) {
            failed(name + " compiled: " + e.what(), schedule);
        }
    };
    try {
        static_cast<void>(make_stages(c.algorithm));
    } catch (const Limit&) {
        return result;  // told, not wrong
    }
    check("random schedule", random_schedule(random, c.algorithm), false);
    check("default schedule", default_schedule(c.algorithm, CpuModel{}), true);
    Schedule roots;
    for (const Stage& s : make_stages(c.algorithm).stages) roots.stage(s.name).root();
    check("all root", roots, true);
    return result;
}

}  // namespace tessera::fuzz
