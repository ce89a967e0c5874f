#include <gtest/gtest.h>

#include "backend/cuda/cuda_source.h"
#include "backend/cuda/device/word_types.cuh"
#include "backend/interpreter/bound_arguments.h"
#include "cuda/corpus_run.h"
#include "cuda/emulated_kernels.h"
#include "emulator/launch.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <sys/mman.h>

// The emitted text of every corpus kernel runs in the emulator and must give what the interpreter gives.
namespace tessera::cuda_test {
namespace {

using cuda::IndexWidth;
using cuda::KernelParam;

/// The launches of one corpus kernel with one set of arguments.
class EmulatedRun {
public:
    EmulatedRun(const CorpusKernel& kernel, CorpusBuffers buffers, IndexWidth width = IndexWidth::narrow)
        : kernel_(kernel), buffers_(std::move(buffers)), program_(corpus_program(kernel)),
          plain_(!fits_alignments(program_, buffers_.inputs)), wide_(!plain_ && width == IndexWidth::wide),
          emitted_(cuda::emit_kernels(plain_ ? corpus_program(kernel, tile::Copies::plain) : program_,
                                      kernel.name + (plain_  ? "_plain"
                                                     : wide_ ? "_wide"
                                                             : ""),
                                      plain_ ? IndexWidth::wide : width)),
          arguments_(interpreter::bind_arguments(kernel.algorithm, buffers_.inputs, buffers_.outputs)) {
        for (const tile::Scratch& s : program_.scratch) {
            std::int64_t cells = 1;
            for (const Expr& e : s.extent) cells *= std::max<std::int64_t>(arguments_.value(e), 0);
            std::vector<std::vector<char>> components;
            for (const DType t : program_.bound.graph.stages[s.stage].dtypes)
                components.emplace_back(static_cast<size_t>(cells * dtype_bytes(t)), char(0x5a));
            scratch_.push_back(std::move(components));
        }
    }

    void run(emulator::Options options) {
        for (const auto& [name, value] : buffers_.inputs) {
            const AnyBuffer& b = std::get<AnyBuffer>(value);
            options.memory.push_back({b.data(), span_bytes(b), true});
        }
        for (const auto& [name, b] : buffers_.outputs) options.memory.push_back({b.data(), span_bytes(b), false});
        for (auto& components : scratch_)
            for (auto& memory : components) options.memory.push_back({memory.data(), memory.size(), false});
        for (const cuda::EmittedKernel& e : emitted_) launch(e, options);
    }
    [[nodiscard]] const interpreter::Outputs& outputs() const { return buffers_.outputs; }
    /// Whether indices stay within 32 bits, as the runtime decides it.
    [[nodiscard]] bool is_within_reach() {
        std::map<std::pair<KernelParam::Kind, size_t>, std::int64_t> sums;
        for (const cuda::EmittedKernel& e : emitted_) {
            for (const Expr& most : e.reach.values)
                if (arguments_.value(most) > INT32_MAX) return false;
            sums.clear();
            for (const cuda::IndexReach::Steps& s : e.reach.steps) {
                std::uint64_t stride = 0;
                set(stride, {s.kind, s.index, s.axis, {}, "", ""});
                if ((sums[{s.kind, s.index}] += arguments_.value(s.most) * static_cast<std::int64_t>(stride)) > INT32_MAX)
                    return false;
            }
        }
        return true;
    }

private:
    void launch(const cuda::EmittedKernel& e, const emulator::Options& options) {
        const EmulatedCall call = emulated_call(e.name);
        ASSERT_NE(call, nullptr) << e.name << " was not compiled: add " << kernel_.name << " to the list in test/CMakeLists.txt";
        std::int64_t blocks = 1;
        for (const Expr& g : e.grid) blocks *= arguments_.value(g);
        if (blocks == 0) return;
        std::vector<std::uint64_t> words(e.params.size());
        std::vector<void*> pointers;
        std::vector<tsr::TensorMap> maps(e.maps.size());
        for (size_t i = 0; i < maps.size(); ++i) encode(maps[i], e.maps[i]);
        for (size_t i = 0; i < words.size(); ++i) {
            const bool map = e.params[i].kind == KernelParam::Kind::tensor_map;
            if (!map) set(words[i], e.params[i]);
            pointers.push_back(map ? static_cast<void*>(&maps[e.params[i].index]) : &words[i]);
        }
        emulator::Shape shape;
        shape.grid_x = static_cast<int>(e.resident > 0 ? std::min<std::int64_t>(blocks, 2) : blocks);
        shape.threads = static_cast<int>(e.threads);
        shape.shared_bytes = static_cast<std::uint32_t>(e.shared_bytes);
        (void)emulator::launch(shape, options, [&] { call(pointers.data()); });
    }

