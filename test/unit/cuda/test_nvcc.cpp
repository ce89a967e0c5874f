#include <gtest/gtest.h>

#include "backend/cuda/cuda_source.h"
#include "backend/cuda/kernel_report.h"
#include "cuda/corpus_run.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

// nvcc compiles what is emitted for the corpus, and nothing of it needs local memory.
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

class Nvcc : public testing::TestWithParam<std::string> {};

TEST_P(Nvcc, CompilesTheCorpusWithoutSpills) {
    const std::string nvcc = cuda::find_cuda_tool("nvcc");
    if (nvcc.empty()) GTEST_SKIP() << "[SKIP] nvcc is not there";
    const Target target = parse_target("cuda-" + GetParam());
    std::vector<cuda::EmittedKernel> kernels;
    for (const CorpusKernel& k : corpus()) {
        if (!runs_on(k, to_text(target))) continue;
        for (cuda::EmittedKernel& e : cuda::emit_kernels(corpus_program(k, target), k.name)) kernels.push_back(std::move(e));
        if (k.row_cells == 1) continue;
        for (cuda::EmittedKernel& e :
             cuda::emit_kernels(corpus_program(k, target, tile::Copies::plain), k.name + "_plain", cuda::IndexWidth::wide))
            kernels.push_back(std::move(e));
    }
    const fs::path folder = fs::temp_directory_path() /
                            fmt::format("tessera_nvcc_{}_{}", GetParam(), testing::UnitTest::GetInstance()->random_seed());
    fs::create_directories(folder);
    std::ofstream(folder / "corpus.cu") << cuda::cuda_source(kernels, target, "the corpus of the tests");
    const std::string model = GetParam().substr(3);
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

INSTANTIATE_TEST_SUITE_P(Architectures, Nvcc, testing::Values("sm_80", "sm_90a"), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tessera::cuda_test
