#include "unit/interpreter/interpreter_cases.h"

#include <chrono>
#include <functional>
#include <limits>

// Definitions against loops written by hand.
namespace tessera::interpreter_test {
namespace {

TEST(Reductions, MatmulAccumulatesByFma) {
    const std::int64_t M = 5, N = 4, K = 9;
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n));
    const auto a = ramp<float>(M * K, 1), b = ramp<float>(K * N, 2), c = ramp<float>(N, 3);
    const auto got =
        run<float>(Algorithm({C}, {A, B, bias}),
                   {{"A", filled<float>({M, K}, a)}, {"B", filled<float>({K, N}, b)}, {"bias", filled<float>({N}, c)}}, {M, N});
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) {
            float total = 0;
            for (int l = 0; l < K; ++l) total = std::fma(a[i * K + l], b[l * N + j], total);
            EXPECT_EQ(got[i * N + j], std::max(total + c[j], 0.0f));
        }
}

TEST(Reductions, TheLastDimListedIsInnermost) {
    Dim i("i"), j("j");
    Input x("x", f32, {i, j});
    Func a("a"), b("b");
    a() = sum({i, j}, x(i, j));
    b() = sum({j, i}, x(i, j));
    auto v = ramp<float>(6 * 7, 4);
    for (size_t e = 0; e < v.size(); e += 5) v[e] *= 1e6f;
    Buffer<float> ra({}), rb({});
    evaluate(Algorithm({a, b}, {x}), {{"x", filled<float>({6, 7}, v)}}, {{"a", ra}, {"b", rb}});
    float wa = 0, wb = 0;
    for (int p = 0; p < 6; ++p)
        for (int q = 0; q < 7; ++q) wa += v[p * 7 + q];
    for (int q = 0; q < 7; ++q)
        for (int p = 0; p < 6; ++p) wb += v[p * 7 + q];
    EXPECT_EQ(ra(), wa);
    EXPECT_EQ(rb(), wb);
    EXPECT_NE(wa, wb);
}

float pairwise(const std::vector<float>& blocks, size_t begin, size_t end) {
    if (end - begin == 1) return blocks[begin];
    size_t left = 1;
    while (left * 2 < end - begin) left *= 2;
    return pairwise(blocks, begin, begin + left) + pairwise(blocks, begin + left, end);
}

TEST(Reductions, OrdersArePartOfTheMeaning) {
    Dim i("i");
    Input x("x", f32, {i});
    for (const std::int64_t n : {0, 1, 3, 4, 5, 11, 12, 19, 20, 21, 22, 29, 37, 41, 53, 77}) {
        auto v = ramp<float>(static_cast<size_t>(n), 5);
        for (size_t k = 0; k < v.size(); k += 3) v[k] *= 1e5f;
        const Inputs given{{"x", filled<float>({n}, v)}};
        const auto total = [&](Order order) {
            Func s("s");
            s() = sum({i}, x(i), {.order = order});
            return run<float>(Algorithm({s}, {x}), given, {})[0];
        };
        float plain = 0, s = 0, c = 0;
        std::vector<float> blocks;
        for (size_t k = 0; k < v.size(); ++k) {
            plain += v[k];
            const volatile float y = v[k] - c, t = s + y;
            c = (t - s) - y;
            s = t;
            if (k % 4 == 0) blocks.push_back(0);
            blocks.back() += v[k];
        }
        float blocked = 0;
        for (const float b : blocks) blocked += b;
        EXPECT_EQ(total(Order::ascending()), plain);
        EXPECT_EQ(total(Order::any()), plain);
        EXPECT_EQ(total(Order::kahan()), s);
        EXPECT_EQ(total(Order::pairwise(4)), blocks.empty() ? 0 : pairwise(blocks, 0, blocks.size())) << n;
        EXPECT_EQ(total(Order::blocked(4)), blocked);
    }
}

TEST(Reductions, PairwiseBlocksCountPointsLeftOut) {
    Dim i("i");
    Input x("x", f32, {i});
    Func s("s");
    s() = sum({i}, x(i), where(i % 3 != 0), {.order = Order::pairwise(4)});
    const auto v = ramp<float>(22, 6);
    std::vector<float> blocks;
    for (size_t k = 0; k < v.size(); ++k) {
        if (k % 4 == 0) blocks.push_back(0);
        if (k % 3 != 0) blocks.back() += v[k];
    }
    EXPECT_EQ(run<float>(Algorithm({s}, {x}), {{"x", filled<float>({22}, v)}}, {})[0], pairwise(blocks, 0, blocks.size()));
}

