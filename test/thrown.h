#pragma once

#include <tessera/tessera.h>

#include <functional>
#include <string>

namespace tessera {

/// The code of what `f` throws, and its text; B0951_internal where it throws nothing.
inline ErrorCode thrown(const std::function<void()>& f, std::string* text = nullptr) {
    try {
        f();
    } catch (const Exception& e) {
        if (text) *text = e.what();
        return e.code();
    }
    return B0951_internal;
}

}  // namespace tessera
