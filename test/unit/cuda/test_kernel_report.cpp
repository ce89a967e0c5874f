#include "backend/cuda/kernel_report.h"

#include <gtest/gtest.h>
#include <tessera/error.h>

namespace tessera::cuda {
namespace {

constexpr std::string_view clean_text = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'gemm' for 'sm_90a'
ptxas info    : Function properties for gemm
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 168 registers, used 3 barriers, 412 bytes cmem[0]
ptxas info    : Compile time = 91.2 ms
ptxas info    : Compiling entry function 'scan' for 'sm_90a'
ptxas info    : Function properties for scan
    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 16 bytes stack, 1024 bytes smem, 400 bytes cmem[0]
ptxas info    : Function properties for outlined
    8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
)";

TEST(PtxasReport, KernelsWithTheirNumbers) {
    const PtxasReport r = parse_ptxas_report(clean_text);
    ASSERT_EQ(r.kernels.size(), 2u);
    EXPECT_EQ(r.kernels[0].function, "gemm");
    EXPECT_EQ(r.kernels[0].arch, "sm_90a");
    EXPECT_EQ(r.kernels[0].registers, 168);
    EXPECT_EQ(r.kernels[0].barriers, 3);
    EXPECT_EQ(r.kernels[0].constant_bytes, 412);
    EXPECT_EQ(r.kernels[0].spill_store_bytes, 0);
    EXPECT_EQ(r.kernels[1].stack_bytes, 16) << "not that of the function which was not inlined";
    EXPECT_EQ(r.kernels[1].spill_store_bytes, 12);
    EXPECT_EQ(r.kernels[1].spill_load_bytes, 20);
    EXPECT_EQ(r.kernels[1].static_shared_bytes, 1024);
    EXPECT_TRUE(r.notes.empty());
}

TEST(PtxasReport, NotesBelongToTheirKernel) {
    const std::string text =
        std::string(clean_text) +
        "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to non wgmma "
        "instructions defining accumulator registers of a wgmma between start and end of the pipeline stage in the function "
        "'gemm'\n"
        "ptxas warning : (C7508) setmaxnreg ignored to maintain minimum register requirements\n"
        "ptxas /tmp/x.ptx, line 40; error   : Unknown symbol\n"
        "ptxas fatal   : (C7600) Register allocation failed with register count of '64'\n";
    const PtxasReport r = parse_ptxas_report(text);
    ASSERT_EQ(r.kernels[0].notes.size(), 1u);
    EXPECT_EQ(r.kernels[0].notes[0].code, "C7510");
    ASSERT_EQ(r.notes.size(), 2u);
    EXPECT_EQ(r.notes[0].code, "C7508");
    EXPECT_FALSE(r.notes[0].is_error);
    EXPECT_EQ(r.notes[1].code, "C7600");
    EXPECT_TRUE(r.notes[1].is_error);
}

TEST(PtxasReport, ThePolicyDecides) {
    const PtxasReport spilled = parse_ptxas_report(clean_text);
    const auto message_of = [&](const ReportPolicy& policy) -> std::string {
        try {
            (void)require_clean_report(spilled, policy);
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), E0804_toolchain);
            return e.message();
        }
        return "";
    };
    EXPECT_NE(message_of({}).find("scan on sm_90a: 12 bytes of registers are spilled"), std::string::npos) << message_of({});
    EXPECT_EQ(message_of({.spills = Severity::warning}), "");
    EXPECT_EQ(require_clean_report(spilled, {.spills = Severity::warning}).size(), 1u);
    EXPECT_TRUE(require_clean_report(spilled, {.spills = Severity::ignore}).empty());
    const PtxasReport noted = parse_ptxas_report(
        "ptxas info : (C7519) Potential Performance Loss: waits are inserted in the function 'f'\n"
        "ptxas warning : (C9999) Something else\n");
    EXPECT_EQ(judge_report(noted).at(0).severity, Severity::error);
    EXPECT_EQ(judge_report(noted).at(1).severity, Severity::warning);
    EXPECT_EQ(judge_report(noted, {.serialised = Severity::ignore}).size(), 1u);
}

TEST(KernelOccupancy, IsThatOfTheCalculator) {
    struct Row {
        const char* arch;
        int threads, registers, shared, ctas;
        const char* limit;
    };
    for (const Row& r : {Row{"sm_80", 128, 229, 49152, 2, "registers"},
                         {"sm_80", 256, 32, 0, 8, "warps"},
                         {"sm_80", 32, 16, 0, 32, "ctas"},
                         {"sm_90a", 384, 168, 229440, 1, "registers"},
                         {"sm_90a", 128, 64, 65536, 3, "shared memory"},
                         {"sm_80", 128, 32, 170000, 0, "shared memory"},
                         {"sm_90", 1024, 64, 0, 1, "registers"}}) {
        const Occupancy o = occupancy(r.arch, r.threads, r.registers, r.shared);
        EXPECT_EQ(o.ctas, r.ctas) << r.arch << ' ' << r.threads << ' ' << r.registers;
        EXPECT_EQ(o.limited_by, r.limit) << r.arch << ' ' << r.threads << ' ' << r.registers;
    }
    EXPECT_DOUBLE_EQ(occupancy("sm_80", 128, 229, 49152).fraction(), 0.125);
    EXPECT_THROW((void)occupancy("sm_61", 128, 32, 0), Limit);
}

TEST(KernelReportText, SaysWhatAKernelTakes) {
    const PtxasReport r = parse_ptxas_report(clean_text);
    EXPECT_EQ(report_text(r.kernels[0], 384, 229440, {{"HGMMA", 4}, {"FADD", 64}, {"BAR", 4}}),
              "gemm on sm_90a: 168 registers, 3 barriers, 0 + 229440 bytes of shared memory; 1 cta, 12 of 64 warps, limited by "
              "registers\n"
              "instructions: FADD 64, BAR 4, HGMMA 4\n");
    EXPECT_EQ(report_text(r.kernels[1], 128, 0),
              "scan on sm_90a: 255 registers, 1 barriers, 1024 + 0 bytes of shared memory, 12 bytes spilled and 20 loaded back; "
              "2 ctas, 8 of 64 "
              "warps, limited by registers\n");
}

TEST(InstructionMix, CountsWhatStandsBeforeTheFirstDot) {
    const auto counts = count_instructions(
        "\t.headerflags ...\n        /*0000*/                   LDC R1, c[0x0][0x28] ;\n"
        "        /*0010*/              @!P0 LDS.128 R4, [R0] ;\n        /*0020*/               @P1 LDS R4, [R0] ;\n"
        "        /*0030*/                   HGMMA.64x256x16.F32.BF16 R24, gdesc[UR8] ;\n.L_x_1:\n");
    EXPECT_EQ(counts.at("LDS"), 2);
    EXPECT_EQ(counts.at("HGMMA"), 1);
    EXPECT_EQ(counts.size(), 3u);
}

}  // namespace
}  // namespace tessera::cuda
