#pragma once
/* Times of the stages of kernels that were compiled with profiling, in this process: every call adds to them, on all threads.
 * Plain C; implemented by Tessera::Runtime (and by libtessera). Kernels compiled without it hold no trace of it. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Sums over the calls since the start, or the last reset, of one stage of one kernel. Times are of the stage itself: what is
 *  computed inside its loops counts for the stage that it belongs to. */
typedef struct tessera_profile_row {
    const char* kernel;
    const char* stage;
    int64_t calls;            /**< of the kernel */
    int64_t entries;          /**< how often the stage was begun */
    double seconds;           /**< on all threads together */
    double operations;        /**< arithmetic of its definition over its extents, computed once */
    double bytes;             /**< of what it must read from arguments and from stages at root, and write there */
    double wall_seconds;      /**< of the kernel's calls */
    const char* memory_hint;  /**< what to try when memory limits it */
    const char* compute_hint; /**< what to try when arithmetic does */
} tessera_profile_row;

/** The number of rows: a row for every stage of every profiled kernel that has been called. */
int tessera_profile_rows(void);
/** Row `index`; 0, or TESSERA_ARGUMENT for one that does not exist. */
int tessera_profile_row_at(int index, tessera_profile_row* row);
/** Forgets all times and spans. No profiled kernel may be running. */
void tessera_profile_reset(void);

/** Most of this machine, all threads together, for shares of the roofline; 0: unknown, and no shares are told. */
void tessera_profile_set_roof(double operations_per_second, double bytes_per_second);
/** A table for people, the slowest stage of each kernel with a suggestion, as snprintf() writes: at most `size` bytes with the
 *  final 0; returns the length of the whole text. */
size_t tessera_profile_text(char* text, size_t size);
/** The spans of stages and of tasks of parallel loops as JSON that chrome://tracing and Perfetto show, the first 65536 of every
 *  thread. 0, or TESSERA_KERNEL_FAILED with tessera_last_error(). */
int tessera_profile_write_trace(const char* path);

#ifdef __cplusplus
}
#endif
