#include "scale_any.h"
#include "scale_twice.h"
#include "scales.h"

#include <stdio.h>

#include <tessera/tessera_kernel.h>

extern const tessera_kernel_descriptor scale_by_3_kernel, scale_by_5_kernel;

int main(void) {
    float in[16], out[16];
    const int64_t extents[2] = {2, 8}, odd[2] = {2, 7};
    tessera_buffer a = {0}, b = {0};
    int i;
    for (i = 0; i < 16; ++i) in[i] = (float)i;
    a.data = in;
    a.extents = extents;
    a.rank = 2;
    a.dtype = TESSERA_F32;
    b = a;
    b.data = out;
    if (scale_any(&a, &b) != TESSERA_OK || out[15] != 45) return puts(tessera_last_error()), 1;
    if (scale_twice(&a, &b) != TESSERA_OK || out[15] != 30) return puts(tessera_last_error()), 1;
    a.extents = b.extents = odd;
    if (scale_any(&a, &b) != TESSERA_ARGUMENT_EXTENT) return puts("x need not be a multiple of 8"), 1;
    /* Two functions of one library, one of them with a kernel for narrow images. */
    if (scale_by_3_kernel.variant_count != 3 || scale_by_5_kernel.variant_count != 1) return puts("variants are missing"), 1;
    if (scale_by_3(&a, &b) != TESSERA_OK || out[13] != 39 || out[14] != 28) return puts(tessera_last_error()), 1;
    if (scale_by_5(&a, &b) != TESSERA_ARGUMENT_EXTENT) return puts("x need not be a multiple of 8"), 1;
    a.extents = b.extents = extents;
    if (scale_by_3(&a, &b) != TESSERA_OK || out[15] != 45) return puts(tessera_last_error()), 1;
    if (scale_by_5(&a, &b) != TESSERA_OK || out[15] != 75) return puts(tessera_last_error()), 1;
    return 0;
}
