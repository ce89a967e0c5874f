#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "thrown.h"

// Effects and privileges: inferred, listed, and checked where they are declared.
namespace tessera {
namespace {

struct Parts {
    Dim n{"n"}, v{"v", 4};
    Input x{"x", f32, {n}}, y{"y", f32, {n}}, table{"table", f32, {v}}, at{"at", i32, {n}};
};

TEST(Effects, APureAlgorithmHasNone) {
    const Parts p;
    Func f("f");
    f(p.n) = p.x(p.n) + 1.0f;
    EXPECT_TRUE(Algorithm({f}, {p.x}, {.effects = std::vector<EffectKind>{}}).effects().empty());
}

TEST(Effects, AreFoundInAnyDefinition) {
    const Parts p;
    Func noise("noise"), dropped("dropped"), safe("safe");
    noise(p.n) = uniform(3, {p.n});
    dropped(p.n) = select(noise(p.n) < 0.5f, 0.0f, p.x(p.n));
    safe(p.n) = checked(p.y(p.n), p.y(p.n), 1.0f);
    const Algorithm a({dropped, safe}, {p.x, p.y}, {.in_place = {{"x", "dropped"}}});
    const std::vector<Effect> effects = a.effects();
    ASSERT_EQ(effects.size(), 3u);
    EXPECT_EQ(effects[0].kind, EffectKind::random);
    EXPECT_EQ(effects[0].of, std::vector<std::string>{"noise"});
    EXPECT_EQ(effects[1].kind, EffectKind::state);
    EXPECT_EQ(effects[1].of, std::vector<std::string>{"x"});
    EXPECT_EQ(effects[2].kind, EffectKind::check);
    EXPECT_EQ(effects[2].of, std::vector<std::string>{"safe"});
    const auto with = [&](std::vector<EffectKind> allowed) {
        return thrown([&] { Algorithm({dropped, safe}, {p.x, p.y}, {.in_place = {{"x", "dropped"}}, .effects = allowed}); });
    };
    EXPECT_EQ(with({EffectKind::random, EffectKind::state}), E0315_effect);
    EXPECT_EQ(with({EffectKind::random, EffectKind::state, EffectKind::check}), B0951_internal);
}

TEST(Privileges, FollowFromTheDefinitions) {
    const Parts p;
    Func moved("moved"), added("added"), scattered("scattered"), squared("squared"), shifted("shifted");
    moved(p.n) = p.y(p.n) * 2.0f + 1.0f;
    added(p.n) = p.x(p.n) * 3.0f + p.y(p.n);
    scattered(p.v) = scatter(plus, {to(p.v, p.at(p.n))}, {p.n}, p.x(p.n), {.init = {p.table(p.v)}});
    squared(p.n) = p.y(p.n) * p.y(p.n);
    shifted(p.n) = p.y(p.n) + clamp(p.y)(p.n + 1);
    const auto privilege = [&](const Func& f, const std::vector<tessera::Argument>& arguments, const std::string& written) {
        const Algorithm a({f}, arguments, {.in_place = {{written, f.name()}}});
        std::vector<Privilege> all = a.privileges();
        for (size_t i = 0; i < all.size(); ++i)
            if (a.arguments()[i].declared().has_value()) return all[i];
        return all[0];
    };
    EXPECT_EQ(privilege(moved, {p.y}, "y"), Privilege::write);
    EXPECT_EQ(privilege(added, {{p.y, Privilege::reduce}, p.x}, "y"), Privilege::reduce);
    EXPECT_EQ(privilege(added, {{p.y, Privilege::write}, p.x}, "y"), Privilege::reduce);
    EXPECT_EQ(privilege(scattered, {{p.table, Privilege::reduce}, p.x, p.at}, "table"), Privilege::reduce);
    EXPECT_EQ(privilege(squared, {p.y}, "y"), Privilege::write);
    const Algorithm plain({added}, {p.x, p.y});
    EXPECT_EQ(plain.privileges(), (std::vector<Privilege>{Privilege::read, Privilege::read}));
    const auto code = [&](const Func& f, const tessera::Argument& argument, bool in_place) {
        AlgorithmOptions options;
        if (in_place) options.in_place = {{"y", f.name()}};
        return thrown([&] { Algorithm({f}, {argument}, options); });
    };
    EXPECT_EQ(code(moved, {p.y, Privilege::read}, true), E0316_privilege);
    EXPECT_EQ(code(moved, {p.y, Privilege::write}, false), E0316_privilege);
    EXPECT_EQ(code(moved, {p.y, Privilege::write}, true), B0951_internal);
    EXPECT_EQ(code(squared, {p.y, Privilege::reduce}, true), E0316_privilege);
    EXPECT_EQ(code(squared, {p.y, Privilege::read}, false), B0951_internal);
    // What is added is what stands there, elsewhere.
    EXPECT_EQ(privilege(shifted, {p.y}, "y"), Privilege::write);
}

}  // namespace
}  // namespace tessera
