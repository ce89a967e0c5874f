// The hand-written kernels through the CUDA compilers: no spills, no serialised products, the instructions that were meant, and
// NVRTC's time. What ptxas must complain of is compiled too.
#include <gtest/gtest.h>
#include <tessera/error.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backend/cuda/device_functions.h"
#include "backend/cuda/kernel_report.h"
#include "backend/cuda/runtime_compiler.h"
#include "tessera_paths.h"

namespace tessera::cuda {
namespace {

namespace fs = std::filesystem;

std::string file_text(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string kernel_text(const std::string& name) {
    return file_text(fs::path(TESSERA_SOURCE_DIR) / "test/emulator/kernels" / name);
}

std::string whole_text(const std::string& kernel, const std::string& arch) {
    return device_prelude(device_names_in(kernel), arch) + kernel;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

class NvccCompile : public testing::Test {
protected:
    void SetUp() override {
        if (find_cuda_tool("nvcc").empty()) GTEST_SKIP() << "[SKIP] nvcc is not on this machine";
        folder_ = fs::path(TESSERA_BINARY_DIR) / "kernel_compile";
        fs::create_directories(folder_);
    }
    /// What the compilers say of a kernel.
    PtxasReport compile(const std::string& name, const std::string& kernel, const std::string& arch) {
        const fs::path source = folder_ / (name + ".cu"), log = folder_ / (name + ".log");
        cubin_ = folder_ / (name + ".cubin");
        std::ofstream(source) << whole_text(kernel, arch);
        const std::string command = find_cuda_tool("nvcc") + " -std=c++20 -cubin -gencode arch=compute_" + arch.substr(3) +
                                    ",code=" + arch + " -Xptxas -v -o '" + cubin_.string() + "' '" + source.string() + "' > '" +
                                    log.string() + "' 2>&1";
        status_ = std::system(command.c_str());
        log_ = file_text(log);
        return parse_ptxas_report(log_);
    }
    void expect_clean(const std::string& file, const std::string& arch, int most_registers) {
        const PtxasReport r = compile(file, kernel_text(file), arch);
        ASSERT_EQ(status_, 0) << log_;
        ASSERT_EQ(r.kernels.size(), 1u) << log_;
        EXPECT_EQ(require_clean_report(r), std::vector<std::string>());
        EXPECT_LE(r.kernels[0].registers, most_registers);
        EXPECT_LE(r.kernels[0].barriers, 3) << "named barriers whose numbers are not literals";
        std::printf("%s on %s: %d registers, %d barriers\n", file.c_str(), arch.c_str(), r.kernels[0].registers,
                    r.kernels[0].barriers);
    }
    fs::path folder_, cubin_;
    std::string log_;
    int status_ = 0;
};

TEST_F(NvccCompile, HandKernelsHaveNoSpillsAndNoNotes) {
    expect_clean("gemm_bias_relu_sm80.cu", "sm_80", 255);
    expect_clean("flash_attention_sm80.cu", "sm_80", 168);
    expect_clean("flash_attention_sm80.cu", "sm_90a", 168);
    expect_clean("gemm_bias_relu_sm80.cu", "sm_100a", 255);
    expect_clean("gemm_bias_relu_sm90.cu", "sm_90a", 168);
    expect_clean("flash_attention_sm90.cu", "sm_90a", 168);
}

TEST_F(NvccCompile, WhatLosesTheScheduleIsAnError) {
    const std::string gemm = kernel_text("gemm_bias_relu_sm90.cu");
    const PtxasReport unfenced = compile("unfenced", replaced(gemm, "        wgmma_fence();\n", ""), "sm_90a");
    ASSERT_EQ(status_, 0) << log_;
    EXPECT_THROW((void)require_clean_report(unfenced), Error) << log_;
    const PtxasReport crowded = compile("crowded", replaced(gemm, "TSR_KERNEL(threads, 1)", "TSR_KERNEL(threads, 2)"), "sm_90a");
    EXPECT_THROW((void)require_clean_report(crowded), Error) << log_;
}

TEST_F(NvccCompile, TheInstructionsAreThoseThatWereMeant) {
    const std::string tool = find_cuda_tool("nvdisasm");
    if (tool.empty()) GTEST_SKIP() << "[SKIP] nvdisasm is not on this machine";
    compile("gemm_sm90_instructions", kernel_text("gemm_bias_relu_sm90.cu"), "sm_90a");
    const fs::path text = folder_ / "gemm.sass";
    ASSERT_EQ(std::system((tool + " -c '" + cubin_.string() + "' > '" + text.string() + "'").c_str()), 0);
    const auto counts = count_instructions(file_text(text));
    for (const char* name : {"HGMMA", "UTMALDG", "UTMASTG", "STSM"}) EXPECT_TRUE(counts.count(name)) << name;
    EXPECT_FALSE(counts.count("STL") || counts.count("LDL"));
}

TEST(RuntimeCompiler, NeedsNoHeadersAndSaysWhatPtxasSays) {
    if (runtime_compiler_version().empty()) GTEST_SKIP() << "[SKIP] NVRTC is not on this machine";
    struct Row {
        const char *file, *arch;
    };
    for (const Row& r : {Row{"gemm_bias_relu_sm80.cu", "sm_80"},
                         {"flash_attention_sm80.cu", "sm_80"},
                         {"gemm_bias_relu_sm90.cu", "sm_90a"},
                         {"flash_attention_sm90.cu", "sm_90a"}}) {
        const auto begin = std::chrono::steady_clock::now();
        const CompiledText c = compile_at_run_time(whole_text(kernel_text(r.file), r.arch), r.arch, r.file);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        EXPECT_TRUE(
            c.cubin.starts_with("\x7f"
                                "ELF"))
            << r.file;
        const PtxasReport report = parse_ptxas_report(c.words);
        ASSERT_EQ(report.kernels.size(), 1u) << c.words;
        EXPECT_GT(report.kernels[0].registers, 32);
        EXPECT_EQ(require_clean_report(report), std::vector<std::string>());
        std::printf("%s %s on %s: %.2f s\n", runtime_compiler_version().c_str(), r.file, r.arch, seconds);
    }
}

TEST(RuntimeCompiler, RefusesWithTheCompilersWords) {
    if (runtime_compiler_version().empty()) GTEST_SKIP() << "[SKIP] NVRTC is not on this machine";
    const auto refusal = [](const std::string& text, const std::string& arch) {
        try {
            (void)compile_at_run_time(text, arch, "scale.cu");
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), E0804_toolchain);
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    const std::string unknown = refusal("extern \"C\" __global__ void scale(float* x) { x[0] = y; }", "sm_80");
    EXPECT_NE(unknown.find("compiling scale.cu for sm_80 failed"), std::string::npos) << unknown;
    EXPECT_NE(unknown.find("identifier \"y\" is undefined"), std::string::npos) << unknown;
    EXPECT_NE(refusal("extern \"C\" __global__ void scale() {}", "sm_7").find("does not compile for sm_7"), std::string::npos);
}

}  // namespace
}  // namespace tessera::cuda
