#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "algorithm/canonical.h"
#include "unit/algorithm/graph_programs.h"

#include <map>

namespace tessera {
namespace {

// A text with one of everything, and what is changed in it.
const std::string base = R"(tessera graph 1
algorithm both
dim y
dim x multiple_of 4 at_most 4096
dim r = 3
dim shade = 256
dim i = extent(x) - 2
input img : u8[y, x]
input at : i32[y] values_in (0, extent(x)) increasing
input w : f32[r]
scalar gain : f32
monoid pick(f32) not_commutative {
  identity = 0f32
  combine = a0
}
rows(y, i) : f32 = sum({r}, cast(f32, img(y, i + r)) * w(r), where = r != 1)
pick_row(y) : f32 = reduce(pick, {r}, w(r) * gain())
hist(shade) : u32 = scatter(sum, {to(shade, cast(i64, img(y, x)))}, {y, x}, 1u32)
run(y) : f32 = scan(max, y, pick_row(y))
edge(y, x) : u8 = mirror(img)(y, x + 1)
pair(y) : (f32, f32) = (pick_row(y), -run(y))
recurrence y {
  s(y) : f32 = 0f32
}
step s = s(y - 1) * 0.5f32 + pair(y)[0]
out(y, i) : f32 = rows(y, i) + pair(y)[1] + s(y) + select(0 <= cast(i64, at(y)) && y < 5, 1f32, f32.nan)
arguments img, at, w, gain
outputs out, hist, edge
require (extent(y), extent(y))
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
    return text;
}
std::string replaced_everywhere(std::string text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

TEST(GraphHash, EverySemanticChangeChangesIt) {
    const std::pair<std::string, std::string> mutations[] = {{"multiple_of 4 ", ""},
                                                             {"multiple_of 4", "multiple_of 8"},
                                                             {" at_most 4096", ""},
                                                             {"4096", "4095"},
                                                             {"dim y\n", "dim y dynamic\n"},
                                                             {"dim r = 3", "dim r = 2"},
                                                             {"extent(x) - 2", "extent(x) - 3"},
                                                             {"input at : i32", "input at : i16"},
                                                             {"(0, extent(x)) i", "(0, extent(y)) i"},
                                                             {" increasing", ""},
                                                             {"(0, extent(x)) i", "(1, extent(x)) i"},
                                                             {" not_commutative", ""},
                                                             {" not_commutative", " not_commutative not_associative"},
                                                             {"identity = 0f32", "identity = 1f32"},
                                                             {"combine = a0", "combine = b0"},
                                                             {"i + r", "i + (2 - r)"},
                                                             {"where = r != 1", "where = r != 2"},
                                                             {", where = r != 1", ""},
                                                             {", where", ", order = ascending, where"},
                                                             {", where = r != 1", ", where = r != 1, order = pairwise(8)"},
                                                             {", where = r != 1", ", where = r != 1, order = pairwise(16)"},
                                                             {", where = r != 1", ", where = r != 1, order = kahan"},
                                                             {"sum({r}", "max({r}"},
                                                             {"cast(f32, img(y, i + r))", "saturate_cast(f32, img(y, i + r))"},
                                                             {"scatter(sum", "scatter(last"},
                                                             {"1u32)", "2u32)"},
                                                             {"1u32)", "1u32, init = (7u32))"},
                                                             {"1u32)", "1u32, order = blocked(64))"},
                                                             {"scan(max", "scan(min"},
                                                             {"pick_row(y))\nedge", "pick_row(y), exclusive)\nedge"},
                                                             {"pick_row(y))\nedge", "pick_row(y), reverse)\nedge"},
                                                             {"mirror(", "clamp("},
                                                             {"mirror(", "mirror_interior("},
                                                             {"mirror(", "periodic("},
                                                             {"mirror(img)", "constant(img, 0u8)"},
                                                             {"mirror(img)", "constant(img, 1u8)"},
                                                             {"(pick_row(y), -run(y))", "(-run(y), pick_row(y))"},
                                                             {"-run(y)", "run(y)"},
                                                             {"s(y) : f32 = 0f32", "s(y) : f32 = -0f32"},
                                                             {"recurrence y {", "recurrence y reverse {"},
                                                             {"0.5f32", "0.25f32"},
                                                             {"[1] + s", "[0] + s"},
                                                             {"f32.nan", "f32.inf"},
                                                             {"f32.nan", "-f32.inf"},
                                                             {"0 <= cast", "0 < cast"},
                                                             {"y < 5", "y <= 5"},
                                                             {"&&", "||"},
                                                             {"rows(y, i) + pair", "rows(y, i) - pair"},
                                                             {"rows(y, i) + pair(y)[1]", "pair(y)[1] + rows(y, i)"},
                                                             {"outputs out, hist, edge", "outputs hist, out, edge"},
                                                             {"arguments img, at", "arguments at, img"},
                                                             {"require (extent(y), extent(y))\n", ""}};
    const std::string hash = parse_algorithm(base).hash();
    std::map<std::string, std::string> seen{{hash, "the base"}};
    for (const auto& [from, to] : mutations) {
        std::string text = replaced(base, from, to);
        if (to.find("recurrence y reverse") != std::string::npos) text = replaced(text, "s(y - 1)", "s(y + 1)");
        try {
            const auto [known, fresh] = seen.emplace(parse_algorithm(text).hash(), from + " -> " + to);
            EXPECT_TRUE(fresh) << from << " -> " << to << " has the hash of " << known->second;
        } catch (const Error& e) {
            ADD_FAILURE() << from << " -> " << to << ": " << e.what();
        }
    }
}

TEST(GraphHash, NamesDoNotMatter) {
    const std::string hash = parse_algorithm(base).hash();
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"rows", "a"},
                                                                                   {"img", "zz"},
                                                                                   {"shade", "b0"},
                                                                                   {"pick_row", "p/q"},
                                                                                   {"gain", "'max'"},
                                                                                   {"algorithm both", "algorithm other"},
                                                                                   {"pick", "choose"}})
        EXPECT_EQ(parse_algorithm(replaced_everywhere(base, from, to)).hash(), hash) << from;
}