    void encode(tsr::TensorMap& map, const cuda::BoxMap& m) {
        const InputState* input = kernel_.algorithm.arguments()[m.argument].state().get();
        const AnyBuffer& b = arguments_.inputs.at(input).buffer;
        const auto bytes = static_cast<int>(tessera_dtype_bytes(b.dtype()));
        emulator::TensorShape shape{b.data(), bytes, {}, {}, {}, m.swizzle_bytes};
        for (int d = b.rank(); d-- > 0;) {
            shape.extents.push_back(static_cast<std::uint64_t>(b.extent(d)));
            if (d + 1 < b.rank()) shape.strides.push_back(static_cast<std::uint64_t>(b.stride(d) * bytes));
        }
        for (const std::int64_t cells : m.box) shape.box.push_back(static_cast<std::uint32_t>(cells));
        emulator::encode_tensor_map(&map, shape);
    }

    void set(std::uint64_t& word, const KernelParam& p) {
        const auto address = [](const void* memory) { return reinterpret_cast<std::uint64_t>(memory); };
        const auto input = [&] { return arguments_.inputs.at(kernel_.algorithm.arguments()[p.index].state().get()).buffer; };
        switch (p.kind) {
            case KernelParam::Kind::input: word = address(input().data()); return;
            case KernelParam::Kind::input_stride:
                word = static_cast<std::uint64_t>(input().stride(static_cast<int>(p.axis)));
                return;
            case KernelParam::Kind::scalar: std::memcpy(&word, input().data(), tessera_dtype_bytes(input().dtype())); return;
            case KernelParam::Kind::output: word = address(arguments_.outputs[p.index][p.axis].buffer.data()); return;
            case KernelParam::Kind::output_stride:
                word = static_cast<std::uint64_t>(arguments_.outputs[p.index][0].buffer.stride(static_cast<int>(p.axis)));
                return;
            case KernelParam::Kind::scratch: word = address(scratch_[p.index][p.axis].data()); return;
            case KernelParam::Kind::tensor_map: return;
            case KernelParam::Kind::extent: word = static_cast<std::uint64_t>(arguments_.value(p.dim)); return;
        }
    }

