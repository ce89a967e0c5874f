#include <gtest/gtest.h>

#include "backend/cuda/cuda_source.h"
#include "backend/cuda/kernel_report.h"
#include "backend/cuda/runtime_compiler.h"
#include "cuda/corpus_run.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

// The compilers take what is emitted for the corpus, and nothing of it needs local memory: nvcc all of it in one file, NVRTC each
// kernel by itself.
namespace tessera::cuda_test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

// What is moved and never computed with.
TEST(EmittedText, DefinesTheTypesThatItNames) {
    for (const auto& [dtype, type] :
         {std::pair{f16, "f16"}, std::pair{bf16, "bf16"}, std::pair{f8e4m3, "e4m3"}, std::pair{f8e5m2, "e5m2"}}) {
        Dim i("i");
        Input a("a", dtype, {i});
        Func out("out");
        out(i) = a(i);
        Schedule s;
        s.stage("out").root();
        const Target target = parse_target("cuda-sm_80");
        const LoopTree tree = build_loop_tree(bind(Algorithm({out}, {a}), s, target));
        const std::string text = cuda::cuda_source(cuda::emit_kernels(tile::lower(tree, target), "moved"), target, "");
        EXPECT_NE(text.find(fmt::format("struct {} {{", type)), std::string::npos) << text;
    }
}

// In values as in guards: of the variant with 32-bit indices.
TEST(EmittedText, ComparesIndicesInTheirWidth) {
    Dim i("i");
    Input a("a", f32, {i});
    Func out("out");
    out(i) = a(i) + select(i - 3 <= i.extent() - 2 * i, 1.0f, 2.0f);
    Schedule s;
    s.stage("out").root();
    const Target target = parse_target("cuda-sm_80");
    const LoopTree tree = build_loop_tree(bind(Algorithm({out}, {a}), s, target));
    const std::vector<cuda::EmittedKernel> kernels = cuda::emit_kernels(tile::lower(tree, target), "compared");
    EXPECT_EQ(kernels[0].width, cuda::IndexWidth::narrow);
    EXPECT_EQ(kernels[0].text.find("i64"), std::string::npos) << kernels[0].text;
}

// The kernels of every program, with those that read rows which copies do not take.
std::vector<std::vector<cuda::EmittedKernel>> emitted_for(const Target& target) {
    std::vector<std::vector<cuda::EmittedKernel>> out;
    for (const CorpusKernel& k : corpus()) {
        if (!runs_on(k, to_text(target))) continue;
        out.push_back(cuda::emit_kernels(corpus_program(k, target), k.name));
        if (k.row_cells > 1)
            out.push_back(
                cuda::emit_kernels(corpus_program(k, target, tile::Copies::plain), k.name + "_plain", cuda::IndexWidth::wide));
    }
    return out;
}

TEST(Nvcc, CompilesTheCorpusWithoutSpills) {
    const std::string nvcc = cuda::find_cuda_tool("nvcc"), model = "90a";
    if (nvcc.empty()) GTEST_SKIP() << "[SKIP] nvcc is not there";
    const Target target = parse_target("cuda-sm_" + model);
    std::vector<cuda::EmittedKernel> kernels;
    for (std::vector<cuda::EmittedKernel>& program : emitted_for(target))
        for (cuda::EmittedKernel& e : program) kernels.push_back(std::move(e));
    const fs::path folder =
        fs::temp_directory_path() / fmt::format("tessera_nvcc_{}", testing::UnitTest::GetInstance()->random_seed());
    fs::create_directories(folder);
    std::ofstream(folder / "corpus.cu") << cuda::cuda_source(kernels, target, "the corpus of the tests");
    const std::string command = fmt::format(
        "{} -std=c++17 -O3 -fmad=false -gencode arch=compute_{},code=sm_{} -Xptxas -v -cubin -o {} {} > {} 2>&1", nvcc, model,
        model, (folder / "corpus.cubin").string(), (folder / "corpus.cu").string(), (folder / "log").string());
    const int status = std::system(command.c_str());
    const std::string log = text_of(folder / "log");
    EXPECT_EQ(status, 0) << log;
    const cuda::PtxasReport report = cuda::parse_ptxas_report(log);
    EXPECT_EQ(report.kernels.size(), kernels.size());
    for (const cuda::ReportFinding& finding : cuda::judge_report(report)) ADD_FAILURE() << finding.message;
    fs::remove_all(folder);
}

TEST(RuntimeCompiler, CompilesTheCorpusWithoutSpills) {
    if (cuda::runtime_compiler_version().empty()) GTEST_SKIP() << "[SKIP] NVRTC is not there";
    const Target target = parse_target("cuda-sm_80");
    std::vector<std::pair<double, std::string>> times;
    double all = 0;
    for (const std::vector<cuda::EmittedKernel>& kernels : emitted_for(target)) {
        const std::string source = cuda::cuda_source(kernels, target, "of the corpus");
        const auto start = std::chrono::steady_clock::now();
        const cuda::CompiledText compiled = cuda::compile_at_run_time(source, target.arch, kernels[0].name + ".cu");
        times.emplace_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), kernels[0].name);
        all += times.back().first;
        const cuda::PtxasReport report = cuda::parse_ptxas_report(compiled.words);
        EXPECT_EQ(report.kernels.size(), kernels.size()) << compiled.words;
        for (const cuda::ReportFinding& finding : cuda::judge_report(report)) ADD_FAILURE() << finding.message;
    }
    const auto longest = std::max_element(times.begin(), times.end());
    std::printf("%zu programs, %.2f s each, at most %.2f s (%s)\n", times.size(), all / static_cast<double>(times.size()),
                longest->first, longest->second.c_str());
}

}  // namespace
}  // namespace tessera::cuda_test
