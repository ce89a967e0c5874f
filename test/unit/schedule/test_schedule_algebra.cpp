#include <tessera/schedule.h>

#include "schedule/target_support.h"
#include "unit/schedule/random_schedule.h"

#include <gtest/gtest.h>

#include "tessera_paths.h"

namespace tessera {
namespace {

Schedule example(const std::string& name) {
    return read_schedule(std::string(TESSERA_SOURCE_DIR) + "/test/unit/schedule/data/" + name);
}

Schedule of_stages(const std::string& stages) { return parse_schedule(R"({"tessera_schedule":1,"stages":)" + stages + "}"); }

TEST(ScheduleAlgebra, DeriveSetsFieldsAndKeepsTheRest) {
    const Schedule base = example("matmul.json");
    Schedule deltas;
    deltas.stage("C.sum").space(Space::stack).align("n", 16);
    const Schedule derived = base.derive(deltas);
    EXPECT_EQ(derived.stages.at("C.sum").store.space, Space::stack);
    EXPECT_EQ(derived.stages.at("C.sum").loops, base.stages.at("C.sum").loops);
    EXPECT_EQ(derived.stages.at("C"), base.stages.at("C"));
    EXPECT_EQ(base.derive({}), base);
    EXPECT_EQ(Schedule{}.derive(base), base);
}

TEST(ScheduleAlgebra, DeriveUnsetsWhatIsNull) {
    const Schedule base = example("blur.json");
    const Schedule derived = base.derive(of_stages(R"({"rows":{"store":{"fold":null,"at":null}},"p":null})"));
    EXPECT_TRUE(derived.stages.at("rows").store.fold.empty());
    EXPECT_FALSE(derived.stages.at("rows").store.at);
    EXPECT_TRUE(derived.stages.at("rows").store.alloc);
    EXPECT_FALSE(derived.stages.contains("p"));
    EXPECT_TRUE(derived.clear.empty());
}

TEST(ScheduleAlgebra, StorageAtRootHasNoLoop) {
    const Schedule base = of_stages(R"({"C":{"store":{"at":"D","loop":"y","alloc":{"at":"D","loop":"y"}}}})");
    const Schedule root = of_stages(R"({"C":{"store":{"at":"root","alloc":{"at":"root"}}}})");
    EXPECT_EQ(base.derive(root), root);
    EXPECT_EQ(root.derive(base), base);
    EXPECT_EQ(root.stages.at("C").store.at, (LoopRef{"root", ""}));
    EXPECT_EQ(root.derive(diff(root, base).deltas), base);
    EXPECT_EQ(base.derive(diff(base, root).deltas), root);
}

TEST(ScheduleAlgebra, PlacementsAndListsAreReplacedWhole) {
    const Schedule base =
        of_stages(R"({"C":{"fuse_with":{"stage":"D","loop":"y","online":true},"loops":[{"dim":"m"},{"dim":"n"}]}})");
    const Schedule derived = base.derive(of_stages(R"({"C":{"fuse_with":{"stage":"E","loop":"x"},"loops":[{"dim":"n"}]}})"));
    EXPECT_EQ(derived.stages.at("C").fuse_with, (FuseWith{"E", "x", FuseAlign::none, false}));
    EXPECT_EQ(derived.stages.at("C").loops->size(), 1u);
}

TEST(ScheduleAlgebra, TileRecordsMergeFieldByFieldAndExcludeLoops) {
    const Schedule base = of_stages(R"({"C":{"tile":{"tile_m":8,"tile_n":16}}})");
    const Schedule derived = base.derive(of_stages(R"({"C":{"tile":{"tile_m":4,"tile_k":2}}})"));
    EXPECT_EQ(derived.stages.at("C").tile, (TileRecord{.tile_m = 4, .tile_n = 16, .tile_k = 2}));
    const Schedule loops = of_stages(R"({"C":{"loops":[{"dim":"m"}]}})");
    try {
        (void)base.derive(loops);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), E0512_tile_and_loops);
    }
    const Schedule expanded = base.derive(of_stages(R"({"C":{"tile":null,"loops":[{"dim":"m"}]}})"));
    EXPECT_EQ(expanded, loops);
}

