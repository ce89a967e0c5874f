// NaN, infinities and signed zeros through expressions that algebra would shorten: by definition, just in time and ahead of time.
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include <unistd.h>

namespace tessera {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const double nan = std::nan("");
// Exact in every dtype, and so is all that the rows below make of them.
const std::vector<double> values{0, -0.0, 1, -1, 3, inf, -inf, nan};

struct Row {
    const char* name;
    Expr (*made)(const Expr& x, const Expr& y);
    double (*meaning)(double x, double y);
};

Expr number(const Expr& like, double v) { return cast(like.dtype(), literal(v)); }
Expr truth(const Expr& like, const Expr& condition) { return select(condition, number(like, 1), number(like, 0)); }

// Of equal operands the second one, also of zeros.
double smaller(double x, double y) { return x < y || std::isnan(x) ? x : y; }
double larger(double x, double y) { return x > y || std::isnan(x) ? x : y; }

#define ROW(name, expression) \
    {                         \
        name, [](const Expr& x, const Expr& y) -> Expr { return (void)x, (void)y, (expression); },
#define MEANS(expression)                                                       \
    [](double x, double y) -> double { return (void)x, (void)y, (expression); } \
    }

const Row rows[] = {
    ROW("x - x", x - x) MEANS(x - x),
    ROW("x * 0", x* number(x, 0)) MEANS(x * 0),
    ROW("0 * x", number(x, 0) * x) MEANS(0 * x),
    ROW("x * -1", x* number(x, -1)) MEANS(-x),
    ROW("0 / x", number(x, 0) / x) MEANS(0 / x),
    ROW("x / x", x / x) MEANS(x / x),
    ROW("x + 0", x + number(x, 0)) MEANS(x + 0),
    ROW("x - 0", x - number(x, 0)) MEANS(x - 0),
    ROW("0 - x", number(x, 0) - x) MEANS(0 - x),
    ROW("-x", -x) MEANS(-x),
    ROW("x + -x", x + -x) MEANS(x + -x),
    ROW("x * 1", x* number(x, 1)) MEANS(x),
    ROW("x / 1", x / number(x, 1)) MEANS(x),
    ROW("x + y - y", x + y - y) MEANS(x + y - y),
    ROW("x - (x - y)", x - (x - y)) MEANS(x - (x - y)),
    ROW("x * y - x * y", x* y - x * y) MEANS(x* y - x * y),
    ROW("(x + x) - (x + x)", (x + x) - (x + x)) MEANS((x + x) - (x + x)),
    ROW("(x - x) * 0", (x - x) * number(x, 0)) MEANS((x - x) * 0),
    ROW("(x - x) + (y - y)", (x - x) + (y - y)) MEANS((x - x) + (y - y)),
    ROW("x * 0 + y", x* number(x, 0) + y) MEANS(x * 0 + y),
    ROW("abs(x - x)", abs(x - x)) MEANS(std::abs(x - x)),
    ROW("sqrt(x * 0)", sqrt(x* number(x, 0))) MEANS(std::sqrt(x * 0)),
    ROW("floor(x) - x", floor(x) - x) MEANS(std::floor(x) - x),
    ROW("x == x", truth(x, x == x)) MEANS(x == x),
    ROW("x != x", truth(x, x != x)) MEANS(x != x),
    ROW("x < x", truth(x, x < x)) MEANS(x < x),
    ROW("x <= x", truth(x, x <= x)) MEANS(x <= x),
    ROW("x >= x", truth(x, x >= x)) MEANS(x >= x),
    ROW("x > x", truth(x, x > x)) MEANS(x > x),
    ROW("x - x == 0", truth(x, x - x == number(x, 0))) MEANS(x - x == 0),
    ROW("x - x != 0", truth(x, x - x != number(x, 0))) MEANS(x - x != 0),
    ROW("x - y == 0", truth(x, x - y == number(x, 0))) MEANS(x - y == 0),
    ROW("x * 0 == 0", truth(x, x* number(x, 0) == number(x, 0))) MEANS(x * 0 == 0),
    ROW("!(x < y)", truth(x, !(x < y))) MEANS(!(x < y)),
    ROW("!(x <= y)", truth(x, !(x <= y))) MEANS(!(x <= y)),
    ROW("x < y || x >= y", truth(x, x < y || x >= y)) MEANS(x < y || x >= y),
    ROW("x < y && x >= y", truth(x, x < y && x >= y)) MEANS(x < y && x >= y),
    ROW("!(x == y)", truth(x, !(x == y))) MEANS(!(x == y)),
    ROW("x + 1 > x", truth(x, x + number(x, 1) > x)) MEANS(x + 1 > x),
    ROW("min(x, y)", min(x, y)) MEANS(smaller(x, y)),
    ROW("max(x, y)", max(x, y)) MEANS(larger(x, y)),
    ROW("min(x, x)", min(x, x)) MEANS(x),
    ROW("max(x, -x)", max(x, -x)) MEANS(larger(x, -x)),
    ROW("min(x, 3)", min(x, number(x, 3))) MEANS(smaller(x, 3)),
    ROW("max(1, x)", max(number(x, 1), x)) MEANS(larger(1, x)),
    ROW("min(max(x, y), y)", min(max(x, y), y)) MEANS(smaller(larger(x, y), y)),
    ROW("max(x - x, 0)", max(x - x, number(x, 0))) MEANS(larger(x - x, 0)),
    ROW("min(x, nan)", min(x, number(x, std::nan("")))) MEANS(smaller(x, nan)),
    ROW("select(x < y, x, y)", select(x < y, x, y)) MEANS(x < y ? x : y),
    ROW("select(x == y, x, y)", select(x == y, x, y)) MEANS(x == y ? x : y),
    ROW("select(x == x, x - x, 1)", select(x == x, x - x, number(x, 1))) MEANS(x == x ? x - x : 1),
};
#undef ROW
#undef MEANS

// Each row's value, then 1 where that is NaN and 2 where it is infinite.
struct Program {
    Dim i{"i"};
    Input xs, ys;
    std::vector<Func> funcs;

