#include "runtime/cuda_images.h"

#include "runtime/last_error.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace tessera::runtime {
namespace {

struct Arch {
    bool is_text = false;  // PTX
    int number = 0;        // 90
    bool exact = false;    // sm_90a
};

Arch parse_arch(const char* text) {
    Arch arch;
    arch.is_text = std::strncmp(text, "compute_", 8) == 0;
    const char* digits = std::strchr(text, '_');
    if (digits == nullptr) return arch;
    for (++digits; *digits >= '0' && *digits <= '9'; ++digits) arch.number = 10 * arch.number + (*digits - '0');
    arch.exact = *digits != '\0';
    return arch;
}

/// What was loaded, by the image's bytes and the device.
struct Modules {
    std::mutex mutex;
    std::map<std::pair<const void*, std::int32_t>, CudaModule*> loaded;
};
Modules& modules() {
    static Modules all;
    return all;
}

bool fits(const Arch& arch, int capability) {
    if (arch.exact) return arch.number == capability;
    if (arch.is_text) return arch.number <= capability;
    return arch.number / 10 == capability / 10 && arch.number <= capability;
}

}  // namespace

const tessera_cuda_image* fitting_image(const tessera_cuda_variant& variant, int capability) {
    const tessera_cuda_image* best = nullptr;
    Arch best_arch;
    for (int i = 0; i < variant.image_count; ++i) {
        const Arch arch = parse_arch(variant.images[i].arch);
        if (!fits(arch, capability)) continue;
        const bool better =
            best == nullptr || (best_arch.is_text && !arch.is_text) ||
            (best_arch.is_text == arch.is_text && (arch.number > best_arch.number || (arch.exact && !best_arch.exact)));
        if (!better) continue;
        best = &variant.images[i];
        best_arch = arch;
    }
    return best;
}

int loaded_module(const CudaDriver& driver, std::int32_t device, const tessera_cuda_image& image, const char* kernel,
                  CudaModule*& module) {
    const std::lock_guard lock(modules().mutex);
    CudaModule*& kept = modules().loaded[{image.bytes, device}];
    if (kept == nullptr)
        if (const CudaResult r = driver.module_load(&kept, image.bytes)) {
            modules().loaded.erase({image.bytes, device});
            char what[200];
            std::snprintf(what, sizeof what, "%s: the code for %s cannot be loaded on GPU %d", kernel, image.arch, device);
            return fail_cuda(driver, r, what);
        }
    module = kept;
    return TESSERA_OK;
}

}  // namespace tessera::runtime

extern "C" int tessera_cuda_unload(const tessera_cuda_image* image) {
    using namespace tessera::runtime;
    clear_error();
    const std::lock_guard lock(modules().mutex);
    auto& loaded = modules().loaded;
    for (auto it = loaded.lower_bound({image->bytes, 0}); it != loaded.end() && it->first.first == image->bytes;
         it = loaded.erase(it)) {
        const CurrentContext context(it->first.second);
        if (context.status() != TESSERA_OK) return context.status();
        if (const CudaResult r = context.driver().module_unload(it->second))
            return fail_cuda(context.driver(), r, "a kernel cannot be unloaded");
    }
    return TESSERA_OK;
}
