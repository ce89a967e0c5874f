// Outputs whose rows need the same sums, under the default schedule that computes them together, against the interpreter.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "schedule/default_schedule.h"
#include "unit/cpu/expect_same.h"

#include <string>
#include <vector>

namespace tessera {
namespace {

using test::expect_same;
using test::Shapes;

// Rows that share sums along them, which have partials of their own in lanes; of columns, parts in the same tasks. Clones of such
// sums for outputs of other dims.
TEST(JoinedRows, OutputsThatShareRowSums) {
    Dim row("row"), i("i"), j("j");
    const Input points("points", i32, {row, i}), z("z", i32, {row, i}), other("other", i32, {row, j});
    Func total("total"), spread("spread"), a("a"), b("b"), column("column"), apart("apart");
    total(row) = sum({i}, points(row, i));
    spread(row) = sum({i}, (points(row, i) - total(row)) * (points(row, i) - total(row)));
    a(row, i) = points(row, i) - total(row) + spread(row);
    b(row, i) = z(row, i) * total(row) - spread(row);
    column(i) = sum({row}, z(row, i) * spread(row));
    apart(row, j) = other(row, j) + total(row) - spread(row);
    const Shapes shapes{{{"row", 37}, {"i", 150}, {"j", 70}}, {{"row", 1}, {"i", 3}, {"j", 2}}, {{"row", 0}, {"i", 5}, {"j", 1}}};
    for (const bool third : {false, true}) {
        const Algorithm outputs(third ? std::vector<Func>{a, b, column} : std::vector<Func>{a, b}, {points, z});
        const Schedule s = default_schedule(outputs, CpuModel{});
        EXPECT_TRUE(s.stages.at("a").fuse_with) << to_json(s);
        EXPECT_EQ(s.stages.count("column.sum.parts") > 0, third) << to_json(s);
        expect_same(outputs, s, shapes);
    }
    const Algorithm outputs({a, apart}, {points, other});
    const Schedule s = default_schedule(outputs, CpuModel{});
    EXPECT_TRUE(s.stages.count("spread.sum.of.a")) << to_json(s);
    expect_same(outputs, s, shapes);
}

// Parts of column sums share the tasks of rows that small dims (colours) run inside of, and add those up.
TEST(JoinedRows, ColumnSumsOverColours) {
    Dim outer("outer"), colour("colour", 3), row("row"), i("i");
    const Input points("points", i32, {outer, colour, row, i}), weight("weight", i32, {row, i});
    Func total("total"), shared("shared"), a("a"), column("column");
    shared(row, i) = weight(row, i) * weight(row, i) + 1;
    total(outer, colour, row) = sum({i}, points(outer, colour, row, i));
    a(outer, colour, row, i) = points(outer, colour, row, i) * total(outer, colour, row) + shared(row, i);
    column(i) = sum({outer, colour, row}, points(outer, colour, row, i) * total(outer, colour, row));
    const Algorithm outputs({a, column}, {points, weight});
    const Schedule s = default_schedule(outputs, CpuModel{});
    ASSERT_TRUE(s.stages.count("column.sum.parts")) << to_json(s);
    EXPECT_EQ(s.stages.at("column.sum.parts").keep, (std::vector<std::string>{"outer", "row/32"})) << to_json(s);
    EXPECT_EQ(s.stages.at("total.sum").compute->at, (LoopRef{"a", "task"})) << to_json(s);
    expect_same(
        outputs, s,
        {{{"outer", 2}, {"row", 70}, {"i", 150}}, {{"outer", 1}, {"row", 1}, {"i", 3}}, {{"outer", 0}, {"row", 4}, {"i", 5}}});
}

// Numbers of rows in the same rows, with a dim outside of them, and with small ones (colours) inside.
TEST(JoinedRows, NumbersThatShareRowSums) {
    Dim outer("outer"), colour("colour", 3), row("row"), i("i");
    for (const bool inside : {false, true}) {
        const Dim& first = inside ? colour : outer;
        const Input points("points", i32, {first, row, i}), weight("weight", i32, {row, i});
        Func largest("largest"), total("total"), number("number"), rows("rows");
        largest(first, row) = max({i}, points(first, row, i));
        total(first, row) = sum({i}, (largest(first, row) - points(first, row, i)) * weight(row, i));
        number(first, row) = total(first, row) - largest(first, row);
        rows(first, row, i) = points(first, row, i) * total(first, row) + weight(row, i) * largest(first, row);
        const Algorithm outputs({number, rows}, {points, weight});
        const Schedule s = default_schedule(outputs, CpuModel{});
        EXPECT_TRUE(s.stages.at("number").fuse_with) << to_json(s);
        expect_same(outputs, s,
                    {{{"outer", 2}, {"row", 77}, {"i", 150}},
                     {{"outer", 1}, {"row", 1}, {"i", 3}},
                     {{"outer", 3}, {"row", 0}, {"i", 5}}});
    }
}

}  // namespace
}  // namespace tessera
