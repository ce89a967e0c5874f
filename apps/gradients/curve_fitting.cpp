// Fits curves by the method of Levenberg and Marquardt, with the residuals and their Jacobian as one algorithm.
// curve_fitting [--nist FOLDER]: without the folder of the NIST Statistical Reference Datasets (nonlinear regression) a curve
// with known parameters; with it the certified parameters and standard deviations of every problem there are reached, from both
// starts.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>

#include "compiled_program.h"
#include "expect.h"
#include "nist_problem.h"

using namespace tessera;

namespace {

using Model = std::function<Expr(const std::vector<Expr>& b, const Expr& x)>;

// The models of the problems, by name.
std::map<std::string, Model> models() {
    const auto bell = [](const Expr& height, const Expr& place, const Expr& width, const Expr& x) {
        return height * exp(-((x - place) * (x - place)) / (width * width));
    };
    const Model chwirut = [](const auto& b, const Expr& x) { return exp(-b[0] * x) / (b[1] + b[2] * x); };
    const Model gauss = [bell](const auto& b, const Expr& x) {
        return b[0] * exp(-b[1] * x) + bell(b[2], b[3], b[4], x) + bell(b[5], b[6], b[7], x);
    };
    return {{"Misra1a", [](const auto& b, const Expr& x) { return b[0] * (1.0 - exp(-b[1] * x)); }},
            {"Misra1b",
             [](const auto& b, const Expr& x) {
                 const Expr part = 1.0 + b[1] * x / 2.0;
                 return b[0] * (1.0 - 1.0 / (part * part));
             }},
            {"Chwirut1", chwirut},
            {"Chwirut2", chwirut},
            {"DanWood", [](const auto& b, const Expr& x) { return b[0] * pow(x, b[1]); }},
            {"Gauss1", gauss},
            {"Gauss2", gauss},
            {"Lanczos3",
             [](const auto& b, const Expr& x) { return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x); }}};
}

struct Fit {
    std::vector<double> parameters, deviations;
    double residual_sum = 0;
    int steps = 0;
};

/// Solves the symmetric positive definite system in place (Cholesky); false when it is not definite.
bool solve(std::vector<std::vector<double>> a, std::vector<double>& b) {
    const std::size_t n = b.size();
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = a[i][j];
            for (std::size_t k = 0; k < j; ++k) sum -= a[i][k] * a[j][k];
            if (i == j && !(sum > 0)) return false;
            a[i][j] = i == j ? std::sqrt(sum) : sum / a[j][j];
        }
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
    return true;
}

/// Residuals and Jacobian, compiled; the normal equations from them.
class LeastSquares {
public:
    LeastSquares(const Model& model, const std::vector<double>& x, const std::vector<double>& y, std::size_t parameters)
        : program_(algorithm(model, x.size(), parameters)), count_(parameters) {
        std::copy(x.begin(), x.end(), program_.array<double>("x").data());
        std::copy(y.begin(), y.end(), program_.array<double>("y").data());
    }

    /// The sum of squares at b.
    double evaluate(const std::vector<double>& b) {
        std::copy(b.begin(), b.end(), program_.array<double>("b").data());
        program_.run();
        double sum = 0;
        program_.array<double>("residual").for_each([&](double r) { sum += r * r; });
        return sum;
    }
    /// J'J and J'r where evaluate() was last, columns scaled to length 1; `lengths` are those before.
    void normal_equations(std::vector<std::vector<double>>& a, std::vector<double>& g, std::vector<double>& lengths) const {
        const auto jacobian = program_.array<double>("jacobian"), r = program_.array<double>("residual");
        a.assign(count_, std::vector<double>(count_));
        g.assign(count_, 0);
        lengths.assign(count_, 0);
        for (std::size_t i = 0; i < count_; ++i) {
            for (std::int64_t n = 0; n < r.size(); ++n) lengths[i] += jacobian(n, i) * jacobian(n, i);
            lengths[i] = std::sqrt(lengths[i]);
        }
        for (std::size_t i = 0; i < count_; ++i) {
            for (std::int64_t n = 0; n < r.size(); ++n) g[i] += jacobian(n, i) / lengths[i] * r(n);
            for (std::size_t j = 0; j < count_; ++j)
                for (std::int64_t n = 0; n < r.size(); ++n)
                    a[i][j] += jacobian(n, i) / lengths[i] * (jacobian(n, j) / lengths[j]);
        }
    }

private:
    static Algorithm algorithm(const Model& model, std::size_t points, std::size_t parameters) {
        Dim n("n", static_cast<std::int64_t>(points)), k("k", static_cast<std::int64_t>(parameters));
        const Input x("x", f64, {n}), y("y", f64, {n}), b("b", f64, {k});
        std::vector<Expr> values;
        for (std::size_t i = 0; i < parameters; ++i) values.push_back(b(static_cast<std::int64_t>(i)));
        Func residual("residual"), slopes("jacobian");
        residual(n) = y(n) - model(values, x(n));
        slopes(n, k) = jacobian(residual, b)(n, k);
        return Algorithm({residual, slopes}, {x, y, b});
    }

