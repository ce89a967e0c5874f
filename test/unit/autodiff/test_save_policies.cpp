#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "algorithm/extent_values.h"

#include <cmath>

// What the forward algorithm keeps for the backward one changes memory and time, and no bit of the derivatives.
namespace tessera {
namespace {

using Extents = std::map<std::string, std::int64_t>;

Buffer<float> random_floats(const std::vector<std::int64_t>& extents, const std::string& name) {
    const Buffer<float> out(extents);
    std::uint32_t state = 77;
    for (const char c : name) state = state * 31 + static_cast<std::uint32_t>(c);
    out.for_each([&](float& v) { v = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1; });
    return out;
}

AnyBuffer allocated(DType dtype, const std::vector<Dim>& dims, ExtentValues& values) {
    return {dtype == bf16 ? TESSERA_BF16 : TESSERA_F32, values.shape(dims)};
}

// The derivatives by both calls, one after the other, for random inputs and cotangents.
std::map<std::string, std::vector<float>> derivatives(const ForwardBackward& pair, const Extents& extents,
                                                      const Target& target = parse_target("interpreter")) {
    ExtentValues values(extents);
    NamedInputs given, back_given;
    NamedOutputs out, back_out;
    for (const Argument& a : pair.forward.arguments())
        given.emplace(a.state()->name, random_floats(values.shape(a.state()->dims), a.state()->name));
    for (const Func& f : pair.forward.outputs()) out.emplace(f.name(), allocated(f.dtype(), f.dims(), values));
    compile(pair.forward, default_schedule(pair.forward, target), target)(given, out);
    for (const Argument& a : pair.backward.arguments()) {
        const std::string& name = a.state()->name;
        if (const auto kept = out.find(name); kept != out.end())
            back_given.emplace(name, kept->second);
        else
            back_given.emplace(name, random_floats(values.shape(a.state()->dims), name));
    }
    for (const Func& f : pair.backward.outputs()) back_out.emplace(f.name(), allocated(f.dtype(), f.dims(), values));
    compile(pair.backward, default_schedule(pair.backward, target), target)(back_given, back_out);
    std::map<std::string, std::vector<float>> results;
    for (const auto& [name, buffer] : back_out)
        Buffer<float>(buffer).for_each([&, to = &results[name]](float v) { to->push_back(v); });
    return results;
}

ForwardBackward pair_of(const Algorithm& algorithm, const std::vector<std::string>& wrt, const SavePolicy& save) {
    return vjp(algorithm, {.wrt = wrt, .save = save});
}

// Every policy gives the bits that keeping everything gives.
void expect_same_bits(const Algorithm& algorithm, const std::vector<std::string>& wrt, const Extents& extents,
                      const std::vector<SavePolicy>& policies) {
    const auto reference = derivatives(pair_of(algorithm, wrt, {.kind = SavePolicy::Kind::save}), extents);
    for (const auto& [name, numbers] : reference)
        for (const float v : numbers) ASSERT_TRUE(std::isfinite(v)) << name;
    for (const SavePolicy& save : policies) {
        const ForwardBackward pair = pair_of(algorithm, wrt, save);
        SCOPED_TRACE("every " + std::to_string(save.every) + "\n" + pair.backward.text());
        EXPECT_EQ(derivatives(pair, extents), reference);
    }
}

// A recurrent layer: a reduction stands between the states.
struct Rnn {
    Dim t{"t"}, i{"i"}, o{"o", i.extent()};
    Input x{"x", f32, {t, i}}, W{"W", f32, {i, o}}, h0{"h0", f32, {i}};
    Func h{"h"}, y{"y"};
    Rnn() {
        recurrence(t, {{h(t, i), h0(i)}}, [&](const Self& s) -> Tuple {
            Func back("back");
            back(t, i) = sum({o}, W(i, o) * s[0](t - 1, o));
            return {tanh(back(t, i) + x(t, i))};
        });
        y(t, i) = h(t, i) * h(t, i) * x(t, i);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({y}, {x, W, h0}); }
};

TEST(SavePolicies, StatesAtEveryFewStepsGiveTheSameBits) {
    const Rnn rnn;
    const Algorithm algorithm = rnn.algorithm();
    std::vector<SavePolicy> policies;
    for (const std::int64_t steps : {2, 3, 5, 10, 20}) policies.push_back(SavePolicy::checkpoint_every(steps));
    expect_same_bits(algorithm, {"x", "W", "h0"}, {{"t", 10}, {"i", 3}}, policies);
    expect_same_bits(algorithm, {"x", "W", "h0"}, {{"t", 1}, {"i", 3}}, policies);
    const ForwardBackward pair = pair_of(algorithm, {"W"}, SavePolicy::checkpoint_every(5));
    ASSERT_EQ(pair.saved.size(), 1u);
    EXPECT_EQ(pair.saved[0].name(), "h/kept");
    const Extents large{{"t", 1000}, {"i", 64}};
    EXPECT_EQ(saved_bytes(pair, large), 200 * 64 * 4);
    EXPECT_EQ(saved_bytes(pair_of(algorithm, {"W"}, {}), large), 1000 * 64 * 4);
}

TEST(SavePolicies, CompiledSegmentsGiveTheSameBits) {
    Dim t("t"), i("i");
    const Input x("x", f32, {t, i}), w("w", f32, {i});
    Func h("h"), y("y");
    recurrence(t, {{h(t, i), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {tanh(s[0](t - 1, i) * w(i) + x(t, i))}; });
    y(t, i) = h(t, i) * h(t, i) * x(t, i);
    const Algorithm algorithm({y}, {x, w});
    const Extents extents{{"t", 50}, {"i", 20}};
    const auto reference = derivatives(pair_of(algorithm, {"x", "w"}, {}), extents, Target());
    EXPECT_EQ(derivatives(pair_of(algorithm, {"x", "w"}, SavePolicy::checkpoint_every(7)), extents, Target()), reference);
}

TEST(SavePolicies, StatesThatLookFurtherBackAndEachOther) {
    Dim t("t"), i("i");
    const Input x("x", f32, {t, i}), a0("a0", f32, {i});
    Func a("a"), b("b"), y("y");
    recurrence(t, {{a(t, i), a0(i) + cast(f32, t)}, {b(t, i), cast(f32, 1)}}, [&](const Self& s) -> Tuple {
        return {sin(s[0](t - 1, i) * s[1](t - 3, i)) + x(t, i), 0.5f * s[1](t - 1, i) + s[0](t - 2, i) * s[0](t - 1, i)};
    });
    y(i) = a(t.extent() - 1, i) + sum({t}, b(t, i) * x(t, i));
    const Algorithm algorithm({y}, {x, a0});
    expect_same_bits(algorithm, {"x", "a0"}, {{"t", 11}, {"i", 2}},
                     {SavePolicy::checkpoint_every(2), SavePolicy::checkpoint_every(4), SavePolicy::checkpoint_every(11)});
}

TEST(SavePolicies, RecurrencesThatRunBack) {
    Dim t("t");
    const Input x("x", f32, {t}), end("end", f32, {});
    Func h("h"), y("y");
    recurrence(t, {{h(t), end()}}, [&](const Self& s) -> Tuple { return {cos(s[0](t + 1)) * x(t)}; }, {.reverse = true});
    y() = sum({t}, h(t) * x(t));
    expect_same_bits(Algorithm({y}, {x, end}), {"x", "end"}, {{"t", 10}},
                     {SavePolicy::checkpoint_every(3), SavePolicy::checkpoint_every(5), {}});
}

// Twelve layers, each of a product and a function.
struct Chain {
    Dim i{"i"}, o{"o", i.extent()};
    Input x{"x", f32, {i}}, W{"W", f32, {i, o}};
    Func y{"y"};
    Chain() {
        Func before("l0");
        before(i) = x(i) * 0.5f;
        for (int k = 1; k <= 12; ++k) {
            Func next("l" + std::to_string(k));
            next(i) = tanh(sum({o}, W(i, o) * before(o)));
            before = next;
        }
        y() = sum({i}, before(i) * before(i));
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({y}, {x, W}); }
};

std::vector<std::string> names_of(const std::vector<Input>& inputs) {
    std::vector<std::string> names;
    for (const Input& x : inputs) names.push_back(x.name());
    return names;
}

TEST(SavePolicies, EveryFewLayersOfAChain) {
    const Chain c;
    const Algorithm algorithm = c.algorithm();
    const auto saved = [&](const SavePolicy& save) { return names_of(pair_of(algorithm, {"W", "x"}, save).saved); };
    EXPECT_EQ(saved(SavePolicy::only({"l4", "l8"})), (std::vector<std::string>{"l8", "l4"}));
    EXPECT_EQ(saved({}).size(), 12u);
    EXPECT_EQ(saved(SavePolicy::checkpoint_every(4)).size(), 3u);
    expect_same_bits(algorithm, {"W", "x"}, {{"i", 5}},
                     {SavePolicy::checkpoint_every(4), SavePolicy::only({"l4", "l8"}), SavePolicy::only({}),
                      SavePolicy::within(100, {{"i", 5}}), SavePolicy::within(0, {{"i", 5}})});
}

TEST(SavePolicies, ABudgetOfBytesIsMet) {
    const Chain c;
    const Extents extents{{"i", 100}};
    std::int64_t before = -1;
    for (const std::int64_t bytes : {0, 1000, 2000, 3000, 100000}) {
        const std::int64_t used = saved_bytes(pair_of(c.algorithm(), {"W"}, SavePolicy::within(bytes, extents)), extents);
        EXPECT_LE(used, bytes);
        EXPECT_GE(used, before);
        EXPECT_GE(used, std::min<std::int64_t>(bytes - 400, 4800));
        before = used;
    }
    // Recurrences by longer segments.
    const Rnn rnn;
    const Extents steps{{"t", 100}, {"i", 8}};
    for (const std::int64_t bytes : {3200, 400, 64}) {
        const ForwardBackward pair = pair_of(rnn.algorithm(), {"W"}, SavePolicy::within(bytes, steps));
        EXPECT_LE(saved_bytes(pair, steps), bytes);
    }
    expect_same_bits(rnn.algorithm(), {"W"}, {{"t", 10}, {"i", 3}}, {SavePolicy::within(24, {{"t", 10}, {"i", 3}})});
    try {
        static_cast<void>(pair_of(rnn.algorithm(), {"W"}, SavePolicy::within(8, steps)));
        FAIL() << "one state is more";
    } catch (const Limit& e) {
        EXPECT_EQ(e.code(), L0904_derivative);
        EXPECT_NE(e.message().find("8 bytes are to be kept"), std::string::npos) << e.message();
    }
}

TEST(SavePolicies, NarrowSegmentsAreNarrow) {
    const Rnn rnn;
    SavePolicy policy = SavePolicy::save_as(bf16);
    policy.every = 4;
    const ForwardBackward pair = pair_of(rnn.algorithm(), {"W"}, policy);
    ASSERT_EQ(pair.saved.size(), 1u);
    EXPECT_EQ(pair.saved[0].dtype(), bf16);
    const Extents extents{{"t", 9}, {"i", 3}};
    const auto wide = derivatives(pair_of(rnn.algorithm(), {"W"}, {}), extents), narrow = derivatives(pair, extents);
    for (size_t k = 0; k < wide.at("d_W").size(); ++k) EXPECT_NEAR(wide.at("d_W")[k], narrow.at("d_W")[k], 0.05) << k;
    EXPECT_NE(wide, narrow);
}

TEST(SavePolicies, WhatCannotBeIsRefused) {
    const Rnn rnn;
    const auto code_of = [&](const Algorithm& algorithm, const SavePolicy& save) -> std::string {
        try {
            static_cast<void>(pair_of(algorithm, {"x"}, save));
        } catch (const Exception& e) {
            return std::string(code_text(e.code())) + ": " + e.message();
        }
        return "nothing";
    };
    EXPECT_EQ(code_of(rnn.algorithm(), SavePolicy::only({"hh"})), "E0303: hh is to be kept, and no definition of y is called so");
    EXPECT_EQ(code_of(rnn.algorithm(), SavePolicy::checkpoint_every(0)), "E0105: states are to be kept every 0 steps");
    EXPECT_EQ(code_of(rnn.algorithm(), SavePolicy::within(100, {{"t", 3}})), "E0103: nothing gives dim i an extent");
    Dim t("t");
    const Input x("x", f32, {t});
    Func h("h"), y("y");
    recurrence(t, {{h(t), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {sin(s[0](t / 2 - 1)) + x(t)}; });
    y() = sum({t}, h(t) * h(t));
    EXPECT_TRUE(code_of(Algorithm({y}, {x}), SavePolicy::checkpoint_every(4)).starts_with("L0904: h reads h at another time"))
        << code_of(Algorithm({y}, {x}), SavePolicy::checkpoint_every(4));
}

}  // namespace
}  // namespace tessera
