#include "runtime/argument_check.h"
#include "runtime/call_values.h"
#include "runtime/cuda_driver.h"
#include "runtime/cuda_images.h"
#include "runtime/extent_code.h"
#include "runtime/last_error.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

namespace tessera::runtime {
namespace {

constexpr int pointer_memory_type = 2, memory_type_host = 1;
constexpr std::size_t map_bytes = 128;
struct alignas(64) EncodedMap {
    unsigned char bytes[map_bytes];
};

/// One call: the kernel, its checked arguments, the GPU and the stream.
struct Call {
    const tessera_kernel_descriptor& kernel;
    const tessera_value* args;
    CheckedArguments& checked;
    const CudaDriver& driver;
    std::int32_t device;
    tessera_cuda_stream stream;

    int value_of(const tessera_code& code, int64_t& value) const {
        if (run_code(code, kernel, args, checked.dims.data(), kernel.dim_count, value) == CodeResult::ok) return TESSERA_OK;
        return fail(TESSERA_SIZE, "%s: a size of the GPU kernel does not fit 64 bits", kernel.name);
    }
    [[nodiscard]] CheckedBuffer& buffer(int arg) const { return checked.buffers[static_cast<std::size_t>(arg)]; }
    [[nodiscard]] CudaAddress address_of(int arg) const {
        return static_cast<CudaAddress>(reinterpret_cast<std::uintptr_t>(buffer(arg).buffer->data));
    }
};

bool is_buffer(const tessera_kernel_descriptor& kernel, int arg) { return kernel.args[arg].kind != TESSERA_ARG_SCALAR; }

/// All buffers lie on one GPU.
int find_device(const tessera_kernel_descriptor& kernel, const tessera_value* args, std::int32_t& device) {
    device = 0;
    const char* first = nullptr;
    for (int a = 0; a < kernel.arg_count; ++a) {
        if (!is_buffer(kernel, a)) continue;
        const std::int32_t own = args[a].buffer->device_id;
        if (first == nullptr) {
            first = kernel.args[a].name;
            device = own;
        } else if (own != device) {
            return add_fix(fail(TESSERA_ARGUMENT_DEVICE, "%s: %s lives on GPU %d, but %s on GPU %d", kernel.name,
                                kernel.args[a].name, own, first, device),
                           "copy all arguments to one GPU");
        }
    }
    return TESSERA_OK;
}

/// Pointers of main memory in buffers that say they are a GPU's. Memory that the driver does not know is the caller's, as managed
/// memory of other systems is.
int check_pointers(const Call& call) {
    for (int a = 0; a < call.kernel.arg_count; ++a) {
        if (!is_buffer(call.kernel, a) || call.buffer(a).span_elements == 0) continue;
        unsigned type = 0;
        const CudaResult r = call.driver.pointer_attribute(&type, pointer_memory_type, call.address_of(a));
        if (r != cuda_success || type == memory_type_host)
            return add_fix(fail(TESSERA_ARGUMENT_DEVICE, "%s: %s says that it lives on GPU %d, but its data is in main memory",
                                call.kernel.name, call.kernel.args[a].name, call.device),
                           "allocate it with tessera_cuda_malloc or cudaMalloc");
    }
    return TESSERA_OK;
}

/// Empty where the buffers are aligned as the variant needs; else what is not, for the message.
bool is_aligned(const Call& call, const tessera_cuda_variant& variant, const tessera_cuda_alignment*& wrong) {
    for (int i = 0; i < variant.alignment_count; ++i) {
        const tessera_cuda_alignment& need = variant.alignments[i];
        const CheckedBuffer& buffer = call.buffer(need.arg);
        if (buffer.span_elements == 0) continue;
        wrong = &need;
        if (need.base_bytes > 1 && call.address_of(need.arg) % static_cast<CudaAddress>(need.base_bytes) != 0) return false;
        const int rank = buffer.buffer->rank;
        for (int d = 0; d < rank && need.stride_bytes > 1; ++d) {
            if (buffer.buffer->extents[d] <= 1) continue;
            const int64_t bytes = buffer.strides[d] * static_cast<int64_t>(buffer.element_bytes);
            if (d + 1 == rank ? buffer.strides[d] != 1 : bytes % need.stride_bytes != 0) return false;
        }
    }
    return true;
}

/// Whether the indices of a variant that computes them in 32 bits stay there.
bool is_within_reach(const Call& call, const tessera_cuda_variant& variant) {
    int64_t sum = 0;
    for (int i = 0; i < variant.reach_count; ++i) {
        const tessera_cuda_reach& reach = variant.reaches[i];
        int64_t most = 0, stride = 1, cells = 0;
        if (run_code(reach.most, call.kernel, call.args, call.checked.dims.data(), call.kernel.dim_count, most) != CodeResult::ok)
            return false;
        if (i == 0 || reach.arg < 0 || reach.arg != variant.reaches[i - 1].arg) sum = 0;
        if (reach.arg >= 0) stride = call.buffer(reach.arg).strides[reach.axis];
        if (stride > INT32_MAX || __builtin_mul_overflow(most, stride, &cells) || __builtin_add_overflow(sum, cells, &sum) ||
            sum > INT32_MAX)
            return false;
    }
    return true;
}

/// The first variant that fits the extents, the buffers and the GPU.
int choose_variant(const Call& call, const tessera_cuda_kernel& kernel, const tessera_cuda_variant*& chosen,
                   const tessera_cuda_image*& image) {
    const int capability = compute_capability(call.driver, call.device);
    const tessera_cuda_variant* unfit = nullptr;
    const tessera_cuda_alignment* misaligned = nullptr;
    for (int v = 0; v < kernel.variant_count; ++v) {
        const tessera_cuda_variant& variant = kernel.variants[v];
        int64_t holds = 1;
        if (variant.when.words != nullptr && run_code(variant.when, call.kernel, call.args, call.checked.dims.data(),
                                                      call.kernel.dim_count, holds) != CodeResult::ok)
            holds = 0;
        if (holds == 0 || !is_within_reach(call, variant)) continue;
        image = fitting_image(variant, capability);
        if (image == nullptr) {
            unfit = &variant;
            continue;
        }
        if (!is_aligned(call, variant, misaligned)) continue;
        chosen = &variant;
        return TESSERA_OK;
    }
    const char* const name = call.kernel.name;
    if (misaligned != nullptr) {
        const char* const arg = call.kernel.args[misaligned->arg].name;
        return add_fix(fail(TESSERA_ARGUMENT_ALIGNMENT,
                            "%s: %s must start at a multiple of %d bytes and have rows %d bytes apart or a multiple", name, arg,
                            misaligned->base_bytes, misaligned->stride_bytes),
                       "align %s and pad its rows", arg);
    }
    if (unfit != nullptr)
        return add_fix(
            fail(TESSERA_TARGET_UNAVAILABLE, "%s: GPU %d has compute capability %d.%d, and the kernel was compiled for %s", name,
                 call.device, capability / 10, capability % 10, unfit->image_count > 0 ? unfit->images[0].arch : "nothing"),
            "compile the kernel for cuda-sm_%d", capability);
    return fail(TESSERA_INTERNAL, "%s: no variant fits these extents", name);
}

int tensor_map_type(int32_t dtype) {
    constexpr int u8 = 0, u16 = 1, u32 = 2, i32 = 3, u64 = 4, i64 = 5, f16 = 6, f32 = 7, f64 = 8, bf16 = 9;
    switch (dtype) {
        case TESSERA_U16:
        case TESSERA_I16: return u16;
        case TESSERA_U32: return u32;
        case TESSERA_I32: return i32;
        case TESSERA_U64: return u64;
        case TESSERA_I64: return i64;
        case TESSERA_F16: return f16;
        case TESSERA_F32: return f32;
        case TESSERA_F64: return f64;
        case TESSERA_BF16: return bf16;
        default: return u8;
    }
}

/// The memory, maps and addresses of a variant's launches.
class Launcher {
public:
    Launcher(const Call& call, const tessera_cuda_variant& variant)
        : call_(call), variant_(variant), scratch_(static_cast<std::size_t>(variant.scratch_count)),
          maps_(static_cast<std::size_t>(variant.map_count)) {}

