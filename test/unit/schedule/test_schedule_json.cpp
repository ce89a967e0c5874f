#include <tessera/schedule.h>

#include "schedule/primitive_table.h"
#include "unit/schedule/random_schedule.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tessera_paths.h"

namespace tessera {
namespace {

using namespace std::string_literals;

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.is_open()) << path;
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

const std::string data_folder = std::string(TESSERA_SOURCE_DIR) + "/test/unit/schedule/data/";
const std::vector<std::string> examples{"matmul.json", "blur.json", "gemm_sm90a.json", "flash_attention.json"};

// A file that is generated from the table; TESSERA_UPDATE_GOLDEN=1 writes it.
void expect_file(const std::string& name, const std::string& text) {
    const std::string path = std::string(TESSERA_SOURCE_DIR) + "/" + name;
    if (std::getenv("TESSERA_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(read_text(path), text) << name << " is not what the table of primitives says; TESSERA_UPDATE_GOLDEN=1 writes it";
}

void expect_refused(const std::string& text, ErrorCode code, const std::string& part) {
    try {
        (void)parse_schedule(text);
        ADD_FAILURE() << "accepted: " << text.substr(0, 200);
    } catch (const Error& error) {
        EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
        EXPECT_FALSE(error.hints().empty()) << error.what();
    }
}

std::string with_stage(const std::string& stage) { return R"({"tessera_schedule":1,"stages":{"C":)" + stage + "}}"; }

TEST(ScheduleJson, ExamplesSurviveTheRoundTrip) {
    for (const std::string& name : examples) {
        const std::string text = read_text(data_folder + name);
        const Schedule schedule = parse_schedule(text);
        EXPECT_EQ(parse_schedule(to_json(schedule)), schedule) << name;
        EXPECT_EQ(parse_schedule(to_json(schedule, JsonStyle::compact)), schedule) << name;
        // Nothing of the file is lost.
        EXPECT_EQ(nlohmann::json::parse(to_json(schedule)), nlohmann::json::parse(text)) << name;
    }
}

TEST(ScheduleJson, ReadsWhatTheMatmulExampleSays) {
    const Schedule s = read_schedule(data_folder + "matmul.json");
    const StageSpec& c = s.stages.at("C");
    ASSERT_EQ(c.loops->size(), 7u);
    EXPECT_EQ((*c.loops)[0], (LoopSpec{.dim = "m", .tile = 96, .as = LoopKind::parallel, .name = "mb"}));
    EXPECT_EQ((*c.loops)[2].tail, Tail::shift_inwards);
    EXPECT_EQ(s.stages.at("C.sum").compute->at, (LoopRef{"C", "nt"}));
    EXPECT_EQ(s.stages.at("C.sum").store.space, Space::register_);
    EXPECT_EQ(s.stages.at("B.p").derived_from(), "B");
    EXPECT_EQ(*s.stages.at("B.p").store.layout, (std::vector<std::string>{"n/16", "k", "n%16"}));
}

TEST(ScheduleJson, BuilderMakesTheMatmulExample) {
    Schedule s;
    s.stage("C")
        .root()
        .parallel("m", 96, "mb")
        .serial("n", 96, "nb")
        .serial("m", 5, "mt")
        .tail(Tail::shift_inwards)
        .serial("n", 16, "nt")
        .unroll("m")
        .unroll("n", 8)
        .vector("n");
    s.stage("C.sum").at("C", "nt").space(Space::register_).loop({.dim = "k"}).unroll("m").unroll("n", 8).vector("n");
    s.copy("B.p", "B", {"C.sum"}).at("C", "nb").layout({"n/16", "k", "n%16"}).serial("k").unroll("n", 8).vector("n");
    EXPECT_EQ(s, read_schedule(data_folder + "matmul.json"));
    Schedule empty;
    EXPECT_THROW(empty.stage("C").tail(Tail::guard), Error);
}

TEST(ScheduleJson, PrintsOneLoopALineInTheOrderOfTheDocumentation) {
    Schedule s;
    s.stage("C").root().parallel("m", 96, "mb").vector("n");
    EXPECT_EQ(to_json(s),
              "{\n  \"tessera_schedule\": 1,\n  \"stages\": {\n    \"C\": {\n      \"compute\": \"root\",\n      \"loops\": "
              "[{\"name\": \"mb\", \"dim\": \"m\", "
              "\"tile\": 96, \"as\": \"parallel\"}, {\"dim\": \"n\", \"as\": \"vector\"}]\n    }\n  }\n}\n");
    s.stage("C").unroll("n", 8, "a_rather_long_name_of_a_loop");
    EXPECT_NE(to_json(s).find("\n      \"loops\": [\n        {\"name\": \"mb\""), std::string::npos) << to_json(s);
}

TEST(ScheduleJson, RandomSchedulesSurviveTheRoundTrip) {
    for (unsigned seed = 0; seed < 2000; ++seed) {
        test::RandomSchedule random(seed);
        const Schedule schedule = random.next();
        ASSERT_EQ(parse_schedule(to_json(schedule)), schedule) << "seed " << seed << "\n" << to_json(schedule);
        ASSERT_EQ(parse_schedule(to_json(schedule, JsonStyle::compact)), schedule) << "seed " << seed;
    }
}

TEST(ScheduleJson, NullClearsAndSurvives) {
    const std::string text = R"({"tessera_schedule":1,"stages":{"C":{"compute":"root","store":{"fold":{"y":null}}},"D":null}})";
    const Schedule s = parse_schedule(text);
    EXPECT_EQ(s.clear, (std::set<std::string>{"/stages/C/store/fold/y", "/stages/D"}));
    EXPECT_EQ(to_json(s, JsonStyle::compact), text);
    expect_refused(with_stage(R"({"loops":[{"dim":null}]})"), E0602_schema, "/stages/C/loops/0/dim");
    expect_refused(R"({"tessera_schedule":1,"stages":null})", E0602_schema, "/stages");
}

TEST(ScheduleJson, UnknownFieldsNameThePathAndTheClosest) {
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tiel":3}]})"), E0602_schema,
                   "/stages/C/loops/0 has an unknown field 'tiel'");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tiel":3}]})"), E0602_schema, "did you mean 'tile'");
    expect_refused(with_stage(R"({"stor":{}})"), E0602_schema, "'store'");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","as":"paralel"}]})"), E0602_schema, "did you mean 'parallel'");
    expect_refused(R"({"tessera_schedule":1,"stages":{},"variant":[]})", E0602_schema, "'variants'");
}