    const CorpusKernel& kernel_;
    CorpusBuffers buffers_;
    tile::Program program_;
    bool plain_, wide_;
    std::vector<cuda::EmittedKernel> emitted_;
    interpreter::BoundArguments arguments_;
    std::vector<std::vector<std::vector<char>>> scratch_;
};

class EmulatedCorpus : public testing::TestWithParam<std::string> {};

TEST_P(EmulatedCorpus, GivesWhatTheInterpreterGives) {
    const CorpusKernel& k = corpus_kernel(GetParam());
    for (const auto& extents : k.cases) {
        CorpusBuffers want = corpus_buffers(k, extents, 3);
        interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
        std::vector<std::pair<emulator::Async, std::int64_t>> modes{
            {emulator::Async::eager, k.row_cells}, {emulator::Async::lazy, k.row_cells}, {emulator::Async::random, k.row_cells}};
        if (k.row_cells > 1) modes.emplace_back(emulator::Async::random, 1);
        for (const auto& [async, row_cells] : modes) {
            EmulatedRun run(k, corpus_buffers(k, extents, 3, row_cells));
            emulator::Options options;
            options.async = async;
            options.seed = static_cast<std::uint64_t>(async) * 7;
            try {
                run.run(options);
            } catch (const emulator::Fault& f) {
                ADD_FAILURE() << f.what();
                return;
            }
            for (const auto& [name, buffer] : want.outputs)
                EXPECT_EQ(difference(buffer, run.outputs().at(name), k.length), "") << name;
        }
    }
}

// Inputs whose rows are `stride` cells apart, in memory that is there only where it is touched.
CorpusBuffers with_stride(const CorpusBuffers& from, std::int64_t stride) {
    CorpusBuffers out = from;
    for (auto& [name, value] : out.inputs) {
        AnyBuffer& b = std::get<AnyBuffer>(value);
        if (b.rank() != 2) continue;
        const auto cell = static_cast<std::int64_t>(tessera_dtype_bytes(b.dtype()));
        const auto bytes = static_cast<std::size_t>(((b.extent(0) - 1) * stride + b.extent(1)) * cell);
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        EXPECT_NE(memory, MAP_FAILED) << bytes;
        for (std::int64_t row = 0; row < b.extent(0); ++row)
            std::memcpy(static_cast<char*>(memory) + row * stride * cell,
                        static_cast<const char*>(b.data()) + row * b.stride(0) * cell,
                        static_cast<std::size_t>(b.extent(1) * cell));
        b = AnyBuffer(b.dtype(), memory, {b.extent(0), b.extent(1)}, {stride, 1},
                      std::shared_ptr<void>(memory, [bytes](void* m) { munmap(m, bytes); }));
    }
    return out;
}

// The longest stride with which 32 bits do is found, and there kernels with such indices are right; a longer one is for 64 bits.
class WideCorpus : public testing::TestWithParam<std::string> {};

TEST_P(WideCorpus, ComputesIndicesWideEnough) {
    const CorpusKernel& k = corpus_kernel(GetParam());
    const CorpusBuffers dense = corpus_buffers(k, k.cases.back(), 3);
    CorpusBuffers want = dense;
    interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
    const auto run = [&](std::int64_t stride, IndexWidth width) {
        EmulatedRun wide(k, with_stride(dense, stride), width);
        try {
            wide.run({});
        } catch (const emulator::Fault& f) {
            ADD_FAILURE() << f.what();
        }
        for (const auto& [name, buffer] : want.outputs)
            EXPECT_EQ(difference(buffer, wide.outputs().at(name), k.length), "") << name << " with stride " << stride;
    };
    std::int64_t fits = 1024, exceeds = std::int64_t{1} << 31;
    EXPECT_TRUE(EmulatedRun(k, with_stride(dense, fits)).is_within_reach());
    EXPECT_FALSE(EmulatedRun(k, with_stride(dense, exceeds)).is_within_reach());
    while (exceeds - fits > 1) {
        const std::int64_t middle = (fits + exceeds) / 2;
        (EmulatedRun(k, with_stride(dense, middle)).is_within_reach() ? fits : exceeds) = middle;
    }
    EXPECT_GT(fits, INT32_MAX / 1000);
    run(fits, IndexWidth::narrow);
    run(std::int64_t{1} << 32, IndexWidth::wide);
}

// Without any one of its synchronisations a kernel must be seen to race or hang, or compute something else.
TEST_P(EmulatedCorpus, EverySynchronisationThatIsLostIsSeen) {
    const CorpusKernel& k = corpus_kernel(GetParam());
    int places = 0;
    for (const cuda::EmittedKernel& e : cuda::emit_kernels(corpus_program(k), k.name))
        for (const std::string_view word : synchronisations) {
            const std::string start = " " + std::string(word);
            for (size_t at = e.text.find(start); at != std::string::npos; at = e.text.find(start, at + 1)) ++places;
        }
    CorpusBuffers want = corpus_buffers(k, k.cases.back(), 3);
    interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
    for (int place = 0; place < places; ++place) {
        bool seen = false;
        for (std::uint64_t seed = 0; seed < 3 && !seen; ++seed) {
            EmulatedRun run(k, corpus_buffers(k, k.cases.back(), 3, k.row_cells));
            emulator::Options options;
            options.seed = seed;
            leave_out(place);
            try {
                run.run(options);
            } catch (const emulator::Fault&) {
                seen = true;
            }
            leave_out(-1);
            for (const auto& [name, buffer] : want.outputs)
                seen = seen || !difference(buffer, run.outputs().at(name), k.length).empty();
        }
        EXPECT_TRUE(seen) << "place " << place << " of " << places;
    }
}

std::vector<std::string> names(bool wide) {
    std::vector<std::string> out;
    for (const CorpusKernel& k : corpus())
        if (!wide || is_emulated_wide(k)) out.push_back(k.name);
    return out;
}
INSTANTIATE_TEST_SUITE_P(Corpus, EmulatedCorpus, testing::ValuesIn(names(false)), [](const auto& test) { return test.param; });
INSTANTIATE_TEST_SUITE_P(Corpus, WideCorpus, testing::ValuesIn(names(true)), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tessera::cuda_test
