#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "compile/c_text.h"
#include "compile/descriptor.h"

namespace tessera {
namespace {

Algorithm stencil() {
    Dim y("y"), x("x"), r("r", 3);
    x.multiple_of(4).at_most(4096);
    Dim oy("oy", y.extent() - 2);
    Input photo("photo", f32, {y, x});
    Scalar gain("gain", f32), shift("shift", i32);
    shift.values_in(0, 3);
    Func out("out");
    out(oy, x) = sum({r}, photo(oy + r, x)) * gain + cast(f32, shift);
    return Algorithm({out}, {photo, gain, shift});
}

TEST(Descriptor, ListsArgumentsDimsAndChecks) {
    const KernelSignature s = kernel_signature(stencil(), true);
    ASSERT_EQ(s.args.size(), 4u);
    EXPECT_EQ(s.args[3].name, "out");
    EXPECT_EQ(s.args[3].kind, TESSERA_ARG_OUTPUT);
    EXPECT_EQ(s.args[0].flags, std::uint32_t{TESSERA_ARG_LAST_DIM_DENSE});
    EXPECT_EQ(s.args[2].flags, std::uint32_t{TESSERA_ARG_VALUE_RANGE});
    EXPECT_EQ(bytecode_text(s, s.args[2].value_high), "3");
    ASSERT_EQ(s.dims.size(), 4u);
    EXPECT_EQ(dim_text(s, s.dims[0]), "extent 0 of photo");
    EXPECT_EQ(dim_text(s, s.dims[1]), "extent 1 of photo, a multiple of 4, at most 4096");
    EXPECT_EQ(s.dims[2].name, "oy");
    EXPECT_EQ(dim_text(s, s.dims[2]), "y - 2");
    EXPECT_EQ(dim_text(s, s.dims[3]), "3");
    // photo, gain, shift, extents of y and x, out
    ASSERT_EQ(s.params.size(), 6u);
    EXPECT_EQ(s.params[3].kind, TESSERA_PARAM_DIM_I32);
    EXPECT_EQ(s.params[5].index, 3);
}

TEST(Descriptor, DimsOfOutputsAloneAreBoundThere) {
    Dim i("i"), j("j");
    Input a("a", f32, {i});
    Func out("out");
    out(i, j) = a(i);
    const KernelSignature s = kernel_signature(Algorithm({out}, {a}), false);
    EXPECT_EQ(dim_text(s, s.dims[1]), "extent 1 of out");
    EXPECT_EQ(s.args[0].flags, 0u);
}

TEST(Descriptor, DerivedDimsComeAfterWhatTheyMention) {
    Dim n("n"), half("half", n.extent() / 2), quarter("quarter", half.extent() / 2);
    Input a("a", f32, {quarter, half, n});
    Func out("out");
    out(quarter, half, n) = a(quarter, half, n);
    const KernelSignature s = kernel_signature(Algorithm({out}, {a}), false);
    EXPECT_EQ(s.dims[0].name, "n");
    for (size_t d = 0; d < s.dims.size(); ++d)
        for (size_t at = 0; at + 1 < s.dims[d].code.size(); at += s.dims[d].code[at] <= TESSERA_OP_SCALAR ? 2 : 1) {
            if (s.dims[d].code[at] != TESSERA_OP_DIM) continue;
            EXPECT_LT(s.dims[d].code[at + 1], static_cast<std::int64_t>(d));
        }
}

TEST(Descriptor, ConditionsOfVariantsBecomeCode) {
    const KernelSignature s = kernel_signature(stencil(), true);
    EXPECT_EQ(bytecode_text(s, variant_code(s, "x % 192 == 0 && y <= 256")), "((x % 192) == 0) && (y <= 256)");
    EXPECT_EQ(bytecode_text(s, variant_code(s, "shift > 1")), "!(shift <= 1)");
    try {
        (void)variant_code(s, "xx < 3");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0511_variant);
        EXPECT_NE(std::string(e.what()).find("'x'"), std::string::npos);
    }
    EXPECT_THROW((void)variant_code(s, "photo.stride.y == 1"), Limit);
}

TEST(Descriptor, TheRuntimeUnderstandsIt) {
    const DescriptorStorage storage(kernel_signature(stencil(), true), {});
    const tessera_kernel_descriptor& kernel = storage.descriptor();
    std::vector<float> photo(5 * 8), out(3 * 8);
    const std::int64_t in_extents[] = {5, 8}, out_extents[] = {3, 8}, wrong_extents[] = {4, 8};
    const tessera_buffer in{photo.data(), in_extents, nullptr, 2, TESSERA_F32, 0, 0, 0};
    tessera_buffer to{out.data(), out_extents, nullptr, 2, TESSERA_F32, 0, 0, 0};
    tessera_value values[4];
    values[0].buffer = &in;
    values[1].f = 1;
    values[2].i = 2;
    values[3].buffer = &to;
    EXPECT_EQ(tessera_validate(&kernel, values), TESSERA_OK) << tessera_last_error();
    values[2].i = 3;
    EXPECT_EQ(tessera_validate(&kernel, values), TESSERA_ARGUMENT_VALUE);
    values[2].i = 2;
    to.extents = wrong_extents;
    EXPECT_EQ(tessera_validate(&kernel, values), TESSERA_ARGUMENT_EXTENT);
}

TEST(Descriptor, HeaderSaysWhatIsChecked) {
    const CFunction f{.symbol = "stencil",
                      .signature = kernel_signature(stencil(), true),
                      .variants = {},
                      .origin = {"default", "", ""},
                      .schedule_hash = "0123456789abcdef"};
    EXPECT_EQ(c_prototype(f), "int stencil(const tessera_buffer* photo, float gain, int32_t shift, tessera_buffer* out)");
    const std::string header = c_header("images", "host", {f});
    for (const char* part : {"photo: input f32 [y, x], last stride 1", "shift: scalar i32 by value, 0 <= value < 3", "oy = y - 2",
                             "Schedule: default, 0123456789ab."})
        EXPECT_NE(header.find(part), std::string::npos) << part << "\n" << header;
}

TEST(Descriptor, NamesThatCDoesNotTakeAreRefused) {
    for (const char* name : {"", "2d", "a-b", "int", "f.0"}) EXPECT_THROW(require_c_name(name), Error) << name;
    require_c_name("gemm_bf16");
}

}  // namespace
}  // namespace tessera
