#include "runtime/last_error.h"

#include <tessera/tessera_runtime.h>

#include <cstdarg>
#include <cstdio>

namespace tessera::runtime {

ErrorText& this_thread_error() {
    thread_local ErrorText text{};
    return text;
}

int& this_thread_failed_check() {
    thread_local int status = 0;
    return status;
}

void clear_error() {
    ErrorText& text = this_thread_error();
    text.message[0] = '\0';
    text.fix[0] = '\0';
}

int fail(int status, const char* format, ...) {
    ErrorText& text = this_thread_error();
    text.fix[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.message, sizeof text.message, format, arguments);
    va_end(arguments);
    return status;
}

int add_fix(int status, const char* format, ...) {
    ErrorText& text = this_thread_error();
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.fix, sizeof text.fix, format, arguments);
    va_end(arguments);
    return status;
}

}  // namespace tessera::runtime

extern "C" const char* tessera_last_error(void) { return tessera::runtime::this_thread_error().message; }
extern "C" const char* tessera_last_error_fix(void) { return tessera::runtime::this_thread_error().fix; }
