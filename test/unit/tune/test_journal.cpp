#include <tessera/tune_journal.h>

#include <gtest/gtest.h>

#include <algorithm>

#include <filesystem>
#include <fstream>

namespace tessera::tune {
namespace {

std::string fresh_path(const std::string& name) {
    const auto path = std::filesystem::temp_directory_path() / ("tessera_" + name);
    std::filesystem::remove(path);
    return path.string();
}

TrialRow row(std::size_t ordinal) {
    TrialRow out;
    out.ordinal = ordinal;
    out.origin = "hybrid";
    out.schedule.stage("C").root().serial("m", 8 + static_cast<std::int64_t>(ordinal), "m.o").serial("m", 0, "m.i");
    out.loop_tree_hash = "abc";
    out.predicted = 0.5;
    out.measured.checked = true;
    out.measured.samples = {0.25, 0.125};
    out.seconds = 0.125;
    return out;
}

TEST(Journal, KeepsTrialsThroughAnEndAtAnyByte) {
    const std::string path = fresh_path("journal_torn");
    {
        JournalLog log = JournalLog::begin(path, R"({"generator":"matmul"})");
        for (std::size_t i = 0; i < 3; ++i) log.record(row(i));
        TrialRow failed = row(3);
        failed.measured = {};
        failed.measured.verdict = Verdict::timeout;
        failed.measured.error = "not done after 30 s";
        failed.seconds.reset();
        log.record(failed);
        log.record_rounds(1, {0.5, 0.25});
    }
    std::string whole;
    {
        std::ifstream file(path, std::ios::binary);
        whole.assign((std::istreambuf_iterator<char>(file)), {});
    }
    const Journal all = read_journal(path);
    ASSERT_EQ(all.rows.size(), 4u);
    EXPECT_EQ(all.rows[3].measured.verdict, Verdict::timeout);
    EXPECT_FALSE(all.rows[3].seconds);
    EXPECT_EQ(all.rows[2].schedule, row(2).schedule);
    EXPECT_EQ(all.rows[2].seconds, 0.125);
    EXPECT_EQ(all.rounds.at(1), (std::vector<double>{0.5, 0.25}));
    const std::size_t first = whole.find('\n') + 1;
    for (std::size_t cut = first; cut < whole.size(); cut += 7) {
        std::ofstream(path, std::ios::binary) << whole.substr(0, cut);
        const std::string kept = whole.substr(0, cut);
        const auto lines = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), '\n'));
        JournalLog log = JournalLog::resume(path);
        EXPECT_EQ(log.journal().rows.size(), std::min<std::size_t>(lines - 1, 4)) << cut;
        log.record(row(9));
        EXPECT_EQ(read_journal(path).rows.back().ordinal, 9u) << cut;
    }
}

TEST(Journal, RecallsOnlyTheSameSchedule) {
    const std::string path = fresh_path("journal_recall");
    JournalLog log = JournalLog::begin(path, "{}");
    log.record(row(0));
    EXPECT_TRUE(log.recall(0, row(0).schedule));
    EXPECT_FALSE(log.recall(0, row(1).schedule));
    EXPECT_FALSE(log.recall(1, row(0).schedule));
}

TEST(Journal, RefusesWhatItCannotUse) {
    const std::string path = fresh_path("journal_refused");
    const auto code = [&](const std::string& text) {
        std::ofstream(path, std::ios::binary) << text;
        try {
            (void)read_journal(path);
        } catch (const Exception& e) {
            return std::string(code_text(e.code()));
        }
        return std::string("accepted");
    };
    EXPECT_EQ(code(""), "E0601");
    EXPECT_EQ(code("{}\n"), "E0601");
    EXPECT_EQ(code("garbage\n"), "E0601");
    EXPECT_EQ(code("{\"tessera_journal\":1,\"session\":{}}\nnonsense\n"), "E0601");
    EXPECT_EQ(code("{\"tessera_journal\":1,\"session\":{}}\nnonsense"), "accepted");
    std::filesystem::remove(path);
    EXPECT_THROW((void)read_journal(path), Error);
    JournalLog log = JournalLog::begin(path, "{}");
    EXPECT_THROW((void)JournalLog::begin(path, "{}"), Error);
    // Another tuner at the same time.
    EXPECT_THROW((void)JournalLog::resume(path), Error);
}

}  // namespace
}  // namespace tessera::tune