    int run(CudaModule* module) {
        int status = allocate_scratch();
        for (int m = 0; m < variant_.map_count && status == TESSERA_OK; ++m)
            status = encode(variant_.maps[m], maps_[static_cast<std::size_t>(m)]);
        for (int l = 0; l < variant_.launch_count && status == TESSERA_OK; ++l) status = launch(variant_.launches[l], module);
        // In the order of the stream, so after the launches. What failed first is what is reported.
        for (int s = 0; s < allocated_; ++s)
            if (scratch_[static_cast<std::size_t>(s)] != 0)
                call_.driver.memory_free_async(scratch_[static_cast<std::size_t>(s)], call_.stream);
        return status;
    }

private:
    int allocate_scratch() {
        for (int s = 0; s < variant_.scratch_count; ++s) {
            int64_t bytes = 0;
            if (const int status = call_.value_of(variant_.scratch_bytes[s], bytes)) return status;
            CudaAddress& address = scratch_[static_cast<std::size_t>(s)];
            address = 0;
            if (bytes > 0)
                if (const CudaResult r =
                        call_.driver.memory_allocate_async(&address, static_cast<std::size_t>(bytes), call_.stream)) {
                    char what[200];
                    std::snprintf(what, sizeof what, "%s: %" PRId64 " bytes of scratch memory on GPU %d", call_.kernel.name,
                                  bytes, call_.device);
                    return fail_cuda(call_.driver, r, what);
                }
            allocated_ = s + 1;
        }
        return TESSERA_OK;
    }

