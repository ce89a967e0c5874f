#include "backend/cuda/device_functions.h"

#include <gtest/gtest.h>
#include <tessera/error.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "backend/cuda/math_text.h"
#include "backend/cuda/wgmma_text.h"
#include "tessera_paths.h"

namespace tessera::cuda {
namespace {

TEST(DeviceFunctions, EveryRowIsComplete) {
    const std::set<std::string> arches{"any", "sm_80", "sm_89", "sm_90", "sm_90a"};
    const std::set<std::string> levels{"type", "thread", "warp", "warpgroup", "cta", "cluster"};
    ASSERT_GT(device_functions().size(), 100u);
    for (const DeviceFunction& f : device_functions()) {
        EXPECT_TRUE(arches.count(f.arch)) << f.name << ": " << f.arch;
        EXPECT_TRUE(levels.count(f.level)) << f.name << ": " << f.level;
        EXPECT_TRUE(f.doc.size() > 2 && f.doc.back() == '.') << f.name << ": " << f.doc;
        EXPECT_FALSE(f.instruction.empty()) << f.name;
        EXPECT_EQ(f.signature.empty(), f.level == "type" || f.name == "Traits") << f.name;
        EXPECT_EQ(f.text.find("asm") != std::string::npos && f.arch == "any", false) << f.name << " is not plain C++";
    }
}

TEST(DeviceFunctions, NamesAreDefinedOnceAndBeforeTheirUse) {
    std::map<std::string, std::string> owner;
    for (const DeviceFunction& f : device_functions()) {
        for (const std::string& name : f.names) EXPECT_TRUE(owner.emplace(name, f.name).second) << name << " is defined twice";
        for (const std::string& used : f.uses)
            EXPECT_TRUE(owner.count(used)) << f.name << " uses " << used << ", which stands below it";
    }
}

TEST(DeviceFunctions, SignaturesAreThoseOfTheText) {
    EXPECT_EQ(device_function("ldmatrix_x4")->signature, "void ldmatrix_x4(u32 (&r)[4], u32 address)");
    EXPECT_EQ(device_function("shfl_xor")->signature, "template <class T> T shfl_xor(T v, int mask)");
    EXPECT_EQ(device_function("cp_async_wait")->signature, "template <int groups> void cp_async_wait()");
    EXPECT_EQ(device_function("exp_f32")->signature, "float exp_f32(float x)");
    EXPECT_EQ(device_function("pow_f64")->signature, "double pow_f64(double x, double y)");
    EXPECT_EQ(device_function("wgmma_m64n8k16_bf16")->signature,
              "void wgmma_m64n8k16_bf16(float (&d)[4], u64 a, u64 b, int scale_d)");
    EXPECT_EQ(device_function("wgmma_m64n16k32_s8_rs")->signature,
              "void wgmma_m64n16k32_s8_rs(i32 (&d)[8], const u32 (&a)[4], u64 b, int scale_d)");
    EXPECT_FALSE(device_function("no_such_function").has_value());
    EXPECT_FALSE(device_function("wgmma_m64n12k16_bf16").has_value());
    EXPECT_FALSE(device_function("wgmma_m64n40k32_s8").has_value()) << "integers have fewer sizes";
    EXPECT_FALSE(device_function("gamma_f32").has_value());
}

TEST(DeviceFunctions, ArchesWithALetterStandAlone) {
    const DeviceFunction mma = *device_function("mma_m16n8k16_bf16"), wgmma = *device_function("wgmma_m64n64k16_bf16"),
                         tma = *device_function("tma_load_2d");
    EXPECT_TRUE(on_arch(mma, "sm_80") && on_arch(mma, "sm_90a") && on_arch(mma, "sm_100a"));
    EXPECT_TRUE(!on_arch(tma, "sm_80") && on_arch(tma, "sm_90a") && on_arch(tma, "sm_100a"));
    EXPECT_TRUE(!on_arch(wgmma, "sm_80") && on_arch(wgmma, "sm_90a") && !on_arch(wgmma, "sm_100a") && !on_arch(wgmma, "sm_90"));
}

TEST(DevicePrelude, HasWhatTheNamesNeedAndNoMore) {
    const std::string text = device_prelude({"desc_k_sw128", "exp_f32"}, "sm_90a");
    for (const char* part : {"u64 matrix_desc(", "u64 desc_k_sw128(", "float exp_f32(", "float fma_rn(", "using u32 ="})
        EXPECT_NE(text.find(part), std::string::npos) << part;
    for (const char* part : {"ldmatrix", "struct bf16", "desc_k_sw64", "#include"})
        EXPECT_EQ(text.find(part), std::string::npos) << part;
    EXPECT_LT(text.find("matrix_desc("), text.find("desc_k_sw128("));
    EXPECT_LT(text.find("fma_rn("), text.find("#endif")) << "what a GPU alone has is guarded";
    EXPECT_GT(text.find("exp_f32("), text.find("#endif")) << "what is plain C++ is not";
    EXPECT_THROW((void)device_prelude({"no_such_function"}, "sm_90a"), Bug);
    EXPECT_THROW((void)device_prelude({"tma_load_2d"}, "sm_80"), Bug);
}

TEST(DeviceText, ABlockNeedsFourColumnsAndAName) {
    const std::string good =
        "/// sm_80 | thread | mov | Doc.\nTSR_DEV int f(\n    int a) { return g(a); }\n\n/// any | thread | - | Doc.\nTSR_DEV "
        "int g(int a);\n";
    const std::vector<DeviceFunction> parsed = parse_device_text(good);
    ASSERT_EQ(parsed.size(), 2u);
    EXPECT_EQ(parsed[0].signature, "int f(int a)");
    EXPECT_EQ(parsed[0].uses, std::vector<std::string>{"g"});
    EXPECT_THROW((void)parse_device_text("/// sm_80 | thread | Doc.\nTSR_DEV int f();\n"), Bug);
    EXPECT_THROW((void)parse_device_text("/// sm_80 | thread | mov | Doc.\nint x;\n"), Bug);
}

std::string file_text(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(DeviceFunctions, EachStandsInAConformanceKernel) {
    const std::string folder = std::string(TESSERA_SOURCE_DIR) + "/apps/gpu_check/";
    const std::string text = file_text(folder + "conformance_basic.cu") + file_text(folder + "conformance_hopper.cu");
    std::vector<std::string> names = math_function_names();
    for (const DeviceFunction& f : device_functions())
        if (f.level != "type" && f.name != "Traits") names.push_back(f.name);
    for (const std::string& name : names) {
        bool found = false;
        for (std::size_t at = text.find(name); at != std::string::npos && !found; at = text.find(name, at + 1)) {
            const char before = at == 0 ? ' ' : text[at - 1], after = text[at + name.size()];
            found = (after == '(' || after == '<') && (std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_');
        }
        EXPECT_TRUE(found) << name;
    }
}

TEST(MathText, LinesStayShortAndNothingIsUnused) {
    for (const std::string& name : math_function_names()) {
        const DeviceFunction f = *device_function(name);
        EXPECT_EQ(f.arch, "any");
        EXPECT_EQ(std::count(f.text.begin(), f.text.end(), '{'), std::count(f.text.begin(), f.text.end(), '}'));
        for (int v = 0; f.text.find("v" + std::to_string(v) + " = ") != std::string::npos; ++v) {
            const std::string used = "v" + std::to_string(v);
            std::size_t found = 0;
            for (std::size_t at = f.text.find(used); at != std::string::npos; at = f.text.find(used, at + 1))
                if (std::isdigit(static_cast<unsigned char>(f.text[at + used.size()])) == 0) ++found;
            EXPECT_GT(found, 1u) << name << ": " << used;
        }
    }
}

}  // namespace
}  // namespace tessera::cuda
