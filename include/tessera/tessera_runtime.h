#pragma once
/* What a program needs to call compiled kernels: buffers, status codes, threads. Plain C; implemented by Tessera::Runtime (and by
 * libtessera). Every function may be called from any thread. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types. Numbers are stable; 22.. are kept for further floating formats, 40.. for sub-byte ones. */
enum tessera_dtype {
    TESSERA_BOOL = 1, /**< one byte, 0 or 1 */
    TESSERA_I8 = 2,
    TESSERA_I16 = 3,
    TESSERA_I32 = 4,
    TESSERA_I64 = 5,
    TESSERA_U8 = 6,
    TESSERA_U16 = 7,
    TESSERA_U32 = 8,
    TESSERA_U64 = 9,
    TESSERA_F16 = 16,
    TESSERA_BF16 = 17,
    TESSERA_F32 = 18,
    TESSERA_F64 = 19,
    TESSERA_F8E4M3 = 20, /**< OCP E4M3: largest 448, one NaN, no infinity */
    TESSERA_F8E5M2 = 21  /**< OCP E5M2: largest 57344 */
};

/** Bytes of one element, 0 for a number that is no dtype. */
size_t tessera_dtype_bytes(int32_t dtype);
/** "f32", "bool", ...; "?" for a number that is no dtype. */
const char* tessera_dtype_name(int32_t dtype);

/** Where a buffer's data lives; the numbers are DLPack's, but for 0, which is main memory (so is DLPack's 1). */
enum tessera_device_type { TESSERA_DEVICE_CPU = 0, TESSERA_DEVICE_CUDA = 2 };

/** tessera_buffer.flags */
enum tessera_buffer_flags { TESSERA_BUFFER_READ_ONLY = 1 };

/** A view of an array in row-major order: the last dim is the contiguous one. A zero-initialised field is its default. */
typedef struct tessera_buffer {
    void* data;             /**< the element at index (0, 0, ...); may be null when an extent is 0 */
    const int64_t* extents; /**< rank extents */
    const int64_t* strides; /**< rank strides in elements; null: dense row-major */
    int32_t rank;
    int32_t dtype;       /**< a tessera_dtype */
    int32_t device_type; /**< a tessera_device_type */
    int32_t device_id;
    uint32_t flags; /**< tessera_buffer_flags */
} tessera_buffer;

/** What a kernel returns: 0, or the number of Tessera's error code (704 is E0704). */
enum tessera_status {
    TESSERA_OK = 0,
    TESSERA_ARGUMENT = 701,           /**< an argument is missing or null */
    TESSERA_ARGUMENT_DTYPE = 702,     /**< a buffer has the wrong dtype */
    TESSERA_ARGUMENT_RANK = 703,      /**< a buffer has the wrong rank */
    TESSERA_ARGUMENT_EXTENT = 704,    /**< a buffer's extent does not fit */
    TESSERA_ARGUMENT_STRIDE = 705,    /**< a buffer's strides are not supported by the kernel */
    TESSERA_ARGUMENT_ALIGNMENT = 706, /**< a buffer is misaligned */
    TESSERA_ARGUMENT_OVERLAP = 707,   /**< an output overlaps another buffer */
    TESSERA_ARGUMENT_READ_ONLY = 708, /**< an output buffer is read-only */
    TESSERA_ARGUMENT_VALUE = 709,     /**< a value is outside its declared range */
    TESSERA_ARGUMENT_DEVICE = 710,    /**< a buffer lives on the wrong device */
    TESSERA_OUT_OF_MEMORY = 711,      /**< a kernel could not allocate its scratch memory */
    TESSERA_KERNEL_FAILED = 712,      /**< a kernel stopped on a check of its own */
    TESSERA_UNCONVERGED = 713,        /**< a solve inside the kernel ended above its tolerance; outputs are not valid */
    TESSERA_TARGET_UNAVAILABLE = 803, /**< this machine lacks an instruction set that the kernel was compiled for */
    TESSERA_SIZE = 902,               /**< an extent or a buffer is beyond what the target supports */
    TESSERA_INTERNAL = 951            /**< the library contradicts itself */
};

/** The message of the last call on this thread that did not return 0; "" after a call that did. Valid until the next call. */
const char* tessera_last_error(void);
/** What may be done about it; "" when nothing is known. */
const char* tessera_last_error_fix(void);

/** The number of threads that parallel loops use, the caller included. At the start: the environment variable
 *  TESSERA_NUM_THREADS when it holds a number >= 1, else the number of processors this process may run on. */
int tessera_num_threads(void);
/** Sets it; a count below 1 sets the value of the start. Loops that run keep their threads. */
void tessera_set_num_threads(int count);

/** Calls body(context, i) for every i in [begin, begin + count), on up to tessera_num_threads() threads, and returns when all are
 *  done. No iteration may wait for another: a loop that is known to be short runs on the calling thread. Loops may nest; who
 * waits helps. Returns 0, or what a failing body returned (of several, the lowest index that ran); iterations not yet begun are
 * then skipped, and the caller's last error is that of the failing body. A C++ exception that leaves body is rethrown here. */
int tessera_parallel_for(void* context, int (*body)(void* context, int index), int begin, int count);

/** Memory aligned to 64 bytes, or null. Freed blocks are kept for the next request of about the same size. */
void* tessera_malloc(size_t bytes);
void tessera_free(void* memory);

#ifdef __cplusplus
}
#endif
