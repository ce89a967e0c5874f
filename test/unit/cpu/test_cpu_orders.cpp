// Orders that belong to the algorithm: the interpreter's bits under every schedule.
#include "schedule/default_schedule.h"
#include "unit/cpu/expect_same.h"

namespace tessera {
namespace {

using test::expect_same;
using test::roots;
using test::Shapes;

const Dim y("y"), x("x"), k("k"), t("t");
const Dim same("same", k.extent());
const Shapes sums{{{"x", 1}, {"k", 1}},   {{"x", 3}, {"k", 4}},  {{"x", 16}, {"k", 5}},
                  {{"x", 33}, {"k", 37}}, {{"x", 20}, {"k", 0}}, {{"x", 8}, {"k", 1000}}};
const std::vector<Order> orders{Order::ascending(), Order::kahan(),      Order::pairwise(4), Order::pairwise(1),
                                Order::pairwise(7), Order::pairwise(64), Order::blocked(8)};

TEST(cpu_orders, sums_by_default_at_root_and_in_vectors) {
    for (const Order& order : orders) {
        const Input a("a", f32, {k, x}), w("w", f32, {k});
        Func f("f");
        f(x) = sum({k}, a(k, x) * w(k), {.order = order}) + sum({k}, a(k, x), where(w(k) > 0), {.order = order}) * 0.5;
        const Algorithm algorithm({f}, {a, w});
        expect_same(algorithm, default_schedule(algorithm, CpuModel{}), sums);
        expect_same(algorithm, roots(algorithm), sums);
        Schedule s;
        s.stage("f").root().parallel("x", 16, "task").serial("x", 8, "xo").vector("x");
        for (const Stage& stage : make_stages(algorithm).stages)
            if (stage.update) s.stage(stage.name).at("f", "xo").vector("x");
        expect_same(algorithm, s, sums);
    }
}

TEST(cpu_orders, over_several_dims_and_of_no_dims_left) {
    for (const Order& order : {Order::pairwise(3), Order::pairwise(16), Order::blocked(5)}) {
        const Input a("a", f64, {y, x});
        Func total("total"), rows("rows");
        total() = sum({y, x}, mirror(a)(y, x - 2) / 3.0, {.order = order});
        rows(y) = sum({x}, exp(a(y, x)), {.order = order});
        const Algorithm algorithm({total, rows}, {a});
        const Shapes shapes{{{"y", 1}, {"x", 1}}, {{"y", 5}, {"x", 3}}, {{"y", 4}, {"x", 32}}, {{"y", 13}, {"x", 29}}};
        expect_same(algorithm, roots(algorithm), shapes);
        expect_same(algorithm, default_schedule(algorithm, CpuModel{}), shapes);
    }
}

TEST(cpu_orders, of_constant_extents_and_other_monoids) {
    const Dim c("c", 24), d("d", 25);
    const Monoid shifted = monoid(
        "shifted",
        [](const std::vector<DType>&) -> Tuple {
            return {0.25, 1};
        },
        [](const Tuple& l, const Tuple& r) -> Tuple {
            return {l[0] * 0.5 + r[0], l[1] + r[1]};
        },
        {.commutative = false, .associative = false});
    const Input a("a", f32, {c, x}), i("i", i32, {d, x});
    Func f("f"), g("g"), h("h");
    f(x) = sum({c}, a(c, x), {.order = Order::pairwise(8)});
    g(x) = reduce(shifted, {c}, {a(c, x), cast(i32, 1)}, {}, {.order = Order::pairwise(5)});
    h(x) = sum({d}, i(d, x), {.order = Order::pairwise(4)});
    const Algorithm algorithm({f, g, h}, {a, i});
    const Shapes shapes{{{"x", 1}}, {{"x", 19}}};
    expect_same(algorithm, roots(algorithm), shapes);
    expect_same(algorithm, default_schedule(algorithm, CpuModel{}), shapes);
    // Integers combine alike in every order, so their sum has no stage for blocks.
    EXPECT_TRUE(make_stages(algorithm).find("f.sum.blocks"));
    EXPECT_FALSE(make_stages(algorithm).find("h.sum.blocks"));
}

TEST(cpu_orders, a_stage_of_blocks_is_placed_like_any_other) {
    const Input a("a", f32, {k, x});
    Func f("f");
    f(x) = sum({k}, a(k, x), {.order = Order::blocked(16)});
    const Algorithm algorithm({f}, {a});
    Schedule s;
    s.stage("f").root().parallel("x", 32, "task").serial("x", 16, "xo").vector("x");
    s.stage("f.sum").at("f", "xo").space(Space::register_).serial("k/16", 0, "block").vector("x");
    s.stage("f.sum.blocks").at("f.sum", "block").space(Space::register_).serial("k/16").serial("k%16").vector("x");
    expect_same(algorithm, s, sums);
}

// One block of the tree is read of each tile, but all of them are combined in its memory: as many as there are points.
TEST(cpu_orders, pairwise_sums_in_tiles) {
    const Input a("a", f32, {y, k}), b("b", f32, {k, x});
    Func f("f");
    f(y, x) = sum({k}, a(y, k) * b(k, x), {.order = Order::pairwise(4)});
    const Algorithm algorithm({f}, {a, b});
    TileRecord tile;
    tile.tile_m = 4;
    tile.tile_n = 8;
    tile.vector_width = 4;
    Schedule s;
    s.stage("f").tile(tile);
    EXPECT_THROW((void)cpu::jit(bind(algorithm, s), "host", cpu::KernelChecks::all), Limit);  // registers are of known number
    s.stage("f.sum").space(Space::heap);
    expect_same(algorithm, s, {{{"y", 3}, {"x", 5}, {"k", 6}}, {{"y", 8}, {"x", 17}, {"k", 33}}, {{"y", 5}, {"x", 8}, {"k", 4}}});
}

// Lanes of which four vectors run side by side, of an input and of rows that are stored: the last vectors are cut anywhere.
TEST(cpu_orders, lanes_of_lanes) {
    const Input a("a", i32, {y, k}), b("b", f32, {y, k});
    Func square("square"), top("top"), f("f"), g("g");
    square(y, k) = a(y, k) * a(y, k) + 1;
    top(y) = max({same}, b(y, same));
    f(y, k) = square(y, k) - sum({same}, square(y, same), where(b(y, same) < 1.5f));
    g(y, k) = select(b(y, k) < top(y), 0.0f, b(y, k));
    const Algorithm algorithm({f, g}, {a, b});
    for (const std::int64_t chains : {2, 3, 4}) {
        Schedule s;
        s.stage("f").root().serial("y", 0, "row").serial("k", 8, "columns").vector("k");
        s.stage("g").root().serial("y", 0, "row").serial("k");
        s.stage("square").at("f", "row").serial("y").serial("k", 8, "columns").tail(Tail::round_up).vector("k");
        s.stage("top").at("g", "row");
        for (const auto& [sum, root] : {std::pair{"f.sum", "f"}, {"top.max", "g"}}) {
            const std::string lanes = std::string(sum) + ".lanes", chain = "same%" + std::to_string(chains);
            s.stage(sum).at(root, "row").serial("y").serial("same%8");
            s.partial(lanes, sum, {"same%8"}).at(root, "row").serial("y").serial(chain).vector("same%8");
            s.partial(std::string(sum) + ".chains", lanes, {chain})
                .at(root, "row")
                .serial("y")
                .serial("same")
                .unroll(chain)
                .vector("same%8");
        }
        Shapes shapes;
        for (const std::int64_t columns : {1, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 100})
            shapes.push_back({{"y", 3}, {"k", columns}});
        expect_same(algorithm, s, shapes);
    }
}

TEST(cpu_orders, a_scatter_of_floats_in_blocks_is_a_limit) {
    const Input a("a", f32, {k});
    Func f("f");
    f(x) = scatter(plus, {to(x, Expr(k) % 4)}, {k}, a(k), {.order = Order::blocked(8)});
    try {
        static_cast<void>(make_stages(Algorithm({f}, {a})));
        FAIL();
    } catch (const Exception& e) {
        EXPECT_EQ(e.code(), L0901_not_on_target) << e.what();
    }
}

// ---- what updates need of loops and storage

TEST(cpu_orders, an_update_tiled_twice_along_one_dim) {
    const Input a("a", f32, {k, x});
    Func f("f");
    f(x) = sum({k}, a(k, x), {.order = Order::ascending()});
    const Algorithm algorithm({f}, {a});
    for (const std::int64_t inner : {4, 5}) {
        Schedule s;
        s.stage("f").root();
        s.stage("f.sum").root().parallel("x", 32, "task").serial("x", inner, "columns").serial("k").vector("x");
        expect_same(algorithm, s, sums);
    }
}

TEST(cpu_orders, storage_that_outlives_the_loop_that_fills_it) {
    const Input a("a", f32, {y, x});
    const Dim rows("rows", y.extent());
    Func h("h"), out("out");
    h(y, x) = scatter(maximum, {to(y, Expr(rows) / 2)}, {rows}, a(rows, x), {.init = {1}});
    out(y, x) = h(y, x) - 1;
    const Algorithm algorithm({out}, {a});
    Schedule s;
    s.stage("out").root().serial("x", 48, "outer").serial("x", 16, "inner").parallel("y").vector("x");
    s.stage("h").at("out", "inner").vector("x");
    s.stage("h.scatter")
        .at("out", "inner")
        .store_at("out", "outer")
        .space(Space::stack)
        .serial("x", 2)
        .serial("x")
        .serial("rows", 5)
        .serial("rows");
    expect_same(algorithm, s, {{{"y", 11}, {"x", 12}}, {{"y", 4}, {"x", 100}}});
}

// A sum per row is computed where the row is: the ring that keeps it has room for one.
TEST(cpu_orders, an_ordered_sum_per_row_in_the_default_schedule) {
    const Input a("a", f32, {y, x});
    const Dim across("across", x.extent());
    Func row("row"), out("out");
    row(y) = sum({across}, a(y, across), {.order = Order::ascending()});
    out(y, x) = a(y, x) * row(y);
    const Algorithm algorithm({out}, {a});
    expect_same(algorithm, default_schedule(algorithm, CpuModel{}), {{{"y", 1}, {"x", 1}}, {{"y", 70}, {"x", 40}}});
}

// The neighbours of a state that are needed reach past the extent.
TEST(cpu_orders, a_recurrence_that_is_read_outside_a_dim_whose_cells_it_mixes) {
    const Input a("a", i32, {t, x});
    Func h("h"), f("f");
    recurrence(t, {{h(t, x), cast(i32, 2)}}, [&](const Self& s) -> Tuple {
        return {s[0](t - 1, clamp(Expr(x) + 1, 0, Expr(x.extent()) - 1)) + clamp(a)(t, x)};
    });
    f(t, x) = h(t, x - 2) - h(t, x + 1);
    const Algorithm algorithm({f}, {a});
    const Shapes shapes{{{"t", 1}, {"x", 1}}, {{"t", 4}, {"x", 9}}};
    expect_same(algorithm, roots(algorithm), shapes);
    expect_same(algorithm, default_schedule(algorithm, CpuModel{}), shapes);
}

}  // namespace
}  // namespace tessera
