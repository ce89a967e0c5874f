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
    return {generator("scaled", "half of the columns plus a row",
                      {param("dtype", f32, {f32, f64, i32}), param("negate", false), param("times", 1).at_least(1)}, scaled),
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
    // Functions begin at cache lines, wherever they are linked.
    const std::string code = read_text_file(folder.file("half_sum.s"));
    EXPECT_NE(code.find(".p2align\t6\n\t.type"), std::string::npos);
    EXPECT_EQ(code.find(".p2align\t4\n\t.type"), std::string::npos);
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

TEST(GeneratorMain, SeveralKernelsAndSizeVariantsInOneLibrary) {
    const ScratchFolder folder;
    std::ofstream(folder.file("plain.json")) << R"({"tessera_schedule": 1, "stages": {"C": {"compute": "root"}}})";
    std::ofstream(folder.file("lanes.json")) << R"({"tessera_schedule": 1, "stages": {"C": {"compute": "root",
        "loops": [{"dim": "m"}, {"name": "block", "dim": "half", "tile": 8}, {"dim": "half", "as": "vector"}]}}})";
    const Outcome r = run({"-o",
                           folder.path(),
                           "-n",
                           "all_of_them",
                           "-g",
                           "scaled",
                           "--dim",
                           "k=*2",
                           "--schedule",
                           folder.file("lanes.json"),
                           "--kernel",
                           "first",
                           "--variant",
                           "half < 8",
                           folder.file("plain.json"),
                           "--variant",
                           "m == 1",
                           folder.file("lanes.json"),
                           "--kernel",
                           "second",
                           "--param",
                           "dtype=f64",
                           "--dim",
                           "k=*4",
                           "--kernel",
                           "third",
                           "-g",
                           "own",
                           "--schedule",
                           folder.file("plain.json")});
    ASSERT_EQ(r.status, 0) << r.err;
    const std::string header = read_text_file(folder.file("all_of_them.h"));
    for (const char* name : {"first", "second", "third"})
        EXPECT_NE(header.find(std::string("int ") + name + "(const tessera_buffer* A"), std::string::npos) << header;
    const auto functions = parse_json(read_text_file(folder.file("all_of_them.json")), "metadata")["functions"];
    ASSERT_EQ(functions.size(), 3u);
    EXPECT_EQ(functions[0]["variants"].size(), 3u);
    EXPECT_EQ(functions[0]["variants"][0]["when"], "half < 8");
    EXPECT_EQ(functions[0]["schedule"]["origin"],
              "file lanes.json; where half < 8: file plain.json; where m == 1: file lanes.json");
    // What runs where a condition holds is the whole schedule of its file.
    const Schedule written = parse_schedule(functions[0]["schedule"]["content"].dump());
    EXPECT_EQ(content_hash(variant_schedule(written, 0)), content_hash(read_schedule(folder.file("plain.json"))));
    EXPECT_EQ(functions[1]["signature"]["arguments"][0]["dtype"], "f64");
    EXPECT_EQ(functions[1]["signature"]["dims"][1]["multiple_of"], 4);
    EXPECT_EQ(functions[0]["signature"]["dims"][1]["multiple_of"], 2);
    EXPECT_EQ(functions[2]["schedule"]["origin"], "file plain.json");

    std::ofstream(folder.file("two.json")) << to_json(written);
    const Outcome refused =
        run({"-o", folder.path(), "-n", "nested", "-g", "scaled", "--variant", "m == 2", folder.file("two.json")});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("variants of its own"), std::string::npos) << refused.err;
}

Algorithm layer(const Params&) {
    Dim b("b"), i("i"), o("o");
    Input x("x", f32, {b, i}), W("W", f32, {i, o}), scale("scale", f32, {o});
    Func h("h"), y("y");
    h(b, o) = tanh(sum({i}, x(b, i) * W(i, o)));
    y(b, o) = h(b, o) * h(b, o) * scale(o);
    return Algorithm({y}, {x, W, scale});
}
Algorithm energy(const Params&) {
    Dim i("i");
    Input x("x", f64, {i});
    Func e("e");
    e() = sum({i}, x(i) * x(i));
    return Algorithm({e}, {x});
}
std::vector<Generator> differentiable() {
    return {generator("layer", "a layer", {}, layer), generator("energy", "", {}, energy)};
}

TEST(GeneratorMain, OneFlagAddsTheDerivatives) {
    const ScratchFolder folder;
    const Outcome r =
        run({"-g", "layer", "-o", folder.path(), "-n", "dense", "--grad", "W,scale", "--emit", "graph"}, differentiable());
    ASSERT_EQ(r.status, 0) << r.err;
    const std::string header = read_text_file(folder.file("dense.h"));
    EXPECT_NE(header.find("int dense(const tessera_buffer* x, const tessera_buffer* W, const tessera_buffer* scale, "
                          "tessera_buffer* y, tessera_buffer* h);"),
              std::string::npos)
        << header;
    EXPECT_NE(header.find("int dense_backward(const tessera_buffer* x, const tessera_buffer* W, const tessera_buffer* scale, "
                          "const tessera_buffer* h, const tessera_buffer* d_y, tessera_buffer* d_W, tessera_buffer* d_scale);"),
              std::string::npos)
        << header;
    // The backward part in index notation.
    const std::string graph = read_text_file(folder.file("dense.graph"));
    EXPECT_NE(graph.find("algorithm y_backward"), std::string::npos) << graph;
    EXPECT_NE(graph.find("d_W(i, o) : f32 = sum({b}, "), std::string::npos) << graph;
    const Outcome told = run({"-g", "layer", "--describe", "--grad", "W", "--save", "recompute"}, differentiable());
    ASSERT_EQ(told.status, 0) << told.err;
    const auto json = parse_json(told.out, "description");
    const auto& functions = json["generators"][0]["functions"];
    ASSERT_EQ(functions.size(), 2u);
    EXPECT_EQ(functions[0]["function"], "layer");
    EXPECT_EQ(functions[1]["function"], "layer_backward");
    EXPECT_EQ(json["generators"][0]["algorithm"]["hash"], functions[0]["hash"]);
    EXPECT_EQ(functions[1]["signature"]["arguments"].size(), 5u) << functions[1]["signature"].dump(1);
}

