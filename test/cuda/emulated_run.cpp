#include "cuda/emulated_run.h"

#include "backend/cuda/device/word_types.cuh"
#include "cuda/emulated_kernels.h"

#include <cstring>
#include <stdexcept>

namespace tessera::cuda_test {

using cuda::KernelParam;

EmulatedRun::EmulatedRun(const Algorithm& algorithm, tile::Program program, std::vector<cuda::EmittedKernel> emitted,
                         CorpusBuffers buffers)
    : algorithm_(algorithm), buffers_(std::move(buffers)), program_(std::move(program)), emitted_(std::move(emitted)),
      arguments_(interpreter::bind_arguments(algorithm_, buffers_.inputs, buffers_.outputs)) {
    for (const tile::Scratch& s : program_.scratch) {
        std::int64_t cells = 1;
        for (const Expr& e : s.extent) cells *= std::max<std::int64_t>(arguments_.value(e), 0);
        std::vector<std::vector<char>> components;
        for (const DType t : program_.bound.graph.stages[s.stage].dtypes)
            components.emplace_back(static_cast<size_t>(cells * dtype_bytes(t)), char(0x5a));
        scratch_.push_back(std::move(components));
    }
}

void EmulatedRun::run(emulator::Options options) {
    for (const auto& [name, value] : buffers_.inputs) {
        const auto* b = std::get_if<AnyBuffer>(&value);
        if (b) options.memory.push_back({b->data(), span_bytes(*b), true});
    }
    for (const auto& [name, b] : buffers_.outputs) options.memory.push_back({b.data(), span_bytes(b), false});
    for (auto& components : scratch_)
        for (auto& memory : components) options.memory.push_back({memory.data(), memory.size(), false});
    for (const cuda::EmittedKernel& e : emitted_) launch(e, options);
}

bool EmulatedRun::is_within_reach() const {
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

void EmulatedRun::launch(const cuda::EmittedKernel& e, const emulator::Options& options) {
    const EmulatedCall call = emulated_call(e.name);
    if (!call) throw std::runtime_error(e.name + " was not compiled: is its kernel in the list in test/CMakeLists.txt?");
    std::int64_t blocks = 1;
    for (const Expr& g : e.grid) blocks *= arguments_.value(g);
    if (blocks == 0) return;
    std::vector<std::uint64_t> words(e.params.size());
    std::vector<void*> pointers;
    std::vector<tsr::TensorMap> maps(e.maps.size());
    for (size_t i = 0; i < maps.size(); ++i) encode(&maps[i], e.maps[i]);
    for (size_t i = 0; i < words.size(); ++i) {
        const bool map = e.params[i].kind == KernelParam::Kind::tensor_map;
        if (!map) set(words[i], e.params[i]);
        pointers.push_back(map ? static_cast<void*>(&maps[e.params[i].index]) : &words[i]);
    }
    emulator::Shape shape;
    shape.grid_x = static_cast<int>(e.resident > 0 ? std::min<std::int64_t>(blocks, 2 * e.cluster) : blocks);
    shape.cluster_x = static_cast<int>(e.cluster);
    shape.threads = static_cast<int>(e.threads);
    shape.shared_bytes = static_cast<std::uint32_t>(e.shared_bytes);
    (void)emulator::launch(shape, options, [&] { call(pointers.data()); });
}

void EmulatedRun::encode(void* map, const cuda::BoxMap& m) const {
    const AnyBuffer& b = m.output ? arguments_.outputs[m.index][0].buffer
                                  : arguments_.inputs.at(algorithm_.arguments()[m.index].state().get()).buffer;
    const auto bytes = static_cast<int>(tessera_dtype_bytes(b.dtype()));
    emulator::TensorShape shape{b.data(), bytes, {}, {}, {}, m.swizzle_bytes};
    for (int d = b.rank(); d-- > 0;) {
        shape.extents.push_back(static_cast<std::uint64_t>(b.extent(d)));
        if (d + 1 < b.rank()) shape.strides.push_back(static_cast<std::uint64_t>(b.stride(d) * bytes));
    }
    for (const std::int64_t cells : m.box) shape.box.push_back(static_cast<std::uint32_t>(cells));
    emulator::encode_tensor_map(map, shape);
}

void EmulatedRun::set(std::uint64_t& word, const KernelParam& p) const {
    const auto address = [](const void* memory) { return reinterpret_cast<std::uint64_t>(memory); };
    const auto input = [&] { return arguments_.inputs.at(algorithm_.arguments()[p.index].state().get()).buffer; };
    switch (p.kind) {
        case KernelParam::Kind::input: word = address(input().data()); return;
        case KernelParam::Kind::input_stride: word = static_cast<std::uint64_t>(input().stride(static_cast<int>(p.axis))); return;
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

}  // namespace tessera::cuda_test