TEST(GraphHash, NamedReductionsAreRenamedTogether) {
    const std::string named = replaced(base, ", where = r", ", name = acc, where = r");
    const std::string twin = replaced(base, ", where = r", ", name = total, where = r");
    EXPECT_EQ(parse_algorithm(named).hash(), parse_algorithm(twin).hash());
}

// The same on every machine: written down once.
TEST(GraphHash, IsKnown) {
    std::map<std::string, std::string> hashes;
    for (const GraphProgram& p : graph_programs()) hashes[p.name] = p.build().hash();
    EXPECT_EQ(hashes.at("blur"), "e9971120b700cd4ff344d6fb4f79ca9bb1c9ac29a7dcc99b5168bfcf9f48442a");
}

TEST(CanonicalNames, FollowTheStructure) {
    const Algorithm a = parse_algorithm(base);
    const CanonicalNames names = canonical_names(a);
    EXPECT_EQ(names.inputs.at("img"), "i0");
    EXPECT_EQ(names.inputs.at("gain"), "i3");
    EXPECT_EQ(names.dims.at("y"), "d0");
    EXPECT_EQ(names.dims.at("x"), "d1");
    EXPECT_EQ(names.funcs.at("rows"), "s0");
    EXPECT_EQ(names.dims_of.at("rows").at("r"), names.dims.at("r"));
    EXPECT_EQ(names.funcs.size(), a.funcs().size());
    const CanonicalNames twin = canonical_names(parse_algorithm(replaced_everywhere(base, "rows", "a")));
    EXPECT_EQ(twin.funcs.at("a"), "s0");
}

TEST(CanonicalNames, NamedReductionsAreNumberedWithTheFuncs) {
    const CanonicalNames names = canonical_names(parse_algorithm(replaced(base, ", where = r", ", name = acc, where = r")));
    EXPECT_EQ(names.funcs.at("acc"), "s1");
}

}  // namespace
}  // namespace tessera