TEST(GeneratorMain, ValueAndGradientsInOneFunction) {
    const ScratchFolder folder;
    const Outcome r = run({"-g", "energy", "-o", folder.path(), "--value-and-grad", "x"}, differentiable());
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_NE(read_text_file(folder.file("energy.h"))
                  .find("int energy(const tessera_buffer* x, tessera_buffer* e, tessera_buffer* d_x);"),
              std::string::npos);
}

TEST(GeneratorMain, WrongWordsAboutDerivativesAreNamed) {
    const ScratchFolder folder;
    const auto refused = [&](std::vector<std::string> words) {
        words.insert(words.end(), {"-g", "layer", "-o", folder.path()});
        const Outcome r = run(words, differentiable());
        EXPECT_EQ(r.status, 1);
        return r.err;
    };
    const auto has = [](const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; };
    EXPECT_TRUE(has(refused({"--grad", "V"}), "the derivative by V is asked for")) << refused({"--grad", "V"});
    EXPECT_TRUE(has(refused({"--grad", "W", "--value-and-grad", "W"}), "exclude each other"));
    EXPECT_TRUE(has(refused({"--save", "recompute"}), "there is one"));
    EXPECT_TRUE(has(refused({"--grad", "W", "--save", "recomputed"}), "recompute"));
    EXPECT_TRUE(has(refused({"--grad", "W", "--save", "every=x"}), "malformed"));
    EXPECT_TRUE(has(refused({"--grad", "W", "--save", "as=i8"}), "narrower float"));
    EXPECT_TRUE(has(refused({"--value-and-grad", "W"}), "E1003")) << refused({"--value-and-grad", "W"});
    EXPECT_TRUE(has(refused({"--backward-schedule", "a.json"}), "--grad"));
    EXPECT_TRUE(folder.names().empty());
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
        {{"-g", "scaled", "--param", "times=0"}, "E0801", "an integer of at least 1"},
        {{"-g", "scaled", "--param", "times=many"}, "E0801", "an integer of at least 1"},
        {{"-g", "scaled", "--param", "dtype"}, "E0805", "name=value"},
        {{"-g", "scaled", "--dim", "kk=8"}, "E0805", "'k'"},
        {{"-g", "scaled", "--dim", "k=eight"}, "E0805", "*8"},
        {{"-g", "scaled", "--dim", "k=-8"}, "E0805", "*8"},
        {{"-g", "scaled", "--dim", "half=8"}, "E0105", "follows from other dims"},
        {{"-g", "scaled", "--dim", "k=8", "--dim", "k=9"}, "E0805", "twice"},
        {{"-g", "scaled", "--target", "hsot"}, "E0802", "'host'"},
        {{"-g", "scaled", "--target", "cuda-sm_75"}, "E0803", "GPU"},
        {{"-g", "scalde"}, "E0805", "'scaled'"},
        {{}, "E0805", "-g"},
        {{"-g", "scaled", "--taget", "host"}, "E0805", "'--target'"},
        {{"-g", "scaled", "--emit", "grap"}, "E0805", "'graph'"},
        {{"-g", "scaled", "--schedule", "/no/such/file.json"}, "E0605", "no/such/file.json"},
        {{"-g", "scaled", "--param"}, "E0805", "--param"},
        {{"-g", "scaled", "-n", "no-name"}, "E0102", "no-name"},
        {{"-g", "scaled", "--require", "exakt"}, "E0805", "'exact'"},
        {{"-g", "scaled", "--variant", "k < 8"}, "E0805", "--variant"},
        {{"-g", "scaled", "--variant", "k < 8", "/no/such/file.json"}, "E0605", "no/such/file.json"},
        {{"-g", "scaled", "--kernel", "one"}, "E0805", "-n"},
        {{"-g", "scaled", "-n", "both", "--kernel"}, "E0805", "--kernel has no name"},
        {{"-g", "scaled", "-n", "both", "--kernel", "one", "--kernel", "one"}, "E0101", "two functions named one"},
        {{"-g", "scaled", "-n", "both", "--kernel", "one", "--kernel", "two", "--parm", "dtype=f64"}, "E0805", "'--param'"},
        {{"-g", "scaled", "-n", "both", "--kernel", "one", "--param", "dtyp=f64"}, "E0801", "'dtype'"},
        {{"-g", "scaled", "-n", "both", "--kernel", "one", "-o", "elsewhere"}, "E0805", "-o"},
        {{"-g", "scaled", "-n", "both", "--kernel", "one", "--help"}, "E0805", "--help"},
        {{"-g", "scaled", "-n", "both", "--kernle", "one"}, "E0805", "'--kernel'"},
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
    EXPECT_EQ(g["params"][2]["at_least"], 1);
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
    EXPECT_NE(help.out.find("--kernel NAME"), std::string::npos);
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
