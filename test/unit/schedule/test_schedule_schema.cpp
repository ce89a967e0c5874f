#include <tessera/schedule.h>

#include "unit/schedule/random_schedule.h"

#include <gtest/gtest.h>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include <fstream>

#include "tessera_paths.h"

namespace tessera {
namespace {

class ScheduleSchema : public testing::Test {
protected:
    void SetUp() override {
        std::ifstream in(std::string(TESSERA_SOURCE_DIR) + "/schedules/schema.json");
        document_ = nlohmann::json::parse(in);
        valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
        parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(document_), schema_);
    }
    bool accepts(const nlohmann::json& value) {
        valijson::Validator validator;
        return validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(value), nullptr);
    }

    nlohmann::json document_;
    valijson::Schema schema_;
};

bool reader_accepts(const std::string& text) {
    try {
        (void)parse_schedule(text);
        return true;
    } catch (const Error&) {
        return false;
    }
}

TEST_F(ScheduleSchema, AcceptsWhatIsPrinted) {
    for (const char* name : {"matmul", "blur", "gemm_sm90a", "flash_attention"}) {
        std::ifstream in(std::string(TESSERA_SOURCE_DIR) + "/test/unit/schedule/data/" + name + ".json");
        EXPECT_TRUE(accepts(nlohmann::json::parse(in))) << name;
    }
    for (unsigned seed = 0; seed < 200; ++seed) {
        const std::string text = to_json(test::RandomSchedule(seed).next());
        EXPECT_TRUE(accepts(nlohmann::json::parse(text))) << "seed " << seed << "\n" << text;
    }
}

// The schema and the reader agree on what the table says (contradictions between fields are the reader's alone).
TEST_F(ScheduleSchema, RefusesWhatTheReaderRefuses) {
    const auto stage = [](const std::string& record) { return R"({"tessera_schedule":1,"stages":{"C":)" + record + "}}"; };
    const std::vector<std::pair<std::string, bool>> cases{
        {stage("{}"), true},
        {stage("null"), true},
        {stage(R"({"store":null,"loops":null,"tile":{"tile_m":null}})"), true},
        {stage(R"({"compute":{"at":"D","loop":"y"}})"), true},
        {stage(R"({"loops":[{"dim":"m","as":"mesh:data","tile":{"parts":3}}]})"), true},
        {stage("3"), false},
        {stage(R"({"tiel":3})"), false},
        {stage(R"({"compute":"everywhere"})"), false},
        {stage(R"({"compute":{"at":"D"}})"), false},
        {stage(R"({"loops":[{"dim":null}]})"), false},
        {stage(R"({"loops":[{"dim":"m","tile":0}]})"), false},
        {stage(R"({"loops":[{"dim":"m","tile":2147483648}]})"), false},
        {stage(R"({"loops":[{"dim":"m","tile":{"parts":0}}]})"), false},
        {stage(R"({"loops":[{"dim":"m","as":"mesh:"}]})"), false},
        {stage(R"({"loops":[{"dim":"m","as":"Serial"}]})"), false},
        {stage(R"({"loops":[{"name":"mb"}]})"), false},
        {stage(R"({"init":[{"dim":"m","tiles":8}]})"), false},
        {stage(R"({"store":{"layout":["k/"]}})"), false},
        {stage(R"({"store":{"layout":["k/16%4","y"],"fold":{"y":4}}})"), true},
        {stage(R"({"store":{"fold":{"y":"4"}}})"), false},
        {stage(R"({"kernel":"a b"})"), false},
        {R"({"stages":{}})", false},
        {R"({"tessera_schedule":2,"stages":{}})", false},
        {R"({"tessera_schedule":1,"stages":{},"variants":[{"stages":{}}]})", false},
        {R"({"tessera_schedule":1,"stages":{},"variants":[{"when":"m > 1","stages":{"C":{"store":null}}}]})", true},
        {R"({"tessera_schedule":1,"stages":{},"kernels":{"C":{"threads":1025}}})", false},
    };
    for (const auto& [text, good] : cases) {
        EXPECT_EQ(accepts(nlohmann::json::parse(text)), good) << "schema: " << text;
        EXPECT_EQ(reader_accepts(text), good) << "reader: " << text;
    }
}

}  // namespace
}  // namespace tessera
