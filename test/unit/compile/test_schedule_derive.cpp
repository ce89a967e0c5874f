#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/schedule_derive.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"

#include <cmath>

// Schedules of derivatives from those of what is differentiated.
namespace tessera {
namespace {

const LoopSpec* loop_over(const Schedule& s, const std::string& stage, const std::string& dim, size_t nth = 0) {
    const auto found = s.stages.find(stage);
    if (found == s.stages.end() || !found->second.loops) return nullptr;
    for (const LoopSpec& l : *found->second.loops)
        if (l.dim == dim && nth-- == 0) return &l;
    return nullptr;
}

struct Stencil {
    Dim y{"y"}, x{"x"}, r{"r", 3};
    Input photo{"photo", f32, {y, x}};
    Func rows{"rows"}, blur{"blur"}, loss{"loss"};
    Stencil() {
        rows(y, x) = tanh(sum({r}, clamp(photo)(y, x + r - 1)));
        blur(y, x) = sum({r}, clamp(rows)(y + r - 1, x));
        loss() = sum({y, x}, blur(y, x) * blur(y, x));
    }
    [[nodiscard]] static Schedule schedule() {
        Schedule s;
        s.stage("loss").root();
        s.stage("blur")
            .root()
            .parallel("y", 48, "strip")
            .serial("y", 6, "six")
            .serial("x", 16, "columns")
            .unroll("y")
            .vector("x");
        s.stage("rows").root().parallel("y", 24, "strip").serial("x", 32, "wide").serial("y").vector("x");
        return s;
    }
};

// The derivative under both schedules: legal, and the same values.
void expect_same_values(const Algorithm& derivative, const std::vector<Schedule>& schedules, const NamedInputs& inputs,
                        const std::vector<std::vector<std::int64_t>>& shapes) {
    std::vector<std::vector<float>> results;
    for (const Schedule& s : schedules) {
        static_cast<void>(bind(derivative, s));
        NamedOutputs outputs;
        for (size_t k = 0; k < shapes.size(); ++k) outputs.emplace(derivative.outputs()[k].name(), Buffer<float>(shapes[k]));
        compile(derivative, s, Target())(inputs, outputs);
        results.emplace_back();
        for (const auto& [name, buffer] : outputs) Buffer<float>(buffer).for_each([&](float v) { results.back().push_back(v); });
    }
    for (size_t e = 0; e < results[0].size(); ++e)
        ASSERT_NEAR(results[0][e], results[1][e], 2e-5 * std::max(1.0f, std::abs(results[0][e]))) << e;
}

Buffer<float> waves(const std::vector<std::int64_t>& extents) {
    const Buffer<float> out(extents);
    for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)));
    return out;
}

TEST(DeriveSchedule, DefinitionsKeepTheirRecords) {
    const Stencil s;
    const Algorithm primal({s.loss}, {s.photo});
    const Algorithm derivative = value_and_grad(primal, {"photo"});
    const Schedule derived = derive_schedule(primal, Stencil::schedule(), derivative), plain = default_schedule(derivative);
    EXPECT_NE(derived, plain);
    // The definitions themselves keep their records.
    EXPECT_EQ(derived.stages.at("blur"), Stencil::schedule().stages.at("blur")) << to_json(derived);
    const Buffer<float> photo = waves({100, 90});
    expect_same_values(derivative, {plain, derived}, {{"photo", photo}}, {{}, {100, 90}});
}

TEST(DeriveSchedule, TilesGoThroughTheAccess) {
    // out(x) reads in(2 x + r): blocks of 32 along x are blocks of 64 along the dim of in.
    Dim u("u"), c("c"), r("r", 3), x("x", (u.extent() - 3) / 2 + 1);
    const Input in("in", f32, {u, c});
    Func out("out"), loss("loss");
    out(x, c) = sum({r}, in(x * 2 + r, c) * in(x * 2 + r, c));
    loss() = sum({x, c}, out(x, c));
    const Algorithm primal({loss}, {in});
    Schedule schedule;
    schedule.stage("loss").root();
    schedule.stage("out").root().parallel("x", 32, "block").serial("x", 0, "row").serial("c", 8, "eight").vector("c");
    schedule.stage("out.sum").at("out", "row");
    const Algorithm derivative = value_and_grad(primal, {"in"});
    const Schedule derived = derive_schedule(primal, schedule, derivative);
    const LoopSpec* block = loop_over(derived, "d_in", "u");
    ASSERT_NE(block, nullptr) << to_json(derived);
    EXPECT_EQ(block->name, "block");
    EXPECT_EQ(block->tile, 64) << to_json(derived);
    EXPECT_EQ(block->as, LoopKind::parallel);
    expect_same_values(derivative, {default_schedule(derivative), derived}, {{"in", waves({201, 20})}}, {{}, {201, 20}});
}

TEST(DeriveSchedule, ContractionsKeepTheirInnerLoops) {
    Dim m("m"), n("n"), k("k");
    const Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    const Algorithm primal({C}, {A, B});
    const ForwardBackward pair = vjp(primal, {.wrt = {"A", "B"}});
    Schedule schedule = default_schedule(primal);
    const Schedule derived = derive_schedule(primal, schedule, pair.backward);
    bool vectors = true;
    for (const char* name : {"d_A", "d_B"}) {
        bool vector = false;
        for (const LoopSpec& l : *derived.stages.at(name).loops) vector = vector || l.as == LoopKind::vector;
        vectors = vectors && vector;
    }
    EXPECT_TRUE(vectors) << to_json(derived);
    expect_same_values(pair.backward, {default_schedule(pair.backward), derived},
                       {{"A", waves({70, 50})}, {"B", waves({50, 90})}, {"d_C", waves({70, 90})}}, {{70, 50}, {50, 90}});
}

TEST(DeriveSchedule, ASchedulesMistakeIsTold) {
    const Stencil s;
    const Algorithm primal({s.loss}, {s.photo});
    Schedule wrong;
    wrong.stage("blurr").root();
    try {
        static_cast<void>(derive_schedule(primal, wrong, value_and_grad(primal, {"photo"})));
        FAIL() << "there is no blurr";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0501_unknown_stage);
    }
}

}  // namespace
}  // namespace tessera
