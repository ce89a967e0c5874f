#pragma once

namespace tessera::runtime {

/// The status of a check inside a kernel that failed on this thread, once; its message is then the last error. Else 0.
[[nodiscard]] int take_failed_check();
/// Passes on what take_failed_check() gave to the thread that runs the kernel.
void note_failed_check(int status);

}  // namespace tessera::runtime
