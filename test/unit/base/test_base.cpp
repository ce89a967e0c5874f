#include <gtest/gtest.h>

#include "base/closest_name.h"
#include "base/hash.h"
#include "base/pointer_map.h"
#include "tessera_paths.h"

namespace tessera {
namespace {

TEST(Hash, Sha256MatchesFips180Vectors) {
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(ClosestName, FindsTyposAndRefusesStrangers) {
    EXPECT_EQ(closest_name("blru", {"sharp", "blur", "harris"}), "blur");
    EXPECT_EQ(closest_name("zzzzzz", {"sharp", "blur"}), "");
}

TEST(PointerMap, KeepsWhatWasPlacedWhileItGrows) {
    const std::vector<int> places(1000);
    PointerMap<int> map;
    EXPECT_EQ(map.find(&places[0]), nullptr);
    for (int i = 0; i < 1000; ++i) {
        const auto [value, fresh] = map.place(&places[static_cast<size_t>(i)]);
        EXPECT_TRUE(fresh);
        EXPECT_EQ(*value, 0);
        *value = i;
    }
    for (int i = 0; i < 1000; ++i) {
        ASSERT_NE(map.find(&places[static_cast<size_t>(i)]), nullptr);
        EXPECT_EQ(*map.find(&places[static_cast<size_t>(i)]), i);
        EXPECT_FALSE(map.place(&places[static_cast<size_t>(i)]).second);
    }
    EXPECT_EQ(map.size(), 1000u);
    const int elsewhere = 0;
    EXPECT_EQ(map.find(&elsewhere), nullptr);
}

TEST(Error, RendersMessagePlaceTokenAndFixes) {
    // The path is absolute, which __builtin_FILE() need not be.
    const SourceLoc here{TESSERA_SOURCE_DIR "/test/unit/base/test_base.cpp", SourceLoc::current().line};  // the marked line
    const Error error(E0103_unknown_dim, here, "dim q is not bound",
                      {token("here"), expected("y or x"), received("q"), fix("write y")});
    const std::string text = error.what();
    EXPECT_NE(text.find("error[E0103]: dim q is not bound"), std::string::npos);
    EXPECT_NE(text.find("the marked line"), std::string::npos);
    EXPECT_NE(text.find("^^^^"), std::string::npos);
    EXPECT_NE(text.find("1. write y"), std::string::npos);
    EXPECT_EQ(code_name(E0103_unknown_dim), "unknown_dim");
}

}  // namespace
}  // namespace tessera
