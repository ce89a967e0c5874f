#pragma once

#include <tessera/autodiff.h>

#include <functional>
#include <string>
#include <vector>

namespace tessera {

/// Tensors that an equation defines: x with F(x, theta) = 0. Whatever computed x, its derivative is that of the equation, by one
/// linear solve: (dF/dx)' lambda = cotangent, then -(dF/dtheta)' lambda. What F captures is theta; what else computed x, a first
/// guess for example, has the derivative zero. Differentiable again, in both modes.
///
/// Every solve is checked while it runs: where the largest residual is above the tolerance, or NaN, the call ends with E0713 and
/// the two numbers. f32 and f64 only (E0202).

/// How the linear systems of derivatives are solved. lu: Gauss-Jordan elimination with partial pivoting, one dim that is solved
/// for. cg: conjugate gradients, for symmetric positive definite systems. cgnr: conjugate gradients on the normal equations, for
/// any system. relax: x += b - A x, which converges where the fixed point iteration does. automatic: lu for one dim with a static
/// extent of at most 64, else cgnr.
enum class Solver : std::uint8_t { automatic, lu, cg, cgnr, relax };

struct ImplicitOptions {
    double tol = 0;  // of residuals, absolute, and of linear systems relative to their right side; 0: 1e-5 for f32, 1e-10 for f64
    int max_iters = 200;  // of iterations, also of those that solve for derivatives
    Solver solver = Solver::automatic;
    std::vector<Dim> per = {};  // dims of independent equations: nothing of F may mix their points
};

/// `x_star`, bit for bit, with the derivative of residual(x) == 0: a value over the dims of x. Throws E0103, E0205 for a residual
/// that has other dims or another dtype.
[[nodiscard]] Func implicit(const std::string& name, const Func& x_star, const std::function<Expr(const Func& x)>& residual,
                            const ImplicitOptions& options = {});

/// x with x = step(x), by iteration from `start` until x changes by at most the tolerance. Default solver: relax.
[[nodiscard]] Func fixed_point(const std::string& name, const Func& start, const std::function<Expr(const Func& x)>& step,
                               const ImplicitOptions& options = {});

/// v with product(v) = right: `product` is linear in v and has the dims of `right`. E1003 when it is not linear.
[[nodiscard]] Func solve(const std::string& name, const Func& right, const std::function<Expr(const Func& v)>& product,
                         const ImplicitOptions& options = {});

/// The x near `start` at which objective(x), over the dims of `per`, is smallest: gradient steps with the lengths of Barzilai and
/// Borwein (1988, "Two-point step size gradient methods") until the gradient is at most the tolerance. The objective has a
/// positive definite second derivative there. Default solver: cg.
[[nodiscard]] Func argmin(const std::string& name, const Func& start, const std::function<Expr(const Func& x)>& objective,
                          const ImplicitOptions& options = {});

}  // namespace tessera
