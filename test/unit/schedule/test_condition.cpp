#include "schedule/condition.h"

#include <tessera/schedule.h>

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace tessera {
namespace {

const std::map<std::string, std::int64_t> values{{"m", 384}, {"k", 256}, {"n", -7}, {"A.stride.m", 1}};

TEST(Condition, HoldsAsInTheLanguage) {
    const std::vector<std::pair<std::string, bool>> cases{
        {"m % 192 == 0 && k <= 256", true},
        {"m % 192 == 0 && k < 256", false},
        {"n / 2 == -4 && n % 2 == 1", true},
        {"m / 0 == 0 && m % 0 == 0", true},
        {"!(m > 1) || A.stride.m == 1", true},
        {"1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", true},
        {"10 - 4 - 3 == 3", true},
        {"--m == m && -m < 0", true},
        {"!!(m == 384)", true},
        {"m != 384 || k >= 257 || n == -7", true},
        {"m > 1 && unknown == 1 || 1 == 1 && m == 0", false},
        {"9223372036854775807 + 1 < 0", true},
    };
    for (const auto& [text, expected] : cases) {
        if (text.find("unknown") != std::string::npos) {
            EXPECT_THROW((void)holds(parse_condition(text), values), Error);
            continue;
        }
        EXPECT_EQ(holds(parse_condition(text), values), expected) << text;
    }
}

TEST(Condition, MalformedTextIsRefused) {
    for (const char* text :
         {"", "m", "m +", "m == ", "(m == 1", "m == 1)", "m = 1", "m == 1 == 2", "m && k", "!m", "-(m == 1) == 2",
          "1 == 99999999999999999999", "m & k", "m == 'a'", "m\n== 1", "m == 1 k == 2", "#", "a == \xff"}) {
        try {
            (void)parse_condition(text);
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), E0511_variant) << text;
        }
    }
    EXPECT_THROW((void)parse_condition(std::string(1000, '(') + "m == 1" + std::string(1000, ')')), Error);
    EXPECT_THROW((void)parse_condition(std::string(5000, ' ') + "m == 1"), Error);
    EXPECT_NO_THROW((void)parse_condition(std::string(50, '(') + "m == 1" + std::string(50, ')')));
}

Condition random_number(std::mt19937& random, int depth) {
    using Kind = Condition::Kind;
    if (depth == 0 || random() % 4 == 0) {
        if (random() % 2 == 0) return {.kind = Kind::number, .value = static_cast<std::int64_t>(random() % 300)};
        return {.kind = Kind::name, .spelling = random() % 2 == 0 ? "m" : "A.stride.m"};
    }
    constexpr Kind ops[] = {Kind::negate, Kind::mul, Kind::div, Kind::mod, Kind::add, Kind::sub};
    Condition c{.kind = ops[random() % 6]};
    c.args.push_back(random_number(random, depth - 1));
    if (c.kind != Kind::negate) c.args.push_back(random_number(random, depth - 1));
    return c;
}

Condition random_condition(std::mt19937& random, int depth) {
    using Kind = Condition::Kind;
    constexpr Kind ops[] = {Kind::not_, Kind::and_, Kind::or_, Kind::lt, Kind::le, Kind::gt, Kind::ge, Kind::eq, Kind::ne};
    Condition c{.kind = ops[depth == 0 ? 3 + random() % 6 : random() % 9]};
    const bool joins = c.kind == Kind::not_ || c.kind == Kind::and_ || c.kind == Kind::or_;
    for (int i = c.kind == Kind::not_ ? 1 : 2; i > 0; --i)
        c.args.push_back(joins ? random_condition(random, depth - 1) : random_number(random, 3));
    return c;
}

TEST(Condition, PrintedConditionsParseBack) {
    std::mt19937 random(5);
    for (int round = 0; round < 5000; ++round) {
        const Condition c = random_condition(random, 3);
        ASSERT_EQ(parse_condition(to_text(c)), c) << to_text(c);
        ASSERT_EQ(holds(parse_condition(to_text(c)), values), holds(c, values));
    }
    EXPECT_EQ(to_text(parse_condition("(((m)))%(192)==0&&(k<=256||!(n>1))")), "m % 192 == 0 && (k <= 256 || !(n > 1))");
}

TEST(Condition, ConjunctsNamesAndRenaming) {
    const Condition c = parse_condition("m % 8 == 0 && k <= 256 && (m > 1 || n > 1)");
    ASSERT_EQ(conjuncts(c).size(), 3u);
    EXPECT_EQ(to_text(conjuncts(c)[2]), "m > 1 || n > 1");
    EXPECT_EQ(names_in(c), (std::set<std::string>{"k", "m", "n"}));
    EXPECT_EQ(to_text(renamed(parse_condition("m > -A.stride.m"), [](const std::string& name) { return name + "0"; })),
              "m0 > -A.stride.m0");
}

TEST(LayoutEntry, ParsesDimsBlocksAndPositions) {
    EXPECT_EQ(parse_layout_entry("y"), (LayoutEntry{"y", 1, 0}));
    EXPECT_EQ(parse_layout_entry("k/16"), (LayoutEntry{"k", 16, 0}));
    EXPECT_EQ(parse_layout_entry("k%16"), (LayoutEntry{"k", 1, 16}));
    EXPECT_EQ(parse_layout_entry("k/16%4"), (LayoutEntry{"k", 16, 4}));
    for (const char* text : {"y", "k/16", "k%16", "k/16%4"}) EXPECT_EQ(to_text(parse_layout_entry(text)), text);
    for (const char* text : {"", "/16", "k/", "k%", "k/x", "k/0", "k/-1", "k%16/4", "k/2/2", "k/16x", "k /16",
                             "k/99999999999999999999", "k/2147483648"}) {
        try {
            (void)parse_layout_entry(text);
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), E0508_storage) << text;
        }
    }
}

}  // namespace
}  // namespace tessera
