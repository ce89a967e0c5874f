#include "unit/cuda/fake_nvrtc.h"

#include <cstring>

namespace tessera::fake_nvrtc {

State& state() {
    static State s;
    return s;
}

namespace {

struct Program {
    std::string source, log;
};
bool has(const std::string& text, const std::string& words) { return !words.empty() && text.find(words) != std::string::npos; }

}  // namespace
}  // namespace tessera::fake_nvrtc

using namespace tessera::fake_nvrtc;

extern "C" {
int nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 99, 0; }
int nvrtcCreateProgram(void** program, const char* source, const char*, int, const char* const*, const char* const*) {
    return *program = new Program{source, ""}, 0;
}
int nvrtcCompileProgram(void* program, int count, const char* const* options) {
    auto& p = *static_cast<Program*>(program);
    state().options.assign(options, options + count);
    ++state().compiled;
    if (has(p.source, state().refuse)) {
        p.log = "kernel.cu(1): error: the fake refuses " + state().refuse;
        return 6;
    }
    p.log =
        "ptxas info    : Compiling entry function 'kernel' for 'sm_90a'\n"
        "ptxas info    : Function properties for kernel\n"
        "ptxas         .     0 bytes stack frame, " +
        std::string(has(p.source, state().spill) ? "64" : "0") +
        " bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 40 registers, used 0 barriers\n";
    return 0;
}
int nvrtcGetProgramLogSize(void* program, std::size_t* size) { return *size = static_cast<Program*>(program)->log.size() + 1, 0; }
int nvrtcGetProgramLog(void* program, char* text) { return std::strcpy(text, static_cast<Program*>(program)->log.c_str()), 0; }
int nvrtcGetCUBINSize(void* program, std::size_t* size) { return *size = static_cast<Program*>(program)->source.size() + 1, 0; }
int nvrtcGetCUBIN(void* program, char* bytes) { return std::strcpy(bytes, static_cast<Program*>(program)->source.c_str()), 0; }
int nvrtcDestroyProgram(void** program) { return delete static_cast<Program*>(*program), *program = nullptr, 0; }
const char* nvrtcGetErrorString(int error) { return error == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_OTHER"; }
}
