#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "written_gradients.h"

/* What a cell keeps of a step for the way back: rows of b numbers. */
enum { row_input, row_hidden, row_cell, row_forget, row_entry, row_leave, row_change, row_bent, rows };

static void cell_forward(int b, const double* restrict w, const double* restrict bias, const double* restrict input,
                         double* restrict hidden, double* restrict cell, double* restrict kept) {
#pragma GCC ivdep
    for (int i = 0; i < b; ++i) {
        const double forget = 1 / (1 + exp(-(input[i] * w[i] + bias[i])));
        const double entry = 1 / (1 + exp(-(hidden[i] * w[b + i] + bias[b + i])));
        const double leave = 1 / (1 + exp(-(input[i] * w[2 * b + i] + bias[2 * b + i])));
        const double change = tanh(hidden[i] * w[3 * b + i] + bias[3 * b + i]);
        const double next = cell[i] * forget + entry * change, bent = tanh(next);
        kept[row_input * b + i] = input[i];
        kept[row_hidden * b + i] = hidden[i];
        kept[row_cell * b + i] = cell[i];
        kept[row_forget * b + i] = forget;
        kept[row_entry * b + i] = entry;
        kept[row_leave * b + i] = leave;
        kept[row_change * b + i] = change;
        kept[row_bent * b + i] = bent;
        cell[i] = next;
        hidden[i] = leave * bent;
    }
}

/* d_hidden, d_cell: of this step's results in, of the step before out. d_input gets what goes to the layer below. */
static void cell_backward(int b, const double* restrict w, const double* restrict kept, double* restrict d_hidden,
                          double* restrict d_cell, double* restrict d_input, double* restrict d_w, double* restrict d_bias) {
    const double *input = kept + row_input * b, *hidden = kept + row_hidden * b, *cell = kept + row_cell * b;
#pragma GCC ivdep
    for (int i = 0; i < b; ++i) {
        const double forget = kept[row_forget * b + i], entry = kept[row_entry * b + i], leave = kept[row_leave * b + i],
                     change = kept[row_change * b + i], bent = kept[row_bent * b + i];
        const double next = d_cell[i] + d_hidden[i] * leave * (1 - bent * bent);
        const double by_forget = next * cell[i] * forget * (1 - forget), by_entry = next * change * entry * (1 - entry),
                     by_leave = d_hidden[i] * bent * leave * (1 - leave), by_change = next * entry * (1 - change * change);
        d_w[i] += by_forget * input[i];
        d_w[b + i] += by_entry * hidden[i];
        d_w[2 * b + i] += by_leave * input[i];
        d_w[3 * b + i] += by_change * hidden[i];
        d_bias[i] += by_forget;
        d_bias[b + i] += by_entry;
        d_bias[2 * b + i] += by_leave;
        d_bias[3 * b + i] += by_change;
        d_input[i] = by_forget * w[i] + by_leave * w[2 * b + i];
        d_hidden[i] = by_entry * w[b + i] + by_change * w[3 * b + i];
        d_cell[i] = next * forget;
    }
}

double written_lstm(int layers, int steps, int b, const double* weights, const double* biases, const double* into,
                    const double* out, const double* out_bias, const double* state, const double* sequence, double* d_weights,
                    double* d_biases, double* d_into, double* d_out, double* d_out_bias) {
    const size_t step_rows = (size_t)layers * rows * b;
    const int with_gradient = d_weights != NULL;
    double* kept = malloc((with_gradient ? steps : 1) * step_rows * sizeof(double));
    double* last = malloc((size_t)steps * 2 * b * sizeof(double)); /* the last layer's hidden values, and the shares of guesses */
    double* hidden = malloc((size_t)(4 * layers + 4) * b * sizeof(double));
    double *cell = hidden + layers * b, *d_hidden = cell + layers * b, *d_cell = d_hidden + layers * b, *flow = d_cell + layers * b,
           *guess = flow + b, *d_flow = guess + b;
    for (int l = 0; l < layers; ++l) {
        memcpy(hidden + l * b, state + 2 * l * b, b * sizeof(double));
        memcpy(cell + l * b, state + (2 * l + 1) * b, b * sizeof(double));
    }
    double loss = 0;
    for (int t = 0; t < steps; ++t) {
        for (int i = 0; i < b; ++i) flow[i] = sequence[t * b + i] * into[i];
        for (int l = 0; l < layers; ++l) {
            cell_forward(b, weights + 4 * l * b, biases + 4 * l * b, flow, hidden + l * b, cell + l * b,
                         kept + (with_gradient ? t : 0) * step_rows + (size_t)l * rows * b);
            memcpy(flow, hidden + l * b, b * sizeof(double));
        }
        double* restrict shares = last + (size_t)t * 2 * b;
        double sum = 2;
        for (int i = 0; i < b; ++i) {
            guess[i] = flow[i] * out[i] + out_bias[i];
            shares[i] = flow[i];
            shares[b + i] = exp(guess[i]);
        }
        for (int i = 0; i < b; ++i) sum += shares[b + i];
        const double all = log(sum);
        for (int i = 0; i < b; ++i) {
            loss += (guess[i] - all) * sequence[(t + 1) * b + i];
            shares[b + i] /= sum;
        }
    }
    const double scale = -1.0 / steps / b;
    if (with_gradient) {
        memset(d_weights, 0, (size_t)4 * layers * b * sizeof(double));
        memset(d_biases, 0, (size_t)4 * layers * b * sizeof(double));
        memset(d_into, 0, b * sizeof(double));
        memset(d_out, 0, b * sizeof(double));
        memset(d_out_bias, 0, b * sizeof(double));
        memset(d_hidden, 0, (size_t)2 * layers * b * sizeof(double));
        for (int t = steps; t-- > 0;) {
            const double* restrict shares = last + (size_t)t * 2 * b;
            double gold = 0;
            for (int i = 0; i < b; ++i) gold += sequence[(t + 1) * b + i];
            for (int i = 0; i < b; ++i) {
                const double given = scale * (sequence[(t + 1) * b + i] - gold * shares[b + i]);
                d_out[i] += given * shares[i];
                d_out_bias[i] += given;
                d_flow[i] = given * out[i];
            }
            for (int l = layers; l-- > 0;) {
                for (int i = 0; i < b; ++i) d_hidden[l * b + i] += d_flow[i];
                cell_backward(b, weights + 4 * l * b, kept + t * step_rows + (size_t)l * rows * b, d_hidden + l * b,
                              d_cell + l * b, d_flow, d_weights + 4 * l * b, d_biases + 4 * l * b);
            }
            for (int i = 0; i < b; ++i) d_into[i] += d_flow[i] * sequence[t * b + i];
        }
    }
    free(kept);
    free(last);
    free(hidden);
    return scale * loss;
}
