// What Halide finds out about regions, extents and ranges must be what the schedule relies on.
#include "thrown.h"
#include "unit/compile/scratch_folder.h"
#include "unit/cpu/expect_same.h"

#include <tessera/schedule_default.h>

#include <filesystem>
#include <fstream>

namespace tessera {
namespace {

using test::expect_same;

void expect_same_by_default(const std::string& text, const test::Shapes& shapes) {
    const Algorithm a = parse_algorithm(text);
    expect_same(a, default_schedule(a, Target()), shapes);
}

// The place is behind an extent of 1, where its condition never holds, and so is what the update reads of itself.
TEST(CpuRegions, AScatterWritesNothingOutside) {
    expect_same_by_default(R"(tessera graph 1
algorithm f
dim c
dim y
dim x
input a : u8[c, y, x]
dim i0 = extent(c)
f(c, y, x) : i32 = scatter(max, {to(c, i0 / 2 + 1)}, {i0}, min(max(cast(i32, periodic(a)(i0, y, x)), -8i32), 8i32))
arguments a
outputs f
)",
                           {{{"c", 1}, {"y", 9}, {"x", 2}}, {{"c", 5}, {"y", 3}, {"x", 20}}});
}

// Of x % 3 less is known inside a tile of x than outside: all 32 cells of a block are read, and held inside.
TEST(CpuRegions, ABlockedCopyOfAFewCells) {
    expect_same_by_default(R"(tessera graph 1
algorithm f
dim x
dim j = extent(x)
input factor : i32[x, j]
dim l
input a : i32[l, x]
dim n
dim r = 3
triangular(l, x) : i32 = sum({j}, factor(j, x) * a(l, j), where = x <= j) + a(l, x)
f(n) : i32 = sum({r}, clamp(triangular)(r, (r + n) % 3))
arguments factor, a
outputs f
)",
                           {{{"x", 6}, {"j", 6}, {"l", 4}, {"n", 3}}, {{"x", 70}, {"j", 70}, {"l", 7}, {"n", 5}}});
}

// Two parallel loops of a stage inside another loop: their extents are those of a region.
TEST(CpuRegions, ParallelLoopsInsideALoop) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim l2 = 2
dim l1
dim n
dim x
input a0 : i32[l2, l1, n, x]
input b : i32[x]
dim r = 2
g(l2, l1, n) : i32 = mirror(b)((l1 + l2) % 3) * constant(a0, 5i32)(l2, l1, l2 + -1, l2 + -1)
f(l2) : i32 = sum({r}, mirror_interior(g)(l2, r - l2, r))
arguments b, a0
outputs f
)");
    expect_same(a, parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "f": {"compute": "root", "loops": [{"name": "lo", "dim": "l2", "tile": 5, "tail": "guard"}, {"dim": "l2"}]},
        "f.sum": {"compute": "root", "loops": [{"dim": "r"}, {"name": "lt", "dim": "l2", "tile": 16, "as": "parallel"}, {"dim": "l2"}]},
        "g": {"compute": {"at": "f.sum", "loop": "lt"}, "loops": [{"dim": "l2", "as": "parallel"}, {"dim": "l1", "as": "parallel"},
              {"name": "nt", "dim": "n", "tile": 16, "as": "parallel"}, {"dim": "n"}]}}})"),
                {{{"l2", 2}, {"l1", 1}, {"n", 1}, {"x", 5}}, {{"l2", 2}, {"l1", 4}, {"n", 3}, {"x", 3}}});
}

// What is kept at a loop ends with a whole tile of each computation inside, not with one of all.
TEST(CpuRegions, TilesThatStickOutOfWhatIsKept) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm g
dim y
dim x
input a : i32[y, x]
f(y, x) : i32 = clamp(a)(y, x) * 3i32
g(y, x) : i32 = f(y, x) + 1i32
arguments a
outputs g
)");
    expect_same(a, parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "f": {"compute": {"at": "g", "loop": "xi"}, "store": {"at": "g", "loop": "xo", "space": "stack"},
              "loops": [{"name": "xt", "dim": "x", "tile": 16, "tail": "shift_inwards"}, {"dim": "y"}, {"dim": "x", "as": "vector"}]},
        "g": {"compute": "root", "loops": [{"dim": "y"}, {"name": "xo", "dim": "x", "tile": 15, "tail": "guard"},
              {"name": "xi", "dim": "x", "tile": 5, "tail": "guard"}, {"dim": "x", "as": "vector"}]}}})"),
                {{{"y", 7}, {"x", 21}}, {{"y", 2}, {"x", 60}}});
}

