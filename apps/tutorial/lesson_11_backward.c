/* Lesson 11: derivatives ahead of time. The library has two C functions: values, and derivatives for what comes in later. */
#include "lesson_11_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { B = 5, I = 3, O = 4 };

static tessera_buffer matrix(float* data, const int64_t* extents) {
    tessera_buffer buffer = {0};
    buffer.data = data;
    buffer.extents = extents;
    buffer.rank = 2;
    buffer.dtype = TESSERA_F32;
    return buffer;
}

static void expect(int holds, const char* what) {
    if (holds) return;
    printf("failed: %s (%s)\n", what, tessera_last_error());
    exit(1);
}

int main(void) {
    static float x[B * I], W[I * O], y[B * O], d_y[B * O], d_x[B * I], d_W[I * O], moved_y[B * O];
    const int64_t of_x[2] = {B, I}, of_W[2] = {I, O}, of_y[2] = {B, O};
    int k, n;
    for (k = 0; k < B * I; ++k) x[k] = (float)sin(k);
    for (k = 0; k < I * O; ++k) W[k] = (float)cos(2 * k);
    for (k = 0; k < B * O; ++k) d_y[k] = (float)sin(3 * k + 1);
    {
        const tessera_buffer from = matrix(x, of_x), weights = matrix(W, of_W), given = matrix(d_y, of_y);
        tessera_buffer out = matrix(y, of_y), by_x = matrix(d_x, of_x), by_W = matrix(d_W, of_W);
        expect(lesson_11_layer(&from, &weights, &out) == TESSERA_OK, "the values");
        /* What is kept between the calls is y itself: the derivative of tanh is 1 - y * y. */
        expect(lesson_11_layer_backward(&from, &weights, &given, &out, &by_x, &by_W) == TESSERA_OK, "the derivatives");
    }
    /* Differences of d_y . y when one weight moves. */
    for (n = 0; n < I * O; ++n) {
        double difference = 0;
        int side;
        for (side = 1; side >= -1; side -= 2) {
            const tessera_buffer from = matrix(x, of_x);
            tessera_buffer weights = matrix(W, of_W), out = matrix(moved_y, of_y);
            const float before = W[n];
            W[n] = before + 1e-2f * (float)side;
            expect(lesson_11_layer(&from, &weights, &out) == TESSERA_OK, "the values beside");
            W[n] = before;
            for (k = 0; k < B * O; ++k) difference += side * (double)d_y[k] * moved_y[k] / 2e-2;
        }
        expect(fabs(difference - d_W[n]) < 1e-3, "the derivative by a weight is the slope");
    }
    printf("derivatives by %d weights agree with differences\n", I * O);
    return 0;
}
