#!/usr/bin/env python3
"""Fits the minimax polynomials of src/expr/math_definitions.h and writes src/expr/math_coefficients.h.

Each polynomial P minimises max |(target(x) - sum c_k x^k) * weight(x)| by Remez exchange in 60-digit arithmetic.
Coefficients are rounded to the working dtype one at a time, lowest degree first, refitting the rest after each
(so the error of rounding one coefficient is absorbed by the next). Needs mpmath; gmpy2 makes it fast.
Usage: fit_math_coefficients.py > src/expr/math_coefficients.h
"""
import math
import struct
import sys
import mpmath as mp

mp.mp.dps = 60


def rounded(value, bits):
    """Nearest float of `bits` significant bits (normal range)."""
    if value == 0:
        return mp.mpf(0)
    exponent = mp.floor(mp.log(abs(value), 2))
    scale = mp.mpf(2) ** (bits - 1 - exponent)
    return mp.nint(value * scale) / scale


def remez(xs, target, weight, basis):
    """Coefficients over the functions basis[k][i] on the grid xs that minimise the weighted error, and that error."""
    n = len(basis)
    size = len(xs)
    points = [round((size - 1) * (1 - math.cos(math.pi * j / n)) / 2) for j in range(n + 1)]
    best, best_level = None, mp.inf
    for _ in range(40):
        matrix = mp.matrix(n + 1, n + 1)
        right = mp.matrix(n + 1, 1)
        for row, p in enumerate(points):
            for k in range(n):
                matrix[row, k] = basis[k][p] * weight[p]
            matrix[row, n] = (-1) ** row
            right[row] = target[p] * weight[p]
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[k] for k in range(n)]
        error = [(target[i] - mp.fdot((coefficients[k], basis[k][i]) for k in range(n))) * weight[i] for i in range(size)]
        level = max(abs(e) for e in error)
        if level < best_level:
            best, best_level = coefficients, level
        extremes = []  # the largest error of every run of one sign
        for i, e in enumerate(error):
            if extremes and (error[extremes[-1]] > 0) == (e > 0):
                if abs(e) > abs(error[extremes[-1]]):
                    extremes[-1] = i
            else:
                extremes.append(i)
        while len(extremes) > n + 1:  # drop the smallest, keeping the signs alternating
            worst = min(range(len(extremes)), key=lambda j: abs(error[extremes[j]]))
            if worst in (0, len(extremes) - 1) or len(extremes) == n + 2:
                extremes.pop(0 if abs(error[extremes[0]]) < abs(error[extremes[-1]]) else -1)
            else:
                neighbour = worst + (1 if abs(error[extremes[worst + 1]]) < abs(error[extremes[worst - 1]]) else -1)
                del extremes[min(worst, neighbour):max(worst, neighbour) + 1]
        if len(extremes) < n + 1 or level <= abs(solution[n]) * mp.mpf('1.001'):
            break
        points = extremes
    return best, best_level


def fit(target, weight, low, high, terms, bits):
    """Rounded coefficients c_0..c_{terms-1} of the polynomial, and log2 of its weighted error."""
    low, high = mp.mpf(low), mp.mpf(high)
    size = 24 * terms + 60
    xs = [low + (high - low) * (1 - mp.cos(mp.pi * (i + mp.mpf('0.37')) / size)) / 2 for i in range(size)]
    rest = [target(x) for x in xs]
    weights = [weight(x) for x in xs]
    powers = [[x ** k for x in xs] for k in range(terms)]
    result = []
    for k in range(terms):
        # x^k goes into the weight, so that the functions left are a Chebyshev system although they vanish at 0.
        scaled = [r / p for r, p in zip(rest, powers[k])]
        coefficients, _ = remez(xs, scaled, [abs(w * p) for w, p in zip(weights, powers[k])], powers[:terms - k])
        c = rounded(coefficients[0], bits)
        result.append(c)
        rest = [r - c * p for r, p in zip(rest, powers[k])]
    level = max(abs(r * w) for r, w in zip(rest, weights))
    return result, float(mp.log(level, 2))


def near_zero(exact, taylor):
    """Uses the Taylor polynomial close to 0, where `exact` cancels."""
    def g(x):
        if abs(x) < mp.mpf('0.01'):
            return mp.polyval(taylor[::-1], x)
        return exact(x)
    return g


