#pragma once
// NVRTC without a compiler: libnvrtc.so.13 for tests. The "machine code" of a text is the text.
#include <string>
#include <vector>

namespace tessera::fake_nvrtc {

/// What the compiler is to do, and what it was asked.
struct State {
    std::string refuse;  // texts with these words are errors
    std::string spill;   // texts with these words spill registers
    std::vector<std::string> options;
    int compiled = 0;
};
State& state();

}  // namespace tessera::fake_nvrtc
