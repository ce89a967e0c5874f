#include "scale_any.h"
#include "scale_twice.h"

#include <stdio.h>

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
    return 0;
}