TEST(ScheduleJson, WrongTypesNameWhatIsExpected) {
    expect_refused("[]", E0602_schema, "an object");
    expect_refused("{}", E0602_schema, "'tessera_schedule'");
    expect_refused(with_stage("3"), E0602_schema, "/stages/C");
    expect_refused(with_stage(R"({"loops":{"dim":"m"}})"), E0602_schema, "a list");
    expect_refused(with_stage(R"({"loops":[{"tile":3}]})"), E0602_schema, "no field 'dim'");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":3.5}]})"), E0602_schema, "3.5");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":"8"}]})"), E0602_schema, "an integer from 1");
    expect_refused(with_stage(R"({"compute":{"at":"D"}})"), E0602_schema, "no field 'loop'");
    expect_refused(with_stage(R"({"compute":"everywhere"})"), E0602_schema, "\"root\"");
    expect_refused(with_stage(R"({"store":{"at":"D"}})"), E0602_schema, "without 'loop'");
    expect_refused(with_stage(R"({"store":{"loop":"y"}})"), E0602_schema, "without 'at'");
    expect_refused(with_stage(R"({"store":{"alloc":{"at":"D"}}})"), E0602_schema, "store/alloc has 'at' without 'loop'");
    expect_refused(with_stage(R"({"fuse_with":{"stage":"D","loop":"y","online":1}})"), E0602_schema, "true or false");
    expect_refused(with_stage(R"({"store":{"layout":["k/"]}})"), E0508_storage, "/stages/C/store/layout/0");
    expect_refused(with_stage(R"({"partial_of":"C.sum","keep":["k/0"]})"), E0509_derived_stage, "k/0");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","as":"mesh:"}]})"), E0602_schema, "mesh");
    expect_refused(with_stage(R"({"kernel":""})"), E0602_schema, "empty name");
    expect_refused(R"({"tessera_schedule":1,"stages":{"a b":{}}})", E0602_schema, "white space");
}

