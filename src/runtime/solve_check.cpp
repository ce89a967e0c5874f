// The checks of solves that kernels make: kernels without assertions cannot stop, so that a check is noted and told at the end.
#include "runtime/solve_check.h"

#include "runtime/last_error.h"

#include <tessera/tessera_runtime.h>

namespace tessera::runtime {

int take_failed_check() {
    bool& failed = this_thread_failed_check();
    if (!failed) return 0;
    failed = false;
    return TESSERA_UNCONVERGED;
}

void note_failed_check() { this_thread_failed_check() = true; }

namespace {

template <class T>
T checked(T value, T error, T most) {
    if (!(error <= most) && !this_thread_failed_check()) {
        fail(TESSERA_UNCONVERGED, "a solve did not converge: its residual is %g, above the tolerance %g",
             static_cast<double>(error), static_cast<double>(most));
        add_fix(TESSERA_UNCONVERGED, "allow more iterations, or a larger tolerance");
        note_failed_check();
    }
    return value;
}

}  // namespace
}  // namespace tessera::runtime

extern "C" float tessera_checked_f32(float value, float error, float most) {
    return tessera::runtime::checked(value, error, most);
}
extern "C" double tessera_checked_f64(double value, double error, double most) {
    return tessera::runtime::checked(value, error, most);
}