TEST(Reductions, OverNothing) {
    Dim i("i");
    Input x("x", f32, {i}), n("n", i32, {i});
    Func s("s"), p("p"), a("a"), b("b"), c("c"), d("d"), e("e"), f("f"), g("g"), h("h");
    s() = sum({i}, x(i));
    p() = prod({i}, x(i));
    a() = max(Dims{i}, x(i));
    b() = min(Dims{i}, n(i));
    c() = all({i}, x(i) > 0.0f);
    d() = any({i}, x(i) > 0.0f);
    e() = argmax(i, x(i));
    f() = mean({i}, x(i));
    g() = logsumexp({i}, x(i));
    h() = sum({i}, x(i), {.order = Order::pairwise(2)});
    Buffer<float> rs({}), rp({}), ra({}), rf({}), rg({}), rh({});
    Buffer<std::int32_t> rb({});
    Buffer<bool> rc({}), rd({});
    Buffer<std::int64_t> re({});
    evaluate(Algorithm({s, p, a, b, c, d, e, f, g, h}, {x, n}), {{"x", Buffer<float>({0})}, {"n", Buffer<std::int32_t>({0})}},
             {{"s", rs}, {"p", rp}, {"a", ra}, {"b", rb}, {"c", rc}, {"d", rd}, {"e", re}, {"f", rf}, {"g", rg}, {"h", rh}});
    EXPECT_EQ(rs(), 0);
    EXPECT_EQ(rp(), 1);
    EXPECT_EQ(ra(), -std::numeric_limits<float>::infinity());
    EXPECT_EQ(rb(), std::numeric_limits<std::int32_t>::max());
    EXPECT_TRUE(rc());
    EXPECT_FALSE(rd());
    EXPECT_EQ(re(), -1);
    EXPECT_TRUE(std::isnan(rf()));
    EXPECT_EQ(rg(), -std::numeric_limits<float>::infinity());
    EXPECT_EQ(rh(), 0);
}

TEST(Reductions, ArgmaxTakesTheFirstAndNanWins) {
    Dim r("r"), i("i");
    Input x("x", f32, {r, i});
    Func y("y");
    y(r) = argmax(i, x(r, i));
    const auto got =
        run<std::int64_t>(Algorithm({y}, {x}), {{"x", filled<float>({3, 4}, {1, 7, 7, 2, 3, NAN, 9, NAN, -1, -2, -1, -3})}}, {3});
    EXPECT_EQ(got, (std::vector<std::int64_t>{1, 1, 0}));
}

TEST(Reductions, PredicateKeepsReadsInside) {
    Dim i("i"), j("j", 5);
    Input x("x", i32, {i});
    Func y("y");
    y(i) = sum({j}, x(i + j - 2), where(i + j >= 2 && i + j - 2 < i.extent()));
    const auto got = run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({4}, {1, 10, 100, 1000})}}, {4});
    EXPECT_EQ(got, (std::vector<std::int32_t>{111, 1111, 1111, 1110}));
}

TEST(Reductions, OfReductionsInOneDefinition) {
    const std::int64_t B = 3, J = 5;
    Dim b("b"), j("j", J), k("k", J), l("l", J);
    Func z("z");
    Input x("x", f32, {b, j});
    z(b, j) = (x(b, j) - max(Dims{k}, x(b, k))) / sum({k}, abs(x(b, k) - max(Dims{l}, x(b, l))));
    const auto v = ramp<float>(B * J, 8);
    const auto got = run<float>(Algorithm({z}, {x}), {{"x", filled<float>({B, J}, v)}}, {B, J});
    for (int r = 0; r < B; ++r) {
        float most = v[r * J], total = 0;
        for (int q = 0; q < J; ++q) most = std::max(most, v[r * J + q]);
        for (int q = 0; q < J; ++q) total += std::fabs(v[r * J + q] - most);
        for (int q = 0; q < J; ++q) EXPECT_EQ(got[r * J + q], (v[r * J + q] - most) / total);
    }
}