// Under j < i fewer rows are needed than the one whose extent is promised.
TEST(CpuRegions, PromisedExtentsUnderAChoice) {
    expect_same_by_default(R"(tessera graph 1
algorithm lower
dim n = 6
dim k
dim i
input s : i32[n, k, i]
dim j = extent(i)
input a : i32[n, k, j]
strict(k, i, j) : i32 = sum({n}, s(n, k, i) * a(n, k, j))
lower(k, i, j) : i32 = select(j < i, strict(k, i, j), 0i32)
arguments s, a
outputs lower
)",
                           {{{"k", 5}, {"i", 5}, {"j", 5}}, {{"k", 2}, {"i", 33}, {"j", 33}}});
}

// A u64 that does not fit wraps, whatever is done with it.
TEST(CpuRegions, WrappedIntegersAreStillHeld) {
    expect_same_by_default(R"(tessera graph 1
algorithm row
dim y
dim x
input b : bf16[y, x]
dim j = extent(x)
f(y, x) : u64 = cast(u64, cast(f32, mirror(b)(extent(y) - 1 - y, x)) * 20f32)
row(y) : i32 = max({j}, min(max(cast(i32, f(y, j)), -8i32), 8i32))
arguments b
outputs row
)",
                           {{{"y", 4}, {"x", 8}}, {{"y", 3}, {"x", 70}}});
}

// 32 * 32 * 32 elements in one vector.
TEST(CpuRegions, VectorsBeyondWhatIsCompiledAreALimit) {
    Dim c("c", 32), y("y", 32), x("x", 32);
    const Input a("a", f32, {c, y, x});
    Func f("f");
    f(c, y, x) = a(c, y, x) + 1.0f;
    const Algorithm algorithm({f}, {a});
    Schedule s;
    s.stage("f").root().vector("c").vector("y").vector("x");
    try {
        (void)cpu::jit(bind(algorithm, s), "host", cpu::KernelChecks::all);
        ADD_FAILURE() << "compiled";
    } catch (const Limit& e) {
        EXPECT_EQ(e.code(), L0903_schedule);
        EXPECT_NE(e.message().find("the vector loops of f hold more than 4096 elements"), std::string::npos) << e.message();
    }
    Schedule fewer;
    fewer.stage("f").root().serial("c").vector("y").vector("x");
    expect_same(algorithm, fewer, {{}});
}

// One lane more than native vectors under a mask: LLVM would end the program.
TEST(CpuRegions, MaskedVectorsOfOneLaneMoreAreALimit) {
    Dim x("x");
    const Input a("a", u64, {x});
    Func f("f");
    f(x) = a(x) + 1;
    const Algorithm algorithm({f}, {a});
    for (const Tail tail : {Tail::guard, Tail::mask})
        for (const std::int64_t tile : {5, 6, 7, 9}) {
            Schedule s;
            s.stage("f").root().serial("x", tile, "xo").vector("x");
            s.stages.at("f").loops->at(0).tail = tail;
            const ScratchFolder folder;
            try {
                (void)cpu::emit(bind(algorithm, s), "x86-64-linux-avx2-fma", "kernel", cpu::Artifact::object,
                                folder.file("kernel.o"));
                EXPECT_NE(tile % 4, 1) << "compiled";
            } catch (const Limit& e) {
                EXPECT_EQ(tile % 4, 1) << e.message();
                EXPECT_EQ(e.code(), L0903_schedule);
                EXPECT_NE(e.message().find(fmt::format("in vectors of {} under a mask", tile)), std::string::npos) << e.message();
            }
        }
}