    int encode(const tessera_cuda_tensor_map& map, EncodedMap& out) {
        if (call_.driver.encode_tiled == nullptr)
            return add_fix(fail(TESSERA_TARGET_UNAVAILABLE, "%s: the driver cannot encode tensor maps", call_.kernel.name),
                           "install a driver of CUDA 12 or later");
        std::uint64_t extents[TESSERA_CUDA_MAP_RANK], strides[TESSERA_CUDA_MAP_RANK];
        std::uint32_t box[TESSERA_CUDA_MAP_RANK], steps[TESSERA_CUDA_MAP_RANK];
        const auto element_bytes = static_cast<int64_t>(tessera_dtype_bytes(map.dtype));
        for (int d = 0; d < map.rank; ++d) {
            int64_t extent = 0, stride = 0;
            if (const int status = call_.value_of(map.extents[d], extent)) return status;
            if (d > 0 && map.strides[d].words != nullptr) {
                if (const int status = call_.value_of(map.strides[d], stride)) return status;
            } else if (d > 0) {
                stride = call_.buffer(map.index).strides[map.rank - 1 - d];
            }
            extents[d] = static_cast<std::uint64_t>(extent);
            if (d > 0) strides[d - 1] = static_cast<std::uint64_t>(stride * element_bytes);
            box[d] = static_cast<std::uint32_t>(map.box[d]);
            steps[d] = 1;
        }
        const CudaAddress base =
            map.is_scratch != 0 ? scratch_[static_cast<std::size_t>(map.index)] : call_.address_of(map.index);
        const int swizzle = map.swizzle_bytes == 128 ? 3 : map.swizzle_bytes == 64 ? 2 : map.swizzle_bytes == 32 ? 1 : 0;
        constexpr int no_interleave = 0, promote_256_bytes = 3, fill_with_zeros = 0;
        const CudaResult r =
            call_.driver.encode_tiled(&out, tensor_map_type(map.dtype), static_cast<std::uint32_t>(map.rank),
                                      reinterpret_cast<void*>(static_cast<std::uintptr_t>(base)), extents, strides, box, steps,
                                      no_interleave, swizzle, promote_256_bytes, fill_with_zeros);
        if (r == cuda_success) return TESSERA_OK;
        char what[200];
        std::snprintf(what, sizeof what, "%s: the tensor map of %s", call_.kernel.name,
                      map.is_scratch != 0 ? "scratch memory" : call_.kernel.args[map.index].name);
        return fail_cuda(call_.driver, r, what);
    }

    /// Fills the value of a parameter; `at` becomes where it lies.
    int fill(const tessera_cuda_param& param, ScalarStorage& value, void*& at) {
        at = &value;
        switch (param.kind) {
            case TESSERA_CUDA_PARAM_ARG:
                if (is_buffer(call_.kernel, param.index))
                    value.bits = call_.address_of(param.index);
                else
                    value = narrow_scalar(call_.kernel.args[param.index].dtype, call_.args[param.index]);
                return TESSERA_OK;
            case TESSERA_CUDA_PARAM_STRIDE: value.i64 = call_.buffer(param.index).strides[param.axis]; return TESSERA_OK;
            case TESSERA_CUDA_PARAM_CODE_I64: return call_.value_of(param.code, value.i64);
            case TESSERA_CUDA_PARAM_CODE_I32: {
                int64_t wide = 0;
                if (const int status = call_.value_of(param.code, wide)) return status;
                if (wide > INT32_MAX || wide < INT32_MIN)
                    return fail(TESSERA_SIZE, "%s: %" PRId64 " does not fit the 32 bits that the GPU kernel has for it",
                                call_.kernel.name, wide);
                value.i32 = static_cast<int32_t>(wide);
                return TESSERA_OK;
            }
            case TESSERA_CUDA_PARAM_SCRATCH: value.bits = scratch_[static_cast<std::size_t>(param.index)]; return TESSERA_OK;
            case TESSERA_CUDA_PARAM_TENSOR_MAP: at = &maps_[static_cast<std::size_t>(param.index)]; return TESSERA_OK;
            default: return fail(TESSERA_INTERNAL, "%s: a parameter of the GPU kernel is malformed", call_.kernel.name);
        }
    }

