/* Calls three kernels of two libraries, as a program that knows nothing but their headers; one of them has two size variants. */
#include "project_one.h"
#include "tripled.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tessera/tessera_kernel.h>

extern const tessera_kernel_descriptor doubled_kernel;
static int calls_of_variant[2];
static int count_first(void** params) { return (void)params, ++calls_of_variant[0], 0; }
static int count_second(void** params) { return (void)params, ++calls_of_variant[1], 0; }

static int failures = 0;
static void check(int holds, const char* what) {
    if (holds) return;
    printf("failed: %s (%s)\n", what, tessera_last_error());
    ++failures;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
    static float in[2 * 20], out[2 * 20];
    static double matrix[3 * 4], totals[3];
    const int64_t wide[2] = {2, 20}, narrow[2] = {2, 5}, one[2] = {1, 1}, shape[2] = {3, 4}, rows[1] = {3};
    const int64_t line_extent = 40;
    tessera_buffer a, b, m, s, line, line_out;
    size_t bytes = 0;
    void* scratch;
    tessera_value values[3];
    tessera_kernel_variant counting[2];
    tessera_kernel_descriptor counted = doubled_kernel;
    int i, run;
    double best = 1;
    memset(&a, 0, sizeof a);
    for (i = 0; i < 40; ++i) in[i] = (float)i;
    for (i = 0; i < 12; ++i) matrix[i] = i;
    a.data = in;
    a.extents = wide;
    a.rank = 2;
    a.dtype = TESSERA_F32;
    b = a;
    b.data = out;
    m = a;
    m.data = matrix;
    m.dtype = TESSERA_F64;
    m.extents = shape;
    s = m;
    s.data = totals;
    s.rank = 1;
    s.extents = rows;

    check(doubled(&a, 0.5f, &b) == TESSERA_OK && out[39] == 39.0f, "doubled, wide");
    check(tripled(&a, 2.0f, &b) == TESSERA_OK && out[39] == 6 * 39.0f, "tripled");
    check(sums(&m, &s) == TESSERA_OK && totals[2] == 8 + 9 + 10 + 11, "sums");
    a.extents = b.extents = narrow;
    check(doubled(&a, 0.5f, &b) == TESSERA_OK && out[9] == 9.0f && out[10] == 6 * 10.0f, "doubled, narrow");
    a.extents = wide;
    check(doubled(&a, 0.5f, &b) == TESSERA_ARGUMENT_EXTENT, "extents that differ");
    check(doubled(0, 0.5f, &b) == TESSERA_ARGUMENT && tessera_last_error()[0] != 0, "null");

    /* Scratch memory of the caller's: as much as the kernel says, and nothing past it. */
    line = a;
    line.extents = &line_extent;
    line.rank = 1;
    line_out = line;
    line_out.data = out;
    check(slopes_scratch_bytes(&line, &line_out, &bytes) == TESSERA_OK && bytes > 41 * sizeof(float) && bytes < 1024, "scratch bytes");
    scratch = tessera_malloc(bytes + 1);
    ((char*)scratch)[bytes] = 77;
    check(slopes_with_scratch(&line, &line_out, scratch, bytes - 1) == TESSERA_ARGUMENT, "too little scratch memory");
    check(slopes_with_scratch(&line, &line_out, scratch, bytes) == TESSERA_OK && out[3] == 7.0f && out[39] == 0.0f, "slopes");
    check(((char*)scratch)[bytes] == 77, "the end of the scratch memory");
    tessera_free(scratch);
    check(sums_scratch_bytes(&m, &s, &bytes) == TESSERA_OK && bytes == 0, "no scratch bytes");

    /* Which variant runs follows the extents. */
    check(counted.variant_count == 2, "two variants");
    memcpy(counting, counted.variants, sizeof counting);
    counting[0].argv = count_first;
    counting[1].argv = count_second;
    counted.variants = counting;
    values[0].buffer = &a;
    values[1].f = 1;
    values[2].buffer = &b;
    b.extents = wide;
    check(tessera_call(&counted, values) == TESSERA_OK && calls_of_variant[1] == 1, "the base runs for wide rows");
    a.extents = b.extents = narrow;
    check(tessera_call(&counted, values) == TESSERA_OK && calls_of_variant[0] == 1, "variant 0 runs for narrow rows");

    /* A call costs less than a microsecond. */
    a.extents = b.extents = one;
    for (run = 0; run < 50; ++run) {
        const double start = seconds();
        double each;
        for (i = 0; i < 2000; ++i) (void)tripled(&a, 1.0f, &b);
        each = (seconds() - start) / 2000;
        if (each < best) best = each;
    }
    printf("a call of one element takes %.0f ns\n", best * 1e9);
    check(best < 1e-6, "a call takes less than a microsecond");
    return failures;
}
