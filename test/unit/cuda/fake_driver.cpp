#include "unit/cuda/fake_driver.h"

#include <cstdlib>
#include <cstring>
#include <map>

namespace tessera::fake_cuda {

State& state() {
    static State s;
    return s;
}

namespace {

struct Module {
    std::string image;
};
struct Function {
    const Module* module;
    std::string name;
};
struct Event {
    double seconds = 0;
};
std::map<std::uint64_t, std::size_t>& allocations() {
    static std::map<std::uint64_t, std::size_t> all;
    return all;
}

int allocate(std::uint64_t* address, std::size_t bytes) {
    State& s = state();
    if (bytes > s.memory_left) return 2;
    *address = reinterpret_cast<std::uint64_t>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    allocations()[*address] = bytes;
    ++s.live_allocations;
    return 0;
}

int release(std::uint64_t address) {
    if (allocations().erase(address) == 0) return 1;
    std::free(reinterpret_cast<void*>(address));
    --state().live_allocations;
    return 0;
}

}  // namespace
}  // namespace tessera::fake_cuda

using namespace tessera::fake_cuda;

extern "C" {
// names of the driver that are none of ours
int push_context(void*) asm("cuCtxPushCurrent_v2");
int pop_context(void**) asm("cuCtxPopCurrent_v2");
int load_module(void**, const void*) asm("cuModuleLoadData");
int allocate_memory(std::uint64_t*, std::size_t) asm("cuMemAlloc_v2");
int free_memory(std::uint64_t) asm("cuMemFree_v2");
int copy_to_device(std::uint64_t, const void*, std::size_t, void*) asm("cuMemcpyHtoDAsync_v2");
int copy_to_host(void*, std::uint64_t, std::size_t, void*) asm("cuMemcpyDtoHAsync_v2");
int destroy_event(void*) asm("cuEventDestroy_v2");

int cuInit(unsigned) { return ++state().inits, 0; }
int cuDeviceGetCount(int* count) { return *count = state().devices, 0; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 16 ? state().multiprocessors : attribute == 75 ? state().capability / 10 : state().capability % 10;
    return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
    return *context = reinterpret_cast<void*>(static_cast<std::intptr_t>(device) + 1), 0;
}
int push_context(void*) { return ++state().contexts_pushed, 0; }
int pop_context(void** context) { return *context = nullptr, --state().contexts_pushed, 0; }
int load_module(void** module, const void* image) {
    if (state().fail_load != 0) return state().fail_load;
    ++state().modules_loaded;
    *module = new Module{static_cast<const char*>(image)};
    return 0;
}
int cuModuleUnload(void* module) {
    ++state().modules_unloaded;
    delete static_cast<Module*>(module);
    return 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    static std::map<std::pair<void*, std::string>, Function> functions;
    if (std::strcmp(name, "missing") == 0) return 500;
    *function = &functions.insert_or_assign({module, name}, Function{static_cast<Module*>(module), name}).first->second;
    return 0;
}
int cuFuncSetAttribute(void*, int, int) { return ++state().attributes_set, 0; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                   unsigned shared_bytes, void* stream, void** params, void**) {
    if (state().fail_launch != 0) return state().fail_launch;
    const auto& f = *static_cast<Function*>(function);
    Launch l{f.module->image, f.name, {x, y, z}, threads, shared_bytes, stream, std::vector<void*>(params, params + 8)};
    if (state().on_launch != nullptr) state().on_launch(l);
    state().launches.push_back(l);
    state().seconds += state().launch_seconds;
    return state().fail_launch;
}
int allocate_memory(std::uint64_t* address, std::size_t bytes) { return allocate(address, bytes); }
int free_memory(std::uint64_t address) { return release(address); }
int cuMemAllocAsync(std::uint64_t* address, std::size_t bytes, void*) { return allocate(address, bytes); }
int cuMemFreeAsync(std::uint64_t address, void*) { return release(address); }
int copy_to_device(std::uint64_t to, const void* from, std::size_t bytes, void*) {
    return std::memcpy(reinterpret_cast<void*>(to), from, bytes), 0;
}
int copy_to_host(void* to, std::uint64_t from, std::size_t bytes, void*) {
    return std::memcpy(to, reinterpret_cast<const void*>(from), bytes), 0;
}
int cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, void*) {
    ++state().fills;
    return std::memset(reinterpret_cast<void*>(to), value, bytes), 0;
}
int cuEventCreate(void** event, unsigned) { return *event = new Event, ++state().events, 0; }
int cuEventRecord(void* event, void*) { return static_cast<Event*>(event)->seconds = state().seconds, 0; }
int cuEventSynchronize(void*) { return state().fail_synchronize; }
int cuEventElapsedTime(float* milliseconds, void* before, void* after) {
    *milliseconds = static_cast<float>(1e3 * (static_cast<Event*>(after)->seconds - static_cast<Event*>(before)->seconds));
    return 0;
}
int destroy_event(void* event) { return delete static_cast<Event*>(event), --state().events, 0; }
int cuStreamSynchronize(void*) { return state().fail_synchronize; }
int cuPointerGetAttribute(void* value, int, std::uint64_t address) {
    const auto it = allocations().upper_bound(address);
    const bool known = it != allocations().begin() && address < std::prev(it)->first + std::prev(it)->second;
    *static_cast<unsigned*>(value) = 2;
    return known ? 0 : 1;
}
int cuGetErrorName(int error, const char** name) {
    return *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_OTHER", 0;
}
int cuGetErrorString(int error, const char** text) { return *text = error == 2 ? "out of memory" : "something else", 0; }
int cuTensorMapEncodeTiled(void* map, int type, std::uint32_t rank, void* base, const std::uint64_t* extents,
                           const std::uint64_t* strides, const std::uint32_t* box, const std::uint32_t*, int, int swizzle, int,
                           int) {
    state().maps.push_back({type, base, {extents, extents + rank}, {strides, strides + rank - 1}, {box, box + rank}, swizzle});
    std::memset(map, static_cast<int>(state().maps.size()), 128);
    return 0;
}
}
