#include "backend/cuda/runtime_compiler.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <dlfcn.h>
#include <array>
#include <cstdlib>
#include <vector>

namespace tessera::cuda {
namespace {

// Types and numbers as NVRTC has them; nothing of the toolkit is included.
using NvrtcResult = int;
struct NvrtcProgram;
constexpr NvrtcResult nvrtc_success = 0, nvrtc_error_out_of_memory = 1, nvrtc_error_invalid_option = 5;

/// The functions that are called.
struct Nvrtc {
    NvrtcResult (*version)(int* major, int* minor);
    NvrtcResult (*create)(NvrtcProgram** program, const char* source, const char* name, int headers, const char* const* texts,
                          const char* const* names);
    NvrtcResult (*compile)(NvrtcProgram* program, int options, const char* const* option);
    NvrtcResult (*log_size)(NvrtcProgram* program, std::size_t* size);
    NvrtcResult (*log)(NvrtcProgram* program, char* text);
    NvrtcResult (*cubin_size)(NvrtcProgram* program, std::size_t* size);
    NvrtcResult (*cubin)(NvrtcProgram* program, char* bytes);
    NvrtcResult (*destroy)(NvrtcProgram** program);
    const char* (*error_text)(NvrtcResult error);
};

struct LoadedNvrtc {
    Nvrtc functions{};
    const char* missing = nullptr;  // the first function that is not there
    bool has_library = false;
};

template <class Function>
void find_function(void* library, const char* name, Function& function, const char*& missing) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr && missing == nullptr) missing = name;
}

LoadedNvrtc load_nvrtc() {
    std::vector<std::string> names{"libnvrtc.so.13", "libnvrtc.so.12"};
    if (const char* home = std::getenv("CUDA_HOME")) names.push_back(std::string(home) + "/lib64/libnvrtc.so");
    names.emplace_back("/usr/local/cuda/lib64/libnvrtc.so");
    LoadedNvrtc out;
    void* library = nullptr;
    for (const std::string& name : names)
        if (library == nullptr) library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return out;
    out.has_library = true;
    Nvrtc& f = out.functions;
    find_function(library, "nvrtcVersion", f.version, out.missing);
    find_function(library, "nvrtcCreateProgram", f.create, out.missing);
    find_function(library, "nvrtcCompileProgram", f.compile, out.missing);
    find_function(library, "nvrtcGetProgramLogSize", f.log_size, out.missing);
    find_function(library, "nvrtcGetProgramLog", f.log, out.missing);
    find_function(library, "nvrtcGetCUBINSize", f.cubin_size, out.missing);
    find_function(library, "nvrtcGetCUBIN", f.cubin, out.missing);
    find_function(library, "nvrtcDestroyProgram", f.destroy, out.missing);
    find_function(library, "nvrtcGetErrorString", f.error_text, out.missing);
    return out;
}

const LoadedNvrtc& loaded_nvrtc() {
    static const LoadedNvrtc loaded = load_nvrtc();
    return loaded;
}

const Nvrtc& nvrtc() {
    const LoadedNvrtc& loaded = loaded_nvrtc();
    if (!loaded.has_library)
        throw Error(E0804_toolchain, {}, "compiling kernels for a GPU in this process needs NVRTC, which is not on this machine",
                    {fix("install the CUDA toolkit or its package of NVRTC, so that libnvrtc.so.13 is found"),
                     fix("set CUDA_HOME to the toolkit's folder"), fix("compile a library ahead of time")});
    if (loaded.missing != nullptr)
        throw Error(E0804_toolchain, {}, fmt::format("NVRTC of this machine lacks {}", loaded.missing),
                    {fix("install NVRTC of CUDA 12 or later")});
    return loaded.functions;
}

class NvrtcCompilation {
public:
    NvrtcCompilation(const Nvrtc& functions, const std::string& source, const std::string& name) : f_(functions) {
        require(f_.create(&program_, source.c_str(), name.c_str(), 0, nullptr, nullptr));
    }
    ~NvrtcCompilation() { f_.destroy(&program_); }
    NvrtcCompilation(const NvrtcCompilation&) = delete;
    NvrtcCompilation& operator=(const NvrtcCompilation&) = delete;

    CompiledText compile(const std::string& arch, const std::string& name) {
        const std::string architecture = "--gpu-architecture=" + arch;
        const std::array options{architecture.c_str(), "--std=c++17", "-fmad=false", "--ptxas-options=-v"};
        const NvrtcResult result = f_.compile(program_, static_cast<int>(options.size()), options.data());
        CompiledText out;
        out.words = text(f_.log_size, f_.log);
        if (result == nvrtc_error_invalid_option)
            throw Error(E0804_toolchain, {}, fmt::format("NVRTC of this machine does not compile for {}", arch),
                        {note(out.words.substr(0, 2000)), fix("install a later CUDA toolkit")});
        if (result != nvrtc_success)
            throw Error(E0804_toolchain, {}, fmt::format("compiling {} for {} failed: {}", name, arch, f_.error_text(result)),
                        {note(out.words.substr(0, 2000)), fix("ahead of time, nvcc leaves the text and its words in files")});
        out.cubin = text(f_.cubin_size, f_.cubin);
        return out;
    }

private:
    std::string text(NvrtcResult (*size_of)(NvrtcProgram*, std::size_t*), NvrtcResult (*read)(NvrtcProgram*, char*)) {
        std::size_t size = 0;
        require(size_of(program_, &size));
        std::string out(size, '\0');
        require(read(program_, out.data()));
        return out;
    }
    void require(NvrtcResult result) const {
        if (result == nvrtc_error_out_of_memory)
            throw Error(E0711_out_of_memory, {}, "NVRTC has no memory left", {fix("end other programs")});
        if (result != nvrtc_success)
            throw Error(E0804_toolchain, {}, fmt::format("NVRTC failed: {}", f_.error_text(result)),
                        {fix("install NVRTC of CUDA 12 or later")});
    }

    const Nvrtc& f_;
    NvrtcProgram* program_ = nullptr;
};

}  // namespace

std::string runtime_compiler_version() {
    const LoadedNvrtc& loaded = loaded_nvrtc();
    int major = 0, minor = 0;
    if (!loaded.has_library || loaded.missing != nullptr || loaded.functions.version(&major, &minor) != nvrtc_success) return "";
    return fmt::format("NVRTC {}.{}", major, minor);
}

CompiledText compile_at_run_time(const std::string& source, const std::string& arch, const std::string& name) {
    return NvrtcCompilation(nvrtc(), source, name).compile(arch, name);
}

}  // namespace tessera::cuda
