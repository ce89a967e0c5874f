#include "unit/schedule/tree_cases.h"

#include <chrono>

#include "tessera_paths.h"

namespace tessera::interpreter_test {
namespace {

struct Blur {
    Dim y{"y"}, x{"x"}, r{"r", 3};
    Input photo{"photo", u8, {y, x}};
    Func rows{"rows"}, blur{"blur"};
    Blur() {
        rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
        blur(y, x) = cast(u8, sum({r}, clamp(rows)(y + r - 1, x)) / 9);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({blur}, {photo}); }
};

std::vector<std::pair<std::string, Schedule>> blur_schedules() {
    std::vector<std::pair<std::string, Schedule>> out;
    Schedule breadth, tiled, sliding, rounded, folded;
    breadth.stage("blur").root().parallel("y").vector("x", 8, "xo").vector("x");
    breadth.stages.at("blur").loops->at(1).as = LoopKind::serial;
    breadth.stage("rows").root();
    out.emplace_back("blur_breadth_first", breadth);
    tiled.stage("blur").root().parallel("y", 8, "yo").serial("x", 16, "xo").serial("y").serial("x", 4, "xi").vector("x");
    tiled.stage("rows").at("blur", "xo").serial("y").serial("x", 4, "xi").tail(Tail::round_up).vector("x");
    out.emplace_back("blur_tiled", tiled);
    sliding.stage("blur").root().parallel("y", 8, "yo").tail(Tail::guard).serial("y", 0, "yi").serial("x");
    sliding.stage("rows").at("blur", "yi").store_at("blur", "yo").serial("x");
    out.emplace_back("blur_sliding", sliding);
    rounded.stage("blur")
        .root()
        .parallel("y", 5, "yo")
        .serial("x", 7, "xo")
        .tail(Tail::guard)
        .serial("y", 2, "yi")
        .serial("x", 3, "xi")
        .tail(Tail::guard)
        .serial("y")
        .serial("x");
    rounded.stage("rows")
        .at("blur", "yi")
        .alloc_at("blur", "yo")
        .serial("x", 4, "xo")
        .tail(Tail::round_up)
        .serial("y")
        .serial("x");
    rounded.stage("rows.sum").at("rows", "xo").serial("r").serial("x");
    out.emplace_back("blur_uneven", rounded);
    folded.stage("blur").root().serial("y").serial("x");
    folded.stages.at("blur").loops->at(0) = {.dim = "y", .parts = 3, .as = LoopKind::parallel, .name = "yo"};
    folded.stages.at("blur").loops->push_back({.dim = "y", .name = "yi"});
    folded.stage("rows").at("blur", "yo");
    out.emplace_back("blur_parts", folded);
    return out;
}

TEST(LoopTree, Blur) {
    const Algorithm a = Blur().algorithm();
    for (const auto& [name, schedule] : blur_schedules()) {
        SCOPED_TRACE(name);
        expect_golden(name, tree_of(a, schedule));
        for (const std::int64_t h : {1, 2, 9, 16}) {
            for (const std::int64_t w : {1, 3, 17, 32})
                expect_same(a, schedule,
                            {{"photo", filled<std::uint8_t>({h, w}, ramp<std::uint8_t>(static_cast<size_t>(h * w)))}},
                            dtype_of<std::uint8_t>, {h, w});
        }
    }
}

// What one iteration requires lies in the memory that is taken for all of them, also where only that for all is proved to need no
// wrapping.
TEST(LoopTree, WrappedReadsUnderAConditionStayInMemoryFurtherOut) {
    Dim y("y"), x("x");
    const Input a("a", f32, {y, x});
    Func f("f"), g("g");
    f(y, x) = a(y, x) * 2.0f;
    g(y, x) = select(1 < y, periodic(f)(y, x), 0.5f);
    const Algorithm algorithm({g}, {a});
    Schedule s;
    s.stage("g").root().serial("y", 4, "block").serial("y", 0, "row").serial("x");
    s.stage("f").at("g", "row").store_at("g", "block").serial("y").serial("x");
    for (const std::int64_t h : {1, 2, 3, 9})
        expect_same(algorithm, s, {{"a", filled<float>({h, 5}, ramp<float>(static_cast<size_t>(h * 5)))}}, dtype_of<float>,
                    {h, 5});
}

struct Gemm {
    Dim m{"m"}, n{"n"}, k{"k"};
    Input A{"A", f32, {m, k}}, B{"B", f32, {k, n}}, bias{"bias", f32, {n}};
    Func C{"C"};
    Gemm() { C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n)); }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({C}, {A, B, bias}); }
};

