#include <gtest/gtest.h>
#include <tessera/error.h>
#include <tessera/target.h>

namespace tessera {
namespace {

TEST(Target, TextParsesBack) {
    for (const char* text : {"host", "interpreter", "cuda-sm_90a", "x86-64-linux", "arm-64-linux", "x86-64-linux-avx2-fma"})
        EXPECT_EQ(to_text(parse_target(text)), text);
    EXPECT_EQ(to_text(parse_target("x86-64-linux-fma-avx2-fma")), "x86-64-linux-avx2-fma");
}

TEST(Target, MisspeltWordsAreNamedWithTheClosest) {
    struct Row {
        const char* text;
        const char* word;
        const char* near;
    };
    for (const Row& row : {Row{"hsot", "'hsot'", "'host'"}, Row{"x86-64-linux-avx3", "'avx3'", "'avx"},
                           Row{"x68-64-linux", "'x68-64-linux'", "'x86-64-linux'"}, Row{"x86-64-lunix", "'lunix'", "linux"},
                           Row{"cuda-sm_81", "'sm_81'", "'sm_80'"}, Row{"x86-32-linux", "'32'", "64"}, Row{"", "''", "host"}}) {
        try {
            (void)parse_target(row.text);
            FAIL() << row.text;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), E0802_unknown_target);
            EXPECT_NE(e.message().find(row.word), std::string::npos) << e.what();
            EXPECT_NE(std::string(e.what()).find(row.near), std::string::npos) << e.what();
        }
    }
}

TEST(Target, OldGpusAreNotAvailable) {
    require_available(parse_target("cuda-sm_80"));
    try {
        require_available(parse_target("cuda-sm_75"));
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0803_target_unavailable);
    }
}

}  // namespace
}  // namespace tessera