    explicit Program(DType t) : xs("xs", t, {i}), ys("ys", t, {i}) {
        for (size_t k = 0; k < std::size(rows); ++k) {
            const Expr made = rows[k].made(xs(i), ys(i));
            const Expr kind = select(is_nan(made), 1.0, select(abs(made) == number(made, inf), 2.0, 0.0));
            Func value(fmt::format("value{}", k)), kinds(fmt::format("kind{}", k));
            value(i) = cast(f64, made);
            kinds(i) = kind;
            funcs.push_back(value);
            funcs.push_back(kinds);
        }
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm(funcs, {xs, ys}); }
};

AnyBuffer given(DType t, bool first, std::int64_t count) {
    const auto n = static_cast<std::int64_t>(values.size());
    const auto fill = [&](auto buffer) -> AnyBuffer {
        using T = std::remove_reference_t<decltype(buffer(0))>;
        for (std::int64_t i = 0; i < count; ++i) {
            const double v = values[static_cast<size_t>(first ? i / n % n : i % n)];
            buffer(i) = T(static_cast<float>(v));
        }
        return buffer;
    };
    if (t == f16) return fill(Buffer<float16>({count}));
    if (t == bf16) return fill(Buffer<bfloat16>({count}));
    if (t == f32) return fill(Buffer<float>({count}));
    return fill(Buffer<double>({count}));
}

bool same(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

// Kernels ahead of time go through the cache on disk, in a folder of this test.
struct CacheFolder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("tessera_nonfinite_{}", ::getpid());
    CacheFolder() { ::setenv("TESSERA_CACHE_DIR", path.c_str(), 1); }
    ~CacheFolder() {
        ::unsetenv("TESSERA_CACHE_DIR");
        std::filesystem::remove_all(path);
    }
};

class NonFinite : public testing::TestWithParam<DType> {};

TEST_P(NonFinite, ExpressionsThatAlgebraWouldShorten) {
    const CacheFolder folder;
    const Program program(GetParam());
    const Algorithm algorithm = program.algorithm();
    std::vector<std::pair<std::string, Module>> modules{
        {"the interpreter", compile(algorithm, {}, parse_target("interpreter"))},
        {"just in time", compile(algorithm, default_schedule(algorithm, Target()), Target(), {.disk_cache = false})}};
    if (GetParam() == f32) {
        modules.emplace_back("ahead of time", compile(algorithm, default_schedule(algorithm, Target()), Target()));
        EXPECT_NE(modules.back().second.code_hash(), "");
    }
    constexpr std::int64_t count = 67;  // every pair, and a tail
    const AnyBuffer x = given(GetParam(), true, count), y = given(GetParam(), false, count);
    for (const auto& [name, module] : modules) {
        NamedOutputs outputs;
        for (const Func& f : program.funcs) outputs.emplace(f.name(), Buffer<double>({count}));
        module({{"xs", x}, {"ys", y}}, outputs);
        for (size_t k = 0; k < std::size(rows); ++k)
            for (std::int64_t i = 0; i < count; ++i) {
                const auto n = static_cast<std::int64_t>(values.size());
                const double a = values[static_cast<size_t>(i / n % n)], b = values[static_cast<size_t>(i % n)];
                const double want = rows[k].meaning(a, b), kind = std::isnan(want) ? 1 : std::isinf(want) ? 2 : 0;
                const double got = Buffer<double>(outputs.at(program.funcs[2 * k].name()))(i),
                             got_kind = Buffer<double>(outputs.at(program.funcs[2 * k + 1].name()))(i);
                EXPECT_TRUE(same(want, got) && kind == got_kind)
                    << name << ": " << rows[k].name << " at x = " << a << ", y = " << b << " is " << got << " of kind "
                    << got_kind << ", not " << want;
            }
    }
}

INSTANTIATE_TEST_SUITE_P(Floats, NonFinite, testing::Values(f16, bf16, f32, f64));

// By a stage that holds zeros only.
TEST(NonFiniteReductions, TimesAStageOfZeros) {
    Dim i("i");
    const Input x("x", f32, {i});
    Func none("none"), out("out");
    none(i) = cast(f32, 0);
    const Expr product = x(i) * none(i);
    out(i) = cast(f32, select(is_nan(product), 1.0, select(abs(product) == number(product, inf), 2.0, 0.0)));
    const Algorithm algorithm({out}, {x});
    Schedule roots;
    roots.stage("none").root().serial("i", 8, "block").vector("i");
    roots.stage("out").root().serial("i", 8, "block").vector("i");
    const Buffer<float> in({11}), got({11});
    in.for_each([](float& v) { v = static_cast<float>(inf); });
    compile(algorithm, roots, Target(), {.disk_cache = false})({{"x", in}}, {{"out", got}});
    EXPECT_EQ(got(0), 1);
    EXPECT_EQ(got(10), 1);
}

// By a zero that is known when the kernel is compiled, of either sign.
TEST(NonFiniteQuotients, ByAKnownZero) {
    Dim i("i");
    const Input x("x", f32, {i});
    Func up("up"), down("down"), wide("wide");
    up(i) = x(i) / 0.0f;
    down(i) = x(i) / -0.0f;
    wide(i) = cast(f64, x(i)) / 0.0;
    const std::vector<Func> funcs{up, down, wide};
    const Algorithm algorithm(funcs, {x});
    const double dividends[6] = {2, -3, 0, inf, -inf, nan};
    const Buffer<float> in({6 * 37});
    for (int at = 0; at < 6 * 37; ++at) in(at) = static_cast<float>(dividends[at % 6]);
    const Buffer<float> rising({6 * 37}), falling({6 * 37});
    const Buffer<double> widened({6 * 37});
    compile(algorithm, default_schedule(algorithm, Target()), Target(), {.disk_cache = false})(
        {{"x", in}}, {{"up", rising}, {"down", falling}, {"wide", widened}});
    const double want[6] = {inf, -inf, nan, inf, -inf, nan};
    for (int at = 0; at < 6 * 37; ++at) {
        EXPECT_TRUE(same(want[at % 6], rising(at))) << at << ": " << rising(at);
        EXPECT_TRUE(same(-want[at % 6], falling(at))) << at << ": " << falling(at);
        EXPECT_TRUE(same(want[at % 6], widened(at))) << at << ": " << widened(at);
    }
}

// Reductions see them too.
TEST(NonFiniteReductions, SumsAndExtrema) {
    Dim i("i"), k("k");
    const Input x("x", f32, {i, k});
    Func spread("spread"), zero("zero"), high("high"), low("low"), bad("bad"), counted("counted");
    spread(i) = sum({k}, x(i, k) - x(i, k));
    zero(i) = sum({k}, x(i, k) * 0.0f);
    high(i) = max({k}, x(i, k));
    low(i) = min({k}, x(i, k));
    bad(i) = cast(f32, any({k}, is_nan(x(i, k) - x(i, k))));
    counted(i) = sum({k}, cast(f32, 1.0f), where(x(i, k) - x(i, k) == 0.0f));
    const std::vector<Func> funcs{spread, zero, high, low, bad, counted};
    const Algorithm algorithm(funcs, {x});
    const Buffer<float> in({4, 37});
    in.for_each([](float& v) { v = 2; });
    in(1, 20) = static_cast<float>(inf);
    in(2, 36) = static_cast<float>(-inf);
    in(3, 5) = static_cast<float>(nan);
    const double want[6][4] = {{0, nan, nan, nan}, {0, nan, nan, nan}, {2, inf, 2, nan},
                               {2, 2, -inf, nan},  {0, 1, 1, 1},       {37, 36, 36, 36}};
    for (const Module& module : {compile(algorithm, {}, parse_target("interpreter")),
                                 compile(algorithm, default_schedule(algorithm, Target()), Target(), {.disk_cache = false})}) {
        NamedOutputs outputs;
        for (const Func& f : funcs) outputs.emplace(f.name(), Buffer<float>({4}));
        module({{"x", in}}, outputs);
        for (size_t f = 0; f < funcs.size(); ++f)
            for (std::int64_t row = 0; row < 4; ++row)
                EXPECT_TRUE(same(want[f][row], Buffer<float>(outputs.at(funcs[f].name()))(row)))
                    << funcs[f].name() << " of row " << row << " is " << Buffer<float>(outputs.at(funcs[f].name()))(row);
    }
}

}  // namespace
}  // namespace tessera