TEST(ScheduleJson, NumbersStayInTheirRanges) {
    for (const char* tile : {"0", "-1", "2147483648", "9223372036854775807", "18446744073709551615", "-9223372036854775808"})
        expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":)" + std::string(tile) + "}]}"), E0503_tile,
                       "/stages/C/loops/0/tile");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":{"parts":0}}]})"), E0503_tile, "/tile/parts");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":1e300}]})"), E0602_schema, "1e+300");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":1e999}]})"), E0601_syntax, "1e308");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","tile":NaN}]})"), E0601_syntax, "line 1");
    expect_refused(with_stage(R"({"store":{"buffers":65}})"), E0602_schema, "from 1 to 64");
}

TEST(ScheduleJson, NewerVersionsAreRefusedFirst) {
    expect_refused(R"({"tessera_schedule":2,"stages":{"C":{"hologram":true}}})", E0603_version, "version 2");
    expect_refused(R"({"tessera_schedule":18446744073709551615,"stages":{}})", E0603_version, "18446744073709551615");
    expect_refused(R"({"tessera_schedule":0,"stages":{}})", E0602_schema, "/tessera_schedule");
}

TEST(ScheduleJson, HostileTextIsAnError) {
    expect_refused(R"({"tessera_schedule":1,"stages":{"C":{},"C":{}}})", E0601_syntax, "'C' twice");
    expect_refused("{\"tessera_schedule\":1,\n // why\n \"stages\":{}}", E0601_syntax, "line 2");
    expect_refused(std::string(100000, '['), E0604_size, "64 levels");
    expect_refused(R"({"a":)" + std::string(70, '[') + std::string(70, ']') + "}", E0604_size, "64 levels");
    expect_refused(std::string((std::size_t{16} << 20) + 1, ' '), E0604_size, "16777216");
    expect_refused("", E0601_syntax, "line 1");
    expect_refused("{\"tessera_schedule\":1,\"stages\":{\"\xff\xfe\":{}}}", E0601_syntax, "line 1");
    expect_refused(R"({"tessera_schedule":1,"stages":{}} {})", E0601_syntax, "line 1");
    EXPECT_THROW((void)read_schedule("/nonexistent/schedule.json"), Error);
}

TEST(ScheduleJson, ContradictionsAreRefused) {
    expect_refused(with_stage(R"({"loops":[],"tile":{"tile_m":8}})"), E0512_tile_and_loops, "stage C");
    expect_refused(with_stage(R"({"copy_of":"A","clone_of":"B"})"), E0509_derived_stage, "copy_of A and clone_of B");
    expect_refused(with_stage(R"({"loops":[{"dim":"m","name":"a"},{"dim":"n","name":"a"}]})"), E0101_duplicate_name,
                   "two loops named a");
    expect_refused(
        R"({"tessera_schedule":1,"stages":{"C":{"loops":[]}},"variants":[{"when":"m > 1","stages":{"C":{"tile":{"tile_m":8}}}}]})",
        E0512_tile_and_loops, "when m > 1");
    expect_refused(R"({"tessera_schedule":1,"stages":{},"variants":[{"when":"m >","stages":{}}]})", E0511_variant,
                   "/variants/0/when");
}

