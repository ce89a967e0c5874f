#include "error/error_rows.h"
#include "golden.h"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tessera_paths.h"

namespace tessera {

static void PrintTo(const ErrorRow& row, std::ostream* out) { *out << code_text(row.code); }

namespace {

// Without folders and line numbers.
std::string normalised(const std::string& text) {
    const std::string no_path = std::regex_replace(text, std::regex("--> (?:[^\\n:]*/)?([^/\\n:]+):[0-9]+"), "--> $1:N");
    std::string out;
    std::istringstream lines(no_path);
    for (std::string line; std::getline(lines, line);)
        out += std::regex_replace(line, std::regex("^ *[0-9]+ \\|"), "    N |") + "\n";
    return out;
}

// Messages show source lines: file names relative to where the compiler ran have to be found.
class FrontEndErrors : public testing::TestWithParam<ErrorRow> {
protected:
    static void SetUpTestSuite() { std::filesystem::current_path(TESSERA_BINARY_DIR); }
};

TEST_P(FrontEndErrors, HasItsCodeAndItsGoldenText) {
    try {
        GetParam().program();
        FAIL() << "nothing was thrown";
    } catch (const Exception& e) {
        EXPECT_EQ(code_text(e.code()), code_text(GetParam().code)) << e.what();
        expect_golden("error/" + std::string(code_text(GetParam().code)) + ".golden", normalised(e.what()));
    }
}

// Lower case, no full stop, and something that helps below it.
TEST_P(FrontEndErrors, MessageHasTheFormOfMessages) {
    try {
        GetParam().program();
    } catch (const Exception& e) {
        ASSERT_FALSE(e.message().empty());
        EXPECT_NE(e.message().back(), '.') << e.message();
        const std::string first = e.message().substr(0, e.message().find(' '));
        EXPECT_TRUE(first.size() < 2 || first == "Func" || std::islower(static_cast<unsigned char>(first[0])) != 0 ||
                    std::isalpha(static_cast<unsigned char>(first[0])) == 0)
            << e.message();
        bool helps = false;
        for (const Hint& h : e.hints()) helps = helps || h.kind == Hint::Kind::fix || h.kind == Hint::Kind::note;
        EXPECT_TRUE(helps) << e.what();
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, FrontEndErrors, testing::ValuesIn(front_end_error_rows()),
                         [](const auto& row) { return std::string(code_text(row.param.code)); });

TEST(ErrorTable, EveryCodeHasARowOrIsCoveredElsewhere) {
    std::multiset<ErrorCode> covered;
    for (const ErrorRow& row : front_end_error_rows()) covered.insert(row.code);
    for (const CoveredElsewhere& row : codes_covered_elsewhere()) covered.insert(row.code);
    for (const ErrorCode code : all_error_codes())
        EXPECT_EQ(covered.count(code), 1u) << code_text(code) << " needs a row in error_rows.cpp, or its test file there";
}

TEST(ErrorTable, FilesThatCoverACodeNameIt) {
    for (const CoveredElsewhere& row : codes_covered_elsewhere()) {
        if (row.file.empty()) continue;
        std::ifstream in(std::string(TESSERA_SOURCE_DIR) + "/" + std::string(row.file));
        std::ostringstream text;
        text << in.rdbuf();
        // By its number, or as C programs see it.
        std::string status = "TESSERA_";
        for (const char c : code_name(row.code)) status += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        const bool named =
            text.str().find(code_text(row.code)) != std::string::npos || text.str().find(status) != std::string::npos;
        EXPECT_TRUE(named) << row.file << " names neither " << code_text(row.code) << " nor " << status;
    }
}

}  // namespace
}  // namespace tessera