TEST(ScheduleAlgebra, DiffIsTheInverseOfDerive) {
    for (unsigned seed = 0; seed < 2000; ++seed) {
        test::RandomSchedule random(seed);
        const Schedule a = random.next();
        const Schedule b = random.next();
        const ScheduleDiff change = diff(a, b);
        ASSERT_EQ(a.derive(change.deltas), b) << "seed " << seed << "\n" << change.text;
        ASSERT_EQ(change.text.empty(), a == b) << "seed " << seed;
        ASSERT_EQ(diff(a, a).text, "");
        ASSERT_EQ(diff(a, a).deltas, Schedule{});
        // Deltas are a schedule that can be kept in a file.
        ASSERT_EQ(parse_schedule(to_json(change.deltas)), change.deltas) << "seed " << seed;
    }
}

TEST(ScheduleAlgebra, DiffTextNamesTheFieldAndBothValues) {
    const Schedule a = example("matmul.json");
    Schedule b = a;
    (*b.stages["C"].loops)[0].tile = 64;
    b.stages["C.sum"].store.space.reset();
    b.stages["C.sum"].loops->pop_back();
    b.stages["D"].compute = Compute{Compute::Kind::root, {}};
    EXPECT_EQ(diff(a, b).text,
              "C/loops[0]/tile: 96 -> 64\n"
              "C.sum/loops[3]: removed {\"as\":\"vector\",\"dim\":\"n\"}\n"
              "C.sum/store: unset, was {\"space\":\"register\"}\n"
              "D: set to {\"compute\":\"root\"}\n");
}

TEST(ScheduleAlgebra, MergeKeepsBothSides) {
    const Schedule a = of_stages(R"({"C":{"compute":"root","store":{"align":{"x":8}}}})");
    const Schedule b = of_stages(R"({"C":{"compute":"root","store":{"align":{"y":4}}},"D":{"compute":"inline"}})");
    const Schedule both = a | b;
    EXPECT_EQ(both.stages.at("C").store.align, (std::map<std::string, std::int64_t>{{"x", 8}, {"y", 4}}));
    EXPECT_TRUE(both.stages.contains("D"));
    EXPECT_EQ(a | b, b | a);
    EXPECT_EQ(a | a, a);
    EXPECT_EQ(a | Schedule{}, a);
}

TEST(ScheduleAlgebra, MergeConflictsNameStageFieldAndBothValues) {
    const Schedule a = of_stages(R"({"C":{"store":{"space":"stack"}}})");
    const Schedule b = of_stages(R"({"C":{"store":{"space":"heap"}}})");
    try {
        (void)(a | b);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), E0510_merge_conflict);
        EXPECT_EQ(error.message(), "stage C: store/space is \"stack\" on the left and \"heap\" on the right");
    }
}

TEST(ScheduleAlgebra, MergeIsAssociativeWhereNothingConflicts) {
    const auto merge = [](const Schedule& a, const Schedule& b) -> std::optional<Schedule> {
        try {
            return a | b;
        } catch (const Error&) {
            return {};
        }
    };
    int merged = 0;
    for (unsigned seed = 0; seed < 3000; ++seed) {
        test::RandomSchedule random(seed);
        const Schedule a = random.next(), b = random.next(), c = random.next();
        const auto ab = merge(a, b), bc = merge(b, c);
        const auto left = ab ? merge(*ab, c) : std::nullopt;
        const auto right = bc ? merge(a, *bc) : std::nullopt;
        ASSERT_EQ(left, right) << "seed " << seed;
        ASSERT_EQ(ab, merge(b, a)) << "seed " << seed;
        merged += left ? 1 : 0;
    }
    EXPECT_GT(merged, 50);
}

