#include "backend/cuda/product_text.h"

#include "backend/cuda/cuda_source.h"
#include "base/check.h"

#include <fmt/format.h>

namespace tessera::cuda {
namespace {

/// The function that multiplies, and its type of sums.
std::pair<std::string, std::string> instruction(DType dtype) {
    switch (dtype) {
        case DType::f16: return {"mma_m16n8k16_f16", "float"};
        case DType::f32: return {"mma_m16n8k8_tf32", "float"};
        case DType::i8: return {"mma_m16n8k32_s8", "i32"};
        case DType::u8: return {"mma_m16n8k32_u8", "i32"};
        default: return {"mma_m16n8k16_bf16", "float"};
    }
}

// ldmatrix takes the address of a row of 16 bytes from every lane: lanes 0-7 of the first matrix, and so on. The four matrices
// are two by two, of two rows or two columns of 16 bytes; `rows_first`: the second is below the first, not right of it.
class MatrixLoads {
public:
    MatrixLoads(Lines& lines, std::string load, const FactorText& f, const std::string& lane, bool rows_first)
        : load_(std::move(load)), swizzled_(f.swizzle.has_value()), pitch_(f.pitch), name_(lines.fresh(f.name)) {
        const std::string row = rows_first ? lane + " % 16" : fmt::format("{0} / 16 * 8 + {0} % 8", lane);
        const std::string chunk = rows_first ? lane + " / 16 * 16" : fmt::format("{} / 8 % 2 * 16", lane);
        const std::string at = lines.fresh(f.name + "_row");
        lines.add(fmt::format("const u32 {} = static_cast<u32>({} + {});", at, f.row, row));
        if (!swizzled_) {
            lines.add(fmt::format("const u32 {} = {} + {} * {} + static_cast<u32>({} + {});", name_, f.base, at, pitch_, f.column,
                                  chunk));
            return;
        }
        if (f.column == "0" && pitch_ <= 1024) {
            // Chunks and what is added to them have no bit in common, so that one register is kept of it all.
            in_place_ = true;
            lines.add(fmt::format("const u32 {} = {} + {} * {} + (static_cast<u32>({}) ^ ({} >> {} & {}u) << 4);", name_, f.base,
                                  at, pitch_, chunk, at, f.swizzle->shift, f.swizzle->mask));
            return;
        }
        turn_ = lines.fresh(f.name + "_turn"), column_ = lines.fresh(f.name + "_column");
        lines.add(fmt::format("const u32 {} = {} + {} * {}, {} = ({} >> {} & {}u) << 4, {} = static_cast<u32>({} + {});", name_,
                              f.base, at, pitch_, turn_, at, f.swizzle->shift, f.swizzle->mask, column_, f.column, chunk));
    }

