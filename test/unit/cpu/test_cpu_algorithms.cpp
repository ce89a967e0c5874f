// Algorithms of every kind under schedules of every kind, against the interpreter: equal bits.
#include "schedule/default_schedule.h"
#include "unit/cpu/expect_same.h"

#include <filesystem>
#include <fstream>

namespace tessera {
namespace {

using test::expect_same;
using test::roots;
using test::Shapes;

const Dim m("m"), n("n"), k("k"), y("y"), x("x"), t("t");
const Shapes matrices{{{"m", 1}, {"n", 1}, {"k", 1}},      {{"m", 7}, {"n", 3}, {"k", 5}},     {{"m", 13}, {"n", 67}, {"k", 0}},
                      {{"m", 131}, {"n", 257}, {"k", 67}}, {{"m", 64}, {"n", 128}, {"k", 32}}, {{"m", 5}, {"n", 300}, {"k", 9}}};
const Shapes lines{
    {{"x", 1}, {"y", 1}}, {{"x", 7}, {"y", 3}}, {{"x", 131}, {"y", 17}}, {{"x", 64}, {"y", 16}}, {{"x", 2}, {"y", 40}}};

struct Matmul {
    Input A{"A", f32, {m, k}}, B{"B", f32, {k, n}}, bias{"bias", f32, {n}};
    Func C{"C"};
    Matmul() { C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n)); }
    Algorithm algorithm() const { return Algorithm({C}, {A, B, bias}); }
};

Schedule tiled_matmul(int rows, int lanes) {
    Schedule s;
    s.stage("C")
        .root()
        .parallel("n", 4 * lanes, "nb")
        .serial("n", 2 * lanes, "nt")
        .serial("m", rows, "mt")
        .unroll("m", 0, "mi")
        .unroll("n", lanes, "nu")
        .vector("n", 0, "nv");
    s.stage("C.sum").at("C", "mt").space(Space::register_).serial("k").unroll("m").unroll("n", lanes).vector("n");
    s.copy("B.p", "B", {"C.sum"})
        .at("C", "nb")
        .layout({fmt::format("n/{}", 2 * lanes), "k", fmt::format("n%{}", 2 * lanes)})
        .serial("n", 2 * lanes)
        .serial("k")
        .unroll("n", lanes)
        .vector("n");
    return s;
}

// Accumulators in registers, computed inside parallel loops next to each other.
TEST(cpu_algorithms, accumulators_inside_parallel_loops_of_several_dims) {
    const Dim b("b"), kernel("kernel", 3), wide("wide", (x.extent() - 1) + 3);
    const Input in("in", f32, {b, y, wide, k}), weights("weights", f32, {kernel, k, n});
    Func out("out");
    out(b, y, x, n) = sum({kernel, k}, in(b, y, x + kernel, k) * weights(kernel, k, n));
    Schedule s;
    s.stage("out")
        .root()
        .parallel("b")
        .parallel("y")
        .parallel("n", 32, "nb")
        .serial("n", 16, "nt")
        .serial("x", 6, "mt")
        .unroll("x")
        .unroll("n", 8)
        .vector("n");
    s.stage("out.sum")
        .at("out", "mt")
        .space(Space::register_)
        .serial("kernel")
        .serial("k")
        .serial("b")
        .serial("y")
        .unroll("x")
        .unroll("n", 8)
        .vector("n");
    expect_same(Algorithm({out}, {in, weights}), s,
                {{{"b", 2}, {"y", 5}, {"x", 7}, {"wide", 9}, {"k", 3}, {"n", 20}},
                 {{"b", 1}, {"y", 1}, {"x", 1}, {"wide", 3}, {"k", 1}, {"n", 1}}});
}

TEST(cpu_algorithms, matmul_plain) { expect_same(Matmul().algorithm(), roots(Matmul().algorithm()), matrices); }
TEST(cpu_algorithms, matmul_in_registers_with_packed_panels) { expect_same(Matmul().algorithm(), tiled_matmul(6, 16), matrices); }
TEST(cpu_algorithms, matmul_for_a_smaller_instruction_set) {
    expect_same(Matmul().algorithm(), tiled_matmul(3, 8), matrices, "x86-64-linux-avx2");
}
TEST(cpu_algorithms, matmul_with_guarded_rows_and_tiled_reduction) {
    Schedule s;
    s.stage("C").root().parallel("m", 8, "mb").parallel("n", 32, "nb").serial("m").vector("n");
    s.stage("C").spec().loops->at(0).tail = Tail::guard;
    s.stage("C.sum").at("C", "nb").serial("k", 16).serial("m").serial("k", 4).unroll("k").serial("n", 8).vector("n");
    expect_same(Matmul().algorithm(), s, matrices);
}

