#include "onednn.h"

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include <dlfcn.h>

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.hpp>

namespace bench::rivals {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

constexpr auto f32 = memory::data_type::f32;

struct Place {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
};

std::shared_ptr<Place> a_place() { return std::make_shared<Place>(); }

memory array(const Place& place, const memory::desc& layout, const float* values) {
    return memory(layout, place.engine, const_cast<float*>(values));
}

Kernel kernel_of(std::shared_ptr<Place> place, dnnl::primitive primitive, Arguments arguments) {
    return [place = std::move(place), primitive = std::move(primitive), arguments = std::move(arguments)] {
        primitive.execute(place->stream, arguments);
        place->stream.wait();
    };
}

/// A primitive divides its work among threads when it is made: there is one for each number that it is run with.
Kernel per_thread_count(std::function<Kernel()> make) {
    // Of the OpenMP library that oneDNN brings along.
    static const auto most_threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    const auto made = std::make_shared<std::map<int, Kernel>>();
    return [make = std::move(make), made] {
        Kernel& kernel = (*made)[most_threads ? most_threads() : 1];
        if (!kernel) kernel = make();
        kernel();
    };
}

/// Scratch is the caller's: allocated once, not in every call.
dnnl::primitive_attr own_scratch() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

Kernel product(const float* a, const float* b, const float* bias, float* out, MatmulSize size, dnnl::primitive_attr attributes) {
    return per_thread_count([=]() -> Kernel {
        const auto place = a_place();
        const memory::desc left({size.m, size.k}, f32, Tag::ab), right({size.k, size.n}, f32, Tag::ab),
            to({size.m, size.n}, f32, Tag::ab);
        const memory::desc added({1, size.n}, f32, Tag::ab);
        const dnnl::matmul::desc what = bias ? dnnl::matmul::desc(left, right, added, to) : dnnl::matmul::desc(left, right, to);
        const dnnl::matmul::primitive_desc how(what, attributes, place->engine);
        Arguments arguments{{DNNL_ARG_SRC, array(*place, left, a)},
                            {DNNL_ARG_WEIGHTS, array(*place, right, b)},
                            {DNNL_ARG_DST, array(*place, to, out)},
                            {DNNL_ARG_SCRATCHPAD, memory(how.scratchpad_desc(), place->engine)}};
        if (bias) arguments.emplace(DNNL_ARG_BIAS, array(*place, added, bias));
        return kernel_of(place, dnnl::matmul(how), std::move(arguments));
    });
}

}  // namespace

std::string onednn_problem() { return ""; }

std::string onednn_version() {
    const dnnl_version_t* version = dnnl_version();
    return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

void use_onednn_threads(int threads) {
    static const auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
    if (set) set(threads);
}

Kernel onednn_matmul(const float* a, const float* b, float* out, MatmulSize size) {
    return product(a, b, nullptr, out, size, own_scratch());
}

Kernel onednn_matmul_gelu(const float* a, const float* b, const float* bias, float* out, MatmulSize size) {
    dnnl::post_ops after;
    after.append_eltwise(1.0f, dnnl::algorithm::eltwise_gelu_erf, 0.0f, 0.0f);
    dnnl::primitive_attr attributes = own_scratch();
    attributes.set_post_ops(after);
    return product(a, b, bias, out, size, attributes);
}

Kernel onednn_softmax(const float* in, float* out, RowsSize size) {
    return per_thread_count([=]() -> Kernel {
        const auto place = a_place();
        const memory::desc layout({size.rows, size.columns}, f32, Tag::ab);
        const dnnl::softmax_forward::desc what(dnnl::prop_kind::forward_inference, layout, 1);
        const dnnl::softmax_forward::primitive_desc how(what, own_scratch(), place->engine);
        return kernel_of(place, dnnl::softmax_forward(how),
                         {{DNNL_ARG_SRC, array(*place, layout, in)},
                          {DNNL_ARG_DST, array(*place, layout, out)},
                          {DNNL_ARG_SCRATCHPAD, memory(how.scratchpad_desc(), place->engine)}});
    });
}

Kernel onednn_layer_norm(const float* in, const float* gamma, const float* beta, float* out, RowsSize size) {
    return per_thread_count([=]() -> Kernel {
        const auto place = a_place();
        const memory::desc layout({size.rows, size.columns}, f32, Tag::ab), row({size.columns}, f32, Tag::a);
        const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
        const dnnl::layer_normalization_forward::desc what(dnnl::prop_kind::forward_inference, layout, 1e-5f, flags);
        const dnnl::layer_normalization_forward::primitive_desc how(what, own_scratch(), place->engine);
        return kernel_of(place, dnnl::layer_normalization_forward(how),
                         {{DNNL_ARG_SRC, array(*place, layout, in)},
                          {DNNL_ARG_SCALE, array(*place, row, gamma)},
                          {DNNL_ARG_SHIFT, array(*place, row, beta)},
                          {DNNL_ARG_DST, array(*place, layout, out)},
                          {DNNL_ARG_SCRATCHPAD, memory(how.scratchpad_desc(), place->engine)}});
    });
}

Kernel onednn_convolution(const float* in, const float* weights, const float* bias, float* out, ConvolutionSize size) {
    return per_thread_count([=]() -> Kernel {
        const auto place = a_place();
        const memory::desc image({size.batch, size.in_channels, size.height + 2, size.width + 2}, f32, Tag::nhwc);
        const memory::desc to({size.batch, size.out_channels, size.height, size.width}, f32, Tag::nhwc),
            added({size.out_channels}, f32, Tag::a);
        const memory::dims taps{size.out_channels, size.in_channels, 3, 3};
        const dnnl::convolution_forward::desc what(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, image,
                                                   memory::desc(taps, f32, Tag::any), added, to, {1, 1}, {0, 0}, {0, 0});
        const dnnl::convolution_forward::primitive_desc how(what, own_scratch(), place->engine);
        memory given = array(*place, memory::desc(taps, f32, Tag::hwio), weights);
        memory liked(how.weights_desc(), place->engine);
        dnnl::reorder(given, liked).execute(place->stream, given, liked);
        place->stream.wait();
        return kernel_of(place, dnnl::convolution_forward(how),
                         {{DNNL_ARG_SRC, array(*place, image, in)},
                          {DNNL_ARG_WEIGHTS, liked},
                          {DNNL_ARG_BIAS, array(*place, added, bias)},
                          {DNNL_ARG_DST, array(*place, to, out)},
                          {DNNL_ARG_SCRATCHPAD, memory(how.scratchpad_desc(), place->engine)}});
    });
}

}  // namespace bench::rivals