// The ranges that hold the reads exist only while each is translated: which memory they have differs from one kernel to the next.
TEST(CpuRegions, ReadsHeldInRangesOfTheirOwn) {
    for (int round = 1; round <= 6; ++round) {
        Dim x("x"), v("v", 64 + round), w("w", 64), i("i", 3);
        const Input a("a", i32, {x});
        Func table("table"), out("out");
        table(v, w) = sum({i}, cast(i32, i + v * 71 + w));
        const Expr first = cast(i64, a(x) & 7), second = cast(i64, (a(x) + round) & 1), third = cast(i64, min(max(a(x), 2), 40));
        Expr all = table(first, second) * 3 + table(third, first);
        for (int mask = 63; mask > 3; mask /= 2)
            all = all * 5 + table(cast(i64, a(x) & mask), cast(i64, (a(x) / 2) & (mask / 2)));
        out(x) = all;
        const Algorithm algorithm({out}, {a});
        expect_same(algorithm, test::roots(algorithm), {{{"x", 37}}});
    }
}

// What an index reaches of a constant dim is known by its condition, which Halide does not see: n + 1 < 2, and blocks of k.
TEST(CpuRegions, AnUnrolledDimThatIsReadUnderAConditionOnItsIndex) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm g
dim l = 2
dim n
dim x
dim k
dim m = extent(n)
input a : i32[l, n, x]
f(l, n, x) : i32 = a(l, n, x) * clamp(a)(l, n, x + 1) + periodic(a)(l, n, x - 2)
g(n) : i32 = sum({m, x}, f(n + 1, m, x), where = n + 1 < 2) + sum({l, x}, f(l, n, x))
h(k) : i32 = sum({n, x}, f(k / 2, n, x), where = k < 4)
arguments a
outputs g, h
)");
    const Schedule s = parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "f": {"compute": "root", "loops": [{"dim": "n"}, {"name": "columns", "dim": "x", "tile": 8}, {"dim": "l", "as": "unroll"}, {"dim": "x", "as": "vector"}]},
        "h": {"compute": "root", "loops": [{"name": "kt", "dim": "k", "tile": 8, "tail": "guard"}, {"dim": "k"}]}}})");
    expect_same(a, s, {{{"l", 2}, {"n", 1}, {"x", 3}, {"k", 9}}, {{"l", 2}, {"n", 9}, {"x", 20}, {"k", 1}}});
}

// One row of blocks of 32 in blocks of 128 of which one cell is needed: the other blocks need nothing.
TEST(CpuRegions, BlocksInsideBlocksOfOneCell) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim l = 2
dim x
dim j = extent(x)
dim r = 2
input a : i32[l, x]
input factor : i32[x, j]
product(l, x) : i32 = sum({j}, factor(j, x) * a(l, j)) + a(l, x)
f(l) : i32 = sum({r}, constant(product, 5i32)(l, r + -1), where = r <= l)
arguments a, factor
outputs f
)");
    const Schedule s = parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "product": {"compute": "root", "loops": [{"name": "nb", "dim": "x", "tile": 128, "as": "parallel", "tail": "guard"}, {"name": "nt", "dim": "x", "tile": 32, "tail": "guard"},
            {"name": "mt", "dim": "l", "tile": 2}, {"dim": "l", "as": "unroll"}, {"name": "nu", "dim": "x", "tile": 8, "as": "unroll", "tail": "guard"}, {"dim": "x", "as": "vector"}]},
        "product.sum": {"compute": {"at": "product", "loop": "mt"}, "store": {"space": "register"},
            "loops": [{"dim": "j"}, {"dim": "l", "as": "unroll"}, {"name": "nu", "dim": "x", "tile": 8, "as": "unroll"}, {"dim": "x", "as": "vector"}]}}})");
    expect_same(a, s, {{{"l", 2}, {"x", 8}, {"j", 8}}, {{"l", 2}, {"x", 80}, {"j", 80}}});
}