    /// Into `registers`, `rows` rows (a multiple of 8 in which the swizzle comes round: 16) and `bytes` further.
    [[nodiscard]] std::string at(const std::string& registers, const std::string& rows, const std::string& bytes) const {
        if (!swizzled_)
            return fmt::format("{}({}, {} + static_cast<u32>(({}) * {} + {}));", load_, registers, name_, rows, pitch_, bytes);
        if (in_place_)
            return fmt::format("{}({}, ({} ^ static_cast<u32>({})) + static_cast<u32>(({}) * {}));", load_, registers, name_,
                               bytes, rows, pitch_);
        return fmt::format("{}({}, {} + static_cast<u32>(({}) * {}) + (({} + static_cast<u32>({})) ^ {}));", load_, registers,
                           name_, rows, pitch_, column_, bytes, turn_);
    }

private:
    std::string load_;
    bool swizzled_, in_place_ = false;
    std::int64_t pitch_;
    std::string name_, turn_, column_;
};

// Register e of a factor has rows 8 (e % 2) and columns 8 (e / 2) further: two sums that lie side by side.
void pack_held(Lines& lines, const std::string& pack, const std::string& type, const HeldText& held, std::int64_t rows) {
    lines.add("TSR_UNROLL");
    lines.open(fmt::format("for (int e = 0; e < {}; ++e) {{", rows / 4));
    lines.add(fmt::format("const {}* const c = {} + {} + (e / 4 * 2 + e % 2) * {} + k / 4 + e % 4 / 2 * 2;", type, held.array,
                          held.first, held.row));
    lines.add(pack.empty() ? "a[e / 4][e % 4] = static_cast<u32>(c[0].x) | static_cast<u32>(c[1].x) << 16;"
                           : fmt::format("a[e / 4][e % 4] = {}(c[0], c[1]);", pack));
    lines.close();
}

}  // namespace

void write_product(Lines& lines, const std::function<std::string(const std::string&)>& call, const ProductText& p) {
    const auto [multiply, type] = instruction(p.dtype);
    const std::string lane = fmt::format("{}() % 32", call("tid"));
    const std::int64_t bytes = dtype_bytes(p.dtype), step = 32 / bytes;
    // A register of a lane holds cells that follow each other along the sum: rows of sums are transposed as they are loaded.
    const bool left_turned = p.left.rows_are_summed, right_turned = p.right.rows_are_summed;
    const auto load = [&](bool turned) { return call(turned ? "ldmatrix_x4_trans" : "ldmatrix_x4"); };
    const auto round = [&](const std::string& registers, std::int64_t count) {
        if (p.dtype != DType::f32) return;
        lines.add("TSR_UNROLL");
        lines.add(fmt::format("for (int i = 0; i < {0}; ++i) {1}[i % 4] = {2}({3}(static_cast<i32>({1}[i % 4])));", count,
                              registers, call("f32_to_tf32"), call("float_of")));
    };
    std::optional<MatrixLoads> left;
    if (!p.held) left.emplace(lines, load(left_turned), p.left, lane, !left_turned);
    const MatrixLoads right(lines, load(right_turned), p.right, lane, right_turned);
    lines.add("TSR_UNROLL");
    lines.open(fmt::format("for (int k = 0; k < {}; k += {}) {{", p.k, step));
    lines.add(fmt::format("u32 a[{}][4];", p.m / 16));
    if (p.held) {
        const std::string pack = p.held->wide ? call(p.dtype == DType::f16 ? "pack_f16x2" : "pack_bf16x2") : "";
        pack_held(lines, pack, p.held->wide ? type : cuda_type(p.dtype), *p.held, p.m);
    } else {
        lines.add("TSR_UNROLL");
        lines.add(fmt::format(
            "for (int i = 0; i < {}; ++i) {}", p.m / 16,
            left_turned ? left->at("a[i]", "k", "i * 32") : left->at("a[i]", "i * 16", fmt::format("k * {}", bytes))));
        round("a[i / 4]", p.m / 4);
    }
    lines.add("TSR_UNROLL");
    lines.open(fmt::format("for (int j = 0; j < {}; j += 2) {{", p.n / 8));
    lines.add("u32 b[4];");
    lines.add(right_turned ? right.at("b", "k", "j * 16") : right.at("b", "j * 8", fmt::format("k * {}", bytes)));
    round("b", 4);
    lines.add("TSR_UNROLL");
    lines.open(fmt::format("for (int i = 0; i < {}; ++i) {{", p.m / 16));
    lines.add("TSR_UNROLL");
    lines.open("for (int h = 0; h < 2; ++h) {");
    lines.add(fmt::format("{}* const d = {} + {} + i * {} + (j + h) * 2;", type, p.sums, p.first, 2 * p.sums_row));
    lines.add(fmt::format("{} c[4] = {{d[0], d[1], d[{}], d[{}]}};", type, p.sums_row, p.sums_row + 1));
    lines.add(fmt::format("{}(c, a[i], b[2 * h], b[2 * h + 1]);", call(multiply)));
    lines.add(fmt::format("d[0] = c[0], d[1] = c[1], d[{}] = c[2], d[{}] = c[3];", p.sums_row, p.sums_row + 1));
    for (int i = 0; i < 4; ++i) lines.close();
}

void write_grouped_product(Lines& lines, const std::function<std::string(const std::string&)>& call, const ProductText& p) {
    const std::int64_t step = 32 / dtype_bytes(p.dtype);  // of one instruction: 32 bytes of a row
    const bool along_n = p.right.rows_are_summed;
    const auto descriptor = [&](const std::string& name, const FactorText& f) {
        const std::string at = fmt::format("{} + static_cast<u32>({}) * {}", f.base, f.row, f.pitch);
        // Eight rows after eight, and the columns of one box after those of another.
        lines.add(f.rows_are_summed
                      ? fmt::format("const u64 {} = {}({}, {}, 1024, 1);", name, call("matrix_desc"), at, f.box_bytes)
                      : fmt::format("const u64 {} = {}({});", name, call("desc_k_sw128"), at));
    };
    // Descriptors count 16 bytes; a row has four steps, and the next ones are in the next box.
    const auto step_of = [&](const std::string& name, const FactorText& f) {
        const std::string by = f.rows_are_summed                   ? fmt::format("k * {}", step * f.pitch / 16)
                               : f.box_bytes > 0 && p.k > 4 * step ? fmt::format("k / 4 * {} + k % 4 * 2", f.box_bytes / 16)
                                                                   : "k * 2";
        return fmt::format("{} + static_cast<u64>({})", name, by);
    };
    const auto hold = [&] { hold_registers(lines, call, p.sums, p.n / 2); };
    if (p.held) {
        TESSERA_CHECK(p.held->wide || p.held->packed, "a factor of warpgroups is held neither wide nor packed");
        const std::string pack = p.held->wide ? call(p.dtype == DType::f16 ? "pack_f16x2" : "pack_bf16x2") : "";
        lines.add(fmt::format("u32 a[{}][4];", p.k / step));
        lines.add("TSR_UNROLL");
        lines.add(fmt::format(
            "for (int e = 0; e < {}; ++e) a[e / 4][e % 4] = {};", p.k / step * 4,
            p.held->wide ? fmt::format("{0}({1}[2 * e], {1}[2 * e + 1])", pack, p.held->array) : p.held->array + "[e]"));
    } else {
        descriptor("a", p.left);
    }
    descriptor("b", p.right);
    hold();
    lines.add(fmt::format("{}();", call("wgmma_fence")));
    lines.add("TSR_UNROLL");
    const std::string function = call(fmt::format("wgmma_m64n{}k{}_{}{}", p.n, step,
                                                  p.dtype == DType::i8 ? "s8" : cuda_type(p.dtype), p.held ? "_rs" : "")) +
                                 (!along_n ? ""
                                  : p.held ? "<1>"
                                           : "<0, 1>");
    lines.add(fmt::format("for (int k = 0; k < {}; ++k) {}({}, {}, {}, {});", p.k / step, function, p.sums,
                          p.held ? "a[k]" : step_of("a", p.left), step_of("b", p.right),
                          p.fresh.empty() ? "1" : fmt::format("({} | k) != 0", p.fresh)));
    lines.add(fmt::format("{}();", call("wgmma_commit")));
    hold();
    if (!p.leads) lines.add(fmt::format("{}<{}>();", call("wgmma_wait"), p.in_flight ? 1 : 0));
    if (!p.in_flight) hold();
}

void hold_registers(Lines& lines, const std::function<std::string(const std::string&)>& call, const std::string& array,
                    std::int64_t cells) {
    lines.add("TSR_UNROLL");
    lines.add(fmt::format("for (int i = 0; i < {}; ++i) {}({}[i]);", cells, call("reg_fence"), array));
}

}  // namespace tessera::cuda
