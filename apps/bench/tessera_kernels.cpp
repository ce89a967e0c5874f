#include "tessera_kernels.h"

#include "dense_array.h"
#include "our_kernels.h"

namespace bench {
namespace {

using OneInput = int (*)(const tessera_buffer*, tessera_buffer*);

template <std::size_t InRank, std::size_t OutRank>
OurKernel kernel_of(OneInput function, DenseArray<InRank> in, DenseArray<OutRank> out) {
    if (function == nullptr) return {};
    return [=] {
        const tessera_buffer from = in.view();
        tessera_buffer to = out.view();
        check_status(function(&from, &to));
    };
}

}  // namespace

const char* name_of(OurSchedule schedule) {
    return schedule == OurSchedule::hand ? "hand" : schedule == OurSchedule::tuned ? "tuned" : "default";
}

OurKernel tessera_bilateral_grid(const float* in, float* out, Size2 image, OurSchedule schedule) {
    return kernel_of(bilateral_grid_kernels.of(schedule), DenseArray<2>(in, {image.height, image.width}),
                     DenseArray<2>(out, {image.height, image.width}));
}

OurKernel tessera_blur(const std::uint16_t* in, std::uint16_t* out, Size2 size, OurSchedule schedule) {
    return kernel_of(blur_kernels.of(schedule), DenseArray<2>(in, {size.height + 2, size.width + 2}),
                     DenseArray<2>(out, {size.height, size.width}));
}

OurKernel tessera_camera_raw(const std::uint16_t* in, std::uint8_t* out, Size2 image, OurSchedule schedule) {
    const auto function = camera_raw_kernels.of(schedule);
    if (function == nullptr) return {};
    return [function, from = DenseArray<2>(in, {image.height + 24, image.width + 32}),
            w = DenseArray<2>(camera_settings.warm, {3, 4}), k = DenseArray<2>(camera_settings.cold, {3, 4}),
            to = DenseArray<3>(out, {3, image.height, image.width})] {
        const tessera_buffer samples = from.view(), warm = w.view(), cold = k.view();
        tessera_buffer photo = to.view();
        const CameraSettings& s = camera_settings;
        check_status(function(&samples, &warm, &cold, s.color_temp, s.gamma, s.contrast, s.strength, s.black, s.white, &photo));
    };
}

OurKernel tessera_unsharp(const float* in, float* out, Size2 image, OurSchedule schedule) {
    return kernel_of(unsharp_kernels.of(schedule), DenseArray<3>(in, {3, image.height, image.width}),
                     DenseArray<3>(out, {3, image.height, image.width}));
}

OurKernel tessera_harris(const float* in, float* out, Size2 size, OurSchedule schedule) {
    return kernel_of(harris_kernels.of(schedule), DenseArray<3>(in, {3, size.height + 4, size.width + 4}),
                     DenseArray<2>(out, {size.height, size.width}));
}

OurKernel tessera_equalize(const std::uint8_t* in, std::uint8_t* out, Size2 image, OurSchedule schedule) {
    return kernel_of(equalize_kernels.of(schedule), DenseArray<3>(in, {3, image.height, image.width}),
                     DenseArray<3>(out, {3, image.height, image.width}));
}

OurKernel tessera_iir_blur(const float* in, float* out, Size2 image, OurSchedule schedule) {
    return kernel_of(iir_blur_kernels.of(schedule), DenseArray<3>(in, {3, image.height, image.width}),
                     DenseArray<3>(out, {3, image.height, image.width}));
}

OurKernel tessera_interpolate(const float* in, float* out, Size2 image, OurSchedule schedule) {
    return kernel_of(interpolate_kernels.of(schedule), DenseArray<3>(in, {4, image.height, image.width}),
                     DenseArray<3>(out, {3, image.height, image.width}));
}

OurKernel tessera_lens_blur(const std::uint8_t* in, float* out, Size2 image, OurSchedule schedule) {
    const auto function = lens_blur_kernels.of(schedule);
    if (function == nullptr) return {};
    const std::array<std::int64_t, 3> extents{3, image.height, image.width};
    return [function, a = DenseArray<3>(in, extents),
            b = DenseArray<3>(in + std::size_t(3) * image.height * image.width, extents), to = DenseArray<3>(out, extents)] {
        const tessera_buffer left = a.view(), right = b.view();
        tessera_buffer photo = to.view();
        check_status(function(&left, &right, &photo));
    };
}

OurKernel tessera_local_laplacian(const std::uint16_t* in, std::uint16_t* out, Size2 image, OurSchedule schedule) {
    const auto function = local_laplacian_kernels.of(schedule);
    if (function == nullptr) return {};
    return [function, from = DenseArray<3>(in, {3, image.height, image.width}),
            to = DenseArray<3>(out, {3, image.height, image.width})] {
        const tessera_buffer photo = from.view();
        tessera_buffer enhanced = to.view();
        check_status(function(&photo, laplacian_alpha, laplacian_beta, &enhanced));
    };
}

OurKernel tessera_nl_means(const float* in, float* out, Size2 image, OurSchedule schedule) {
    const auto function = nl_means_kernels.of(schedule);
    if (function == nullptr) return {};
    return [function, from = DenseArray<3>(in, {3, image.height, image.width}),
            to = DenseArray<3>(out, {3, image.height, image.width})] {
        const tessera_buffer photo = from.view();
        tessera_buffer quiet = to.view();
        check_status(function(&photo, nl_means_sigma, &quiet));
    };
}

OurKernel tessera_stencil_chain(const std::uint16_t* in, std::uint16_t* out, Size2 image, OurSchedule schedule) {
    return kernel_of(stencil_chain_kernels.of(schedule), DenseArray<2>(in, {image.height, image.width}),
                     DenseArray<2>(out, {image.height, image.width}));
}

OurKernel tessera_max_filter(const float* in, float* out, Size2 image, OurSchedule schedule) {
    return kernel_of(max_filter_kernels.of(schedule), DenseArray<3>(in, {3, image.height, image.width}),
                     DenseArray<3>(out, {3, image.height, image.width}));
}

void use_tessera_threads(int threads) { tessera_set_num_threads(threads); }

}  // namespace bench
