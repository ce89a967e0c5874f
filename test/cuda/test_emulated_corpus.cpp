#include <gtest/gtest.h>

#include "backend/cuda/cuda_source.h"
#include "cuda/corpus_run.h"
#include "cuda/emulated_kernels.h"
#include "cuda/emulated_run.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <sys/mman.h>

// The emitted text of every corpus kernel runs in the emulator and must give what the interpreter gives.
namespace tessera::cuda_test {
namespace {

using cuda::IndexWidth;

EmulatedRun emulated_run(const CorpusKernel& k, CorpusBuffers buffers, IndexWidth width = IndexWidth::narrow) {
    const tile::Program program = corpus_program(k);
    if (!fits_alignments(program, buffers)) {
        const tile::Program plain = corpus_program(k, tile::Copies::plain);
        return {k.algorithm, plain, cuda::emit_kernels(plain, k.name + "_plain", IndexWidth::wide), std::move(buffers)};
    }
    const std::string name = width == IndexWidth::wide ? k.name + "_wide" : k.name;
    return {k.algorithm, program, cuda::emit_kernels(program, name, width), std::move(buffers)};
}

class EmulatedCorpus : public testing::TestWithParam<std::string> {};

TEST_P(EmulatedCorpus, GivesWhatTheInterpreterGives) {
    const CorpusKernel& k = corpus_kernel(GetParam());
    for (const auto& extents : k.cases) {
        CorpusBuffers want = corpus_buffers(k, extents, 3);
        interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
        std::vector<std::pair<emulator::Async, std::int64_t>> modes{
            {emulator::Async::eager, k.row_cells}, {emulator::Async::lazy, k.row_cells}, {emulator::Async::random, k.row_cells}};
        if (k.row_cells > 1) modes.emplace_back(emulator::Async::random, 1);
        // What is copied when does not change a bit.
        interpreter::Outputs first;
        for (const auto& [async, row_cells] : modes) {
            EmulatedRun run = emulated_run(k, corpus_buffers(k, extents, 3, row_cells));
            emulator::Options options;
            options.async = async;
            options.seed = static_cast<std::uint64_t>(async) * 7;
            try {
                run.run(options);
            } catch (const emulator::Fault& f) {
                ADD_FAILURE() << f.what();
                return;
            }
            if (first.empty()) first = run.outputs();
            for (const auto& [name, buffer] : want.outputs) {
                EXPECT_EQ(difference(buffer, run.outputs().at(name), k.length_of(name)), "") << name;
                if (row_cells == k.row_cells) {
                    EXPECT_EQ(difference(first.at(name), run.outputs().at(name), 0), "") << name;
                }
            }
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
        EmulatedRun wide = emulated_run(k, with_stride(dense, stride), width);
        try {
            wide.run({});
        } catch (const emulator::Fault& f) {
            ADD_FAILURE() << f.what();
        }
        for (const auto& [name, buffer] : want.outputs)
            EXPECT_EQ(difference(buffer, wide.outputs().at(name), k.length_of(name)), "") << name << " with stride " << stride;
    };
    std::int64_t fits = 1024, exceeds = std::int64_t{1} << 31;
    EXPECT_TRUE(emulated_run(k, with_stride(dense, fits)).is_within_reach());
    EXPECT_FALSE(emulated_run(k, with_stride(dense, exceeds)).is_within_reach());
    while (exceeds - fits > 1) {
        const std::int64_t middle = (fits + exceeds) / 2;
        (emulated_run(k, with_stride(dense, middle)).is_within_reach() ? fits : exceeds) = middle;
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
            EmulatedRun run = emulated_run(k, corpus_buffers(k, k.cases.back(), 3, k.row_cells));
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
                seen = seen || !difference(buffer, run.outputs().at(name), k.length_of(name)).empty();
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
