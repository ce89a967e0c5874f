#pragma once
/* What a program needs to call kernels that were compiled for a GPU. Plain C; implemented by Tessera::Runtime (and by
 * libtessera). The driver is looked up when it is first needed, so programs start where there is none. Every function returns a
 * tessera_status and leaves its words in tessera_last_error(). */

#include <tessera/tessera_kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A CUstream, which a cudaStream_t is as well; null is the default stream. Calls are put into it and return; what they write is
 * there after tessera_cuda_synchronize, or for what follows in the stream. Streams that are being captured into a graph may be
 * passed. */
typedef struct CUstream_st* tessera_cuda_stream;

/* ---- devices and memory */

/** The number of GPUs; TESSERA_TARGET_UNAVAILABLE where there is no driver or none. */
int tessera_cuda_device_count(int32_t* count);
/** 90 for compute capability 9.0. */
int tessera_cuda_compute_capability(int32_t device, int32_t* capability);
/** Memory of a GPU, aligned to 256 bytes. */
int tessera_cuda_malloc(int32_t device, size_t bytes, void** memory);
int tessera_cuda_free(int32_t device, void* memory);
/** Copies `bytes` between main memory and a GPU's, or inside a GPU's, in the order of the stream. */
int tessera_cuda_copy_to(int32_t device, void* to, const void* from_main, size_t bytes, tessera_cuda_stream stream);
int tessera_cuda_copy_from(int32_t device, void* to_main, const void* from, size_t bytes, tessera_cuda_stream stream);
/** Sets bytes of a GPU's memory to a value, in the order of the stream. */
int tessera_cuda_fill(int32_t device, void* memory, unsigned char value, size_t bytes, tessera_cuda_stream stream);
/** Waits until the stream has done everything. A kernel that failed is reported here. */
int tessera_cuda_synchronize(int32_t device, tessera_cuda_stream stream);

/* ---- times */

/** A CUevent: a mark in a stream, which notes the time when the GPU comes to it. */
typedef struct CUevent_st* tessera_cuda_event;
int tessera_cuda_event_create(int32_t device, tessera_cuda_event* event);
int tessera_cuda_event_free(int32_t device, tessera_cuda_event event);
int tessera_cuda_event_record(int32_t device, tessera_cuda_event event, tessera_cuda_stream stream);
/** Waits until the GPU has come to `after`; the time since it was at `before`. */
int tessera_cuda_seconds_between(int32_t device, tessera_cuda_event before, tessera_cuda_event after, double* seconds);

/* ---- compiled kernels, as constant data that a library's entry holds */

/** Machine code or PTX for an architecture. */
typedef struct tessera_cuda_image {
    const char* arch; /**< "sm_80": GPUs of this and later minor versions; "sm_90a": this one; "compute_80": PTX, 8.0 and later */
    const void* bytes;
    size_t size;
} tessera_cuda_image;

enum tessera_cuda_param_kind {
    TESSERA_CUDA_PARAM_ARG = 0, /**< argument `index`: the address of its data, or the scalar in its own dtype */
    TESSERA_CUDA_PARAM_STRIDE =
        1, /**< i64, or i32 in a variant with reaches: the stride, in elements, of argument `index` in dim `axis` */
    TESSERA_CUDA_PARAM_CODE_I32 = 2,  /**< the value of `code` */
    TESSERA_CUDA_PARAM_CODE_I64 = 3,  /**< the value of `code` */
    TESSERA_CUDA_PARAM_SCRATCH = 4,   /**< the address of scratch buffer `index` */
    TESSERA_CUDA_PARAM_TENSOR_MAP = 5 /**< 128 bytes: tensor map `index` */
};
typedef struct tessera_cuda_param {
    int32_t kind; /**< tessera_cuda_param_kind */
    int32_t index;
    int32_t axis;
    tessera_code code;
} tessera_cuda_param;

