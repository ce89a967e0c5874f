#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "compile/kernel_cache.h"
#include "compile/staging_folder.h"
#include "unit/compile/scratch_folder.h"

#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <fstream>

namespace tessera {
namespace {

Algorithm scaled(float factor) {
    Dim x("x");
    Input in("in", f32, {x});
    Func out("out");
    out(x) = in(x)*factor;
    return Algorithm({out}, {in});
}

class KernelCacheTest : public testing::Test {
protected:
    void SetUp() override { ::setenv("TESSERA_CACHE_DIR", folder_.path().c_str(), 1); }
    void TearDown() override { ::unsetenv("TESSERA_CACHE_DIR"); }

    static bool runs(const Module& f, float factor) {
        Buffer<float> in({5}), out({5});
        in.fill(2);
        f({{"in", in}}, {{"out", out}});
        return out(4) == 2 * factor;
    }
    [[nodiscard]] std::string only_entry() const {
        for (const std::string& name : folder_.names())
            if (name.ends_with(".so")) return folder_.file(name);
        return "";
    }
    ScratchFolder folder_;
};

TEST_F(KernelCacheTest, TheSecondCompileFindsTheFirst) {
    const Module first = compile(scaled(3), {});
    EXPECT_FALSE(first.from_disk_cache());
    const Module second = compile(scaled(3), {});
    EXPECT_TRUE(second.from_disk_cache());
    EXPECT_TRUE(runs(first, 3) && runs(second, 3));
    EXPECT_FALSE(compile(scaled(4), {}).from_disk_cache());
    Schedule vectors;
    vectors.stage("out").root().serial("x", 4).vector("x");
    EXPECT_FALSE(compile(scaled(3), vectors).from_disk_cache());
    EXPECT_FALSE(compile(scaled(3), {}, parse_target("x86-64-linux")).from_disk_cache());
    EXPECT_EQ(folder_.names().size(), 4u);
}

TEST_F(KernelCacheTest, CanBeTurnedOff) {
    EXPECT_TRUE(runs(compile(scaled(3), {}, {}, {.disk_cache = false}), 3));
    EXPECT_TRUE(folder_.names().empty());
}

TEST_F(KernelCacheTest, DamagedEntriesAreRebuilt) {
    (void)compile(scaled(3), {});
    const std::string path = only_entry();
    std::string bytes = read_text_file(path);
    for (const size_t at : {size_t{100}, bytes.size() - 10}) {
        std::string damaged = bytes;
        damaged[at] ^= 1;
        std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
        const Module again = compile(scaled(3), {});
        EXPECT_FALSE(again.from_disk_cache());
        EXPECT_TRUE(runs(again, 3));
    }
    std::filesystem::resize_file(path, 1000);
    EXPECT_FALSE(compile(scaled(3), {}).from_disk_cache());
    EXPECT_TRUE(compile(scaled(3), {}).from_disk_cache());
}

TEST_F(KernelCacheTest, WithoutCompilerOrFolderTheProcessCompilesForItself) {
    ::setenv("CC", "/no/such/compiler", 1);
    EXPECT_TRUE(runs(compile(scaled(3), {}), 3));
    ::unsetenv("CC");
    EXPECT_TRUE(folder_.names().empty());
    std::ofstream(folder_.file("a_file")) << "x";
    ::setenv("TESSERA_CACHE_DIR", folder_.file("a_file").c_str(), 1);
    EXPECT_TRUE(runs(compile(scaled(3), {}), 3));
}

TEST_F(KernelCacheTest, ProcessesShareOneFolder) {
    std::vector<pid_t> children;
    for (int c = 0; c < 4; ++c) {
        const pid_t child = ::fork();
        if (child == 0) {
            bool good = true;
            for (int i = 0; i < 3; ++i) good = good && runs(compile(scaled(static_cast<float>(i)), {}), static_cast<float>(i));
            ::_exit(good ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(folder_.names().size(), 3u);
    EXPECT_TRUE(compile(scaled(1), {}).from_disk_cache());
}

TEST_F(KernelCacheTest, TheKernelsUsedLongestAgoGoFirst) {
    const KernelCache cache(folder_.path(), 3000);
    const auto write = [](const std::filesystem::path& path) { std::ofstream(path) << std::string(1000, 'x'); };
    using std::chrono::hours;
    for (const char* key : {"a", "b", "c"}) {
        EXPECT_FALSE(cache.store(key, write));  // no shared object: stored, not loaded
        std::filesystem::last_write_time(folder_.file(std::string(key) + ".so"),
                                         std::filesystem::file_time_type::clock::now() - hours(key[0] == 'a' ? 1 : 2));
    }
    std::vector<std::string> names = folder_.names();
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names.size(), 2u);
    EXPECT_EQ(names.back(), "c.so");
}

TEST_F(KernelCacheTest, EqualInstructionsHaveOneHash) {
    const Module a = compile(scaled(3), {}, Target::host()), same = compile(scaled(3), {}, Target::host());
    EXPECT_EQ(a.code_hash().size(), 64u);
    EXPECT_EQ(a.code_hash(), same.code_hash());
    EXPECT_NE(compile(scaled(4), {}, Target::host()).code_hash(), a.code_hash());
    EXPECT_EQ(compile(scaled(3), {}, Target::host(), {.disk_cache = false}).code_hash(), "");
    const std::string object = read_text_file(only_entry());
    EXPECT_EQ(machine_code_hash("nonsense"), "");
    for (std::size_t cut = 0; cut < object.size(); cut += object.size() / 50) (void)machine_code_hash(object.substr(0, cut));
}

}  // namespace
}  // namespace tessera
