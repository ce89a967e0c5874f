#include <dlfcn.h>

#include <fmt/format.h>

#include "halide_kernel.h"

namespace bench::rivals {

Halide::Target target_of(Arithmetic arithmetic) {
    const Halide::Target host = Halide::get_host_target();
    return arithmetic == Arithmetic::strict ? host.with_feature(Halide::Target::StrictFloat) : host;
}

int native_floats() { return Halide::get_host_target().natural_vector_size<float>(); }

namespace {

/// Loads a plugin that lies beside libHalide, once.
void load_autoscheduler(const std::string& name) {
    Dl_info library{};
    if (dladdr(reinterpret_cast<const void*>(&Halide::get_host_target), &library) == 0) return;
    const std::string file = library.dli_fname;
    Halide::load_plugin(fmt::format("{}/libautoschedule_{}.so", file.substr(0, file.rfind('/')), name));
}

}  // namespace

Halide::Callable callable_of(Halide::Func func, const std::vector<Halide::Argument>& arguments, Plan plan,
                             Arithmetic arithmetic) {
    const Halide::Target target = target_of(arithmetic);
    if (plan == Plan::mullapudi2016) {
        static const bool loaded = (load_autoscheduler("mullapudi2016"), true);
        if (loaded) Halide::Pipeline(func).apply_autoscheduler(target, {"Mullapudi2016", {{"parallelism", "2"}}});
    }
    if (plan == Plan::adams2019) {
        static const bool loaded = (load_autoscheduler("adams2019"), true);
        if (loaded) Halide::Pipeline(func).apply_autoscheduler(target, {"Adams2019", {{"parallelism", "2"}}});
    }
    return func.compile_to_callable(arguments, target);
}

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

bool runs(const std::string& name, const Kernel& kernel) {
    try {
        kernel();
        return true;
    } catch (const Halide::Error& e) {  // no std::exception
        fmt::print(stderr, "{} is left out: {}\n", name, e.what());
        return false;
    }
}

std::string halide_version() { return fmt::format("{}.{}.{}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH); }

}  // namespace bench::rivals