enum { TESSERA_CUDA_MAP_RANK = 5 };
/** A tensor for the copy engine: what cuTensorMapEncodeTiled takes. Dims innermost first. */
typedef struct tessera_cuda_tensor_map {
    int32_t is_scratch; /**< 1: of scratch buffer `index`; 0: of argument `index` */
    int32_t index;
    int32_t dtype; /**< a tessera_dtype; 16-bit floats and f32 keep NaNs as they are */
    int32_t rank;
    tessera_code extents[TESSERA_CUDA_MAP_RANK];
    tessera_code
        strides[TESSERA_CUDA_MAP_RANK]; /**< in elements; [0] is not read: the innermost stride is 1. No code: the argument's */
    int32_t box[TESSERA_CUDA_MAP_RANK];
    int32_t swizzle_bytes; /**< 0, 32, 64 or 128 */
} tessera_cuda_tensor_map;

/** One launch. */
typedef struct tessera_cuda_launch {
    const char* function; /**< in the image */
    tessera_code grid[3]; /**< CTAs along x, y, z; no code: 1. Nothing is launched where one is 0. */
    int32_t threads;
    int32_t shared_bytes; /**< dynamic */
    int32_t resident;     /**< > 0: no more CTAs along x than so many for every multiprocessor; they share the work */
    int32_t param_count;
    const tessera_cuda_param* params;
    int32_t cluster; /**< > 1: CTAs along x run together in clusters of so many, which divides their number */
} tessera_cuda_launch;

/** What the pointers and strides of an argument must be for a variant. */
typedef struct tessera_cuda_alignment {
    int32_t arg;
    int32_t base_bytes;   /**< the data's address is a multiple */
    int32_t stride_bytes; /**< so are all strides but the innermost, which is 1 */
} tessera_cuda_alignment;

/** How far a variant that computes indices in 32 bits steps along `axis` of argument `arg`, or, where `arg` is -1, the largest
 * value that it computes. Neither such a value nor the sum of most * stride over the rows of one argument, which follow each
 * other, may be above INT32_MAX; the strides are then passed to its kernels as i32. */
typedef struct tessera_cuda_reach {
    int32_t arg;
    int32_t axis;
    tessera_code most;
} tessera_cuda_reach;

/** Launches that compute the kernel, and when they may be used. */
typedef struct tessera_cuda_variant {
    const char* name;
    tessera_code when; /**< no code: always */
    int32_t alignment_count;
    const tessera_cuda_alignment* alignments;
    int32_t reach_count; /**< 0: indices are computed in 64 bits, or never leave 32 */
    const tessera_cuda_reach* reaches;
    int32_t image_count;
    const tessera_cuda_image* images;
    int32_t scratch_count;
    const tessera_code* scratch_bytes;
    int32_t map_count;
    const tessera_cuda_tensor_map* maps;
    int32_t launch_count;
    const tessera_cuda_launch* launches;
} tessera_cuda_variant;

/** A kernel: `signature` has its arguments and dims, and no variants. The first variant that fits the extents, the buffers and
 * the GPU is called. */
typedef struct tessera_cuda_kernel {
    const tessera_kernel_descriptor* signature;
    int32_t variant_count;
    const tessera_cuda_variant* variants;
} tessera_cuda_kernel;

/** Checks the arguments, whose buffers all lie on one GPU, and puts the kernel into the stream. Values in buffers are not looked
 * at: a promise about them (TESSERA_ARG_VALUE_RANGE) is the caller's. */
int tessera_cuda_call(const tessera_cuda_kernel* kernel, const tessera_value* args, tessera_cuda_stream stream);

/** Checks the arguments as a call does, and which variant it would take: its number in `kernel`. The images of that variant need
 * no bytes yet. */
int tessera_cuda_choose(const tessera_cuda_kernel* kernel, const tessera_value* args, int32_t* variant);

/** Before the bytes of an image go away: what was loaded from them is unloaded on every GPU. */
int tessera_cuda_unload(const tessera_cuda_image* image);

#ifdef __cplusplus
}
#endif
