#include "algebra_kernels.h"

#include "dense_array.h"

#include <bench_conv2d_default.h>
#include <bench_layer_norm_default.h>
#include <bench_matmul_default.h>
#include <bench_matmul_f64_default.h>
#include <bench_matmul_gelu_default.h>
#include <bench_matmul_gelu_hand.h>
#include <bench_matmul_hand.h>
#include <bench_separable_conv_default.h>
#include <bench_separable_conv_hand.h>
#include <bench_softmax_default.h>

namespace bench {
namespace {

using Product = int (*)(const tessera_buffer*, const tessera_buffer*, tessera_buffer*);

template <typename T>
OurKernel product_of(Product function, const T* a, const T* b, T* out, MatmulSize size) {
    return [function, left = DenseArray<2>(a, {size.m, size.k}), right = DenseArray<2>(b, {size.k, size.n}),
            product = DenseArray<2>(out, {size.m, size.n})] {
        const tessera_buffer from_left = left.view(), from_right = right.view();
        tessera_buffer to = product.view();
        check_status(function(&from_left, &from_right, &to));
    };
}

}  // namespace

OurKernel tessera_matmul(const float* a, const float* b, float* out, MatmulSize size, OurSchedule schedule) {
    return product_of(schedule == OurSchedule::hand ? bench_matmul_hand : bench_matmul_default, a, b, out, size);
}

OurKernel tessera_matmul(const double* a, const double* b, double* out, MatmulSize size) {
    return product_of(bench_matmul_f64_default, a, b, out, size);
}

OurKernel tessera_matmul_gelu(const float* a, const float* b, const float* bias, float* out, MatmulSize size,
                              OurSchedule schedule) {
    const auto function = schedule == OurSchedule::hand ? bench_matmul_gelu_hand : bench_matmul_gelu_default;
    return [function, left = DenseArray<2>(a, {size.m, size.k}), right = DenseArray<2>(b, {size.k, size.n}),
            added = DenseArray<1>(bias, {size.n}), product = DenseArray<2>(out, {size.m, size.n})] {
        const tessera_buffer from_left = left.view(), from_right = right.view(), from_bias = added.view();
        tessera_buffer to = product.view();
        check_status(function(&from_left, &from_right, &from_bias, &to));
    };
}

OurKernel tessera_softmax(const float* in, float* out, RowsSize size) {
    return [from = DenseArray<2>(in, {size.rows, size.columns}), to = DenseArray<2>(out, {size.rows, size.columns})] {
        const tessera_buffer x = from.view();
        tessera_buffer y = to.view();
        check_status(bench_softmax_default(&x, &y));
    };
}

OurKernel tessera_layer_norm(const float* in, const float* gamma, const float* beta, float* out, RowsSize size) {
    return [from = DenseArray<2>(in, {size.rows, size.columns}), scale = DenseArray<1>(gamma, {size.columns}),
            shift = DenseArray<1>(beta, {size.columns}), to = DenseArray<2>(out, {size.rows, size.columns})] {
        const tessera_buffer x = from.view(), by = scale.view(), plus = shift.view();
        tessera_buffer y = to.view();
        check_status(bench_layer_norm_default(&x, &by, &plus, 1e-5f, &y));
    };
}

OurKernel tessera_convolution(const float* in, const float* weights, const float* bias, float* out, ConvolutionSize size) {
    return [image = DenseArray<4>(in, {size.batch, size.height + 2, size.width + 2, size.in_channels}),
            taps = DenseArray<4>(weights, {3, 3, size.in_channels, size.out_channels}),
            added = DenseArray<1>(bias, {size.out_channels}),
            to = DenseArray<4>(out, {size.batch, size.height, size.width, size.out_channels})] {
        const tessera_buffer x = image.view(), w = taps.view(), plus = added.view();
        tessera_buffer y = to.view();
        check_status(bench_conv2d_default(&x, &w, &plus, &y));
    };
}

OurKernel tessera_separable_conv(const float* in, const float* taps, const float* mix, const float* bias, float* out,
                                 ConvolutionSize size, OurSchedule schedule) {
    return [function = schedule == OurSchedule::hand ? bench_separable_conv_hand : bench_separable_conv_default,
            image = DenseArray<4>(in, {size.batch, size.height, size.width, size.in_channels}),
            own = DenseArray<3>(taps, {3, 3, size.in_channels}),
            across = DenseArray<2>(mix, {size.in_channels, size.out_channels}), added = DenseArray<1>(bias, {size.out_channels}),
            to = DenseArray<4>(out, {size.batch, size.height, size.width, size.out_channels})] {
        const tessera_buffer x = image.view(), w = own.view(), m = across.view(), plus = added.view();
        tessera_buffer y = to.view();
        check_status(function(&x, &w, &m, &plus, &y));
    };
}

}  // namespace bench
