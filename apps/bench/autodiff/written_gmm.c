#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "written_gradients.h"

/* One point against every Gaussian: scaled (k d), terms (k). The means are multiplied before, into moved. Sums run over contiguous
 * columns so that they vectorise. */
static void forward(int k, int d, const double* restrict shift, const double* restrict moved, const double* restrict diagonal,
                    const double* restrict by_column, const double* restrict x, double* restrict scaled, double* restrict terms) {
    for (int g = 0; g < k; ++g) {
        double* restrict s = scaled + g * d;
        for (int i = 0; i < d; ++i) s[i] = diagonal[g * d + i] * x[i] - moved[g * d + i];
        for (int j = 0; j < d; ++j) {
            const double* restrict column = by_column + (g * d + j) * d;
            const double at = x[j];
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

/* Adds what one point gives to the derivatives by alphas, by the diagonals and by the transpose of `lower`, which d_columns is, and
 * to the sums of those by scaled. */
static void backward(int k, int d, const double* restrict x, const double* restrict scaled, const double* restrict shares,
                     double* restrict d_alphas, double* restrict d_diagonal, double* restrict sums, double* restrict d_columns,
                     double* restrict given) {
    for (int g = 0; g < k; ++g) {
        const double* restrict s = scaled + g * d;
        const double share = shares[g];
        d_alphas[g] += share;
        for (int i = 0; i < d; ++i) {
            given[i] = -share * s[i];
            sums[g * d + i] += given[i];
            d_diagonal[g * d + i] += given[i] * x[i];
        }
        for (int j = 0; j < d; ++j) {
            double* restrict d_column = d_columns + (g * d + j) * d;
            const double at = x[j];
            for (int i = j + 1; i < d; ++i) d_column[i] += given[i] * at;
        }
    }
}

/* What comes through the means, once for all points: d_q holds the derivative by the diagonals before. */
static void through_means(int k, int d, const double* means, const double* diagonal, const double* by_column, const double* sums,
                          const double* d_alphas, double* d_means, double* d_q, double* d_columns) {
    for (int g = 0; g < k; ++g)
        for (int j = 0; j < d; ++j) {
            const int at = g * d + j;
            double sum = sums[at] * diagonal[at];
            for (int i = j + 1; i < d; ++i) {
                sum += sums[g * d + i] * by_column[at * d + i];
                d_columns[at * d + i] -= sums[g * d + i] * means[at];
            }
            d_means[at] = -sum;
            d_q[at] = (d_q[at] - sums[at] * means[at]) * diagonal[at] + d_alphas[g];
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
    double* room = calloc(2 * cells + 4 * rows + 3 * (size_t)k + d, sizeof(double));
    double *by_column = room, *d_columns = by_column + cells, *diagonal = d_columns + cells, *moved = diagonal + rows,
           *scaled = moved + rows, *sums = scaled + rows, *shift = sums + rows, *terms = shift + k, *shares = terms + k, *given = shares + k;
    transposed(k, d, lower, by_column);
    double value = 0;
    for (int g = 0; g < k; ++g) {
        shift[g] = alphas[g];
        for (int i = 0; i < d; ++i) {
            shift[g] += q[g * d + i];
            diagonal[g * d + i] = exp(q[g * d + i]);
            moved[g * d + i] = diagonal[g * d + i] * means[g * d + i];
            for (int j = 0; j < i; ++j) moved[g * d + i] += lower[(g * d + i) * d + j] * means[g * d + j];
        }
    }
    if (d_alphas) {
        memset(d_alphas, 0, k * sizeof(double));
        memset(d_q, 0, rows * sizeof(double));
    }
    for (int p = 0; p < n; ++p) {
        forward(k, d, shift, moved, diagonal, by_column, x + (size_t)p * d, scaled, terms);
        value += logsumexp(k, terms, shares);
        if (d_alphas) backward(k, d, x + (size_t)p * d, scaled, shares, d_alphas, d_q, sums, d_columns, given);
    }
    value -= n * logsumexp(k, alphas, shares);
    for (size_t i = 0; i < rows; ++i) value -= 0.5 * diagonal[i] * diagonal[i] - q[i];
    for (int g = 0; g < k; ++g)
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < i; ++j) value -= 0.5 * lower[(g * d + i) * d + j] * lower[(g * d + i) * d + j];
    if (d_alphas) {
        through_means(k, d, means, diagonal, by_column, sums, d_alphas, d_means, d_q, d_columns);
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
