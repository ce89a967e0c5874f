#include <gtest/gtest.h>
#include <tessera/buffer.h>
#include <tessera/dlpack.h>

#include <cstdint>
#include <numeric>

// Sanitized builds as well give null for more memory than there is.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace tessera {
namespace {

template <class Call>
int buffer_status(Call call) {
    try {
        call();
    } catch (const BufferError& error) {
        return error.status();
    }
    return 0;
}

TEST(Buffer, OwnsAlignedZeroedRowMajorMemory) {
    const Buffer<float> a({3, 5});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
    EXPECT_EQ(a.size(), 15);
    EXPECT_EQ(a.stride(0), 5);
    EXPECT_EQ(a(2, 4), 0.0F);
    a(1, 2) = 7;
    EXPECT_EQ(a.data()[7], 7.0F);
}

TEST(Buffer, CopiesOfTheHandleShareAndCopyDoesNot) {
    const Buffer<int32_t> a({4});
    const Buffer<int32_t> same = a;
    const Buffer<int32_t> other = a.copy();
    a(1) = 5;
    EXPECT_EQ(same(1), 5);
    EXPECT_EQ(other(1), 0);
}

TEST(Buffer, RankZeroAndEmpty) {
    const Buffer<double> scalar(std::vector<int64_t>{});
    scalar() = 2.5;
    EXPECT_EQ(scalar.size(), 1);
    EXPECT_EQ(*scalar.data(), 2.5);
    const Buffer<double> none({3, 0, 2});
    EXPECT_EQ(none.size(), 0);
    none.fill(1);
    EXPECT_EQ(Buffer<double>().size(), 0);
}

TEST(Buffer, ViewsCropAndTranspose) {
    std::vector<int16_t> memory(24);
    std::iota(memory.begin(), memory.end(), int16_t{0});
    const Buffer<int16_t> a(memory.data(), {4, 6});
    const Buffer<int16_t> block = a.crop(0, 1, 3).crop(1, 2, 5);
    EXPECT_EQ(block(1, 2), 16);
    EXPECT_FALSE(block.is_dense());
    EXPECT_EQ(block.copy()(1, 2), 16);
    EXPECT_TRUE(block.copy().is_dense());
    const Buffer<int16_t> turned = block.transpose({1, 0});
    EXPECT_EQ(turned(2, 1), 16);
    EXPECT_EQ(turned.copy().data()[5], 16);
    block.fill(-1);
    EXPECT_EQ(memory[8], -1);
    EXPECT_EQ(memory[7], 7);
    EXPECT_EQ(memory[11], 11);
}

TEST(Buffer, RefusesBadShapesDtypesAndIndices) {
    EXPECT_EQ(buffer_status([] { Buffer<float>({2, -1}); }), TESSERA_ARGUMENT_EXTENT);
    EXPECT_EQ(buffer_status([] { Buffer<float>({int64_t{1} << 40, int64_t{1} << 40}); }), TESSERA_SIZE);
    EXPECT_EQ(buffer_status([] { Buffer<float>({int64_t{1} << 50}); }), TESSERA_OUT_OF_MEMORY);
    EXPECT_EQ(buffer_status([] { AnyBuffer(static_cast<tessera_dtype>(15), {1}); }), TESSERA_ARGUMENT_DTYPE);
    EXPECT_EQ(buffer_status([] { Buffer<float>(AnyBuffer(TESSERA_I32, {1})); }), TESSERA_ARGUMENT_DTYPE);
    const Buffer<float> a({2, 2});
    EXPECT_EQ(buffer_status([&] { static_cast<void>(a.at(std::vector<int64_t>{0, 2})); }), TESSERA_ARGUMENT_EXTENT);
    EXPECT_EQ(buffer_status([&] { static_cast<void>(a.at(std::vector<int64_t>{0})); }), TESSERA_ARGUMENT_RANK);
    EXPECT_EQ(buffer_status([&] { static_cast<void>(a.crop(1, 1, 3)); }), TESSERA_ARGUMENT_EXTENT);
    EXPECT_EQ(buffer_status([&] { static_cast<void>(a.transpose({0, 0})); }), TESSERA_ARGUMENT_RANK);
    EXPECT_EQ(buffer_status([&] { Buffer<float>(a.data(), {2, 2}, {1}); }), TESSERA_ARGUMENT_STRIDE);
}

TEST(Buffer, ConstElementsMakeAReadOnlyView) {
    const float memory[2] = {1, 2};
    const Buffer<const float> a(memory, {2});
    EXPECT_EQ(a.c_buffer().flags, static_cast<uint32_t>(TESSERA_BUFFER_READ_ONLY));
    EXPECT_EQ(buffer_status([&] { Buffer<float>(a.any()); }), TESSERA_ARGUMENT_READ_ONLY);
    EXPECT_EQ(a(1), 2.0F);
    EXPECT_FALSE(a.copy().any().read_only());
}

TEST(Dlpack, VersionedRoundTripKeepsMemoryAliveAndReadOnly) {
    AnyBuffer again;
    const void* memory = nullptr;
    {
        const Buffer<bfloat16> a({2, 3});
        a(1, 2) = bfloat16(1.5);
        AnyBuffer frozen = a.transpose({1, 0});
        frozen.set_read_only(true);
        memory = a.data();
        again = dlpack::import_versioned(dlpack::export_versioned(frozen));
    }
    EXPECT_TRUE(again.read_only());
    EXPECT_EQ(again.data(), memory);
    EXPECT_EQ(again.extents(), (std::vector<int64_t>{3, 2}));
    EXPECT_EQ(static_cast<float>(Buffer<const bfloat16>(again)(2, 1)), 1.5F);
}

TEST(Dlpack, EveryDtypeRoundTrips) {
    for (const tessera_dtype dtype :
         {TESSERA_BOOL, TESSERA_I8, TESSERA_I16, TESSERA_I32, TESSERA_I64, TESSERA_U8, TESSERA_U16, TESSERA_U32, TESSERA_U64,
          TESSERA_F16, TESSERA_BF16, TESSERA_F32, TESSERA_F64, TESSERA_F8E4M3, TESSERA_F8E5M2}) {
        const AnyBuffer a(dtype, {4});
        EXPECT_EQ(dlpack::import_tensor(dlpack::export_tensor(a)).dtype(), dtype);
    }
}

/// A tensor as a foreign library would make it, counting the calls of its deleter.
struct Foreign {
    int64_t shape[1] = {2};
    float memory[4] = {1, 2, 3, 4};
    int deleted = 0;
    dlpack::VersionedTensor tensor{
        {1, 0}, this, [](dlpack::VersionedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->deleted; }, 0, {}};
    Foreign() { tensor.tensor = {memory, {1, 0}, 1, {2, 32, 1}, shape, nullptr, 4}; }
};

TEST(Dlpack, ForeignTensorIsTakenOverAndDeletedOnce) {
    Foreign foreign;
    {
        const Buffer<float> a(dlpack::import_versioned(&foreign.tensor));
        const Buffer<float> same = a;
        EXPECT_EQ(same(1), 3.0F);  // the byte offset skips one element
        EXPECT_EQ(foreign.deleted, 0);
    }
    EXPECT_EQ(foreign.deleted, 1);
}

TEST(Dlpack, RefusedTensorsStayWithTheCaller) {
    const auto status = [](void (*change)(dlpack::VersionedTensor&)) {
        Foreign foreign;
        change(foreign.tensor);
        const int result = buffer_status([&] { static_cast<void>(dlpack::import_versioned(&foreign.tensor)); });
        EXPECT_EQ(foreign.deleted, 0);
        return result;
    };
    EXPECT_EQ(status([](auto& t) { t.tensor.device.type = 2; }), TESSERA_ARGUMENT_DEVICE);
    EXPECT_EQ(status([](auto& t) { t.tensor.dtype.lanes = 4; }), TESSERA_ARGUMENT_DTYPE);
    EXPECT_EQ(status([](auto& t) { t.tensor.dtype.code = 5; }), TESSERA_ARGUMENT_DTYPE);
    EXPECT_EQ(status([](auto& t) { t.version.major = 2; }), TESSERA_ARGUMENT);
    EXPECT_EQ(status([](auto& t) { t.tensor.shape[0] = -2; }), TESSERA_ARGUMENT_EXTENT);
    EXPECT_EQ(buffer_status([] { static_cast<void>(dlpack::import_tensor(nullptr)); }), TESSERA_ARGUMENT);
    AnyBuffer frozen(TESSERA_F32, {1});
    frozen.set_read_only(true);
    EXPECT_EQ(buffer_status([&] { static_cast<void>(dlpack::export_tensor(frozen)); }), TESSERA_ARGUMENT_READ_ONLY);
}

}  // namespace
}  // namespace tessera