    int launch(const tessera_cuda_launch& l, CudaModule* module) {
        unsigned grid[3] = {1, 1, 1};
        constexpr int64_t limits[3] = {INT32_MAX, 65535, 65535};
        for (int d = 0; d < 3; ++d) {
            int64_t ctas = 1;
            if (l.grid[d].words != nullptr)
                if (const int status = call_.value_of(l.grid[d], ctas)) return status;
            if (ctas <= 0) return TESSERA_OK;
            if (ctas > limits[d])
                return add_fix(fail(TESSERA_SIZE, "%s: %" PRId64 " blocks along %c, beyond the %" PRId64 " of a GPU",
                                    call_.kernel.name, ctas, "xyz"[d], limits[d]),
                               "schedule larger tiles");
            grid[d] = static_cast<unsigned>(ctas);
        }
        if (l.resident > 0) {
            // A block counts on 2^16 blocks at most.
            const int64_t at_once =
                std::min<int64_t>(int64_t{l.resident} * multiprocessor_count(call_.driver, call_.device), 1 << 16);
            const int64_t cluster = std::max<int64_t>(l.cluster, 1);
            grid[0] = static_cast<unsigned>(std::min<int64_t>(grid[0], std::max(at_once / cluster, int64_t{1}) * cluster));
        }
        InlineArray<ScalarStorage, 32> values(static_cast<std::size_t>(l.param_count));
        InlineArray<void*, 32> addresses(static_cast<std::size_t>(l.param_count));
        for (std::size_t p = 0; p < static_cast<std::size_t>(l.param_count); ++p)
            if (const int status = fill(l.params[p], values[p], addresses[p])) return status;
        CudaFunction* function = nullptr;
        CudaResult r = call_.driver.module_get_function(&function, module, l.function);
        constexpr int max_dynamic_shared = 8, default_limit = 48 << 10;
        if (r == cuda_success && l.shared_bytes > default_limit)
            r = call_.driver.function_set_attribute(function, max_dynamic_shared, l.shared_bytes);
        if (r == cuda_success)
            r = call_.driver.launch(function, grid[0], grid[1], grid[2], static_cast<unsigned>(l.threads), 1, 1,
                                    static_cast<unsigned>(l.shared_bytes), call_.stream, addresses.data(), nullptr);
        if (r == cuda_success) return TESSERA_OK;
        char what[300];
        std::snprintf(what, sizeof what, "%s: launch of %s with %u x %u x %u blocks of %d threads and %d bytes of shared memory",
                      call_.kernel.name, l.function, grid[0], grid[1], grid[2], l.threads, l.shared_bytes);
        return fail_cuda(call_.driver, r, what);
    }

    const Call& call_;
    const tessera_cuda_variant& variant_;
    InlineArray<CudaAddress, 8> scratch_;
    InlineArray<EncodedMap, 4> maps_;
    int allocated_ = 0;
};

/// Checks the arguments and calls use(call, variant, image) with what fits them, in the context of their GPU.
template <class Use>
int with_variant(const tessera_cuda_kernel* kernel, const tessera_value* args, tessera_cuda_stream stream, Use use) {
    clear_error();
    if (kernel == nullptr) return fail(TESSERA_ARGUMENT, "the kernel is null");
    const tessera_kernel_descriptor* signature = kernel->signature;
    if (const int status = check_descriptor(signature, args)) return status;
    CheckedArguments checked(*signature);
    if (const int status = check_arguments(*signature, args, checked, TESSERA_DEVICE_CUDA)) return status;
    std::int32_t device = 0;
    if (const int status = find_device(*signature, args, device)) return status;
    const CurrentContext context(device);
    if (context.status() != TESSERA_OK) return context.status();
    const Call call{*signature, args, checked, context.driver(), device, stream};
    if (const int status = check_pointers(call)) return status;
    const tessera_cuda_variant* variant = nullptr;
    const tessera_cuda_image* image = nullptr;
    if (const int status = choose_variant(call, *kernel, variant, image)) return status;
    return use(call, *variant, *image);
}

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" int tessera_cuda_call(const tessera_cuda_kernel* kernel, const tessera_value* args, tessera_cuda_stream stream) {
    return with_variant(kernel, args, stream,
                        [](const Call& call, const tessera_cuda_variant& variant, const tessera_cuda_image& image) {
                            CudaModule* module = nullptr;
                            if (const int status = loaded_module(call.driver, call.device, image, call.kernel.name, module))
                                return status;
                            return Launcher(call, variant).run(module);
                        });
}

extern "C" int tessera_cuda_choose(const tessera_cuda_kernel* kernel, const tessera_value* args, int32_t* variant) {
    return with_variant(kernel, args, nullptr, [&](const Call&, const tessera_cuda_variant& chosen, const tessera_cuda_image&) {
        *variant = static_cast<int32_t>(&chosen - kernel->variants);
        return static_cast<int>(TESSERA_OK);
    });
}
