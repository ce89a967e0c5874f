#include "unit/interpreter/interpreter_cases.h"

#include "schedule/loop_tree.h"

#include <map>

// Loop trees written by hand, so that nothing but the executor is tested.
namespace tessera::interpreter_test {
namespace {

using interpreter::execute;

StatementPtr statement(auto node) { return std::make_shared<const Statement>(Statement{std::move(node)}); }
StatementPtr block(std::vector<StatementPtr> statements) { return statement(Block{std::move(statements)}); }
Expr number(std::int64_t v) { return make_constant(DType::i64, v); }
Expr index_of(const Expr& e) { return index_expr(Index(e)); }

struct Variable {
    std::string name;
    Expr expr;
    explicit Variable(std::string n) : name(std::move(n)), expr(make_variable(name, DType::i64)) {}
};
StatementPtr loop(const Variable& v, const Expr& begin, const Expr& extent, StatementPtr body, LoopKind kind = LoopKind::serial) {
    return statement(Loop{"s." + v.name, v.expr, index_of(begin), index_of(extent), kind, std::move(body)});
}

/// A tree over the Funcs of an algorithm as stages, and updates of them.
struct Tree {
    explicit Tree(const Algorithm& a) : algorithm(a) {
        for (const Func& f : a.funcs()) {
            Stage s;
            s.func = f.state();
            s.name = f.name();
            s.dims = f.dims();
            s.dtypes = f.state()->dtypes;
            s.values = f.state()->values;
            for (size_t o = 0; o < a.outputs().size(); ++o)
                if (a.outputs()[o].state() == f.state()) s.output = o;
            stages.push_back(s);
        }
    }
    size_t stage(const Func& f) const {
        for (size_t i = 0; i < stages.size(); ++i)
            if (stages[i].func == f.state()) return i;
        return stages.size();
    }
    /// The definition of `f` at `place`, stored there.
    StatementPtr store(const Func& f, const std::vector<Expr>& place) const {
        std::vector<Expr> indices, values;
        for (const Expr& p : place) indices.push_back(index_of(p));
        for (const Expr& v : f.state()->values) values.push_back(substitute_dims(v, f.dims(), indices));
        return statement(Store{stage(f), indices, values});
    }
    StatementPtr allocate(const Func& f, const std::vector<Expr>& begin, const std::vector<Expr>& extent,
                          StatementPtr body) const {
        std::vector<Expr> b, e;
        for (const Expr& x : begin) b.push_back(index_of(x));
        for (const Expr& x : extent) e.push_back(index_of(x));
        return statement(Allocate{stage(f), Space::auto_, b, e, std::move(body)});
    }
    LoopTree with(StatementPtr root) const {
        return {{{algorithm, stages}, std::vector<BoundStage>(stages.size())}, std::move(root)};
    }