// Of an integer made from a real all values are possible, also the lowest, whose magnitude is itself.
TEST(CpuRegions, AnIndexMadeOfAMagnitude) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim x
dim v = 8
input a : f32[x]
input b : i64[x]
input table : i32[v]
g(v) : i32 = table(v) * 2i32
h(x) : i32 = abs(cast(i32, a(x) * 2147483648f32))
f(x) : i32 = g(cast(i64, bit_and(h(x), 7i32))) + g(bit_and(abs(b(x)), 7))
arguments a, b, table
outputs f
)");
    expect_same(a, test::roots(a), {{{"x", 37}, {"v", 8}}});
}

// x - n leaves the rows at an edge that moves with n; the other index is of n alone.
TEST(CpuRegions, ReadsAlongADiagonalHeldAtTheEdges) {
    for (const std::string x : {"dim x", "dim x = 11"}) {
        const Algorithm a = parse_algorithm("tessera graph 1\nalgorithm f\ndim l\n" + x + R"(
dim n
input a : i32[l, x]
f(l, n, x) : i32 = clamp(a)(l, x - n) + clamp(a)(l, n * 2 - l + 1) * 3i32
arguments a
outputs f
)");
        test::Shapes shapes{{{"l", 3}, {"n", 4}, {"x", 11}}, {{"l", 1}, {"n", 1}, {"x", 11}}};
        if (x == "dim x") shapes.insert(shapes.end(), {{{"l", 1}, {"n", 1}, {"x", 1}}, {{"l", 5}, {"n", 70}, {"x", 64}}});
        expect_same(a, test::roots(a), shapes);
        expect_same(a, default_schedule(a, Target()), shapes);
    }
}

// Rows of a stencil's first pass, unrolled inside blocks of the second: away from the edges nothing holds an index, so that the
// rows stand at fixed distances and share one address.
TEST(CpuRegions, NothingIsHeldAwayFromTheEdges) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm blur
dim y
dim x
dim in_y = extent(y) + 2
dim in_x = extent(x) + 2
input in : i32[in_y, in_x]
rows(in_y, x) : i32 = in(in_y, x) + in(in_y, x + 1) + in(in_y, x + 2)
blur(y, x) : i32 = rows(y, x) + rows(y + 1, x) + rows(y + 2, x)
arguments in
outputs blur
)");
    const Schedule s = parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "blur": {"compute": "root", "loops": [{"name": "strip", "dim": "y", "tile": 4, "as": "parallel"}, {"name": "columns", "dim": "x", "tile": 8},
            {"dim": "y", "as": "unroll"}, {"dim": "x", "as": "vector"}]},
        "rows": {"compute": {"at": "blur", "loop": "columns"}, "loops": [{"dim": "in_y", "as": "unroll"}, {"dim": "x", "as": "vector"}]}}})");
    const auto shape = [](std::int64_t y, std::int64_t x) {
        return std::map<std::string, std::int64_t>{{"y", y}, {"x", x}, {"in_y", y + 2}, {"in_x", x + 2}};
    };
    expect_same(a, s, {shape(8, 24), shape(11, 21), shape(3, 5)});
    const std::string path = testing::TempDir() + "rows.stmt";
    cpu::emit(bind(a, s), "host", "rows", cpu::Artifact::statement, path);
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    std::filesystem::remove(path);
    const size_t first = text.find("if (f_blur_s1"), consumed = text.find("consume f_rows_s0");
    ASSERT_LT(first, consumed);
    ASSERT_NE(consumed, std::string::npos);
    EXPECT_EQ(text.substr(first, consumed - first).find("min("), std::string::npos) << text.substr(first, consumed - first);
}