TEST(ScheduleJson, VerifyChecksWhatWasBuiltInCpp) {
    const auto refused = [](const Schedule& s) {
        try {
            verify(s);
        } catch (const Error& error) {
            return std::string(code_text(error.code()));
        }
        return std::string("accepted");
    };
    const auto with_loop = [](const LoopSpec& loop) {
        Schedule s;
        s.stage("C").loop(loop);
        return s;
    };
    EXPECT_EQ(refused(with_loop({.dim = "m", .tile = 8})), "accepted");
    EXPECT_EQ(refused(with_loop({.dim = "m", .tile = -8})), "E0503");
    EXPECT_EQ(refused(with_loop({.dim = "m", .tile = 8, .parts = 2})), "E0503");
    EXPECT_EQ(refused(with_loop({.tile = 8})), "E0602");
    EXPECT_EQ(refused(with_loop({.dim = "m", .as = LoopKind::mesh})), "E0602");
    Schedule both;
    both.stage("C").serial("m").tile({.tile_m = 8});
    EXPECT_EQ(refused(both), "E0512");
}

TEST(ScheduleJson, LargeTextTakesLinearTime) {
    std::string text = R"({"tessera_schedule":1,"stages":{"s":{})";
    for (int i = 0; i < 100000; ++i) text += fmt::format(R"(,"s{}":{{}})", i);
    text += R"(},"variants":[{"when":"m>1","stages":{}})";
    for (int i = 0; i < 30000; ++i) text += R"(,{"when":"m>1","stages":{"s1":{"loops":[]}}})";
    text += "]}";
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(parse_schedule(text).variants.size(), 30001u);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));  // hours when quadratic
}

// Bytes of the examples are changed, cut, doubled; whatever comes out, it is a schedule or an Error.
TEST(ScheduleJson, MutatedTextNeverGivesAnythingButAnError) {
    std::mt19937 random(20240607);
    int refused = 0;
    const std::string bytes = "{}[]\",:0123456789-.eEtrufalsn\\ \n\xff\x00/%mk"s;
    std::vector<std::string> texts;
    for (const std::string& name : examples) texts.push_back(read_text(data_folder + name));
    for (int round = 0; round < 20000; ++round) {
        std::string text = texts[random() % texts.size()];
        for (unsigned edits = random() % 4; edits <= 4; ++edits) {
            const size_t at = random() % text.size();
            const size_t length = std::min<size_t>(random() % 20, text.size() - at);
            switch (random() % 4) {
                case 0: text[at] = bytes[random() % bytes.size()]; break;
                case 1: text.erase(at, length); break;
                case 2: text.insert(at, text.substr(random() % text.size(), length)); break;
                default: text.insert(at, 1, bytes[random() % bytes.size()]); break;
            }
            if (text.empty()) break;
        }
        try {
            const Schedule schedule = parse_schedule(text);
            ASSERT_EQ(parse_schedule(to_json(schedule)), schedule) << text;
            ASSERT_EQ(content_hash(schedule).size(), 64u);
        } catch (const Error&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 10000);
}

TEST(PrimitiveTable, GeneratedFilesAreUpToDate) {
    expect_file("schedules/schema.json", schedule_schema());
    expect_file("docs/schedule_reference.md", primitive_reference());
}

TEST(PrimitiveTable, EveryRowIsDocumented) {
    for (const PrimitiveRow& row : primitive_rows()) {
        EXPECT_FALSE(row.doc.empty()) << row.path;
        EXPECT_NE(row.forms, 0u) << row.path;
        EXPECT_EQ((row.forms & form_word) != 0, !row.words.empty()) << row.path;
        for (const WordRow& choice : row.words) EXPECT_FALSE(choice.doc.empty()) << row.path << " " << choice.word;
    }
}

}  // namespace
}  // namespace tessera