TEST(Reductions, ThatComeBackAreKept) {
    // Means of columns, read row by row; and a product of three matrices in one definition.
    Dim i("i", 6), k("k", 6), l("l", 5), j("j", 4);
    Input x("x", f32, {i, j}), a("a", f32, {i, k}), b("b", f32, {k, l}), c("c", f32, {l, j});
    Func y("y"), z("z");
    y(i, j) = x(i, j) - sum({k}, x(k, j));
    z(i, j) = sum({k}, a(i, k) * sum({l}, b(k, l) * c(l, j)));
    const auto vx = ramp<float>(24, 1), va = ramp<float>(36, 2), vb = ramp<float>(30, 3), vc = ramp<float>(20, 4);
    Buffer<float> ry({6, 4}), rz({6, 4});
    evaluate(Algorithm({y, z}, {x, a, b, c}),
             {{"x", filled<float>({6, 4}, vx)},
              {"a", filled<float>({6, 6}, va)},
              {"b", filled<float>({6, 5}, vb)},
              {"c", filled<float>({5, 4}, vc)}},
             {{"y", ry}, {"z", rz}});
    for (int p = 0; p < 6; ++p)
        for (int q = 0; q < 4; ++q) {
            float column = 0, outer = 0;
            for (int r = 0; r < 6; ++r) {
                float inner = 0;
                for (int s = 0; s < 5; ++s) inner = std::fma(vb[r * 5 + s], vc[s * 4 + q], inner);
                column += vx[r * 4 + q];
                outer = std::fma(va[p * 6 + r], inner, outer);
            }
            EXPECT_EQ(ry(p, q), vx[p * 4 + q] - column);
            EXPECT_EQ(rz(p, q), outer);
        }
}

TEST(Reductions, UserMonoidOnTuples) {
    // The map x -> x*a + b, first one then the other: not commutative.
    const Monoid affine = monoid(
        "affine",
        [](const std::vector<DType>& t) {
            return Tuple{constant(t[0], std::int64_t{1}), constant(t[1], std::int64_t{0})};
        },
        [](const Tuple& a, const Tuple& b) {
            return Tuple{a[0] * b[0], a[1] * b[0] + b[1]};
        },
        {.commutative = false});
    Dim i("i");
    Input s("s", i64, {i}), t("t", i64, {i});
    Func y("y");
    y() = reduce(affine, {i}, {s(i), t(i)});
    Buffer<std::int64_t> y0({}), y1({});
    evaluate(Algorithm({y}, {s, t}), {{"s", filled<std::int64_t>({3}, {2, 3, 5})}, {"t", filled<std::int64_t>({3}, {7, 11, 13})}},
             {{"y.0", y0}, {"y.1", y1}});
    EXPECT_EQ(y0(), 30);
    EXPECT_EQ(y1(), (7 * 3 + 11) * 5 + 13);
}

TEST(Tuples, AreReadByComponent) {
    Dim i("i");
    Input x("x", i32, {i});
    Func p("p"), y("y");
    p(i) = Tuple{x(i) * 2, cast(f64, x(i)) + 0.5};
    y(i) = cast(f64, p(i)[0]) - p(i)[1];
    EXPECT_EQ(run<double>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({2}, {3, 9})}}, {2}), (std::vector<double>{2.5, 8.5}));
}

TEST(Boundaries, OfInputs) {
    Dim i("i"), o("o", 11);
    Input x("x", i32, {i});
    Func y("y");
    y(o) = clamp(x)(o - 4) + mirror(x)(o - 4) * 10 + mirror_interior(x)(o - 4) * 100 + periodic(x)(o - 4) * 1000 +
           constant(x, 7)(o - 4) * 10000;
    const auto got = run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({3}, {1, 2, 3})}}, {11});
    // o - 4 = -4 ... 6:               -4 -3 -2 -1  0  1  2  3  4  5  6
    const std::int32_t clamped[] = {1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3};
    const std::int32_t mirrored[] = {3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1};
    const std::int32_t interior[] = {1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3};
    const std::int32_t repeated[] = {3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1};
    const std::int32_t constants[] = {7, 7, 7, 7, 1, 2, 3, 7, 7, 7, 7};
    for (size_t k = 0; k < 11; ++k)
        EXPECT_EQ(got[k], clamped[k] + mirrored[k] * 10 + interior[k] * 100 + repeated[k] * 1000 + constants[k] * 10000) << k;
}

TEST(Boundaries, OfFuncsUseTheirOwnExtents) {
    Dim i("i"), o("o", 6);
    Input x("x", i32, {i});
    Func d("d"), y("y");
    d(i) = x(i) * 2;
    y(o) = mirror(d)(o - 1) + constant(d, 100)(o - 1) * 1000;
    EXPECT_EQ(run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({4}, {1, 2, 3, 4})}}, {6}),
              (std::vector<std::int32_t>{100002, 2002, 4004, 6006, 8008, 100008}));
}

TEST(Boundaries, OfOneElement) {
    Dim i("i"), o("o", 5);
    Input x("x", i32, {i});
    Func y("y");
    y(o) = clamp(x)(o - 2) + mirror(x)(o - 2) + mirror_interior(x)(o - 2) + periodic(x)(o - 2);
    EXPECT_EQ(run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({1}, {3})}}, {5}),
              (std::vector<std::int32_t>(5, 12)));
}

