#pragma once

namespace tessera::runtime {

/// TESSERA_UNCONVERGED once after a check inside a kernel failed on this thread, whose message is then its last error; else 0.
[[nodiscard]] int take_failed_check();
/// Passes on what take_failed_check() gave to the thread that runs the kernel.
void note_failed_check();

}  // namespace tessera::runtime