TEST(cpu_algorithms, integer_matmul_with_blocked_reduction) {
    const Input A("A", i32, {m, k}), B("B", i32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    Schedule s;
    s.stage("C").root();
    s.stage("C.sum").root().serial("k", 0, "kb").serial("m", 4, "mt").serial("n", 16, "nt").serial("m").vector("n");
    s.partial("C.part", "C.sum", {"k/16"}).at("C.sum", "nt");
    s.stage("C.sum").spec().loops->at(0).dim = "k/16";
    expect_same(Algorithm({C}, {A, B}), s, matrices);
}

struct Stencil {
    Input in{"in", f32, {y, x}};
    Func a{"a"}, b{"b"};
    Algorithm algorithm(const Bounded& bounded) {
        a(y, x) = bounded(y, x - 1) + bounded(y, x) * 2.0 + bounded(y, x + 3);
        b(y, x) = a(y - 1, x) + a(y + 2, x) - a(y, x + 1);
        return Algorithm({b}, {in});
    }
};

TEST(cpu_algorithms, boundaries) {
    const auto with = [](auto wrap) {
        Stencil s;
        const Algorithm algorithm = s.algorithm(wrap(s.in));
        expect_same(algorithm, roots(algorithm), lines);
        Schedule tiled;
        tiled.stage("b").root().parallel("y", 8, "yo").serial("x", 16, "xo").serial("y", 0, "yi").vector("x");
        tiled.stage("a").at("b", "xo").serial("y").serial("x", 8).vector("x");
        expect_same(algorithm, tiled, lines);
        Schedule sliding;
        sliding.stage("b").root().parallel("y", 8, "yo").serial("y", 0, "yi").serial("x", 8).vector("x");
        sliding.stage("a").at("b", "yi").store_at("b", "yo").fold("y", 4).serial("y").serial("x", 8).vector("x");
        expect_same(algorithm, sliding, lines);
    };
    with([](const Input& i) { return clamp(i); });
    with([](const Input& i) { return mirror(i); });
    with([](const Input& i) { return mirror_interior(i); });
    with([](const Input& i) { return periodic(i); });
    with([](const Input& i) { return constant(i, 3.5); });
}

TEST(cpu_algorithms, selects_guard_reads) {
    const Input in("in", f32, {y, x});
    Func f("f"), g("g");
    f(y, x) = select(Expr(x) > 0, in(y, x - 1), in(y, x)) + select(Expr(y) + 1 < y.extent(), in(y + 1, x), 0);
    g(y, x) = f(y, x) * 3.0;
    const Algorithm a({g}, {in});
    expect_same(a, roots(a), lines);
    Schedule s;
    s.stage("g").root().serial("x", 16, "xo").serial("y").vector("x", 0, "xi");
    s.stage("f").at("g", "xo").serial("y", 4).serial("x", 8).unroll("y").vector("x");
    expect_same(a, s, lines);
}

TEST(cpu_algorithms, outputs_that_other_outputs_read) {
    const Input in("in", f32, {y, x});
    Func f("f"), g("g");
    f(y, x) = clamp(in)(y, x) * 2.0;
    g(y, x) = f(y + 1, x - 2) + f(y, x);
    const Algorithm a({f, g}, {in});
    expect_same(a, roots(a), lines);
}

TEST(cpu_algorithms, tuples_and_argmax) {
    const Input in("in", f32, {y, x});
    Func best("best"), both("both");
    best(y) = argmax(x, in(y, x));
    both(y) = welford({x}, in(y, x));
    const Algorithm a({best, both}, {in});
    expect_same(a, roots(a), lines);
    Schedule s = roots(a);
    s.stage("best").serial("y", 4, "yo").vector("y");
    s.stage("best.argmax").at("best", "yo").serial("x").vector("y", 0, "yv");
    try {
        expect_same(a, s, lines);
    } catch (const Error& e) {
        GTEST_LOG_(INFO) << e.what();
    }
}

// What the components of a tuple have in common is computed once, whatever they are called and however many there are.
TEST(cpu_algorithms, tuples_share_what_they_compute) {
    Input a("a", f32, {y, x}), b("b", f32, {x});
    // How often a statement raises 2 to a power, which every exponential does.
    const auto powers = [&](int components, bool run) {
        Func parts("parts"), out("out");
        std::vector<Expr> values;
        const Expr first = exp(a(y, x) * b(x)), second = tanh(first + a(y, x));
        for (int i = 0; i < components; ++i)
            values.push_back(i % 2 == 0 ? first * cast(f32, i) + second : second - first * cast(f32, i));
        parts(y, x) = Tuple(values);
        Expr sum = parts(y, x)[0];
        for (int i = 1; i < components; ++i) sum = sum * 0.5f + parts(y, x)[i];
        out(y, x) = sum;
        const Algorithm algorithm({parts, out}, {a, b});
        Schedule s = roots(algorithm);
        s.stage("parts").serial("y").serial("x", 8, "columns").vector("x");
        if (run) expect_same(algorithm, s, {{{"y", 3}, {"x", 16}}, {{"y", 2}, {"x", 19}}, {{"y", 1}, {"x", 8}}});
        const std::string path = testing::TempDir() + "tuple.stmt";
        cpu::emit(bind(algorithm, s), "host", "tuple", cpu::Artifact::statement, path);
        std::ifstream in(path);
        const std::string text((std::istreambuf_iterator<char>(in)), {});
        std::filesystem::remove(path);
        size_t found = 0;
        for (size_t at = text.find("shift_left"); at != std::string::npos; at = text.find("shift_left", at + 1)) ++found;
        return found;
    };
    const size_t of_two = powers(2, false);
    EXPECT_GT(of_two, 0u);
    EXPECT_EQ(powers(12, true), of_two);
}

TEST(cpu_algorithms, reductions_with_predicates) {
    const Input in("in", i32, {y, x});
    Func s("s"), triangle("triangle");
    s() = sum({y, x}, in(y, x), where(in(y, x) % 3 == 0));
    triangle(y) = max({x}, in(y, x), where(Expr(x) <= y));
    const Algorithm a({s, triangle}, {in});
    expect_same(a, roots(a), lines);
}

TEST(cpu_algorithms, scans) {
    const Input in("in", f32, {y, x});
    Func f("f"), g("g"), h("h");
    f(y, x) = scan(plus, x, in(y, x));
    g(y, x) = scan(maximum, x, in(y, x), {.exclusive = true});
    h(y, x) = scan(plus, y, in(y, x), {.reverse = true});
    const Algorithm a({f, g, h}, {in});
    expect_same(a, roots(a), lines);
    Schedule s = roots(a);
    s.stage("h.scan").parallel("x", 32).serial("y").vector("x");
    expect_same(a, s, lines);
}

TEST(cpu_algorithms, scatters) {
    Dim bins("bins", 17);
    const Input values("values", i32, {x}), index("index", i32, {x});
    Func histogram("histogram"), last_one("last_one");
    histogram(bins) = scatter(plus, {to(bins, index(x))}, {x}, values(x));
    last_one(bins) = scatter(last, {to(bins, index(x) + 3)}, {x}, values(x), {.init = {Operand(7)}});
    const Algorithm a({histogram, last_one}, {values, index});
    expect_same(a, roots(a), {{{"x", 0}}, {{"x", 1}}, {{"x", 500}}});
}

TEST(cpu_algorithms, gathers) {
    Dim rows("rows");
    Input table("table", f32, {rows, x}), index("index", i64, {y});
    index.values_in(0, rows.extent());
    Func f("f"), g("g");
    f(rows, x) = table(rows, x) + 1.0;
    g(y, x) = f(index(y), x) * table(index(y), x);
    const Algorithm a({g}, {table, index});
    expect_same(a, roots(a), {{{"x", 5}, {"y", 9}, {"rows", 4}}, {{"x", 33}, {"y", 1}, {"rows", 1}}});
    Schedule s;
    s.stage("g").root().parallel("y", 4).serial("x", 8).serial("y").vector("x");
    expect_same(a, s, {{{"x", 5}, {"y", 9}, {"rows", 4}}, {{"x", 33}, {"y", 1}, {"rows", 1}}});
}

TEST(cpu_algorithms, indices_that_depend_on_values) {
    Dim bins("bins", 8);
    const Input in("in", i32, {y, x});
    Func histogram("histogram"), f("f");
    histogram(bins) = scatter(plus, {to(bins, in(y, x) % 9)}, {y, x}, constant(i32, std::int64_t{1}));
    f(y, x) = histogram(in(y, x) & 7) + histogram(clamp(in(y, x), 0, 7));
    const Algorithm a({f}, {in});
    expect_same(a, roots(a), lines);
}

// Loops rounded up run over cells that nobody reads, whose indices nobody computed.
TEST(cpu_algorithms, scatters_that_drop_nothing) {
    Dim cells("cells", x.extent() / 4 + 1), part("part", 4), bins("bins", 8);
    const Input in("in", i32, {y, x});
    Func bin("bin"), grid("grid"), f("f");
    bin(y, x) = clamp(clamp(in)(y, x), 1, 7);
    grid(y, cells, bins) = scatter(plus, {to(bins, bin(y, cells * 4 + part))}, {part}, constant(i32, std::int64_t{1}));
    f(y, cells, bins) = grid(y, cells, bins) * 3;
    const Algorithm a({f}, {in});
    expect_same(a, roots(a), lines);
    Schedule s;
    s.stage("f").root().parallel("y").serial("cells").serial("bins");
    s.stage("bin").at("f", "y").serial("y").serial("x", 8, "xo").vector("x");
    s.stage("grid.scatter")
        .at("f", "y")
        .serial("y")
        .serial("cells", 4, "four")
        .tail(Tail::round_up)
        .serial("part")
        .unroll("cells");
    expect_same(a, s, lines);
}

TEST(cpu_algorithms, recurrences) {
    const Input in("in", f32, {t, x});
    Func s("s"), f("f"), g("g"), wave("wave");
    recurrence(t, {{s(t, x), cast(f32, 0.5)}},
               [&](const Self& self) -> Tuple { return {self[0](t - 1, x) * 0.5 + self[0](t - 2, x) * 0.25 + in(t, x)}; });
    f(t, x) = s(t, x) * 2.0;
    const Shapes shapes{{{"t", 0}, {"x", 3}}, {{"t", 1}, {"x", 1}}, {{"t", 9}, {"x", 37}}, {{"t", 2}, {"x", 16}}};
    const Algorithm a({f}, {in});
    expect_same(a, roots(a), shapes);
    Schedule vectors = roots(a);
    vectors.stage("s.recurrence").serial("t").serial("x", 8).vector("x");
    expect_same(a, vectors, shapes);
    // Neighbours of the state: a wave in one dimension.
    recurrence(t, {{wave(t, x), in(0, x)}}, [&](const Self& self) -> Tuple {
        return {select(Expr(x) > 0, self[0](t - 1, x - 1), 0) + self[0](t - 1, x) +
                select(Expr(x) + 1 < x.extent(), self[0](t - 1, x + 1), 0)};
    });
    g(t, x) = wave(t, x);
    const Algorithm b({g}, {in});
    expect_same(b, roots(b), {{{"t", 1}, {"x", 1}}, {{"t", 9}, {"x", 37}}, {{"t", 2}, {"x", 16}}});
}

TEST(cpu_algorithms, fibonacci_backwards) {
    const Dim steps("steps", 40);
    const Input first("first", i64, {x});
    Func f("f"), g("g");
    recurrence(steps, {{f(steps, x), cast(i64, first(x))}},
               [&](const Self& self) -> Tuple { return {self[0](steps - 1, x) + self[0](steps - 2, x)}; });
    g(steps, x) = f(steps, x);
    const Algorithm a({g}, {first});
    expect_same(a, roots(a), {{{"x", 1}}, {{"x", 5}}});
}

TEST(cpu_algorithms, partial_sums_added_in_place) {
    const Input A("A", i32, {m, k}), B("B", i32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    Schedule s;
    s.stage("C").root().parallel("m", 8).serial("m").serial("n", 16, "nv").vector("n");
    s.stage("C.sum")
        .root()
        .parallel("n", 64, "nb")
        .serial("k/16", 0, "kb")
        .serial("n", 32, "nt")
        .serial("m", 6, "mt")
        .unroll("m", 0, "mi")
        .unroll("n", 16, "nu")
        .vector("n", 0, "nv");
    for (LoopSpec& loop : *s.stage("C.sum").spec().loops)
        if (loop.tile) loop.tail = Tail::guard;
    s.stage("C.sum").init(
        {{.dim = "m"}, {.dim = "n", .tile = 16, .tail = Tail::guard}, {.dim = "n", .as = LoopKind::vector, .name = "niv"}});
    s.partial("C.part", "C.sum", {"k/16"})
        .at("C.sum", "mt")
        .space(Space::register_)
        .serial("k")
        .unroll("m")
        .unroll("n", 16)
        .vector("n");
    s.copy("B.p", "B", {"C.part"})
        .at("C.sum", "kb")
        .layout({"n/32", "k", "n%32"})
        .serial("n", 32)
        .serial("k")
        .unroll("n", 16)
        .vector("n");
    expect_same(Algorithm({C}, {A, B}), s, matrices);
    for (LoopSpec& loop : *s.stage("C").spec().loops)
        if (loop.tile) loop.tail = Tail::guard;
    s.stage("C.sum").live_in("C");
    expect_same(Algorithm({C}, {A, B}), s, matrices);
    Func E("E");
    E(m, n) = max(sum({k}, A(m, k) * B(k, n)) + A(m, 0), 0);
    Schedule in_place;
    in_place.stage("E").root().serial("m").serial("n", 16, "nv").vector("n");
    in_place.stage("E.sum").root().live_in("E").serial("k").serial("m").serial("n", 8, "nv").vector("n");
    expect_same(Algorithm({E}, {A, B}), in_place, {matrices.begin(), matrices.begin() + 2});
}

TEST(cpu_algorithms, derived_extents_and_scalars) {
    Dim half("half", (x.extent() + 1) / 2);
    const Input in("in", i16, {x});
    const Scalar shift("shift", i32);
    Func f("f");
    f(half) = cast(i32, in(Expr(half) * 2)) + shift;
    const Algorithm a({f}, {in, shift});
    Schedule s;
    s.stage("f").root().serial("half", 8).vector("half");
    expect_same(a, s, {{{"x", 1}}, {{"x", 2}}, {{"x", 101}}, {{"x", 0}}}, "host", {{"shift", -5}});
}

TEST(cpu_algorithms, kahan_and_halves) {
    const Input in("in", f32, {x}), half("half", f16, {x}), brain("brain", bf16, {x});
    Func f("f"), g("g");
    f() = sum({x}, in(x)*1000.0, {.order = Order::kahan()});
    g(x) = half(x) * cast(f16, brain(x)) + cast(f16, in(x));
    const Algorithm a({f, g}, {in, half, brain});
    expect_same(a, roots(a), {{{"x", 0}}, {{"x", 1}}, {{"x", 3001}}});
}

TEST(cpu_algorithms, static_extents) {
    const Dim p("p", 24), q("q", 40);
    const Input in("in", f32, {p, q});
    Func f("f");
    f(q, p) = exp(in(p, q)) / (1.0 + abs(in(p, q)));
    const Algorithm a({f}, {in});
    Schedule s;
    s.stage("f").root().serial("q", 8, "qo").serial("p", 8, "po").unroll("q").vector("p");
    expect_same(a, s, {{}});
}

TEST(cpu_algorithms, slopes_in_one_nest) {
    const Input in("in", f32, {y, x});
    Func gray("gray"), down("down"), across("across"), edge("edge");
    gray(y, x) = clamp(in)(y, x) * 0.5f;
    down(y, x) = gray(y + 1, x) - gray(y - 1, x);
    across(y, x) = gray(y, x + 1) - gray(y, x - 1);
    edge(y, x) = down(y, x) * down(y + 1, x) + across(y, x) * across(y, x + 1);
    const Algorithm a({edge}, {in});
    for (const FuseAlign align : {FuseAlign::none, FuseAlign::start, FuseAlign::end}) {
        Schedule s;
        s.stage("edge").root().parallel("y", 8, "strip").serial("y", 0, "row").serial("x", 16, "xo").vector("x");
        for (const char* stage : {"gray", "down", "across"})
            s.stage(stage).at("edge", "row").store_at("edge", "strip").serial("y").serial("x", 16, "xo").vector("x");
        s.stage("across").fuse_with({"down", "xo", align});
        expect_same(a, s, lines);
    }
}

TEST(cpu_algorithms, outputs_of_different_extents_in_one_nest) {
    const Dim half("half", y.extent() / 2), five("five", 5);
    const Input in("in", f32, {y, x});
    Func copy("copy"), rows("rows"), third("third");
    copy(y, x) = in(y, x) * 2;
    rows(half, x) = sum({five}, in(half * 2, x) * cast(f32, five));
    third(x) = clamp(in)(0, x);
    const Algorithm a({copy, rows, third}, {in});
    for (const FuseAlign align : {FuseAlign::none, FuseAlign::start, FuseAlign::end}) {
        Schedule s;
        s.stage("copy").root().serial("y", 4, "yo").serial("y").serial("x");
        s.stage("rows.sum")
            .root()
            .serial("half", 2, "yo")
            .serial("half")
            .serial("five")
            .serial("x")
            .fuse_with({"copy", "y.1", align});
        s.stage("rows").root();
        s.stage("third").root().serial("x").fuse_with({"copy", "yo", align});
        expect_same(a, s, lines);
    }
}

TEST(cpu_algorithms, reductions_in_one_nest) {
    const Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("C"), D("D");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    D(m, n) = sum({k}, A(m, k) * A(m, k) + B(k, n));
    Schedule s;
    for (const char* name : {"C", "D"}) s.stage(name).root().parallel("m").parallel("n", 16).vector("n");
    for (const char* name : {"C.sum", "D.sum"}) s.stage(name).root().parallel("m").serial("n", 16, "no").serial("k").vector("n");
    s.stage("D").fuse_with({"C", "n.16"});
    s.stage("D.sum").fuse_with({"C.sum", "no"});
    expect_same(Algorithm({C, D}, {A, B}), s, matrices);
}

TEST(cpu_algorithms, default_schedule_of_a_long_sum) {
    const Input A("A", i32, {m, k}), B("B", i32, {k, n});
    Func C("C"), D("D");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    D(m, n) = max(sum({k}, A(m, k) * B(k, n)) + 3, 0);
    Shapes shapes = matrices;
    shapes.push_back({{"m", 5}, {"n", 70}, {"k", 2100}});
    const CpuModel wide{.vector_bytes = 64, .vector_registers = 32};
    for (const auto& [f, model] : {std::pair{C, wide}, std::pair{D, CpuModel{}}}) {
        const Algorithm a({f}, {A, B});
        const Schedule s = default_schedule(a, model);
        ASSERT_EQ(s.variants.size(), 1U);
        expect_same(a, variant_schedule(s, 0), shapes);
    }
}

// Sums of their own k in one register tile: plain, with an outer dim, with columns and rows that are copied, read outside;
// products of one k are added up by fma.
TEST(cpu_algorithms, default_schedule_of_several_sums_of_products) {
    Dim j("j"), b("b");
    const Input A("A", f32, {m, k}), B("B", f32, {k, n}), C("C", f32, {m, j}), D("D", f32, {j, n}), bias("bias", f32, {n}),
        E("E", f32, {b, m, k}), F("F", f32, {b, n, k}), G("G", f32, {b, k, m}), H("H", f32, {k, n});
    Func f("f"), g("g"), h("h");
    f(m, n) = tanh(sum({k}, A(m, k) * B(k, n)) + sum({j}, C(m, j) * D(j, n)) + bias(n));
    g(b, m, n) = sum({k}, E(b, m, k) * F(b, n, k)) - sum({k}, G(b, k, m) * constant(H, 0.5f)(k - 1, n));
    h(m, n) = sum({k}, A(m, k) * B(k, n) + A(m, k) * H(k, n));
    const CpuModel narrow, wide{.vector_bytes = 64, .vector_registers = 32};
    for (const auto& [a, model] : {std::pair{Algorithm({f}, {A, B, C, D, bias}), narrow},
                                   std::pair{Algorithm({g}, {E, F, G, H}), narrow}, std::pair{Algorithm({h}, {A, B, H}), wide}})
        expect_same(
            a, default_schedule(a, model),
            {{{"b", 2}, {"m", 37}, {"n", 150}, {"k", 70}, {"j", 33}}, {{"b", 1}, {"m", 5}, {"n", 3}, {"k", 1}, {"j", 2}}});
}

TEST(cpu_algorithms, memory_shared_inside_a_loop) {
    const Input in("in", i32, {y, x});
    Func a("a"), b("b"), out("out");
    a(y, x) = clamp(in)(y, x) * 3;
    b(y, x) = a(y, x) * a(y, x) + 5;
    out(y, x) = b(y, x) + b(y + 1, x + 1);
    Schedule s;
    s.stage("out").root().parallel("y", 4, "yo").serial("y").serial("x", 8, "xo").vector("x");
    s.stage("b").at("out", "yo").serial("y").serial("x", 8, "xo").vector("x");
    s.stage("a").at("out", "yo").live_in("b").serial("x", 4, "xo").serial("y").vector("x");
    expect_same(Algorithm({out}, {in}), s, lines);
}

TEST(cpu_algorithms, targets_and_objects) {
    const Algorithm a = Matmul().algorithm();
    Schedule s;
    s.stage("C").root().serial("m").serial("n", 16, "nt").vector("n");
    s.stage("C.sum").root().serial("k").serial("m").serial("n", 16).vector("n");
    EXPECT_THROW((void)cpu::jit(bind(a, s), "riscv-banana"), Error);
    EXPECT_THROW((void)cpu::jit(bind(a, s), "arm-64-linux"), Error);
    const std::string path = testing::TempDir() + "tessera_cpu_kernel.o";
    EXPECT_EQ(cpu::emit(bind(a, s), "x86-64-linux-avx2", "matmul", cpu::Artifact::object, path).parameters,
              cpu::parameters(bind(a, s)));
    std::FILE* object = std::fopen(path.c_str(), "rb");
    ASSERT_NE(object, nullptr);
    char magic[4] = {};
    EXPECT_EQ(std::fread(magic, 1, 4, object), 4U);
    std::fclose(object);
    EXPECT_EQ(std::string(magic, 4),
              "\x7f"
              "ELF");
    EXPECT_THROW((void)cpu::emit(bind(a, s), "host", "matmul", cpu::Artifact::object, "/no/such/folder/a.o"), Error);
    EXPECT_EQ(cpu::expanded_target("x86-64-linux-avx2"), "x86-64-linux-avx-avx2-f16c-fma-sse41");
    for (const char* wide : {"avx512_zen4", "avx512_zen5", "avx512_sapphirerapids"})
        for (const char* implied : {"-avx512_cannonlake", "-avx512_skylake"})
            EXPECT_NE(cpu::expanded_target(std::string("x86-64-linux-") + wide).find(implied), std::string::npos) << wide;
}

TEST(cpu_algorithms, web_assembly_objects) {
    const Algorithm a = Matmul().algorithm();
    Schedule s;
    s.stage("C").root().serial("m").serial("n", 8, "nt").vector("n");
    s.stage("C.sum").root().serial("k").serial("m").serial("n", 8).vector("n");
    const std::string path = testing::TempDir() + "tessera_web_kernel.o";
    try {
        (void)cpu::emit(bind(a, s), "wasm-32-wasmrt-wasm_simd128", "matmul", cpu::Artifact::object, path);
    } catch (const Exception& e) {
        const std::string text = e.what();
        if (text.find("not enabled") == std::string::npos) throw;
        GTEST_SKIP() << "[SKIP] this LLVM has no WebAssembly: " << text;
    }
    std::FILE* object = std::fopen(path.c_str(), "rb");
    ASSERT_NE(object, nullptr);
    char magic[4] = {};
    EXPECT_EQ(std::fread(magic, 1, 4, object), 4U);
    std::fclose(object);
    EXPECT_EQ(std::string(magic, 4), std::string("\0asm", 4));
}

}  // namespace
}  // namespace tessera
