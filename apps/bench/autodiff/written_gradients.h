/* Values and gradients written by hand in C: rivals of the autodiff table. Arrays are row-major; the arithmetic is that of
 * jax_kernels.py. Every function returns the value; gradients may be null, then only the value is computed. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Mixture of k Gaussians of d dims over n points. alphas k, means k d, q k d (logarithms of the diagonal), lower k d d (of which
 * the part below the diagonal is read), x n d. */
double written_gmm(int n, int k, int d, const double* alphas, const double* means, const double* q, const double* lower,
                   const double* x, double* d_alphas, double* d_means, double* d_q, double* d_lower);

/* A chain of `layers` cells without matrices, of width b, over `steps` + 1 inputs. weights, biases layers 4 b; state layers 2 b;
 * sequence (steps + 1) b. */
double written_lstm(int layers, int steps, int b, const double* weights, const double* biases, const double* into,
                    const double* out, const double* out_bias, const double* state, const double* sequence, double* d_weights,
                    double* d_biases, double* d_into, double* d_out, double* d_out_bias);

#ifdef __cplusplus
}
#endif