// g is kept over all x, and computed under a condition that holds for none of the first ones.
TEST(CpuRegions, ValuesKeptUnderACondition) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim x
dim j = extent(x)
dim l
input a : i32[l, j]
input b : i32[l, x]
g(l, j) : i32 = a(l, j) * 2i32
f(x, j) : i32 = sum({l}, g(l, j) * b(l, x), where = j < x, order = ascending)
arguments a, b
outputs f
)");
    const auto kept = [](const std::string& store) {
        return parse_schedule(R"({"tessera_schedule": 1, "stages": {"f": {"compute": "root"},
            "f.sum": {"compute": "root", "loops": [{"name": "jb", "dim": "j", "tile": 4, "tail": "guard"}, {"dim": "x"}, {"name": "jj", "dim": "j"}, {"dim": "l"}]},
            "g": {"compute": {"at": "f.sum", "loop": "jj"}, "store": )" +
                              store + "}}}");
    };
    const test::Shapes shapes{{{"x", 39}, {"j", 39}, {"l", 3}}, {{"x", 1}, {"j", 1}, {"l", 2}}};
    expect_same(a, kept(R"({"at": "f.sum", "loop": "jb"})"), shapes);
    expect_same(a, kept(R"({"at": "root"})"), shapes);
    EXPECT_EQ(thrown([&] { (void)cpu::jit(bind(a, kept(R"({"at": "f.sum", "loop": "jb", "fold": {"j": 4}})"))); }),
              L0903_schedule);
}

// Conditions trim the loop over x, in which x - n is inside then; nothing says so where the buffer is checked.
TEST(CpuRegions, ReadsInsideByTwoConditions) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim n
dim x
dim j = extent(n)
dim l = 3
dim few = min(extent(x) - 1, 2) + 1
input a : f32[l, n, x]
f(n) : f32 = sum({few}, constant(a, 0.25f32)(few - n, n + 1, few), where = n < extent(j) && n < few, order = ascending)
arguments a
outputs f
)");
    expect_same(a, test::roots(a), {{{"n", 4}, {"x", 28}, {"j", 4}, {"l", 3}}, {{"n", 1}, {"x", 2}, {"j", 1}, {"l", 3}}});
}

// A condition lets none of a block's rows through: wrapping the indices of none must not make rows of them.
TEST(CpuRegions, NoRowsWrappedUnderACondition) {
    for (const std::string boundary : {"mirror_interior", "periodic", "mirror"}) {
        const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim p
dim y
dim x
input a : i32[p, y, x]
dim s = 2
rows(p, y, x) : i32 = sum({s}, mirror(a)(p, y + s, x) * 3i32)
f(p, y, x) : i32 = select(x % 3 == 0 && 1 < p, )" +
                                            boundary + R"((rows)(p, y, x), 7i32) - a(p, y, x)
arguments a
outputs f
)");
        const Schedule s = parse_schedule(
            R"({"tessera_schedule": 1, "stages": {"f": {"compute": "root", "loops": [{"dim": "p"}, {"name": "row", "dim": "y"}, {"dim": "x"}]},
            "rows": {"compute": {"at": "f", "loop": "row"}}, "rows.sum": {"compute": "root"}}})");
        expect_same(a, s, {{{"p", 2}, {"y", 3}, {"x", 12}, {"s", 2}}, {{"p", 4}, {"y", 1}, {"x", 19}, {"s", 2}}});
    }
}

// A block of `wide` is computed whole, and so reads more of the ring than its reader needs of it at the last rows.
TEST(CpuRegions, WholeBlocksReadAheadInARing) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim c
dim y
dim x
input a : u16[c, y, x]
dim j = extent(x)
dim r = 4
ring(c, y) : u16 = max({j}, min(constant(a, 3u16)(c, y, j), 8u16))
wide(c, y, x) : i16 = cast(i16, ring(extent(c) - 1 - c, y))
f(c, y, x) : i16 = sum({r}, wide(c, y + r - 1, x) * select(1 < r, 2i16, 1i16))
arguments a
outputs f
)");
    const Schedule s = parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "wide": {"compute": {"at": "f", "loop": "columns"},
                 "loops": [{"dim": "c"}, {"dim": "y", "as": "unroll"}, {"dim": "x", "as": "vector"}]},
        "f": {"compute": "root", "loops": [{"dim": "c", "as": "parallel"}, {"name": "task", "dim": "y", "tile": 64, "as": "parallel"},
                {"name": "row", "dim": "y", "tile": 4}, {"name": "columns", "dim": "x", "tile": 16},
                {"name": "line", "dim": "y", "as": "unroll"}, {"dim": "x", "as": "vector"}]},
        "f.sum": {"compute": {"at": "f", "loop": "line"}, "store": {"space": "register"},
                  "loops": [{"dim": "c"}, {"dim": "y"}, {"dim": "r", "as": "unroll"}, {"dim": "x", "as": "vector"}]},
        "ring": {"compute": {"at": "f", "loop": "row"}, "loops": [{"dim": "c"}, {"dim": "y"}],
                 "store": {"at": "f", "loop": "task", "fold": {"y": 8}}},
        "ring.max": {"compute": {"at": "f", "loop": "row"}}}})");
    test::Shapes shapes;
    for (const std::int64_t y : {1, 12, 13, 70}) shapes.push_back({{"c", 3}, {"y", y}, {"x", 18}, {"j", 18}});
    expect_same(a, s, shapes);
}