TEST(LoopTree, Matmul) {
    const Algorithm a = Gemm().algorithm();
    Schedule plain, packed, guarded;
    plain.stage("C")
        .root()
        .parallel("m", 8, "mb")
        .serial("n", 8, "nb")
        .serial("m", 2, "mt")
        .serial("n", 4, "nt")
        .unroll("m")
        .vector("n");
    plain.stage("C.sum").at("C", "nt").space(Space::register_).serial("k").unroll("m").vector("n");
    packed.stage("C")
        .root()
        .parallel("m", 6, "mb")
        .serial("n", 16, "nb")
        .serial("m", 3, "mt")
        .serial("n", 8, "nt")
        .unroll("m")
        .unroll("n", 4, "nu")
        .vector("n");
    packed.stage("C.sum")
        .at("C", "nt")
        .space(Space::register_)
        .serial("k", 4, "kb")
        .serial("k")
        .unroll("m")
        .unroll("n", 4, "nu")
        .vector("n");
    packed.copy("B.p", "B", {"C.sum"}).at("C", "nb").layout({"n/8", "k", "n%8"}).serial("k").unroll("n", 4).vector("n");
    guarded.stage("C")
        .root()
        .serial("m", 5, "mb")
        .tail(Tail::guard)
        .serial("n", 6, "nb")
        .tail(Tail::guard)
        .serial("m")
        .serial("n");
    guarded.stage("C.sum")
        .at("C", "nb")
        .serial("m", 4, "mt")
        .serial("n", 4, "nt")
        .serial("k", 3, "kb")
        .serial("k")
        .serial("m")
        .serial("n");
    expect_golden("matmul", tree_of(a, plain));
    expect_golden("matmul_packed", tree_of(a, packed));
    for (const auto* s : {&plain, &packed, &guarded})
        for (const auto& [m, n, k] :
             std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {2, 3, 5}, {13, 17, 9}, {16, 32, 8}, {5, 8, 0}}) {
            const Inputs in{{"A", filled<float>({m, k}, ramp<float>(static_cast<size_t>(m * k)))},
                            {"B", filled<float>({k, n}, ramp<float>(static_cast<size_t>(k * n), 2))},
                            {"bias", filled<float>({n}, ramp<float>(static_cast<size_t>(n), 3))}};
            expect_same(a, *s, in, dtype_of<float>, {m, n});
        }
}

TEST(LoopTree, Partials) {
    const Algorithm ints = [] {
        Dim m("m"), k("k");
        Input A("A", i32, {m, k});
        Func C("C");
        C(m) = sum({k}, A(m, k));
        return Algorithm({C}, {A});
    }();
    Schedule t;
    t.stage("C").root();
    t.stage("C.sum").root();
    t.partial("C.part", "C.sum", {"k/4"}).root();
    for (const std::int64_t k : {1, 4, 7})
        expect_same(ints, t, {{"A", filled<std::int32_t>({3, k}, ramp<std::int32_t>(static_cast<size_t>(3 * k)))}},
                    dtype_of<std::int32_t>, {3});
}

TEST(LoopTree, ScansAndRecurrences) {
    Dim t("t"), i("i");
    Input x("x", i32, {t, i});
    for (const bool reverse : {false, true})
        for (const bool exclusive : {false, true}) {
            Func f("f");
            f(t, i) = scan(plus, t, x(t, i), {.exclusive = exclusive, .reverse = reverse});
            Schedule root, inside;
            root.stage("f").root();
            root.stage("f.scan").root();
            inside.stage("f").root().serial("i", 4, "ib").serial("t").serial("i");
            inside.stage("f.scan").at("f", "ib").serial("i");
            for (const auto* s : {&root, &inside})
                for (const std::int64_t n : {1, 6})
                    expect_same(Algorithm({f}, {x}), *s,
                                {{"x", filled<std::int32_t>({n, 5}, ramp<std::int32_t>(static_cast<size_t>(n * 5)))}},
                                dtype_of<std::int32_t>, {n, 5});
        }
    for (const bool reverse : {false, true}) {
        Func h("h"), out("out");
        const int past = reverse ? 1 : -1;
        recurrence(t, {{h(t, i), cast(i32, 3)}},
                   [&](const Self& s) -> Tuple {
                       return {s[0](t + past, i) * 2 + select(i > 0, s[0](t + 2 * past, i - 1), 1) + x(t, i)};
                   },
                   {.reverse = reverse});
        out(t, i) = h(t, i) + 1;
        Schedule s;
        s.stage("out").root();
        s.stage("h.recurrence").root();
        for (const std::int64_t n : {1, 5})
            expect_same(Algorithm({out}, {x}), s,
                        {{"x", filled<std::int32_t>({n, 4}, ramp<std::int32_t>(static_cast<size_t>(n * 4)))}},
                        dtype_of<std::int32_t>, {n, 4});
    }
}