TEST(ScheduleHash, IsTheSameOnEveryMachine) {
    EXPECT_EQ(content_hash(Schedule{}), content_hash(of_stages("{}")));
    EXPECT_EQ(content_hash(of_stages(R"({"C":{"compute":"root"}})")),
              "0dcd0b21bd204e389f4976c90521373770e8a550e51bff862904330332a13fc8");
}

TEST(ScheduleHash, DoesNotSeeLoopNamesKeyOrderAndDefaults) {
    const Schedule a = parse_schedule(R"({"tessera_schedule":1,"stages":{
        "C":{"compute":"root","loops":[{"name":"mb","dim":"m","tile":8},{"name":"nt","dim":"n"},{"dim":"m"}]},
        "D":{"compute":{"at":"C","loop":"mb"},"store":{"at":"C","loop":"nt","layout":["k/16"]}}},
        "variants":[{"when":"m>1&&n<2","stages":{"D":{"compute":{"at":"C","loop":"n"}}}}]})");
    const Schedule b = parse_schedule(R"json({"stages":{
        "D":{"store":{"loop":"n","at":"C","layout":["k/16"],"space":"auto","buffers":1,"swizzle":"none"},"compute":{"loop":"outer","at":"C"},"engine":"auto"},
        "C":{"loops":[{"dim":"m","tile":8,"name":"outer","as":"serial","partition":"auto"},{"dim":"n"},{"name":"inner","dim":"m"}],"compute":"root"}},
        "variants":[{"stages":{"D":{"compute":{"at":"C","loop":"n"}}},"when":"(m > 1) && (n < 2)"}],"tessera_schedule":1})json");
    EXPECT_EQ(canonical(a), canonical(b)) << to_json(canonical(a)) << to_json(canonical(b));
    EXPECT_EQ(content_hash(a), content_hash(b));
    EXPECT_EQ(canonical(a).stages.at("D").compute->at, (LoopRef{"C", "l0"}));
    EXPECT_EQ(canonical(a).stages.at("D").store.at, (LoopRef{"C", "l1"}));
    for (const char* other :
         {R"({"C":{"compute":"root"}})", R"({"C":{"compute":"inline"}})", R"({"C":{"loops":[{"dim":"m"},{"dim":"n"}]}})",
          R"({"C":{"loops":[{"dim":"n"},{"dim":"m"}]}})", R"({"D":{"compute":"root"}})"})
        for (const char* second : {R"({"C":{"compute":{"at":"D","loop":"y"}}})", R"({"C":{"store":{"space":"heap"}}})"})
            EXPECT_NE(content_hash(of_stages(other)), content_hash(of_stages(second)));
}

TEST(ScheduleHash, AnAmbiguousReferenceStaysAsItIsWritten) {
    const Schedule s = of_stages(
        R"({"C":{"loops":[{"dim":"m","tile":8},{"dim":"m"}]},"D":{"compute":{"at":"C","loop":"m"}},"E":{"compute":{"at":"C","loop":"n"}}})");
    EXPECT_EQ(canonical(s).stages.at("D").compute->at, (LoopRef{"C", "m"}));
    EXPECT_EQ(canonical(s).stages.at("E").compute->at, (LoopRef{"C", "n"}));
}

// Renames every loop of the base to fresh names and rewrites the references by name.
Schedule with_other_loop_names(Schedule s) {
    const auto fresh = [](const std::string& name) { return name.starts_with("x") ? "loop_" + name : name; };
    const auto rename = [&](StageSpec& stage) {
        if (stage.compute) stage.compute->at.loop = fresh(stage.compute->at.loop);
        if (stage.fuse_with) stage.fuse_with->loop = fresh(stage.fuse_with->loop);
        if (stage.store.at) stage.store.at->loop = fresh(stage.store.at->loop);
        if (stage.store.alloc) stage.store.alloc->loop = fresh(stage.store.alloc->loop);
        for (auto* loops : {&stage.loops, &stage.init})
            if (*loops)
                for (LoopSpec& loop : **loops) loop.name = fresh(loop.name);
    };
    for (auto& [name, stage] : s.stages) rename(stage);
    for (Variant& variant : s.variants)
        for (auto& [name, stage] : variant.stages) rename(stage);
    return s;
}

