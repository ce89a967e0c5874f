#include <gtest/gtest.h>
#include <tessera/library.h>

#include "backend/cuda/kernel_report.h"
#include "compile/staging_folder.h"
#include "cuda/corpus.h"
#include "unit/compile/scratch_folder.h"

#include <fmt/format.h>

#include <fstream>

#include "tessera_paths.h"

// Libraries for a GPU, linked into a C program that finds no GPU here or calls the function there.
namespace tessera::cuda_test {
namespace {

const char* const program = R"(
#include "gpu_kernels.h"
#include <stdio.h>
int main(void) {
    int64_t square[2] = {4, 4}, row[1] = {4};
    static float memory[64];
    tessera_buffer a = {0}, b = {0}, bias = {0}, c = {0};
    a.data = b.data = memory, c.data = memory + 32, bias.data = memory + 16;
    a.extents = b.extents = c.extents = square, bias.extents = row;
    a.rank = b.rank = c.rank = 2, bias.rank = 1;
    a.dtype = b.dtype = c.dtype = bias.dtype = TESSERA_F32;
    printf("host memory: %d\n", matmul(&a, &b, &bias, &c, 0));
    printf("%s\n", tessera_last_error());
    a.device_type = b.device_type = c.device_type = bias.device_type = TESSERA_DEVICE_CUDA;
    bias.rank = 2;
    printf("rank: %d\n", matmul(&a, &b, &bias, &c, 0));
    return 0;
}
)";

TEST(CudaLibrary, LinksAndChecksItsArguments) {
    if (cuda::find_cuda_tool("nvcc").empty()) GTEST_SKIP() << "[SKIP] nvcc is not there";
    const ScratchFolder folder;
    const CorpusKernel &matmul = corpus_kernel("matmul_simt"), &blur = corpus_kernel("blur_two_kernels"),
                       &pipelined = corpus_kernel("matmul_pipelined_f16");
    Schedule with_variant = blur.schedule, deltas;
    deltas.stage("rows").inline_();
    with_variant.variant("x <= 16", deltas);
    const LibraryFiles files = compile_library(
        {LibraryKernel{"matmul", matmul.algorithm, matmul.schedule}, LibraryKernel{"blur", blur.algorithm, with_variant},
         LibraryKernel{"pipelined", pipelined.algorithm, pipelined.schedule}},
        parse_target("cuda-sm_80"), "gpu_kernels", folder.path(), {.emit = {IrLevel::target}});
    EXPECT_EQ(folder.names().size(), 4u);
    EXPECT_NE(read_text_file(files.header)
                  .find("int matmul(const tessera_buffer* A, const tessera_buffer* B, const tessera_buffer* bias, "
                        "tessera_buffer* C, tessera_cuda_stream stream);"),
              std::string::npos);
    EXPECT_NE(read_text_file(files.metadata).find("_wide\""), std::string::npos) << "for large arguments";
    // Where rows do not start at multiples of 16 bytes, another variant reads them.
    EXPECT_NE(read_text_file(files.metadata).find("_plain\""), std::string::npos);
    std::ofstream(folder.file("program.c")) << program;
    ASSERT_EQ(
        std::system(
            fmt::format("cc -std=c99 -Wall -Wextra -Werror -I{} -I{}/include {} {} {} -lstdc++ -lm -lpthread -ldl -o {} 2>&1",
                        folder.path(), TESSERA_SOURCE_DIR, folder.file("program.c"), files.archive, TESSERA_RUNTIME_FILE,
                        folder.file("program"))
                .c_str()),
        0);
    ASSERT_EQ(std::system(fmt::format("{} > {}", folder.file("program"), folder.file("out")).c_str()), 0);
    const std::string out = read_text_file(folder.file("out"));
    EXPECT_NE(out.find("host memory: 710"), std::string::npos) << out;
    EXPECT_NE(out.find("rank: 703"), std::string::npos) << out;
}

// A library whose kernels take tensor maps, with a variant for rows that the copy engine does not read.
TEST(CudaLibrary, HasTensorMaps) {
    if (cuda::find_cuda_tool("nvcc").empty()) GTEST_SKIP() << "[SKIP] nvcc is not there";
    const ScratchFolder folder;
    const CorpusKernel& k = corpus_kernel("matmul_warpgroups_f16");
    const LibraryFiles files = compile_library({LibraryKernel{"product", k.algorithm, k.schedule}}, parse_target("cuda-sm_90a"),
                                               "grouped", folder.path());
    EXPECT_NE(read_text_file(files.metadata).find("_plain\""), std::string::npos);
}

// A kernel that is written tile by tile comes out as any function, with a variant for rows that cp.async does not read.
TEST(CudaLibrary, TakesWrittenKernels) {
    if (cuda::find_cuda_tool("nvcc").empty()) GTEST_SKIP() << "[SKIP] nvcc is not there";
    const ScratchFolder folder;
    const LibraryFiles files = compile_library({library_kernel("attend", *corpus_kernel("flash_d64").written)},
                                               parse_target("cuda-sm_80"), "attention", folder.path());
    EXPECT_NE(
        read_text_file(files.header).find("int attend(const tessera_buffer* Q, const tessera_buffer* K, const tessera_buffer* V"),
        std::string::npos)
        << read_text_file(files.header);
    EXPECT_NE(read_text_file(files.metadata).find("_plain\""), std::string::npos);
}

TEST(CudaLibrary, MissingCompilerLeavesNothing) {
    const ScratchFolder folder;
    const CorpusKernel& k = corpus_kernel("stencil");
    ::setenv("NVCC", "/no/such/nvcc", 1);
    try {
        (void)compile_library(k.algorithm, k.schedule, parse_target("cuda-sm_90a"), "stencil", folder.path());
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0804_toolchain);
        EXPECT_NE(std::string(e.what()).find("install the CUDA toolkit"), std::string::npos) << e.what();
    }
    ::unsetenv("NVCC");
    EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace tessera::cuda_test