// What several outputs need stands in the loops that they share, for as much as any of them takes of it there.
TEST(CpuRegions, StagesInSharedLoops) {
    const test::Shapes lines{{{"x", 1}, {"y", 1}}, {{"x", 7}, {"y", 3}}, {{"x", 40}, {"y", 17}}, {{"x", 2}, {"y", 16}}};
    const Dim y("y"), x("x");
    const Input in("in", i32, {y, x});
    Func total("total"), a("a"), b("b"), column("column");
    total(y) = sum({x}, in(y, x));
    a(y, x) = in(y, x) - total(y);
    b(y, x) = in(y, x) * 3 + total(y);
    column(x) = sum({y}, in(y, x) * total(y));
    Schedule s;
    for (const char* output : {"a", "b"}) s.stage(output).root().parallel("y", 4, "task").serial("y", 0, "row").serial("x");
    s.stage("b").fuse_with({"a", "row"});
    s.stage("column").root();
    s.stage("column.sum").root();
    s.partial("column.part", "column.sum", {"y/4"}).root().parallel("y/4").serial("y").serial("x").fuse_with({"a", "task"});
    s.stage("total").at("a", "task").serial("y");
    s.stage("total.sum").at("a", "task").serial("y");
    expect_same(Algorithm({a, b, column}, {in}), s, lines);
}

// Halide takes from l < x, where it has no bounds of l, that x is not its own least value.
TEST(CpuRegions, ConditionsBetweenPositionsLeaveOthersAlone) {
    const std::string text = R"(tessera graph 1
algorithm small
dim l1
dim n
dim x
input x0 : f64[l1, n, x]
dim l1_2
dim n_7 = extent(n)
dim turn_12 = max((extent(x) * 2 - 4) / extent(l1) + 3 - (2 - extent(x)) / extent(l1), 0)
part(l1_2, x) : f64 = {
  %0 : i64 = x * 2 - l1_2 - 1
  sum({n_7}, x0(0, n_7, %0), where = 0 <= %0 && %0 < extent(x) && 0 <= x - 1 && x - 1 < %0)
}
y(l1, x) : f64 = {
  %0 : i64 = (2 - extent(x)) / extent(l1)
  %1 : i64 = turn_12 * extent(l1) + extent(l1) * %0 + l1 - extent(l1)
  sum({turn_12}, part(%1, x), where = 2 - extent(x) <= %1 && %1 <= extent(x) * 2 - 4 && turn_12 + %0 - 1 != 0)
}
arguments x0
outputs y
)";
    const std::string condition = "x - 1 < %0";
    for (const char* other : {"x - 1 < %0", "l1_2 < x", "max(l1_2, extent(l1) - 9) < x", "l1_2 < min(x, extent(n) + 5)"}) {
        SCOPED_TRACE(other);
        std::string changed = text;
        changed.replace(changed.find(condition), condition.size(), other);
        const Algorithm a = parse_algorithm(changed);
        test::expect_same(a, test::roots(a), {{{"l1", 1}, {"n", 6}, {"x", 14}}, {{"l1", 3}, {"n", 2}, {"x", 9}}});
    }
}

}  // namespace
}  // namespace tessera
