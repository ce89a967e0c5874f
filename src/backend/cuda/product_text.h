#pragma once

#include "backend/cuda/scalar_text.h"
#include "tile/shared_layout.h"

#include <optional>

namespace tessera::cuda {

/// A factor of a product of fragments, in shared memory, as text.
struct FactorText {
    std::string name;         // of its matrix, for variables
    std::string base;         // the address of its memory
    std::string row, column;  // of its first cell: a row, and bytes in it
    std::int64_t pitch = 0;   // bytes of a row
    std::optional<tile::RowSwizzle> swizzle;
    /// Rows are not those of the left factor, or the columns of the right one, but positions of the sum.
    bool rows_are_summed = false;
    std::int64_t box_bytes = 0;  // of a factor in boxes of rows: of one
};

/// A left factor in registers as text: an array whose cells are dealt out as those of sums.
struct HeldText {
    std::string array;
    std::string first;     // its first cell
    std::int64_t row = 0;  // cells of one thread in a row
    bool wide = false;     // f32, which is rounded as it is packed
    bool packed = false;   // two cells of 16 bits in one register
};

/// sums[m x n] += left[m x k] right[k x n], by one warp.
struct ProductText {
    FactorText left, right;
    std::optional<HeldText> held;  // instead of left
    std::string sums;              // an array of registers, cells as mma.sync deals them out
    std::string first;             // the cell of the first sum
    std::int64_t sums_row = 0;     // cells of one thread in a row of sums
    std::int64_t m = 0, n = 0, k = 0;
    DType dtype = DType::bf16;  // of the factors
    bool in_flight = false;     // of a warpgroup
    bool leads = false;         // none is in flight before it
    std::string fresh;          // where it is 0 the sums are replaced; "": nowhere
};

/// The same by a warpgroup, 64 rows, of factors in rows of 128 swizzled bytes along k, of right in boxes also along n. All of the
/// array are its sums, row 8 h and column 8 j + w behind a thread's first at 4 j + 2 h + w, and so is held. Waits for the
/// product, or for the one before it.
void write_grouped_product(Lines& lines, const std::function<std::string(const std::string&)>& call, const ProductText& product);
/// The compiler moves no use of the array's registers across what follows.
void hold_registers(Lines& lines, const std::function<std::string(const std::string&)>& call, const std::string& array,
                    std::int64_t cells);
/// Loads 16 rows of left and 16 columns of right at a time by ldmatrix.x4, 32 bytes deep, and multiplies.
void write_product(Lines& lines, const std::function<std::string(const std::string&)>& call, const ProductText& product);

}  // namespace tessera::cuda
