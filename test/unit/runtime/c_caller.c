/* A kernel library's user as plain C sees it: this file is compiled as C99. */
#include <tessera/tessera_kernel.h>

static int ran;

static int double_all(void** params) {
    (void)params;
    return ++ran, 0;
}

/* Returns 0 when the call ran the kernel and a null buffer was refused with a message. */
int call_kernel_from_c(void) {
    static const int32_t dim_numbers[1] = {0};
    static const tessera_dim_descriptor dims[1] = {{"n", TESSERA_DIM_BOUND, 0, 0, 0, {NULL, 0}, 0, 0, -1}};
    static const tessera_arg_descriptor args[2] = {
        {"x", TESSERA_ARG_INPUT, TESSERA_F32, 1, dim_numbers, TESSERA_ARG_LAST_DIM_DENSE, -1, 0, {NULL, 0}, {NULL, 0}},
        {"y", TESSERA_ARG_OUTPUT, TESSERA_F32, 1, dim_numbers, TESSERA_ARG_LAST_DIM_DENSE, -1, 0, {NULL, 0}, {NULL, 0}}};
    static const tessera_kernel_variant variants[1] = {{"all", {NULL, 0}, 0, double_all, NULL, NULL}};
    static const tessera_kernel_descriptor kernel = {
        TESSERA_KERNEL_ABI, "double", 2, args, 1, dims, 0, NULL, 0, NULL, 1, variants};
    float x[3] = {1, 2, 3};
    float y[3] = {0, 0, 0};
    const int64_t extents[1] = {3};
    const tessera_buffer bx = {x, extents, NULL, 1, TESSERA_F32, 0, 0, 0};
    const tessera_buffer by = {y, extents, NULL, 1, TESSERA_F32, 0, 0, 0};
    tessera_value values[2];
    values[0].buffer = &bx;
    values[1].buffer = &by;
    if (tessera_call(&kernel, values) != TESSERA_OK || ran != 1) return 1;
    values[1].buffer = NULL;
    if (tessera_call(&kernel, values) != TESSERA_ARGUMENT || ran != 1) return 2;
    return tessera_last_error()[0] == '\0' ? 3 : 0;
}
