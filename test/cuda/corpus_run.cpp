#include "cuda/corpus_run.h"

#include "backend/interpreter/scalar_ops.h"

#include "tile/kernel_state.h"

#include <fmt/format.h>

namespace tessera::cuda_test {
namespace {

std::vector<std::int64_t> shape(const std::vector<Dim>& dims, const std::map<std::string, std::int64_t>& extents) {
    std::vector<std::int64_t> out;
    for (const Dim& d : dims) out.push_back(d.extent().constant() ? *d.extent().constant() : extents.at(d.name()));
    return out;
}

double real_value(DType dtype, const void* memory, std::int64_t element) {
    const interpreter::Bits bits = interpreter::load_function(dtype)(memory, element);
    const interpreter::Bits as_f64 = interpreter::scalar_function(Op::cast, dtype, DType::f64)(&bits);
    return interpreter::from_bits<double>(as_f64);
}

// The elements' places in memory, the last dim fastest.
std::vector<std::int64_t> places(const AnyBuffer& buffer) {
    std::vector<std::int64_t> out{0};
    for (int d = 0; d < buffer.rank(); ++d) {
        std::vector<std::int64_t> next;
        for (const std::int64_t at : out)
            for (std::int64_t i = 0; i < buffer.extent(d); ++i) next.push_back(at + i * buffer.stride(d));
        out = std::move(next);
    }
    return out;
}

void fill(AnyBuffer& buffer, DType dtype, unsigned seed) {
    std::mt19937 random(seed);
    for (const std::int64_t i : places(buffer)) {
        // Every integer; floats around 0 with a full mantissa, so that sums depend on their order.
        if (!is_float(dtype)) {
            const interpreter::Bits bits = random();
            interpreter::store_function(dtype)(buffer.data(), i, bits);
            continue;
        }
        const float value = std::normal_distribution<float>()(random);
        const interpreter::Bits bits = interpreter::to_bits(value);
        interpreter::store_function(dtype)(buffer.data(), i, interpreter::scalar_function(Op::cast, DType::f32, dtype)(&bits));
    }
}

}  // namespace

std::size_t span_bytes(const AnyBuffer& buffer) {
    std::int64_t cells = 1;
    for (int d = 0; d < buffer.rank(); ++d) cells += (buffer.extent(d) - 1) * buffer.stride(d);
    return buffer.size() == 0 ? 0 : static_cast<std::size_t>(cells) * tessera_dtype_bytes(buffer.dtype());
}

bool fits_alignments(const tile::Program& program, const CorpusBuffers& buffers) {
    const Algorithm& algorithm = program.bound.graph.algorithm;
    std::vector<AnyBuffer> all;
    for (const Argument& a : algorithm.arguments()) {
        const auto* buffer = std::get_if<AnyBuffer>(&buffers.inputs.at(a.state()->name));
        all.push_back(buffer ? *buffer : AnyBuffer());
    }
    for (const Func& f : algorithm.outputs())
        for (const std::string& name : interpreter::output_names(f)) all.push_back(buffers.outputs.at(name));
    for (const tile::CopyAlignment& a : tile::copy_alignments(program)) {
        const AnyBuffer& buffer = all.at(a.argument);
        const auto bytes = static_cast<std::int64_t>(tessera_dtype_bytes(buffer.dtype()));
        if (reinterpret_cast<std::uintptr_t>(buffer.data()) % static_cast<std::uintptr_t>(a.bytes) != 0) return false;
        for (int d = 0; d + 1 < buffer.rank(); ++d)
            if (buffer.stride(d) * bytes % a.bytes != 0) return false;
    }
    return true;
}

CorpusBuffers corpus_buffers(const CorpusKernel& kernel, const std::map<std::string, std::int64_t>& extents, unsigned seed,
                             std::int64_t row_cells) {
    CorpusBuffers out;
    for (const Argument& a : kernel.algorithm.arguments()) {
        std::vector<std::int64_t> own = shape(a.state()->dims, extents), padded = own;
        if (!padded.empty()) padded.back() = (padded.back() + row_cells - 1) / row_cells * row_cells;
        AnyBuffer buffer(interpreter::buffer_dtype(a.state()->dtype), padded);
        std::memset(buffer.data(), 0xff, span_bytes(buffer));
        if (!own.empty()) buffer = buffer.crop(static_cast<int>(own.size()) - 1, 0, own.back());
        fill(buffer, a.state()->dtype, ++seed);
        out.inputs.emplace(a.state()->name, buffer);
    }
    for (const Func& f : kernel.algorithm.outputs()) {
        const std::vector<std::string> names = interpreter::output_names(f);
        for (size_t c = 0; c < names.size(); ++c)
            out.outputs.emplace(names[c], AnyBuffer(interpreter::buffer_dtype(f.state()->dtypes[c]), shape(f.dims(), extents)));
    }
    return out;
}

std::string difference(const AnyBuffer& want, const AnyBuffer& got, std::int64_t length) {
    for (const DType t : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
        if (length == 0 || interpreter::buffer_dtype(t) != want.dtype()) continue;
        double largest = 0;
        for (std::int64_t i = 0; i < want.size(); ++i) largest = std::max(largest, std::fabs(real_value(t, want.data(), i)));
        const int digits = t == DType::f64 ? 53 : t == DType::f32 ? 24 : t == DType::f16 ? 11 : 8;
        const double near = std::ldexp(largest * static_cast<double>(length + 2), -digits);
        for (std::int64_t i = 0; i < want.size(); ++i) {
            const double a = real_value(t, want.data(), i), b = real_value(t, got.data(), i);
            if (!(std::fabs(a - b) <= near)) return fmt::format("cell {} is {}, but {} is due (near {})", i, b, a, near);
        }
        return "";
    }
    const auto bytes = static_cast<std::int64_t>(tessera_dtype_bytes(want.dtype()));
    for (std::int64_t i = 0; i < want.size() * bytes; ++i)
        if (static_cast<const char*>(want.data())[i] != static_cast<const char*>(got.data())[i])
            return fmt::format("cell {} has other bits than are due", i / bytes);
    return "";
}

LoopTree corpus_tree(const CorpusKernel& kernel, const std::string& target) {
    return build_loop_tree(bind(kernel.algorithm, kernel.schedule, parse_target(target)));
}

tile::Program corpus_program(const CorpusKernel& kernel, tile::Copies copies) {
    return corpus_program(kernel, parse_target(kernel.target), copies);
}
tile::Program corpus_program(const CorpusKernel& kernel, const Target& target, tile::Copies copies) {
    if (kernel.written) return tile::written_program(*kernel.written, target, copies);
    return tile::lower(corpus_tree(kernel, to_text(target)), target, copies);
}

}  // namespace tessera::cuda_test
