#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/library.h>
#include <tessera/tessera.h>
#include <tessera/tessera_profile.h>

#include "unit/compile/scratch_folder.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <fstream>
#include <map>
#include <set>

// Times of the stages of kernels compiled with profiling.
namespace tessera {
namespace {

/// light: one addition a cell; heavy: some hundred operations; out: their sum.
struct Unequal {
    Dim y{"y"}, x{"x"};
    Input in{"in", f32, {y, x}};
    Func light{"light"}, heavy{"heavy"}, out;
    explicit Unequal(const std::string& name) : out(name) {
        light(y, x) = in(y, x) + 1.0f;
        Expr value = light(y, x);
        for (int i = 0; i < 12; ++i) value = exp(value * 0.01f) + 0.5f;
        heavy(y, x) = value;
        out(y, x) = heavy(y, x) * 2.0f;
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({out}, {in}); }
    [[nodiscard]] Schedule passes(bool parallel) const {
        Schedule s;
        for (const std::string& stage : {std::string("light"), std::string("heavy"), out.name()})
            if (parallel)
                s.stage(stage).root().parallel("y", 16, "rows").serial("y").serial("x");
            else
                s.stage(stage).root().serial("y").serial("x");
        return s;
    }
};

Buffer<float> counting(std::int64_t rows, std::int64_t columns) {
    Buffer<float> b({rows, columns});
    float next = 0;
    b.for_each([&](float& v) { v = next += 0.001f; });
    return b;
}

std::map<std::string, tessera_profile_row> rows_of(const std::string& kernel) {
    std::map<std::string, tessera_profile_row> rows;
    for (int i = 0; i < tessera_profile_rows(); ++i) {
        tessera_profile_row row{};
        EXPECT_EQ(tessera_profile_row_at(i, &row), TESSERA_OK);
        if (row.kernel == kernel) rows[row.stage] = row;
    }
    return rows;
}

std::string report() {
    std::string text(tessera_profile_text(nullptr, 0) + 1, '\0');
    text.resize(tessera_profile_text(text.data(), text.size()));
    return text;
}

TEST(Profile, TimeIsThatOfTheStageThatTakesIt) {
    tessera_profile_reset();
    for (const bool parallel : {false, true}) {
        const Unequal u(parallel ? "unequal_parallel" : "unequal_serial");
        const Module profiled = compile(u.algorithm(), u.passes(parallel), {}, {.profile = true});
        const Module plain = compile(u.algorithm(), u.passes(parallel));
        const Buffer<float> in = counting(256, 200), out({256, 200}), expected({256, 200});
        for (int call = 0; call < 3; ++call) profiled({{"in", in}}, {{u.out.name(), out}});
        plain({{"in", in}}, {{u.out.name(), expected}});
        EXPECT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * 256 * 200), 0);
        const auto rows = rows_of(u.algorithm().name());
        ASSERT_EQ(rows.size(), 3u);
        double busy = 0;
        for (const auto& [stage, row] : rows) {
            EXPECT_EQ(row.calls, 3) << stage;
            EXPECT_EQ(row.entries, 3) << stage;
            EXPECT_GT(row.seconds, 0) << stage;
            busy += row.seconds;
        }
        EXPECT_GT(rows.at("heavy").seconds, 0.7 * busy);
        EXPECT_LE(busy, rows.at("heavy").wall_seconds * (parallel ? tessera_num_threads() : 1) * 1.0001);
        if (!parallel) {
            EXPECT_GE(busy, rows.at("heavy").wall_seconds * 0.8);
        }
        EXPECT_EQ(rows.at("light").operations, 3.0 * 256 * 200);
        EXPECT_EQ(rows.at("light").bytes, 3.0 * 2 * 4 * 256 * 200);
    }
}

TEST(Profile, StagesInsideLoopsOfOthersCountForThemselves) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("products");
    C(m, n) = sum({k}, A(m, k) * B(k, n)) * 0.5f;
    Schedule s;
    s.stage("products").root().serial("m", 4, "mt").serial("n", 16, "nt").unroll("m").vector("n");
    s.stage("products.sum").at("products", "nt").serial("k").unroll("m").vector("n");
    const Module module = compile(Algorithm({C}, {A, B}), s, {}, {.profile = true});
    const Buffer<float> a = counting(64, 96), b = counting(96, 32), c({64, 32});
    tessera_profile_reset();
    EXPECT_GT(module.scratch_bytes({{"A", a}, {"B", b}}, {{"products", c}}) + 1, 0u);
    EXPECT_EQ(rows_of("products").at("products").calls, 0) << "asking for scratch bytes is no call";
    module({{"A", a}, {"B", b}}, {{"products", c}});
    const auto rows = rows_of("products");
    EXPECT_EQ(rows.at("products.sum").entries, 16 * 2);
    EXPECT_EQ(rows.at("products").entries, 1);
    EXPECT_GT(rows.at("products.sum").seconds, rows.at("products").seconds);
    EXPECT_EQ(rows.at("products.sum").operations, 2.0 * 64 * 32 * 96);
    EXPECT_EQ(rows.at("products.sum").bytes, 4.0 * (64 * 96 + 96 * 32));
}