    Algorithm algorithm;
    std::vector<Stage> stages;
};

template <class T>
std::vector<T> executed(const LoopTree& tree, const Inputs& inputs, std::vector<std::int64_t> extents, std::uint64_t seed = 0) {
    Buffer<T> out(std::move(extents));
    execute(tree, inputs, {{tree.bound.graph.algorithm.outputs()[0].name(), out}}, {seed});
    return elements(out);
}

template <class Call>
std::string bug_of(Call call) {
    try {
        call();
    } catch (const Bug& b) {
        return b.message() + (b.hints().empty() ? "" : " | " + b.hints()[0].text);
    }
    return "nothing was thrown";
}

/// y(i) = d(i - 1) + d(i + 1) with d(i) = 2 x(clamped i).
struct Pair {
    Dim i{"i"};
    Input x{"x", f32, {i}};
    Func d{"d"}, y{"y"};
    std::unique_ptr<Tree> tree;
    Variable t{"t"}, p{"p"}, q{"q"};
    Inputs given{{"x", filled<float>({10}, ramp<float>(10))}};
    Pair() {
        d(i) = clamp(x)(i) * 2.0f;
        y(i) = d(i - 1) + d(i + 1);
        tree = std::make_unique<Tree>(Algorithm({y}, {x}));
    }
    std::vector<float> meaning() { return run<float>(tree->algorithm, given, {10}); }
    /// Tiles of 4 lanes with a guard; d is allocated for [4t + first, 4t + first + count) and produced for all of that.
    LoopTree tiled(std::int64_t first, std::int64_t count, std::int64_t produced) {
        const Expr at = number(4) * t.expr, here = at + q.expr;
        const StatementPtr producer = loop(p, at + first, number(produced), tree->store(d, {p.expr}));
        const StatementPtr consumer =
            loop(q, number(0), number(4), statement(Guard{here < 10, tree->store(y, {here})}), LoopKind::vector);
        const StatementPtr body = tree->allocate(d, {at + first}, {number(count)},
                                                 block({statement(Produce{tree->stage(d), {}, {}, producer}), consumer}));
        return tree->with(loop(t, number(0), Expr(Extent(i.extent() + 3)) / 4, body, LoopKind::parallel));
    }
};

TEST(Trees, TilesLanesGuardsAndAllocations) {
    Pair c;
    EXPECT_EQ(executed<float>(c.tiled(-1, 6, 6), c.given, {10}), c.meaning());
    EXPECT_EQ(executed<float>(c.tiled(-1, 6, 6), c.given, {10}, 77), c.meaning());
}

TEST(Trees, PoisonIsFound) {
    Pair c;
    EXPECT_EQ(bug_of([&] { executed<float>(c.tiled(-1, 6, 5), c.given, {10}); }),
              "d is read at (4), which was not written | at s.t = 0");
    EXPECT_EQ(bug_of([&] { executed<float>(c.tiled(0, 6, 6), c.given, {10}); }),
              "d is read at (-1), outside its allocation [0, 6) | at s.t = 0");
    EXPECT_EQ(bug_of([&] { executed<float>(c.tiled(-1, 5, 6), c.given, {10}); }),
              "d is stored at (4), outside its allocation [-1, 4) | at s.t = 0, s.p = 4");
}

TEST(Trees, ValuesDoNotOutliveTheirAllocation) {
    Pair c;
    const StatementPtr produce =
        c.tree->allocate(c.d, {number(-1)}, {number(12)}, loop(c.p, number(-1), number(12), c.tree->store(c.d, {c.p.expr})));
    const StatementPtr consume = loop(c.q, number(0), number(10), c.tree->store(c.y, {c.q.expr}));
    EXPECT_EQ(bug_of([&] {
                  executed<float>(c.tree->with(block({produce, consume})), c.given, {10});
              }),
              "d is read where it has no allocation | at s.q = 0");
    const StatementPtr again = c.tree->allocate(c.d, {number(-1)}, {number(12)}, consume);
    EXPECT_EQ(bug_of([&] {
                  executed<float>(c.tree->with(block({produce, again})), c.given, {10});
              }),
              "d is read at (-1), which was not written | at s.q = 0");
}

TEST(Trees, OutputsMustBeWhole) {
    Dim i("i");
    Input x("x", i32, {i});
    Func y("y");
    y(i) = x(i);
    const Tree tree(Algorithm({y}, {x}));
    const Variable v("v");
    const auto over = [&](std::int64_t begin, std::int64_t extent) {
        return tree.with(loop(v, number(begin), number(extent), tree.store(y, {v.expr})));
    };
    const Inputs given{{"x", filled<std::int32_t>({4}, {1, 2, 3, 4})}};
    EXPECT_EQ(executed<std::int32_t>(over(0, 4), given, {4}), (std::vector<std::int32_t>{1, 2, 3, 4}));
    EXPECT_EQ(bug_of([&] { executed<std::int32_t>(over(0, 3), given, {4}); }),
              "output y was not written at (3) | outside all loops");
    EXPECT_EQ(bug_of([&] { executed<std::int32_t>(over(0, 5), given, {4}); }),
              "y is stored at (4), outside its allocation [0, 4) | at s.v = 4");
    EXPECT_EQ(bug_of([&] {
                  executed<std::int32_t>(
                      tree.with(loop(v, number(-1), number(1), statement(Store{0, {number(0)}, {x(Index(v.expr))}}))), given,
                      {4});
              }),
              "x is read at i = -1, outside [0, 4) | at s.v = -1");
}

TEST(Trees, UpdatesReadWhatWasStored) {
    Dim m("m"), k("k");
    Input a("a", f32, {m, k}), b("b", f32, {k});
    Func y("y");
    y(m) = sum({k}, a(m, k) * b(k));
    const Algorithm algorithm({y}, {a, b});
    Tree tree(algorithm);
    const Variable i("i"), j("j");
    const Expr self = make_access({nullptr, y.state(), Boundary::none}, {i.expr}, DType::f32, 0, {});
    const StatementPtr init = statement(Store{0, {i.expr}, {make_constant(DType::f32, 0.0)}});
    const StatementPtr update = statement(Store{0, {i.expr}, {fma(a(i.expr, j.expr), b(j.expr), self)}});
    const StatementPtr body = block({init, loop(j, number(0), k.extent(), update)});
    const Inputs given{{"a", filled<float>({3, 8}, ramp<float>(24))}, {"b", filled<float>({8}, ramp<float>(8, 2))}};
    EXPECT_EQ(executed<float>(tree.with(loop(i, number(0), m.extent(), body, LoopKind::vector)), given, {3}),
              run<float>(algorithm, given, {3}));
    const StatementPtr without_init = loop(j, number(0), k.extent(), update);
    EXPECT_EQ(bug_of([&] { executed<float>(tree.with(loop(i, number(0), m.extent(), without_init)), given, {3}); }),
              "y is read at (0), which was not written | at s.i = 0, s.j = 0");
}

/// y(0) = x(0), then y(v) = y(v - 1) + x(v): depends on the order of the loop over v.
TEST(Trees, LanesReadBeforeAnyStores) {
    Dim i("i");
    Input x("x", i32, {i});
    Func y("y");
    y(i) = x(i);
    const Tree tree(Algorithm({y}, {x}));
    const Variable v("v");
    const Expr before = make_access({nullptr, y.state(), Boundary::none}, {index_of(v.expr - 1)}, DType::i32, 0, {});
    const auto kind = [&](LoopKind k) {
        const Variable w("w");
        return tree.with(block({loop(w, number(0), number(5), tree.store(y, {w.expr})),
                                loop(v, number(1), number(4), statement(Store{0, {v.expr}, {before + x(v.expr)}}), k)}));
    };
    const Inputs given{{"x", filled<std::int32_t>({5}, {1, 10, 100, 1000, 10000})}};
    EXPECT_EQ(executed<std::int32_t>(kind(LoopKind::serial), given, {5}), (std::vector<std::int32_t>{1, 11, 111, 1111, 11111}));
    EXPECT_EQ(executed<std::int32_t>(kind(LoopKind::vector), given, {5}), (std::vector<std::int32_t>{1, 11, 110, 1100, 11000}));
    EXPECT_EQ(executed<std::int32_t>(kind(LoopKind::parallel), given, {5}), (std::vector<std::int32_t>{1, 11, 111, 1111, 11111}));
    bool differs = false;
    for (std::uint64_t seed = 1; seed < 5; ++seed)
        differs = differs || executed<std::int32_t>(kind(LoopKind::parallel), given, {5}, seed) !=
                                 std::vector<std::int32_t>{1, 11, 111, 1111, 11111};
    EXPECT_TRUE(differs);
}

TEST(Trees, LoopsAndLetsInsideLanes) {
    Dim i("i"), j("j");
    Input x("x", i32, {i, j});
    Func y("y");
    y(i, j) = x(i, j) * 3;
    const Algorithm a({y}, {x});
    const Tree tree(a);
    const Variable lane("lane"), half("half"), row("row"), column("column");
    // Lane l does rows 2l and 2l + 1; column runs inside with a second vector loop.
    const StatementPtr inner = loop(column, number(0), number(3), tree.store(y, {row.expr, column.expr}), LoopKind::vector);
    const StatementPtr body =
        loop(half, number(0), number(2), statement(Let{row.expr, index_of(lane.expr * 2 + half.expr), inner}), LoopKind::unroll);
    const Inputs given{{"x", filled<std::int32_t>({4, 3}, ramp<std::int32_t>(12))}};
    EXPECT_EQ(executed<std::int32_t>(tree.with(loop(lane, number(0), number(2), body, LoopKind::vector)), given, {4, 3}),
              run<std::int32_t>(a, given, {4, 3}));
}

TEST(Trees, TuplesBoundariesAndAllocatedOutputs) {
    Dim i("i");
    Input x("x", i32, {i});
    Func p("p"), y("y");
    p(i) = Tuple{x(i), cast(f32, x(i)) / 2.0f};
    Func e("e");
    e(i) = cast(f32, p(i)[0]) + p(i)[1];
    y(i) = mirror(e)(i - 2) + constant(e, 100.0f)(i + 2);
    const Algorithm a({y}, {x});
    const Tree tree(a);
    const Variable u("u"), v("v"), w("w");
    const auto all = [&](const Variable& n, const Func& f) { return loop(n, number(0), i.extent(), tree.store(f, {n.expr})); };
    const auto whole = [&](const Func& f, StatementPtr body) {
        return tree.allocate(f, {number(0)}, {i.extent()}, std::move(body));
    };
    const Inputs given{{"x", filled<std::int32_t>({5}, {1, 2, 3, 4, 5})}};
    EXPECT_EQ(executed<float>(tree.with(whole(p, whole(e, whole(y, block({all(u, p), all(v, e), all(w, y)}))))), given, {5}),
              run<float>(a, given, {5}));
    // One component that is not written is found.
    const StatementPtr one = loop(u, number(0), i.extent(), statement(Store{tree.stage(p), {u.expr}, {x(u.expr)}}));
    EXPECT_EQ(bug_of([&] {
                  executed<float>(tree.with(whole(p, whole(e, block({one, all(v, e), all(w, y)})))), given, {5});
              }),
              "p is read at (0), which was not written (component 1) | at s.v = 0");
}

}  // namespace
}  // namespace tessera::interpreter_test
