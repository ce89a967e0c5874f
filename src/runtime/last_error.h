#pragma once

namespace tessera::runtime {

/// The message and fix of this thread's last failure; plain arrays, so that failing allocates nothing.
struct ErrorText {
    char message[1000];
    char fix[400];
};
[[nodiscard]] ErrorText& this_thread_error();
void clear_error();

/// The status of a check inside a kernel that has failed on this thread, with its message recorded; the kernel itself goes on.
/// Else 0.
[[nodiscard]] int& this_thread_failed_check();

/// Records the message (printf-style) and returns `status`. The fix is cleared.
[[gnu::format(printf, 2, 3)]] int fail(int status, const char* format, ...);
/// Adds a possible fix to the recorded message and returns `status`.
[[gnu::format(printf, 2, 3)]] int add_fix(int status, const char* format, ...);

}  // namespace tessera::runtime
