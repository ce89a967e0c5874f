#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include <chrono>
#include <functional>

namespace tessera {
namespace {

// The code and message of what `build` throws; "" when it builds.
std::string failure(const std::function<void()>& build) {
    try {
        build();
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + " " + e.message();
    }
    return "";
}

struct AccessProof : testing::Test {
    Dim x{"x"}, y{"y"}, r{"r", 3}, k{"k"};
    Input in{"in", f32, {x}}, image{"image", f32, {y, x}};
    std::string one(const std::function<Expr()>& value, std::vector<Argument> arguments) {
        return failure([&] {
            Func f("f");
            f(x) = value();
            (void)Algorithm({f}, arguments);
        });
    }
};

TEST_F(AccessProof, StencilOutsideIsRefused) {
    EXPECT_EQ(one([&] { return sum({r}, in(x + r - 1)); }, {in}),
              "E0401 in is read at x = x + r - 1, which ranges over [-1, x.extent], but x has extent x.extent");
    EXPECT_EQ(one([&] { return in(x) + in(x + 1); }, {in}),
              "E0401 in is read at x = x + 1, which ranges over [1, x.extent], but x has extent x.extent");
    EXPECT_EQ(one([&] { return sum({r}, clamp(in)(x + r - 1)); }, {in}), "");
    EXPECT_EQ(one([&] { return in(clamp(x + 1, 0, x.extent() - 1)); }, {in}), "");
}

TEST_F(AccessProof, GuardsNarrow) {
    EXPECT_EQ(one([&] { return select(x > 0, in(x - 1), 0); }, {in}), "");
    EXPECT_EQ(one([&] { return select(x > 0, in(x - 2), 0); }, {in}).substr(0, 5), "E0401");
    EXPECT_EQ(one([&] { return select(x + 1 < x.extent(), in(x + 1), in(x)); }, {in}), "");
    EXPECT_EQ(one([&] { return select(x + 1 >= x.extent(), in(x), in(x + 1)); }, {in}), "");
    EXPECT_EQ(one([&] { return sum({r}, select(x + r >= 1 && x + r - 1 < x.extent(), in(x + r - 1), 0)); }, {in}), "");
    EXPECT_EQ(one([&] { return sum({r}, in(x + r - 1), where(x + r >= 1 && x + r <= x.extent())); }, {in}), "");
    EXPECT_EQ(one([&] { return sum({r}, in(x + r - 1), where(x + r >= 1)); }, {in}).substr(0, 5), "E0401");
    EXPECT_EQ(one([&] { return select(x % 2 == 0, in(x / 2), in(x.extent() - 1 - x)); }, {in}), "");
}

// A small graph whose text would be enormous: each level is written twice by the next one.
TEST_F(AccessProof, MessagesOfSharedIndicesAreShort) {
    Expr at = cast(i64, x);
    for (int level = 0; level < 40; ++level) at = max(at * 3 - level, 2 - at);
    const std::string message = one([&] { return in(at); }, {in});
    EXPECT_EQ(message.substr(0, 5), "E0402") << message.substr(0, 200);
    EXPECT_LT(message.size(), 8000u);
    EXPECT_NE(message.find("..."), std::string::npos);
}

TEST_F(AccessProof, DerivedExtents) {
    const auto convolution = [&](std::int64_t stride, std::int64_t pad, std::int64_t more) {
        return failure([&] {
            Dim o("o", (x.extent() + 2 * pad - r.extent()) / stride + 1 + more);
            Func f("f");
            f(o) = sum({r}, select(o * stride + r >= pad && o * stride + r < x.extent() + pad, in(o * stride + r - pad), 0));
            (void)Algorithm({f}, {in});
        });
    };
    EXPECT_EQ(convolution(2, 1, 0), "");
    const auto valid = [&](std::int64_t stride, std::int64_t more) {
        return failure([&] {
            Dim o("o", (x.extent() - r.extent()) / stride + 1 + more);
            Func f("f");
            f(o) = sum({r}, in(o * stride + r));
            (void)Algorithm({f}, {in});
        });
    };
    EXPECT_EQ(valid(1, 0), "");
    EXPECT_EQ(valid(2, 0), "");
    EXPECT_EQ(valid(3, 0), "");
    EXPECT_EQ(valid(3, 1).substr(0, 5), "E0401");
}

TEST_F(AccessProof, SymbolicStrideAndPadding) {
    Scalar stride("stride", i32);
    stride.values_in(1, 8);
    Dim o("o", (x.extent() - r.extent()) / Extent(stride) + 1);
    Func f("f");
    f(o) = sum({r}, in(o * Expr(Extent(stride)) + r));
    EXPECT_EQ(failure([&] { (void)Algorithm({f}, {in, stride}); }), "");
}

TEST_F(AccessProof, RegionsOfInternalFuncs) {
    Func rows("rows"), good("good"), bad("bad");
    Dim o("o", x.extent() - 2), p("p", x.extent() - 1);
    rows(x) = in(x)*2;
    good(o) = sum({r}, rows(o + r));
    EXPECT_EQ(failure([&] { (void)Algorithm({good}, {in}); }), "");
    bad(p) = sum({r}, rows(p + r));
    EXPECT_EQ(failure([&] { (void)Algorithm({bad}, {in}); }).substr(0, 5), "E0401");
    Func wrapped("wrapped");
    wrapped(x) = mirror(rows)(x - 5) + clamp(rows)(x + 7) + periodic(rows)(x * 3) + constant(rows, 0)(x + 100);
    EXPECT_EQ(failure([&] { (void)Algorithm({wrapped}, {in}); }), "");
}

TEST_F(AccessProof, ReshapesAndGroups) {
    Dim flat("flat", y.extent() * x.extent());
    Input line("line", f32, {flat});
    Func f("f"), g("g");
    f(y, x) = line(y * x.extent() + x);
    EXPECT_EQ(failure([&] { (void)Algorithm({f}, {line}); }), "");
    g(flat) = image(flat / x.extent(), flat % x.extent());
    EXPECT_EQ(failure([&] { (void)Algorithm({g}, {image}); }), "");
    Func h("h");
    h(y, x) = line(x * x.extent() + y);
    EXPECT_EQ(failure([&] { (void)Algorithm({h}, {line}); }).substr(0, 5), "E0401");
}

TEST_F(AccessProof, Gathers) {
    Input at("at", i32, {x}), bytes("bytes", u8, {x}), table("table", f32, {Dim("t", 256)});
    EXPECT_EQ(one([&] { return in(at(x)); }, {in, at}), "E0402 in is read at x = at(x), which has no finite range");
    EXPECT_EQ(one([&] { return in(clamp(at(x), 0, x.extent() - 1)); }, {in, at}), "");
    EXPECT_EQ(one([&] { return select(at(x) >= 0 && at(x) < x.extent(), in(at(x)), 0); }, {in, at}), "");
    EXPECT_EQ(one([&] { return table(bytes(x)); }, {table, bytes}), "");
    EXPECT_EQ(one([&] { return table(cast(i32, bytes(x)) + 1); }, {table, bytes}).substr(0, 5), "E0401");
    EXPECT_EQ(one([&] { return in(max(argmax(k, image(0, k)), 0)); }, {in, image}).substr(0, 5), "E0103");
    at.values_in(0, x.extent());
    EXPECT_EQ(one([&] { return in(at(x)); }, {in, at}), "");
    Func f("f"), g("g");
    f(x) = in(clamp(x, 0, x.extent() - 1));
    Input any("any", i32, {x});
    g(x) = f(any(x));
    EXPECT_EQ(failure([&] { (void)Algorithm({g}, {in, any}); }), "E0402 f is read at x = any(x), which has no finite range");
}

TEST_F(AccessProof, SegmentsByOffsets) {
    Dim row("row"), offsets("offsets", row.extent() + 1), nnz("nnz");
    Input start("start", i32, {offsets}), column("column", i32, {nnz}), value("value", f32, {nnz});
    start.values_in(0, nnz.extent() + 1).increasing();
    column.values_in(0, x.extent());
    Func f("f");
    f(row) = sum({nnz}, value(nnz) * in(column(nnz)), where(start(row) <= nnz && nnz < start(row + 1)));
    EXPECT_EQ(failure([&] { (void)Algorithm({f}, {start, column, value, in}); }), "");
}

TEST_F(AccessProof, RecurrencesReadTheirPast) {
    const auto read_at = [&](const std::function<Expr(const Func&)>& step, bool reverse = false) {
        return failure([&] {
            Func s("s");
            recurrence(x, {{s(x), cast(f32, 0)}}, [&](const Self& self) -> Tuple { return {step(self[0]) + in(x)}; },
                       {.reverse = reverse});
            (void)Algorithm({s}, {in});
        });
    };
    EXPECT_EQ(read_at([&](const Func& s) { return s(x - 1); }), "");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x - 7) + s(x - 2); }), "");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x / 2 - 1) + s(0); }).substr(0, 47),
              "E0311 state s is read at x = 0, which is not pr");
    EXPECT_EQ(read_at([&](const Func& s) { return select(x > 0, s(0), 1); }), "");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x); }), "E0311 state s is read at x = x, which is not provably before x");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x + 1); }).substr(0, 5), "E0311");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x + 1); }, true), "");
    EXPECT_EQ(read_at([&](const Func& s) { return s(x - 1); }, true).substr(0, 5), "E0311");
    EXPECT_EQ(read_at([&](const Func& s) { return s(max(min(x - 1, cast(i64, in(x))), 0) - 1); }), "");
    EXPECT_EQ(read_at([&](const Func& s) {
                  return sum({k}, s(k), where(k < x)) + image(0, 0) * sum({k}, image(0, k) * 0);
              }).substr(0, 5),
              "E0307");
}