    apps::CompiledProgram program_;
    std::size_t count_;
};

Fit fit(LeastSquares& problem, std::vector<double> b, std::size_t points) {
    Fit result;
    double damping = 1e-3, best = problem.evaluate(b);
    std::vector<std::vector<double>> a;
    std::vector<double> g, lengths;
    problem.normal_equations(a, g, lengths);
    // To the last digits: the end is where no damping makes the sum smaller.
    while (damping < 1e12 && result.steps < 5000) {
        ++result.steps;
        auto damped = a;
        for (std::size_t i = 0; i < b.size(); ++i) damped[i][i] += damping;
        std::vector<double> step = g, there = b;
        const bool solved = solve(damped, step);
        for (std::size_t i = 0; i < b.size(); ++i) there[i] -= step[i] / lengths[i];
        const double sum = solved ? problem.evaluate(there) : best;
        if (!(sum < best)) {
            damping *= 4;
            continue;
        }
        b = there;
        best = sum;
        damping = std::max(damping / 3, 1e-15);
        problem.normal_equations(a, g, lengths);
    }
    result.parameters = b;
    result.residual_sum = problem.evaluate(b);
    problem.normal_equations(a, g, lengths);
    const double variance = result.residual_sum / static_cast<double>(points - b.size());
    for (std::size_t i = 0; i < b.size(); ++i) {
        std::vector<double> column(b.size());
        column[i] = 1;
        expect(solve(a, column), "the normal equations have a solution");
        result.deviations.push_back(std::sqrt(column[i] * variance) / lengths[i]);
    }
    return result;
}

// Digits that agree, the fewest of all: -log10 of the relative distance.
double digits(const std::vector<double>& got, const std::vector<double>& certified) {
    double fewest = 11;  // as many as are certified
    for (std::size_t i = 0; i < got.size(); ++i)
        fewest = std::min(fewest, -std::log10(std::abs(got[i] - certified[i]) / std::abs(certified[i])));
    return fewest;
}

void fit_nist(const std::string& folder) {
    for (const auto& [name, model] : models()) {
        const std::filesystem::path file = std::filesystem::path(folder) / (name + ".dat");
        if (!std::filesystem::exists(file)) {
            std::cout << name << ": not there\n";
            continue;
        }
        const apps::NistProblem p = apps::read_nist_problem(file.string());
        LeastSquares problem(model, p.x, p.y, p.certified.size());
        for (std::size_t s = 0; s < 2; ++s) {
            const Fit found = fit(problem, p.starts[s], p.y.size());
            const double of_parameters = digits(found.parameters, p.certified),
                         of_deviations = digits(found.deviations, p.deviations),
                         of_sum = digits({found.residual_sum}, {p.residual_sum});
            std::cout << std::left << std::setw(9) << name << " start " << s + 1 << ": " << found.steps
                      << " steps, digits: parameters " << of_parameters << ", standard deviations " << of_deviations
                      << ", sum of squares " << of_sum << "\n";
            expect(of_parameters > 6 && of_deviations > 6 && of_sum > 8, "the certified values are reached");
        }
    }
}

// A decaying wave whose parameters are known: without noise they come back to the last digits.
void fit_known() {
    const std::vector<double> known{3, 0.4, 5, 0.7};
    std::vector<double> x, y;
    for (int n = 0; n < 40; ++n) {
        x.push_back(0.1 * n);
        y.push_back(known[0] * std::exp(-known[1] * x.back()) * std::cos(known[2] * x.back() + known[3]));
    }
    LeastSquares problem([](const auto& b, const Expr& t) { return b[0] * exp(-b[1] * t) * cos(b[2] * t + b[3]); }, x, y, 4);
    const Fit found = fit(problem, {1, 0.1, 4.5, 0.2}, x.size());
    std::cout << "a decaying wave: " << found.steps << " steps, digits of its parameters " << digits(found.parameters, known)
              << "\n";
    expect(digits(found.parameters, known) > 9, "the parameters come back");
}

}  // namespace

int main(int argc, char** argv) {
    fit_known();
    if (argc == 3 && std::string(argv[1]) == "--nist")
        fit_nist(argv[2]);
    else
        std::cout << "the NIST problems are left out: --nist FOLDER says where their files are\n";
}
