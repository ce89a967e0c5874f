#include <fmt/format.h>

#include "halide_kernel.h"

namespace bench::rivals {

Halide::Target target_of(Arithmetic arithmetic) {
    const Halide::Target host = Halide::get_host_target();
    return arithmetic == Arithmetic::strict ? host.with_feature(Halide::Target::StrictFloat) : host;
}

int native_floats() { return Halide::get_host_target().natural_vector_size<float>(); }

namespace {

int serial_loop(Halide::JITUserContext* context, int (*task)(Halide::JITUserContext*, int, uint8_t*), int first, int count,
                uint8_t* closure) {
    int status = 0;
    for (int i = first; i < first + count && status == 0; ++i) status = task(context, i, closure);
    return status;
}

}  // namespace

// Halide's pool keeps workers it once started at work when fewer threads are asked for: one thread is a loop of our own.
void use_halide_threads(int threads) {
    using Halide::Internal::JITSharedRuntime;
    static const Halide::JITHandlers pool = [] {
        Halide::JITHandlers serial;
        serial.custom_do_par_for = serial_loop;
        return JITSharedRuntime::set_default_handlers(serial);
    }();
    Halide::JITHandlers handlers = pool;
    if (threads == 1)
        handlers.custom_do_par_for = serial_loop;
    else
        JITSharedRuntime::set_num_threads(threads);
    JITSharedRuntime::set_default_handlers(handlers);
}

std::string halide_version() { return fmt::format("{}.{}.{}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH); }

}  // namespace bench::rivals