TEST(Stencils, FuncsAreComputedWhereTheyAreRead) {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    const int H = 7, W = 9;
    const auto v = ramp<std::uint8_t>(H * W, 15);
    const auto got = run<std::uint8_t>(Algorithm({blur}, {photo}), {{"photo", filled<std::uint8_t>({H, W}, v)}}, {H, W});
    const auto reflect = [](int i, int n) { return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i; };
    for (int a = 0; a < H; ++a)
        for (int b = 0; b < W; ++b) {
            int total = 0;
            for (int p = -1; p <= 1; ++p)
                for (int q = -1; q <= 1; ++q) total += v[reflect(a + p, H) * W + reflect(b + q, W)];
            EXPECT_EQ(got[a * W + b], static_cast<std::uint8_t>(total / 9));
        }
}

TEST(Selects, TheOtherBranchIsNotRead) {
    Dim i("i");
    Input x("x", i32, {i});
    Func before("before"), y("y");
    before(i) = x(i - 1);
    y(i) = select(i > 0, before(i), -5);
    EXPECT_EQ(run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({3}, {7, 8, 9})}}, {3}),
              (std::vector<std::int32_t>{-5, 7, 8}));
}

TEST(Gathers, DataDependentReadsOfFuncs) {
    Dim i("i"), n("n");
    Input x("x", i32, {n});
    Input place = Input("place", i32, {i}).values_in(0, n.extent());
    Func square("square"), y("y");
    square(n) = x(n) * x(n);
    y(i) = square(place(i));
    EXPECT_EQ(
        run<std::int32_t>(Algorithm({y}, {x, place}),
                          {{"x", filled<std::int32_t>({3}, {2, 3, 4})}, {"place", filled<std::int32_t>({4}, {2, 0, 0, 1})}}, {4}),
        (std::vector<std::int32_t>{16, 4, 4, 9}));
}

TEST(Extents, DerivedScalarAndZero) {
    Dim n("n");
    Scalar step = Scalar("step", i32).values_in(1, 10);
    Dim o("o", (n.extent() - 1) / Extent(step) + 1);
    Input x("x", i32, {n});
    Func y("y");
    y(o) = x(o * cast(i64, step));
    const Algorithm a({y}, {x, step});
    EXPECT_EQ(run<std::int32_t>(a, {{"x", filled<std::int32_t>({7}, {0, 1, 2, 3, 4, 5, 6})}, {"step", std::int64_t{3}}}, {3}),
              (std::vector<std::int32_t>{0, 3, 6}));
    EXPECT_EQ(run<std::int32_t>(a, {{"x", Buffer<std::int32_t>({0})}, {"step", std::int64_t{3}}}, {0}),
              (std::vector<std::int32_t>{}));
    EXPECT_THROW(run<std::int32_t>(a, {{"x", Buffer<std::int32_t>({7})}, {"step", std::int64_t{3}}}, {4}), Error);
    EXPECT_THROW(run<std::int32_t>(a, {{"x", Buffer<std::int32_t>({7})}, {"step", std::int64_t{12}}}, {1}), Error);
}

TEST(Memory, InPlaceAndStrided) {
    Dim i("i");
    Input x("x", i32, {i});
    Func y("y");
    y(i) = x(i.extent() - 1 - i) * 2;
    Buffer<std::int32_t> b({6});
    for (int k = 0; k < 6; ++k) b(k) = k;
    evaluate(Algorithm({y}, {x}), {{"x", b}}, {{"y", b}});
    EXPECT_EQ(elements(b), (std::vector<std::int32_t>{10, 8, 6, 4, 2, 0}));
    std::int32_t memory[12] = {};
    Buffer<std::int32_t> every_other(memory + 10, {6}, {-2});
    evaluate(Algorithm({y}, {x}), {{"x", b}}, {{"y", every_other}});
    EXPECT_EQ(memory[10], 0);
    EXPECT_EQ(memory[0], 20);
    EXPECT_EQ(memory[1], 0);
}

