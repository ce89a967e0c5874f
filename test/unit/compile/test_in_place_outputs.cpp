#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

// Outputs that take the memory of an input: each cell is written once, after everything that reads it.
namespace tessera {
namespace {

struct Doubling {
    Dim i{"i"}, j{"j"};
    Input x{"x", f32, {i, j}};
    Func y{"y"}, rows{"rows"};
    Doubling() { y(i, j) = x(i, j) * 2.0f; }
    [[nodiscard]] Algorithm algorithm(const std::vector<Func>& further = {}) const {
        std::vector<Func> outputs = further;
        outputs.push_back(y);
        return Algorithm(outputs, {x}, {.in_place = {{"x", "y"}}});
    }
};

std::string refused(const Algorithm& algorithm, const Schedule& schedule) {
    try {
        static_cast<void>(compile(algorithm, schedule, Target()));
    } catch (const Error& e) {
        return std::string(code_text(e.code())) + ": " + e.message();
    }
    return "nothing";
}

TEST(InPlaceOutputs, EveryCellIsWrittenOnce) {
    // 1037 rows and 133 columns: no tile divides them.
    const Doubling d;
    for (const bool plain : {true, false}) {
        Schedule schedule = default_schedule(d.algorithm());
        if (plain) schedule = {};
        if (plain)
            schedule.stage("y")
                .root()
                .parallel("i", 32, "task")
                .serial("i", 8, "eights")
                .serial("j", 16, "columns")
                .unroll("i")
                .vector("j");
        const Module module = compile(d.algorithm(), schedule, Target());
        const Buffer<float> x({1037, 133});
        float next = 0;
        x.for_each([&](float& v) { v = next += 1; });
        module({{"x", x}}, {{"y", x}});
        next = 0;
        x.for_each([&](float v) { ASSERT_EQ(v, 2 * (next += 1)); });
    }
}

TEST(InPlaceOutputs, TilesThatOverlapAreRefused) {
    const Doubling d;
    Schedule schedule;
    schedule.stage("y").root().serial("i", 8, "eights").tail(Tail::shift_inwards).serial("i").serial("j");
    EXPECT_EQ(refused(d.algorithm(), schedule),
              "E0507: loop eights of y has tail shift_inwards: cells would be replaced twice in the memory that it shares");
}

TEST(InPlaceOutputs, ReadsOfOtherCellsAreRefused) {
    Dim i("i");
    const Input x("x", f32, {i});
    Func y("y");
    y(i) = x(i) + clamp(x)(i - 1);
    const Algorithm algorithm({y}, {x}, {.in_place = {{"x", "y"}}});
    Schedule schedule;
    schedule.stage("y").root();
    EXPECT_EQ(refused(algorithm, schedule),
              "E0314: y takes the memory of x, which y reads elsewhere than at the cell that is written, in the same loops");
    // A copy made before is another matter.
    Func before("before"), z("z");
    before(i) = x(i);
    z(i) = before(i) + clamp(before)(i - 1);
    const Algorithm copied({z}, {x}, {.in_place = {{"x", "z"}}});
    Schedule stored;
    stored.stage("z").root().stage("before").root();
    const Module module = compile(copied, stored, Target());
    const Buffer<float> values({5});
    for (int k = 0; k < 5; ++k) values(k) = static_cast<float>(k);
    module({{"x", values}}, {{"z", values}});
    for (int k = 0; k < 5; ++k) EXPECT_EQ(values(k), k == 0 ? 0.0f : static_cast<float>(2 * k - 1));
    EXPECT_TRUE(refused(copied,
                        [] {
                            Schedule inside;
                            inside.stage("z").root().serial("i").stage("before").at("z", "i");
                            return inside;
                        }())
                    .starts_with("E0314: z takes the memory of x, which before reads elsewhere"));
}

TEST(InPlaceOutputs, WhatIsComputedAtNoCertainTimeMustNotRead) {
    Doubling d;
    d.rows(d.i) = sum({d.j}, d.x(d.i, d.j));
    Schedule schedule;
    schedule.stage("y").root().stage("rows").root();
    EXPECT_EQ(refused(d.algorithm({d.rows}), schedule),
              "E0314: y takes the memory of x, which rows.sum reads and nothing says that it is computed before");
    // What the output needs is computed before.
    Func scaled("scaled");
    scaled(d.i, d.j) = d.x(d.i, d.j) / d.rows(d.i);
    const Algorithm normalised({scaled, d.rows}, {d.x}, {.in_place = {{"x", "scaled"}}});
    Schedule stored;
    stored.stage("scaled").root().stage("rows").root().stage("rows.sum").at("rows", "i");
    const Module module = compile(normalised, stored, Target());
    const Buffer<float> x({7, 5}), rows({7});
    x.fill(3);
    module({{"x", x}}, {{"scaled", x}, {"rows", rows}});
    EXPECT_EQ(rows(6), 15);
    x.for_each([](float v) { EXPECT_EQ(v, 3.0f / 15.0f); });
}

}  // namespace
}  // namespace tessera
