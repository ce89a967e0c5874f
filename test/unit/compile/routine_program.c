/* Defines the function that the library's kernel calls, and calls the kernel. */
#include "smoothed.h"

static int calls = 0;

int smooth(const tessera_buffer* operands, const tessera_buffer* results) {
    const tessera_buffer *x = operands, *y = results;
    ++calls;
    for (int64_t r = 0; r < x->extents[0]; ++r) {
        double before = 0;
        for (int64_t t = 0; t < x->extents[1]; ++t) {
            before = ((const double*)x->data)[r * x->strides[0] + t] + 0.5 * before;
            ((double*)y->data)[r * y->strides[0] + t] = before;
        }
    }
    return x->extents[0] == 1 ? 3 : 0;
}

int main(void) {
    double in[6] = {1, 2, 3, 4, 5, 6}, out[6];
    int64_t extents[2] = {2, 3};
    tessera_buffer x = {in, extents, 0, 2, TESSERA_F64, 0, 0, 0}, y = {out, extents, 0, 2, TESSERA_F64, 0, 0, 0};
    size_t bytes = 0;
    if (smoothed(&x, &y) != TESSERA_OK || calls != 1) return 1;
    if (out[0] != 2 || out[2] != 2 * (3 + 0.5 * 2.5) || out[3] != 8) return 2;
    if (smoothed_scratch_bytes(&x, &y, &bytes) != TESSERA_OK || bytes < sizeof in) return 3;
    extents[0] = 1; /* the function refuses */
    if (smoothed(&x, &y) != TESSERA_KERNEL_FAILED || calls != 2) return 4;
    return 0;
}