LN2 = mp.log(2)
FACT = mp.factorial


def exp_target():
    return near_zero(lambda r: (mp.exp(r) - 1 - r) / r**2, [1 / FACT(k + 2) for k in range(30)])


def exp2_target():
    return near_zero(lambda r: (mp.mpf(2)**r - 1) / r, [LN2**(k + 1) / FACT(k + 1) for k in range(30)])


def log_target():  # log(1+f) = f - f^2/2 + f^3 P(f)
    return near_zero(lambda f: (mp.log(1 + f) - f + f * f / 2) / f**3, [mp.mpf((-1)**k) / (k + 3) for k in range(30)])


def log2_target():  # log2(1+f) = f log2(e) + f^2 P(f)
    return near_zero(lambda f: (mp.log(1 + f) - f) / f**2 / LN2, [mp.mpf((-1)**(k + 1)) / (k + 2) / LN2 for k in range(30)])


def log_s_target(first):  # log((1+s)/(1-s)) = 2s + 2s^3/3 + ... : the terms from s^(first) on, over s^first, in z = s^2
    return lambda z: mp.fsum(mp.mpf(2) * z**k / (2 * k + first) for k in range(40))


def odd(f, first, taylor):
    """(f(x) - first terms)/x^3 as a function of z = x^2."""
    return lambda z: mp.polyval(taylor[::-1], z) if z < mp.mpf('0.001') else (f(mp.sqrt(z)) - first * mp.sqrt(z)) / mp.sqrt(z)**3


SIN = odd(mp.sin, 1, [mp.mpf((-1)**(k + 1)) / FACT(2 * k + 3) for k in range(20)])
TANH = odd(mp.tanh, 1, mp.taylor(mp.tanh, 0, 41)[3::2])
SINH = odd(mp.sinh, 1, [1 / FACT(2 * k + 3) for k in range(20)])
ATAN = odd(mp.atan, 1, [mp.mpf((-1)**(k + 1)) / (2 * k + 3) for k in range(20)])
ASIN = odd(mp.asin, 1, [mp.binomial(2 * k + 2, k + 1) / mp.mpf(4)**(k + 1) / (2 * k + 3) for k in range(20)])


def cos_target(z):  # cos(r) = 1 - z/2 + z^2 C(z)
    if z < mp.mpf('0.001'):
        return mp.fsum(mp.mpf((-1)**k) * z**k / FACT(2 * k + 4) for k in range(20))
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def erf_small(z):  # erf(x) = x + x E(x^2)
    if z < mp.mpf('0.001'):
        return 2 / mp.sqrt(mp.pi) * mp.fsum(mp.mpf((-1)**k) * z**k / FACT(k) / (2 * k + 1) for k in range(20)) - 1
    return mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1


ERF_CENTER = {24: mp.mpf(2), 53: mp.mpf(2.5)}
ERF_LIMIT = {24: mp.mpf('3.95'), 53: mp.mpf('5.95')}


def erf_large(center):  # erfc(u + center) = exp(Q(u))
    return lambda u: mp.log(mp.erfc(u + center))


def root(f):
    return lambda z: f(mp.sqrt(z))