TEST_F(AccessProof, RegionThatGrowsForEver) {
    Func s("s");
    Dim t("t", 10);
    recurrence(t, {{s(t, x), cast(f32, 0)}},
               [&](const Self& self) -> Tuple { return {self[0](t - 1, x - 1) + in(clamp(x, 0, x.extent() - 1))}; });
    EXPECT_EQ(failure([&] { (void)Algorithm({s}, {in}); }).substr(0, 49), "E0402 the region of s along x grows with every st");
    Func g("g");
    recurrence(t, {{g(t, x), cast(f32, 0)}},
               [&](const Self& self) -> Tuple { return {select(x > 0, self[0](t - 1, x - 1), 0) + in(x)}; });
    EXPECT_EQ(failure([&] { (void)Algorithm({g}, {in}); }), "");
}

TEST_F(AccessProof, TheErrorShowsTheLineAndFixes) {
    Func f("f");
    f(x) = in(x + 1);
    try {
        (void)Algorithm({f}, {in});
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.where().line, __LINE__ - 5);
        EXPECT_NE(std::string(e.what()).find("mirror(in)"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("derived Dim"), std::string::npos);
    }
}

TEST_F(AccessProof, FiveHundredFuncsAreProvedQuickly) {
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        Dim o("o", x.extent() - 600);
        std::vector<Func> f;
        for (size_t i = 0; i < 500; ++i) {
            f.emplace_back("f" + std::to_string(i));
            if (i == 0)
                f[0](x) = in(x);
            else
                f.back()(x) = f[i - 1](x) * 2.0f + f[i - 1](x + 1) + select(x > 3, f[i / 2](x), 0);
        }
        Func out("out");
        out(o) = f.back()(o);
        (void)Algorithm({out}, {in});
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    RecordProperty("seconds", std::to_string(best));
    printf("500 Funcs built and proved in %.1f ms\n", best * 1e3);
    EXPECT_LT(best, 0.1);
}

}  // namespace
}  // namespace tessera
