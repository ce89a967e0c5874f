#pragma once
// The device functions: the words of which emitted kernels consist. Their definitions are the texts of device/*.cuh, and three
// families are written on demand: math functions (math_text.h), random numbers (math_text.h) and products of warpgroups
// (wgmma_text.h).
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::cuda {

struct DeviceFunction {
    std::string name;                // "ldmatrix_x4"; of a block of types its first
    std::vector<std::string> names;  // all that the block defines
    std::string signature;  // "void ldmatrix_x4(u32 (&r)[4], u32 address)", with its template line; of overloads the first
    std::string arch;       // the least that has it: "any" (plain C++, compiled by the emulator as it stands), "sm_80", "sm_90a"
    std::string level;      // who executes it together: "thread", "warp", "warpgroup", "cta", "cluster"; "type" of types
    std::string instruction;  // of PTX, by the name under which its manual describes it; "-" where there is none
    std::string doc;
    std::string text;               // the definition
    std::vector<std::string> uses;  // names of other blocks in it
};

/// The blocks of device/*.cuh, each after those that it uses.
[[nodiscard]] const std::vector<DeviceFunction>& device_functions();

/// The block that defines `name`, a math function or a product of warpgroups; none where there is no such name.
[[nodiscard]] std::optional<DeviceFunction> device_function(std::string_view name);

/// The device functions that a kernel's text names.
[[nodiscard]] std::set<std::string> device_names_in(std::string_view text);

/// Whether `arch` ("sm_80", "sm_90a", ...) has the function. Of sm_90a and other names with a letter only that very arch.
[[nodiscard]] bool on_arch(const DeviceFunction& function, std::string_view arch);

/// The text that stands before a kernel which names these functions: their definitions and those that they use. What only a GPU
/// has stands under #ifdef __CUDACC__, so that the emulator of the tests compiles the same file. The names must exist on `arch`.
[[nodiscard]] std::string device_prelude(const std::set<std::string>& names, std::string_view arch);

/// The definitions of a whole text of blocks, as device/*.cuh have them. For tests.
[[nodiscard]] std::vector<DeviceFunction> parse_device_text(std::string_view text);

/// The embedded texts: macros, and blocks.
extern const char* const device_words_text;
extern const char* const device_blocks_text;

}  // namespace tessera::cuda
