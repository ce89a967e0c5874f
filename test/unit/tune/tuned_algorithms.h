#pragma once

#include <tessera/tessera.h>

#include <vector>

namespace tessera::test {

/// C(m, n) = relu(sum over k of A(m, k) B(k, n) + bias(n)).
inline Algorithm tuned_matmul(std::int64_t size) {
    Dim m("m", size), n("n", size), k("k", size);
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n));
    return Algorithm({C}, {A, B, bias});
}

/// Two passes of a 3 x 3 mean with a boundary condition; extents are open.
inline Algorithm tuned_blur() {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    return Algorithm({blur}, {photo});
}

/// Softmax of rows: a maximum, a sum, and what both share.
inline Algorithm tuned_softmax() {
    Dim b("b"), j("j"), k("k");
    Input X("X", f32, {b, j});
    Func top("top"), total("total"), S("S");
    top(b) = max({j}, X(b, j));
    total(b) = sum({j}, exp(X(b, j) - top(b)));
    S(b, j) = exp(X(b, j) - top(b)) / total(b);
    return Algorithm({S}, {X});
}

/// Channels, a chain of stencils with two users, several outputs.
inline Algorithm tuned_pipeline() {
    Dim c("c", 3), y("y"), x("x"), r("r", 3), s("s", 3);
    Input photo("photo", f32, {c, y, x});
    Func gray("gray"), blurred("blurred"), sharp("sharp"), energy("energy");
    gray(y, x) = 0.299f * photo(0, y, x) + 0.587f * photo(1, y, x) + 0.114f * photo(2, y, x);
    blurred(y, x) = sum({r, s}, clamp(gray)(y + r - 1, x + s - 1)) / 9.0f;
    sharp(c, y, x) = photo(c, y, x) * (2.0f * gray(y, x) - blurred(y, x));
    energy(y, x) = blurred(y, x) * blurred(y, x);
    return Algorithm({sharp, energy}, {photo});
}

}  // namespace tessera::test