template <class Call>
ErrorCode code_of(Call call, const std::string& text) {
    try {
        call();
    } catch (const Error& e) {
        EXPECT_NE(e.message().find(text), std::string::npos) << e.message();
        EXPECT_FALSE(e.hints().empty());
        return e.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return B0951_internal;
}

TEST(Entry, RefusesWhatDoesNotFit) {
    Dim i("i"), j("j");
    i.multiple_of(2).at_most(8);
    Input x("x", f32, {i, j}), z("z", f32, {j});
    Func y("y");
    y(i, j) = x(i, j) + z(j);
    const Algorithm a({y}, {x, z});
    const AnyBuffer good = Buffer<float>({4, 3}), row = Buffer<float>({3});
    const auto call = [&](Inputs in, Outputs out) { return [&a, in, out] { evaluate(a, in, out); }; };
    EXPECT_NO_THROW(call({{"x", good}, {"z", row}}, {{"y", good.copy()}})());
    EXPECT_EQ(code_of(call({{"x", good}}, {{"y", good}}), "argument z is missing"), E0701_argument);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", row}, {"zz", row}}, {{"y", good}}), "no input zz"), E0701_argument);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", row}}, {}), "output y is missing"), E0701_argument);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", 3.0}}, {{"y", good}}), "z is given a number"), E0701_argument);
    EXPECT_EQ(code_of(call({{"x", AnyBuffer()}, {"z", row}}, {{"y", good}}), "x has no memory"), E0701_argument);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", Buffer<double>({3})}}, {{"y", good}}), "holds f64"), E0702_argument_dtype);
    EXPECT_EQ(code_of(call({{"x", row}, {"z", row}}, {{"y", good}}), "2 dims but the buffer has 1"), E0703_argument_rank);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", Buffer<float>({4})}}, {{"y", good}}), "extent 4 in dim j, which is 3"),
              E0704_argument_extent);
    EXPECT_EQ(code_of(call({{"x", Buffer<float>({3, 3})}, {"z", row}}, {{"y", Buffer<float>({3, 3})}}), "no multiple of 2"),
              E0704_argument_extent);
    EXPECT_EQ(code_of(call({{"x", Buffer<float>({10, 3})}, {"z", row}}, {{"y", Buffer<float>({10, 3})}}), "above its bound 8"),
              E0704_argument_extent);
    AnyBuffer locked = good.copy();
    locked.set_read_only(true);
    EXPECT_EQ(code_of(call({{"x", good}, {"z", row}}, {{"y", locked}}), "read-only"), E0708_argument_read_only);
}

TEST(Entry, ChecksDeclaredValues) {
    Dim i("i"), n("n", 4);
    Input place = Input("place", i32, {i}).values_in(0, 4).increasing();
    Input x("x", i32, {n});
    Func y("y");
    y(i) = x(place(i));
    const Algorithm a({y}, {x, place});
    const AnyBuffer table = Buffer<std::int32_t>({4});
    const auto call = [&](std::vector<std::int32_t> places) {
        return [&a, table, places] { run<std::int32_t>(a, {{"x", table}, {"place", filled<std::int32_t>({3}, places)}}, {3}); };
    };
    EXPECT_NO_THROW(call({0, 2, 3})());
    EXPECT_EQ(code_of(call({0, 1, 4}), "place holds 4 at (2)"), E0709_argument_value);
    EXPECT_EQ(code_of(call({-1, 1, 2}), "place holds -1 at (0)"), E0709_argument_value);
    EXPECT_EQ(code_of(call({0, 2, 1}), "decreases at (2)"), E0709_argument_value);
}

TEST(Reads, OutsideAnInputNameInputDimAndIndex) {
    // The nearest element of nothing: what no proof excludes.
    Dim i("i"), o("o", 2);
    Input x("x", i32, {i});
    Func y("y");
    y(o) = clamp(x)(o + 5);
    const Algorithm a({y}, {x});
    EXPECT_EQ(code_of(
                  [&] {
                      run<std::int32_t>(a, {{"x", Buffer<std::int32_t>({0})}}, {2});
                  },
                  "x is read at i = 5, outside [0, 0)"),
              E0401_out_of_bounds);
}

TEST(Speed, FiveMillionNodesASecond) {
    const std::int64_t n = 96;
    Dim m("m"), j("j"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, j});
    Func C("C");
    C(m, j) = sum({k}, A(m, k) * B(k, j));
    const Inputs given{{"A", filled<float>({n, n}, ramp<float>(n * n))}, {"B", filled<float>({n, n}, ramp<float>(n * n))}};
    const Algorithm a({C}, {A, B});
    const auto begin = std::chrono::steady_clock::now();
    run<float>(a, given, {n, n});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    // Two reads and an fma a point.
    RecordProperty("node_evaluations_per_second", std::to_string(3.0 * n * n * n / seconds.count()));
    std::printf("%.1f million nodes a second\n", 3e-6 * n * n * n / seconds.count());
}

}  // namespace
}  // namespace tessera::interpreter_test
