#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cuda/device_functions.h"

namespace tessera::cuda {

/// A kind of product of a warpgroup: D (64 x n) = A (64 x k) B (k x n) + D, or without + D where scale_d is 0.
struct WgmmaKind {
    std::string_view name;   // in the function's name: wgmma_m64n<n>k<k>_<name>, and _rs where A comes from registers
    std::string_view types;  // of D, A and B in PTX
    int k;
    bool integer;     // D is i32
    bool transposes;  // template arguments say which operands lie along m or n
};

[[nodiscard]] const std::vector<WgmmaKind>& wgmma_kinds();

/// The sizes n that a kind has.
[[nodiscard]] std::vector<int> wgmma_sizes(const WgmmaKind& kind);

/// wgmma_m64n<n>k<k>_<kind>(d, a, b, scale_d), a and b descriptors (matrix_desc); with the suffix _rs, a is four registers of
/// which register i holds row lane/4 + 8 (i%2), elements along k from 16-byte half i/2 of the row at (lane%4) * 4 bytes. d[e] is
/// row 16 warp + lane/4 + 8 (e/2 % 2), column 8 (e/4) + 2 (lane%4) + e%2.
[[nodiscard]] std::optional<DeviceFunction> wgmma_function(std::string_view name);

}  // namespace tessera::cuda