TEST(LoopTree, ScattersAndGathers) {
    Dim y("y"), x("x"), v("v", 16);
    Input img("img", u8, {y, x});
    Func h("h"), cdf("cdf"), out("out");
    h(v) = scatter(plus, {to(v, img(y, x) / 16)}, {y, x}, cast(u32, 1));
    cdf(v) = scan(plus, v, h(v));
    out(y, x) = cdf(img(y, x) / 16);
    Schedule s;
    s.stage("out").root().parallel("y").serial("x", 4, "xo").vector("x");
    for (const char* name : {"cdf", "cdf.scan", "h", "h.scatter"}) s.stage(name).root();
    const Algorithm a({out}, {img});
    expect_golden("histogram", tree_of(a, s));
    for (const std::int64_t n : {1, 7})
        expect_same(a, s, {{"img", filled<std::uint8_t>({n, 9}, ramp<std::uint8_t>(static_cast<size_t>(n * 9)))}},
                    dtype_of<std::uint32_t>, {n, 9});
}

TEST(LoopTree, PredicatesBecomeLoopBounds) {
    Dim row("row"), offsets("offsets", row.extent() + 1), nnz("nnz");
    Input start("start", i32, {offsets}), value("value", i32, {nnz});
    start.values_in(0, nnz.extent() + 1).increasing();
    Func scaled("scaled"), f("f");
    scaled(nnz) = value(nnz) * 3;
    f(row) = sum({nnz}, scaled(nnz), where(start(row) <= nnz && nnz < start(row + 1) && value(nnz) > 0));
    const Algorithm a({f}, {start, value});
    Schedule root, inside;
    for (Schedule* s : {&root, &inside}) {
        s->stage("f").root().serial("row");
        s->stage("f.sum").root().serial("row").serial("nnz", 2, "kb").serial("nnz");
    }
    root.stage("scaled").root();
    inside.stage("scaled").at("f.sum", "row");
    expect_golden("segments", tree_of(a, inside));
    for (const auto* s : {&root, &inside})
        expect_same(
            a, *s,
            {{"start", filled<std::int32_t>({4}, {0, 3, 3, 7})}, {"value", filled<std::int32_t>({7}, {1, -2, 3, 4, 5, -6, 7})}},
            dtype_of<std::int32_t>, {3});
}

TEST(LoopTree, BoundariesOfStagesAndPyramids) {
    Dim x("x"), half("half", (x.extent() + 1) / 2);
    Input in("in", i32, {x});
    Func a("a"), down("down"), out("out");
    a(x) = in(x)*2;
    down(half) = clamp(a)(2 * half) + mirror(a)(2 * half + 1) + periodic(a)(2 * half - 1);
    out(x) = down(x / 2) + mirror_interior(down)(x / 2 - 2) + constant(down, 5)(x / 2 + 1);
    const Algorithm algorithm({out}, {in});
    Schedule root, inside;
    root.stage("a").root();
    root.stage("down").root();
    root.stage("out").root().serial("x", 4, "xo").serial("x");
    inside.stage("out").root().serial("x", 4, "xo").serial("x", 2, "xi").serial("x");
    inside.stage("down").at("out", "xi");
    inside.stage("a").at("out", "xo");
    for (const auto* s : {&root, &inside})
        for (const std::int64_t n : {3, 5, 8, 19})
            expect_same(algorithm, *s, {{"in", filled<std::int32_t>({n}, ramp<std::int32_t>(static_cast<size_t>(n)))}},
                        dtype_of<std::int32_t>, {n});
}

TEST(LoopTree, ArgmaxBoundsAGatherIntoAStage) {
    Dim i("i"), j("j");
    Input score("score", i32, {i, j});
    Func table("table"), f("f");
    table(j) = cast(i32, j) * 7;
    f(i) = table(max(argmax(j, score(i, j)), 0));
    Schedule s;
    s.stage("table").root();
    s.stage("f").root();
    s.stage("f.argmax").root();
    expect_same(Algorithm({f}, {score}), s, {{"score", filled<std::int32_t>({4, 5}, ramp<std::int32_t>(20))}},
                dtype_of<std::int32_t>, {4});
}

TEST(LoopTree, PaddedCopies) {
    const Algorithm a = Gemm().algorithm();
    Schedule s;
    s.stage("C").root().serial("m", 4, "mb").serial("m").serial("n");
    s.stage("C.sum").at("C", "mb").serial("k").serial("m").serial("n");
    s.copy("A.p", "A", {"C.sum"}).at("C", "mb").serial("m").serial("k", 4, "ko").tail(Tail::pad).serial("k");
    expect_golden("matmul_padded_copy", tree_of(a, s));
    const Inputs in{{"A", filled<float>({5, 6}, ramp<float>(30))},
                    {"B", filled<float>({6, 3}, ramp<float>(18, 2))},
                    {"bias", filled<float>({3}, ramp<float>(3, 3))}};
    expect_same(a, s, in, dtype_of<float>, {5, 3});
}