// References to no loop keep their spelling, so random ones are made to resolve first.
Schedule with_resolved_references(Schedule s) {
    s.variants.clear();
    const auto resolves = [&](const LoopRef& reference) {
        const auto target = s.stages.find(reference.stage);
        if (target == s.stages.end() || !target->second.loops) return false;
        for (const LoopSpec& loop : *target->second.loops)
            if (loop.name == reference.loop) return true;
        return false;
    };
    for (auto& [name, stage] : s.stages) {
        if (stage.compute && stage.compute->kind == Compute::Kind::at && !resolves(stage.compute->at)) stage.compute.reset();
        if (stage.fuse_with && !resolves({stage.fuse_with->stage, stage.fuse_with->loop})) stage.fuse_with.reset();
        if (stage.store.at && !resolves(*stage.store.at)) stage.store.at.reset();
        if (stage.store.alloc && !resolves(*stage.store.alloc)) stage.store.alloc.reset();
    }
    return s;
}

TEST(ScheduleHash, IsTheSameUnderRandomLoopNames) {
    for (unsigned seed = 0; seed < 1000; ++seed) {
        const Schedule s = with_resolved_references(test::RandomSchedule(seed).next());
        ASSERT_EQ(content_hash(s), content_hash(with_other_loop_names(s))) << "seed " << seed << "\n" << to_json(s);
    }
}

TEST(ScheduleHash, CanonicalFormIsAFixedPointAndMeansTheSame) {
    for (unsigned seed = 0; seed < 1000; ++seed) {
        const Schedule s = test::RandomSchedule(seed).next();
        const Schedule once = canonical(s);
        ASSERT_EQ(canonical(once), once) << "seed " << seed << "\n" << to_json(s) << to_json(once) << to_json(canonical(once));
        ASSERT_EQ(parse_schedule(to_json(once)), once) << "seed " << seed;
        for (size_t i = 0; i < s.variants.size(); ++i)
            ASSERT_EQ(canonical(variant_schedule(s, i)), canonical(variant_schedule(once, i))) << "seed " << seed << "\n"
                                                                                               << to_json(s) << to_json(once);
    }
}

TEST(ScheduleNames, RenamedThereAndBackIsTheSame) {
    const Renaming there{{{"C", "s0"}, {"C.sum", "s1"}, {"ops/max", "s2"}, {"t~x", "s3"}},
                         {{"m", "d0"}, {"n", "d1"}, {"k", "d2"}, {"y", "d3"}},
                         {{"A", "i0"}}};
    const auto inverse = [](const std::map<std::string, std::string>& names) {
        std::map<std::string, std::string> back;
        for (const auto& [from, into] : names) back[into] = from;
        return back;
    };
    const Renaming back{inverse(there.stages), inverse(there.dims), inverse(there.inputs)};
    for (unsigned seed = 0; seed < 1000; ++seed) {
        test::RandomSchedule random(seed);
        const Schedule s = canonical(random.next());
        ASSERT_EQ(renamed(renamed(s, there), back), s) << "seed " << seed << "\n" << to_json(s) << to_json(renamed(s, there));
        const Schedule deltas = diff(s, canonical(random.next())).deltas;
        ASSERT_EQ(renamed(renamed(deltas, there), back).clear, deltas.clear) << "seed " << seed;
        ASSERT_EQ(renamed(s, {}), s) << "seed " << seed;
    }
}