def rows(bits):
    f32 = bits == 24
    r = mp.mpf('0.3475') if f32 else mp.mpf('0.34660')
    trig = mp.mpf('0.90') if f32 else mp.mpf('0.79')
    center, limit = ERF_CENTER[bits], ERF_LIMIT[bits]
    half, double = mp.sqrt(mp.mpf(1) / 2) - 1, mp.sqrt(2) - 1
    s_max = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf('1.0001')
    yield 'exp', 'e^r = 1 + r + r^2 P(r), |r| <= ln2/2', exp_target(), lambda x: x * x / mp.exp(x), -r, r, 5 if f32 else 10
    yield 'exp2', '2^r = 1 + r P(r), |r| <= 1/2', exp2_target(), lambda x: x / mp.mpf(2)**x, -0.5, 0.5, 6 if f32 else 11
    if f32:
        yield 'log', 'log(1+f) = f - f^2/2 + f^3 P(f), 1+f in [sqrt(1/2), sqrt(2)]', log_target(), \
            lambda f: f**3 / mp.log(1 + f), half, double, 8
        yield 'log2', 'log2(1+f) = f log2(e) + f^2 P(f), 1+f in [sqrt(1/2), sqrt(2)]', log2_target(), \
            lambda f: f**2 / mp.log(1 + f) * LN2, half, double, 9
    else:
        yield 'log', 'log((1+s)/(1-s)) = 2s + s^3 P(s^2), |s| <= (sqrt(2)-1)/(sqrt(2)+1)', log_s_target(3), lambda z: z / 2, 0, s_max, 7
    yield 'pow_log', 'log((1+s)/(1-s)) = 2s + 2/3 s^3 + s^5 P(s^2), |s| <= (sqrt(2)-1)/(sqrt(2)+1)', log_s_target(5), \
        lambda z: z * z / 2, 0, s_max, 3 if f32 else 7
    yield 'sin', 'sin(r) = r + r^3 P(r^2), |r| <= %s' % mp.nstr(trig, 3), SIN, root(lambda x: x**3 / mp.sin(x)), 0, trig**2, 3 if f32 else 6
    yield 'cos', 'cos(r) = 1 - r^2/2 + r^4 P(r^2), |r| <= %s' % mp.nstr(trig, 3), cos_target, root(lambda x: x**4 / mp.cos(x)), 0, trig**2, \
        3 if f32 else 6
    yield 'asin', 'asin(x) = x + x^3 P(x^2), |x| <= 9/16', ASIN, root(lambda x: x**3 / mp.asin(x)), 0, mp.mpf(81) / 256, 6 if f32 else 15
    yield 'atan', 'atan(x) = x + x^3 P(x^2), |x| <= 1', ATAN, root(lambda x: x**3 / mp.atan(x)), 0, 1, 9 if f32 else 20
    yield 'sinh', 'sinh(x) = x + x^3 P(x^2), |x| <= 1', SINH, root(lambda x: x**3 / mp.sinh(x)), 0, 1, 4 if f32 else 7
    yield 'tanh', 'tanh(x) = x + x^3 P(x^2), |x| <= 5/8', TANH, root(lambda x: x**3 / mp.tanh(x)), 0, mp.mpf(25) / 64, 5 if f32 else 12
    yield 'erf_small', 'erf(x) = x + x P(x^2), |x| <= 1', erf_small, root(lambda x: x / mp.erf(x)), 0, 1, 7 if f32 else 13
    yield 'erf_large', 'erfc(u + %s) = e^P(u), u + %s in [1, %s]' % (mp.nstr(center, 3), mp.nstr(center, 3), mp.nstr(limit, 4)), \
        erf_large(center), lambda u: mp.erfc(u + center) / mp.erf(u + center), 1 - center, limit - center, 7 if f32 else 19


def literal(value, bits):
    text = float(value).hex()
    mantissa, exponent = text.split('p')
    mantissa = mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa
    return mantissa + 'p' + exponent


def main():
    only = sys.argv[1:]
    print('#pragma once')
    print('// Minimax coefficients, lowest degree first, written by scripts/fit_math_coefficients.py. Do not edit.')
    print('// The comment of a row is the relation fitted and log2 of the relative error of the approximation itself.')
    print('// clang-format off')
    print('namespace tessera::math {')
    print('\ntemplate <int bits>\nstruct Coefficients;')
    for bits in (24, 53):
        print('\ntemplate <>\nstruct Coefficients<%d> {' % (32 if bits == 24 else 64))
        for name, relation, target, weight, low, high, terms in rows(bits):
            if only and name not in only:
                continue
            coefficients, level = fit(target, weight, low, high, terms, bits)
            print('// %s: 2^%.1f' % (relation, level))
            print('static constexpr double %s[] = {' % name)
            line = ''
            for c in coefficients:
                item = literal(c, bits) + ', '
                if len(line) + len(item) > 120:
                    print('    ' + line.rstrip())
                    line = ''
                line += item
            print('    ' + line.rstrip().rstrip(',') + '};')
            sys.stdout.flush()
        print('};')
    print('\n}  // namespace tessera::math')


if __name__ == '__main__':
    main()