TEST(LoopTree, ALongChainIsBuiltQuickly) {
    Dim x("x");
    Input in("in", f32, {x});
    std::vector<Func> f;
    Schedule s;
    for (size_t i = 0; i < 200; ++i) {
        f.emplace_back("f" + std::to_string(i));
        if (i == 0)
            f[0](x) = in(x)*2.0f;
        else
            f.back()(x) = clamp(f[i - 1])(x + 1) + f[i / 2](x);
        s.stage(f.back().name()).root().serial("x", 8, "xo").serial("x");
    }
    const Algorithm a({f.back()}, {in});
    const auto start = std::chrono::steady_clock::now();
    const LoopTree tree = build_loop_tree(bind(a, s));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("200 stages bound and built in %.0f ms\n", seconds * 1e3);
    EXPECT_LT(seconds, 1.0);
    expect_same(a, s, {{"in", filled<float>({9}, ramp<float>(9))}}, dtype_of<float>, {9});
}

// Every fold writes a range with itself twice.
TEST(LoopTree, ChainsOfFoldedReadsHaveShortRegions) {
    Dim y("y"), x("x");
    const Input a("a", f32, {y, x});
    Func last("f0");
    last(y, x) = a(y, x) * 2.0f;
    for (int k = 1; k < 9; ++k) {
        Func f("f" + std::to_string(k));
        f(y, x) = mirror(last)(y * 2 - x + 1, x - y) + clamp(last)(y - x, (x + 3) / 2 - 1);
        last = f;
    }
    const Algorithm algorithm({last}, {a});
    Schedule roots;
    for (const Func& f : algorithm.funcs()) roots.stage(f.name()).root();
    const auto start = std::chrono::steady_clock::now();
    (void)tree_of(algorithm, roots);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 1.0);
    expect_same(algorithm, roots, {{"a", filled<float>({5, 7}, ramp<float>(35))}}, dtype_of<float>, {5, 7});
}

// The first value of a tuple is written "{%0, ...": a name, not the remainder of a division.
TEST(LoopTree, TuplesOfSharedValuesAreReadBack) {
    Dim x("x");
    const Input a("a", f32, {x});
    Func f("f");
    const Expr shared = sqrt(a(x) * a(x) + 1.0f);
    f(x) = {shared, shared * shared + a(x)};
    Schedule s;
    s.stage("f").root();
    const LoopTree tree = tree_of(Algorithm({f}, {a}), s);
    const std::string text = to_text(tree);
    EXPECT_NE(text.find("{%0"), std::string::npos) << text;
    EXPECT_EQ(to_text(parse_loop_tree(text, tree.bound)), text);
}

TEST(LoopTree, TextIsChecked) {
    const BoundSchedule bound = tree_of(Gemm().algorithm(),
                                        [] {
                                            Schedule s;
                                            s.stage("C").root();
                                            s.stage("C.sum").root();
                                            return s;
                                        }())
                                    .bound;
    const auto message = [&](std::string_view text) {
        try {
            (void)parse_loop_tree(text, bound);
        } catch (const Error& e) {
            return std::string(code_text(e.code())) + " " + e.message();
        }
        return std::string();
    };
    EXPECT_EQ(message("for C.m in [0, q)\n"), "E0601 line 1 of a loop tree: q is neither a variable nor a dim");
    EXPECT_EQ(message("produce D\n"), "E0601 line 1 of a loop tree: D is no stage");
    EXPECT_EQ(message("for C.m in [0, m)\n  C(C.m, 0) = A(C.m)\n"), "E0601 line 2 of a loop tree: A has 2 dims");
    EXPECT_EQ(message("for C.m in [0, m) x\n"), "E0601 line 1 of a loop tree: 'x' is left over");
    EXPECT_EQ(message("for C.m in [0, m)\n  C(C.m, 0) = 1\n"), "E0601 line 2 of a loop tree: the value is i64, but C keeps f32");
    EXPECT_EQ(message("let a = (1"), "E0601 line 1 of a loop tree: ) is missing before ''");
}

TEST(LoopTree, VerifyRefusesBrokenTrees) {
    Schedule s;
    s.stage("C").root();
    s.stage("C.sum").root();
    const LoopTree good = tree_of(Gemm().algorithm(), s);
    const auto refused = [&](const std::string& from, const std::string& to) {
        std::string text = to_text(good);
        const size_t at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from << "\n" << text;
        text.replace(at, from.size(), to);
        EXPECT_THROW(verify(parse_loop_tree(text, good.bound)), Bug) << text;
    };
    refused("produce C.sum m [0, m), n [0, n)\n", "if true\n");
    refused("allocate C.sum m [0, m), n [0, n)\n", "if true\n");
}

}  // namespace
}  // namespace tessera::interpreter_test
