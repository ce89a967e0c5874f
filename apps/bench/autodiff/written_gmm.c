#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "written_gradients.h"

/* One point against every Gaussian: apart and scaled (k d), terms (k). Sums run over contiguous columns so that they vectorise. */
static void forward(int k, int d, const double* restrict shift, const double* restrict means, const double* restrict diagonal,
                    const double* restrict by_column, const double* restrict x, double* restrict apart, double* restrict scaled,
                    double* restrict terms) {
    for (int g = 0; g < k; ++g) {
        double* restrict a = apart + g * d;
        double* restrict s = scaled + g * d;
        for (int i = 0; i < d; ++i) {
            a[i] = x[i] - means[g * d + i];
            s[i] = diagonal[g * d + i] * a[i];
        }
        for (int j = 0; j < d; ++j) {
            const double* restrict column = by_column + (g * d + j) * d;
            const double at = a[j];
            for (int i = j + 1; i < d; ++i) s[i] += column[i] * at;
        }
        double sum = 0;
        for (int i = 0; i < d; ++i) sum += s[i] * s[i];
        terms[g] = shift[g] - 0.5 * sum;
    }
}

static double logsumexp(int k, const double* terms, double* restrict shares) {
    double most = terms[0], sum = 0;
    for (int g = 1; g < k; ++g) most = terms[g] > most ? terms[g] : most;
    for (int g = 0; g < k; ++g) sum += shares[g] = exp(terms[g] - most);
    for (int g = 0; g < k; ++g) shares[g] /= sum;
    return most + log(sum);
}

/* Adds what one point gives to the gradients; d_columns is the transpose of the derivative by `lower`. */
static void backward(int k, int d, const double* restrict diagonal, const double* restrict by_column, const double* restrict apart,
                     const double* restrict scaled, const double* restrict shares, double* restrict d_alphas,
                     double* restrict d_means, double* restrict d_q, double* restrict d_columns, double* restrict given) {
    for (int g = 0; g < k; ++g) {
        const double* restrict a = apart + g * d;
        const double* restrict s = scaled + g * d;
        const double share = shares[g];
        d_alphas[g] += share;
        for (int i = 0; i < d; ++i) {
            given[i] = -share * s[i];
            d_q[g * d + i] += share + given[i] * diagonal[g * d + i] * a[i];
            d_means[g * d + i] -= given[i] * diagonal[g * d + i];
        }
        for (int j = 0; j < d; ++j) {
            const double* restrict column = by_column + (g * d + j) * d;
            double* restrict d_column = d_columns + (g * d + j) * d;
            const double at = a[j];
            double sum = 0;
            for (int i = j + 1; i < d; ++i) {
                d_column[i] += given[i] * at;
                sum += given[i] * column[i];
            }
            d_means[g * d + j] -= sum;
        }
    }
}

static void transposed(int k, int d, const double* from, double* to) {
    for (int g = 0; g < k; ++g)
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < d; ++j) to[(g * d + j) * d + i] = from[(g * d + i) * d + j];
}

double written_gmm(int n, int k, int d, const double* alphas, const double* means, const double* q, const double* lower,
                   const double* x, double* d_alphas, double* d_means, double* d_q, double* d_lower) {
    const size_t rows = (size_t)k * d, cells = rows * d;
    double* room = calloc(2 * cells + 3 * rows + 4 * (size_t)k + d, sizeof(double));
    double *by_column = room, *d_columns = by_column + cells, *diagonal = d_columns + cells, *apart = diagonal + rows,
           *scaled = apart + rows, *shift = scaled + rows, *terms = shift + k, *shares = terms + k, *given = shares + k;
    transposed(k, d, lower, by_column);
    double value = 0;
    for (int g = 0; g < k; ++g) {
        shift[g] = alphas[g];
        for (int i = 0; i < d; ++i) {
            shift[g] += q[g * d + i];
            diagonal[g * d + i] = exp(q[g * d + i]);
        }
    }
    if (d_alphas) {
        memset(d_alphas, 0, k * sizeof(double));
        memset(d_means, 0, rows * sizeof(double));
        memset(d_q, 0, rows * sizeof(double));
    }
    for (int p = 0; p < n; ++p) {
        forward(k, d, shift, means, diagonal, by_column, x + (size_t)p * d, apart, scaled, terms);
        value += logsumexp(k, terms, shares);
        if (d_alphas) backward(k, d, diagonal, by_column, apart, scaled, shares, d_alphas, d_means, d_q, d_columns, given);
    }
    value -= n * logsumexp(k, alphas, shares);
    for (size_t i = 0; i < rows; ++i) value -= 0.5 * diagonal[i] * diagonal[i] - q[i];
    for (int g = 0; g < k; ++g)
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < i; ++j) value -= 0.5 * lower[(g * d + i) * d + j] * lower[(g * d + i) * d + j];
    if (d_alphas) {
        for (int g = 0; g < k; ++g) d_alphas[g] -= n * shares[g];
        for (size_t i = 0; i < rows; ++i) d_q[i] -= diagonal[i] * diagonal[i] - 1;
        transposed(k, d, d_columns, d_lower);
        for (int g = 0; g < k; ++g)
            for (int i = 0; i < d; ++i)
                for (int j = 0; j < d; ++j) {
                    double* at = d_lower + (g * d + i) * d + j;
                    *at = j < i ? *at - lower[(g * d + i) * d + j] : 0;
                }
    }
    free(room);
    return value;
}