TEST(Profile, ReportNamesTheSlowestStageAndWhatToTry) {
    const Unequal u("suggested");
    const Module module = compile(u.algorithm(), u.passes(false), {}, {.profile = true});
    const Buffer<float> in = counting(64, 64), out({64, 64});
    tessera_profile_reset();
    EXPECT_EQ(report(), "");
    module({{"in", in}}, {{"suggested", out}});
    EXPECT_NE(report().find("slowest: heavy; no loop of it is a vector: try its last dim, x"), std::string::npos) << report();
    EXPECT_EQ(report().find("%\n"), std::string::npos) << "a share of a roof that nobody told";
    // A machine that computes at once and reads slowly.
    tessera_profile_set_roof(1e15, 1e6);
    EXPECT_NE(report().find("slowest: heavy; memory is what it waits for: try computing it at a loop of suggested"),
              std::string::npos)
        << report();
    EXPECT_NE(report().find("%\n"), std::string::npos) << report();
    tessera_profile_set_roof(0, 0);
    char few[8];
    EXPECT_EQ(tessera_profile_text(few, sizeof few), report().size());
    EXPECT_EQ(std::string(few), report().substr(0, 7));
}

TEST(Profile, TraceHasSpansThatNestOnEveryThread) {
    const Unequal u("traced");
    const Module module = compile(u.algorithm(), u.passes(true), {}, {.profile = true});
    const Buffer<float> in = counting(256, 100), out({256, 100});
    tessera_profile_reset();
    for (int call = 0; call < 4; ++call) module({{"in", in}}, {{"traced", out}});
    const ScratchFolder folder;
    ASSERT_EQ(tessera_profile_write_trace(folder.file("trace.json").c_str()), TESSERA_OK);
    std::ifstream file(folder.file("trace.json"));
    const auto trace = nlohmann::json::parse(file);
    EXPECT_EQ(trace["otherData"]["spans_dropped"], 0);
    // Four calls of three stages, each with 16 tasks.
    EXPECT_EQ(trace["traceEvents"].size(), 4u * 3 * 17);
    std::set<std::string> names;
    for (const auto& event : trace["traceEvents"]) {
        EXPECT_EQ(event["ph"], "X");
        EXPECT_GE(event["ts"], 0);
        EXPECT_GE(event["dur"], 0);
        names.insert(event["name"]);
        for (const auto& other : trace["traceEvents"]) {
            if (event["tid"] != other["tid"]) continue;
            const double begin = event["ts"], end = begin + event["dur"].get<double>();
            const double from = other["ts"], to = from + other["dur"].get<double>();
            const bool apart = end <= from + 0.002 || to <= begin + 0.002;
            const bool nested = (begin <= from + 0.002 && to <= end + 0.002) || (from <= begin + 0.002 && end <= to + 0.002);
            ASSERT_TRUE(apart || nested) << event << other;
        }
    }
    EXPECT_EQ(names, (std::set<std::string>{"light", "heavy", "traced"}));
    EXPECT_EQ(tessera_profile_write_trace("/no/such/folder/trace.json"), TESSERA_KERNEL_FAILED);
}

TEST(Profile, OffLeavesNoTrace) {
    const Unequal u("silent");
    const Module module = compile(u.algorithm(), u.passes(false));
    const Buffer<float> in = counting(8, 8), out({8, 8});
    module({{"in", in}}, {{"silent", out}});
    EXPECT_TRUE(rows_of("silent").empty());
    EXPECT_EQ(module.inspect_ir(IrLevel::target).find("tessera_profile"), std::string::npos);
    tessera_profile_row row{};
    EXPECT_EQ(tessera_profile_row_at(tessera_profile_rows(), &row), TESSERA_ARGUMENT);
    EXPECT_EQ(tessera_profile_row_at(-1, &row), TESSERA_ARGUMENT);
    EXPECT_THROW(static_cast<void>(compile(u.algorithm(), Schedule(), parse_target("interpreter"), {.profile = true})), Limit);
}

}  // namespace
}  // namespace tessera
