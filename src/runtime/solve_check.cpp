// The checks of solves that kernels make: kernels without assertions cannot stop, so that a check is noted and told at the end.
#include "runtime/solve_check.h"

#include "runtime/last_error.h"

#include <tessera/tessera_runtime.h>

#include <utility>

namespace tessera::runtime {

int take_failed_check() { return std::exchange(this_thread_failed_check(), 0); }

void note_failed_check(int status) { this_thread_failed_check() = status; }

namespace {

template <class T>
T checked(T value, T error, T most) {
    if (!(error <= most) && this_thread_failed_check() == 0) {
        fail(TESSERA_UNCONVERGED, "a solve did not converge: its residual is %g, above the tolerance %g",
             static_cast<double>(error), static_cast<double>(most));
        add_fix(TESSERA_UNCONVERGED, "allow more iterations, or a larger tolerance");
        note_failed_check(TESSERA_UNCONVERGED);
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