TEST(ScheduleNames, RenamesEveryPlaceWhereANameStands) {
    const Schedule s = parse_schedule(R"({"tessera_schedule":1,"stages":{
        "C":{"compute":"root","loops":[{"name":"k","dim":"m"},{"dim":"n","prefetch":[{"of":"A"}]}]},
        "A.p":{"copy_of":"A","for":["C#1"],"compute":{"at":"C","loop":"k"},"store":{"at":"C","loop":"n","layout":["k/16","k%16"],"fold":{"k":4},"in":"C"},"axes":{"m":["k"]}},
        "P":{"partial_of":"C","keep":["k/8"]}},
        "variants":[{"when":"k % 2 == 0 && A.stride.k == 1","stages":{"C":{"compute":"inline"}}}],"kernels":{"C":{"raster":{"order":"m"}}}})");
    const Schedule expected = parse_schedule(R"({"tessera_schedule":1,"stages":{
        "s0":{"compute":"root","loops":[{"name":"k","dim":"d0"},{"dim":"d1","prefetch":[{"of":"i0"}]}]},
        "A.p":{"copy_of":"i0","for":["s0#1"],"compute":{"at":"s0","loop":"k"},"store":{"at":"s0","loop":"d1","layout":["d2/16","d2%16"],"fold":{"d2":4},"in":"s0"},"axes":{"m":["d2"]}},
        "P":{"partial_of":"s0","keep":["d2/8"]}},
        "variants":[{"when":"d2 % 2 == 0 && i0.stride.d2 == 1","stages":{"s0":{"compute":"inline"}}}],"kernels":{"s0":{"raster":{"order":"d0"}}}})");
    const Schedule got = renamed(s, {{{"C", "s0"}}, {{"m", "d0"}, {"n", "d1"}, {"k", "d2"}}, {{"A", "i0"}}});
    EXPECT_EQ(got, expected) << to_json(got);
    EXPECT_THROW((void)renamed(s, {{{"C", "P"}}, {}, {}}), Error);
}

TEST(ScheduleSupport, TheTableSaysWhatTheCpuHas) {
    EXPECT_TRUE(unsupported_on_cpu(example("matmul.json")).empty());
    const std::vector<Unsupported> found = unsupported_on_cpu(example("gemm_sm90a.json"));
    ASSERT_FALSE(found.empty());
    for (const Unsupported& one : found) EXPECT_FALSE(one.alternative.empty()) << one.path;
    EXPECT_EQ(found[0].path, "/kernels/C.out");
    try {
        require_support(of_stages(R"({"C":{"loops":[{"dim":"m","as":"block"}],"store":{"buffers":1,"swizzle":"none"}}})"),
                        Target::Kind::cpu);
        FAIL();
    } catch (const Limit& limit) {
        EXPECT_EQ(limit.message(), "/stages/C/loops/0/as is \"block\", which the CPU backend does not have");
        EXPECT_EQ(limit.hints().size(), 1u);
    }
    require_support(of_stages(R"({"C":{"loops":[{"dim":"m","as":"block"},{"dim":"n","as":"thread"}]}})"), Target::Kind::cuda);
    require_support(of_stages(R"({"C":{"loops":[{"dim":"m","as":"block"},{"dim":"n","as":"vector"}]}})"),
                    Target::Kind::interpreter);
    EXPECT_EQ(unsupported_on_cuda(of_stages(R"({"C":{"loops":[{"dim":"m","as":"parallel"}],"store":{"fold":{"m":4}}}})")).size(),
              2u);
}

TEST(ScheduleVariants, BuilderMakesDeltas) {
    Schedule deltas;
    deltas.stage("C").space(Space::stack);
    Schedule s;
    s.stage("C").root();
    s.variant("m % 8 == 0", deltas);
    EXPECT_EQ(variant_schedule(s, 0).stages.at("C").store.space, Space::stack);
    EXPECT_TRUE(variant_schedule(s, 0).variants.empty());
    EXPECT_THROW((void)variant_schedule(s, 1), Error);
}

}  // namespace
}  // namespace tessera
