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

TEST(InPlaceOutputs, WhatOnlyLaterOutputsNeedMustNotRead) {
    Doubling d;
    d.rows(d.i) = sum({d.j}, d.x(d.i, d.j));
    Schedule schedule;
    schedule.stage("y").root().stage("rows").root();
    const Algorithm after({d.y, d.rows}, {d.x}, {.in_place = {{"x", "y"}}});
    EXPECT_EQ(refused(after, schedule),
              "E0314: y takes the memory of x, which rows.sum reads and nothing says that it is computed before");
    // What an output listed before is for is computed before.
    const Module before = compile(d.algorithm({d.rows}), schedule, Target());
    const Buffer<float> values({7, 5}), sums({7});
    values.fill(3);
    before({{"x", values}}, {{"y", values}, {"rows", sums}});
    EXPECT_EQ(sums(6), 15);
    values.for_each([](float v) { EXPECT_EQ(v, 6.0f); });
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

// A step down the gradient of two layers: what goes back through the second one reads its weights, and is for the first.
TEST(InPlaceOutputs, WeightsOfSeveralLayers) {
    Dim i("i", 9), h("h", 13), o("o", 5);
    const Input x("x", f32, {i}), first("first", f32, {i, h}), second("second", f32, {h, o});
    Func hidden("hidden"), out("out"), back("back"), next_first("next_first"), next_second("next_second");
    hidden(h) = sum({i}, first(i, h) * x(i));
    out(o) = sum({h}, second(h, o) * hidden(h));
    back(h) = sum({o}, second(h, o) * out(o));
    next_first(i, h) = first(i, h) - 0.1f * x(i) * back(h);
    next_second(h, o) = second(h, o) - 0.1f * hidden(h) * out(o);
    const std::vector<std::pair<std::string, std::string>> pairs{{"first", "next_first"}, {"second", "next_second"}};
    const Algorithm in_place({next_first, next_second}, {x, first, second}, {.in_place = pairs});
    const Algorithm apart({next_first, next_second}, {x, first, second});
    const Buffer<float> xs({9}), fs({9, 13}), ss({13, 5}), want_first({9, 13}), want_second({13, 5});
    float next = 0.3f;
    for (const Buffer<float>* b : {&xs, &fs, &ss}) b->for_each([&](float& v) { v = next = 3.7f * next * (1 - next); });
    compile(apart, default_schedule(apart), Target())({{"x", xs}, {"first", fs}, {"second", ss}},
                                                      {{"next_first", want_first}, {"next_second", want_second}});
    Schedule stored;
    for (const char* stage : {"next_first", "next_second", "hidden", "hidden.sum", "out", "out.sum", "back", "back.sum"})
        stored.stage(stage).root();
    for (const Schedule& schedule : {default_schedule(in_place), stored}) {
        const Buffer<float> f({9, 13}), s({13, 5});
        std::copy(fs.data(), fs.data() + fs.size(), f.data());
        std::copy(ss.data(), ss.data() + ss.size(), s.data());
        compile(in_place, schedule, Target())({{"x", xs}, {"first", f}, {"second", s}}, {{"next_first", f}, {"next_second", s}});
        for (std::int64_t k = 0; k < f.size(); ++k) EXPECT_EQ(f.data()[k], want_first.data()[k]);
        for (std::int64_t k = 0; k < s.size(); ++k) EXPECT_EQ(s.data()[k], want_second.data()[k]);
    }
    const Algorithm swapped({next_second, next_first}, {x, first, second}, {.in_place = pairs});
    EXPECT_EQ(refused(swapped, default_schedule(swapped)),
              "E0314: next_second takes the memory of second, which back.sum reads and nothing says that it is computed before");
}

}  // namespace
}  // namespace tessera
