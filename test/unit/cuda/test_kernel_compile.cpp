// The hand-written kernels through the CUDA compilers: no spills, no serialised products, the instructions that were meant, and
// NVRTC's time. What ptxas must complain of is compiled too.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <tessera/error.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backend/cuda/device_functions.h"
#include "backend/cuda/kernel_report.h"
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

/// Seconds that NVRTC takes for a text, or why there are none.
struct RuntimeCompilation {
    double seconds = 0;
    std::string problem;
};
RuntimeCompilation compile_at_run_time(const std::string& text, const std::string& arch) {
    void* library = nullptr;
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so"})
        if (library == nullptr) library = dlopen(name, RTLD_NOW);
    if (library == nullptr) return {0, "[SKIP] NVRTC is not on this machine"};
    const auto create = reinterpret_cast<int (*)(void**, const char*, const char*, int, const char* const*, const char* const*)>(
        dlsym(library, "nvrtcCreateProgram"));
    const auto compile = reinterpret_cast<int (*)(void*, int, const char* const*)>(dlsym(library, "nvrtcCompileProgram"));
    const auto log_size = reinterpret_cast<int (*)(void*, std::size_t*)>(dlsym(library, "nvrtcGetProgramLogSize"));
    const auto log_text = reinterpret_cast<int (*)(void*, char*)>(dlsym(library, "nvrtcGetProgramLog"));
    const auto destroy = reinterpret_cast<int (*)(void**)>(dlsym(library, "nvrtcDestroyProgram"));
    void* program = nullptr;
    if (create(&program, text.c_str(), "kernel.cu", 0, nullptr, nullptr) != 0) return {0, "nvrtcCreateProgram failed"};
    const std::string arch_option = "--gpu-architecture=" + arch;
    const char* const options[] = {arch_option.c_str(), "--std=c++20"};
    const auto begin = std::chrono::steady_clock::now();
    const int status = compile(program, 2, options);
    RuntimeCompilation result{std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), ""};
    if (status != 0) {
        std::size_t size = 0;
        log_size(program, &size);
        result.problem.resize(size);
        log_text(program, result.problem.data());
    }
    destroy(&program);
    return result;
}

TEST(NvrtcCompile, NeedsNoHeadersAndLittleTime) {
    struct Row {
        const char *file, *arch;
    };
    for (const Row& r : {Row{"gemm_bias_relu_sm80.cu", "sm_80"},
                         {"flash_attention_sm80.cu", "sm_80"},
                         {"gemm_bias_relu_sm90.cu", "sm_90a"},
                         {"flash_attention_sm90.cu", "sm_90a"}}) {
        const RuntimeCompilation c = compile_at_run_time(whole_text(kernel_text(r.file), r.arch), r.arch);
        if (c.problem.starts_with("[SKIP]")) GTEST_SKIP() << c.problem;
        EXPECT_EQ(c.problem, "");
        std::printf("NVRTC %s on %s: %.2f s\n", r.file, r.arch, c.seconds);
    }
}

}  // namespace
}  // namespace tessera::cuda
