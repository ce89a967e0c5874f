#include <gtest/gtest.h>
#include <tessera/generator.h>
#include <tessera/tessera.h>

#include "base/json_text.h"
#include "compile/staging_folder.h"
#include "unit/compile/scratch_folder.h"

#include <fstream>

namespace tessera {
namespace {

Algorithm scaled(const Params& p) {
    Dim m("m"), k("k"), half("half", k.extent() / 2);
    Input A("A", p.dtype("dtype"), {m, k}), B("B", p.dtype("dtype"), {half});
    Func C("C");
    C(m, half) = A(m, half) + B(half);
    if (p.flag("negate")) {
        Func D("D");
        D(m, half) = -C(m, half);
        return Algorithm({D}, {A, B});
    }
    return Algorithm({C}, {A, B});
}

std::vector<Generator> generators() {
    return {generator("scaled", "half of the columns plus a row", {param("dtype", f32, {f32, f64, i32}), param("negate", false)},
                      scaled),
            generator("own", "has a schedule", {param("dtype", f32), param("negate", false)}, scaled,
                      [](const Algorithm&, const Target&) -> std::optional<Schedule> {
                          Schedule s;
                          s.stage("C").root().serial("m").serial("half");
                          return s;
                      })};
}

struct Outcome {
    int status;
    std::string out, err;
};

Outcome run(std::vector<std::string> words, const std::vector<Generator>& all = generators()) {
    std::vector<const char*> argv{"generator"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = generator_main(static_cast<int>(argv.size()), argv.data(), all);
    return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(GeneratorMain, WritesALibrary) {
    const ScratchFolder folder;
    const Outcome r = run({"-g", "scaled", "-o", folder.path(), "-n", "half_sum", "--param", "dtype=f64", "--dim", "m=?", "--dim",
                           "k=*8", "--emit", "graph,asm"});
    ASSERT_EQ(r.status, 0) << r.err;
    const std::string header = read_text_file(folder.file("half_sum.h"));
    EXPECT_NE(header.find("int half_sum(const tessera_buffer* A, const tessera_buffer* B, tessera_buffer* C);"),
              std::string::npos)
        << header;
    EXPECT_NE(header.find("k = extent 1 of A, a multiple of 8"), std::string::npos) << header;
    EXPECT_NE(header.find("input f64 [m, k]"), std::string::npos) << header;
    EXPECT_EQ(folder.names().size(), 5u);
}

TEST(GeneratorMain, OriginOfTheScheduleIsTold) {
    const ScratchFolder folder;
    ASSERT_EQ(run({"-g", "own", "-o", folder.path(), "--dim", "k=64"}).status, 0);
    EXPECT_NE(read_text_file(folder.file("own.h")).find("Schedule: generator"), std::string::npos);
    EXPECT_NE(read_text_file(folder.file("own.h")).find("k = 64"), std::string::npos);
    std::ofstream(folder.file("plan.json")) << R"({"tessera_schedule": 1, "stages": {"C": {"compute": "root"}}})";
    ASSERT_EQ(run({"-g", "own", "-o", folder.path(), "--schedule", folder.file("plan.json"), "--require", "exact"}).status, 0);
    EXPECT_NE(read_text_file(folder.file("own.h")).find("Schedule: file plan.json"), std::string::npos);
    const Outcome refused = run({"-g", "scaled", "-o", folder.path(), "--require", "exact"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("E0805"), std::string::npos);
}

TEST(GeneratorMain, MistakesAreNamedAndNothingIsWritten) {
    struct Row {
        std::vector<std::string> words;
        const char* code;
        const char* says;
    };
    const std::vector<Row> rows{
        {{"-g", "scaled", "--param", "dtyp=f32"}, "E0801", "'dtype'"},
        {{"-g", "scaled", "--param", "dtype=f23"}, "E0801", "'f32'"},
        {{"-g", "scaled", "--param", "negate=maybe"}, "E0801", "true or false"},
        {{"-g", "scaled", "--param", "dtype"}, "E0805", "name=value"},
        {{"-g", "scaled", "--dim", "kk=8"}, "E0805", "'k'"},
        {{"-g", "scaled", "--dim", "k=eight"}, "E0805", "*8"},
        {{"-g", "scaled", "--dim", "k=-8"}, "E0805", "*8"},
        {{"-g", "scaled", "--dim", "half=8"}, "E0105", "follows from other dims"},
        {{"-g", "scaled", "--dim", "k=8", "--dim", "k=9"}, "E0805", "twice"},
        {{"-g", "scaled", "--target", "hsot"}, "E0802", "'host'"},
        {{"-g", "scaled", "--target", "cuda-sm_80"}, "E0803", "GPU"},
        {{"-g", "scalde"}, "E0805", "'scaled'"},
        {{}, "E0805", "-g"},
        {{"-g", "scaled", "--taget", "host"}, "E0805", "'--target'"},
        {{"-g", "scaled", "--emit", "grap"}, "E0805", "'graph'"},
        {{"-g", "scaled", "--schedule", "/no/such/file.json"}, "E0605", "no/such/file.json"},
        {{"-g", "scaled", "--param"}, "E0805", "--param"},
        {{"-g", "scaled", "-n", "no-name"}, "E0102", "no-name"},
    };
    for (const Row& row : rows) {
        const ScratchFolder folder;
        std::vector<std::string> words{"-o", folder.path()};
        words.insert(words.end(), row.words.begin(), row.words.end());
        const Outcome r = run(words);
        EXPECT_EQ(r.status, 1);
        EXPECT_NE(r.err.find(row.code), std::string::npos) << row.says << "\n" << r.err;
        EXPECT_NE(r.err.find(row.says), std::string::npos) << row.says << "\n" << r.err;
        EXPECT_TRUE(folder.names().empty()) << row.says;
    }
    EXPECT_NE(run({"-g", "scaled"}).err.find("-o"), std::string::npos);
}

TEST(GeneratorMain, DescribesItselfAsJson) {
    const Outcome r = run({"--describe", "-g", "scaled", "--param", "negate=true"});
    ASSERT_EQ(r.status, 0) << r.err;
    const auto json = parse_json(r.out, "description");
    EXPECT_EQ(json["tessera_generator"], 1);
    ASSERT_EQ(json["generators"].size(), 1u);
    const auto& g = json["generators"][0];
    EXPECT_EQ(g["params"][0]["choices"].dump(), R"(["f32","f64","i32"])");
    EXPECT_EQ(g["params"][1]["value"], "true");
    EXPECT_EQ(g["algorithm"]["stages"].dump(), R"(["C","D"])");
    EXPECT_EQ(g["algorithm"]["signature"]["dims"][2]["extent"], "k / 2");
    EXPECT_EQ(parse_algorithm(g["algorithm"]["text"].get<std::string>()).hash(), g["algorithm"]["hash"]);
    EXPECT_EQ(parse_json(run({"--describe"}).out, "description")["generators"].size(), 2u);
}

TEST(GeneratorMain, ListsAndHelps) {
    EXPECT_EQ(run({"--list"}).out, "scaled: half of the columns plus a row\nown: has a schedule\n");
    const Outcome help = run({"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("--dim"), std::string::npos);
}

TEST(Params, UnknownNamesAreRefused) {
    const Params p = make_params(generators()[0], {});
    EXPECT_EQ(p.dtype("dtype"), f32);
    EXPECT_FALSE(p.flag("negate"));
    EXPECT_THROW((void)p.text("negat"), Error);
    EXPECT_THROW((void)p.integer("dtype"), Error);
}

}  // namespace
}  // namespace tessera
