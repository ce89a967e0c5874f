#include "backend/cuda/combine_text.h"

#include "backend/cuda/cuda_source.h"

#include <fmt/format.h>

namespace tessera::cuda {

void CombineText::write(const Stage& s, const std::vector<std::string>& parts, std::int64_t warps, std::int64_t shared) {
    lanes(s, parts);
    if (warps == 1) return;
    const auto at = [&](size_t i) { return fmt::format("smem + {}", shared + static_cast<std::int64_t>(256 * i)); };
    const std::string sync = scalars_.call("sync_cta") + "();";
    lines_.open(fmt::format("if ({} % 32 == 0) {{", thread()));
    for (size_t i = 0; i < parts.size(); ++i)
        lines_.add(fmt::format("{}<{}>({} + {} / 32 * 8, {});", scalars_.call("sts"), cuda_type(s.dtypes[i]), at(i), thread(),
                               parts[i]));
    lines_.close();
    lines_.add(sync);
    lines_.open(fmt::format("if ({} % 32 < {}) {{", thread(), warps));
    for (size_t i = 0; i < parts.size(); ++i)
        lines_.add(fmt::format("{} = {}<{}>({} + {} % 32 * 8);", parts[i], scalars_.call("lds"), cuda_type(s.dtypes[i]), at(i),
                               thread()));
    if (warps < 32) {
        lines_.otherwise();
        for (size_t i = 0; i < parts.size(); ++i) lines_.add(fmt::format("{} = {};", parts[i], scalars_.value(s.values[i])));
    }
    lines_.close();
    lanes(s, parts);
}

// A butterfly in which the lower lane stands left.
void CombineText::lanes(const Stage& s, const std::vector<std::string>& parts) {
    const std::string mask = lines_.fresh("mask");
    lines_.add("TSR_UNROLL");
    lines_.open(fmt::format("for (int {0} = 16; {0} > 0; {0} /= 2) {{", mask));
    lines_.add(fmt::format("const bool upper = ({} & {}) != 0;", thread(), mask));
    std::vector<Expr> left, right;
    for (size_t i = 0; i < parts.size(); ++i) {
        const std::string type = cuda_type(s.dtypes[i]), other = lines_.fresh("other");
        lines_.add(fmt::format("const {} {} = {};", type, other, shuffled(s.dtypes[i], parts[i], mask)));
        left.push_back(make_variable("left", s.dtypes[i]));
        right.push_back(make_variable("right", s.dtypes[i]));
        lines_.add(fmt::format("const {} {} = upper ? {} : {};", type, declare_(left.back()), other, parts[i]));
        lines_.add(fmt::format("const {} {} = upper ? {} : {};", type, declare_(right.back()), parts[i], other));
    }
    const Tuple combined = s.update->monoid->combine(Tuple(left), Tuple(right));
    std::vector<Expr> values;
    for (size_t i = 0; i < parts.size(); ++i) values.push_back(resolve_weak(combined[i], s.dtypes[i], s.where));
    const std::vector<std::string> texts = scalars_.values(values);
    for (size_t i = 0; i < parts.size(); ++i) lines_.add(fmt::format("{} = {};", parts[i], texts[i]));
    lines_.close();
}

std::string CombineText::shuffled(DType t, const std::string& value, const std::string& mask) {
    const std::string shuffle = scalars_.call("shfl_xor"), type = cuda_type(t);
    if (t == DType::f16 || t == DType::bf16)
        return fmt::format("{}{{static_cast<u16>({}(static_cast<u32>({}.x), {}))}}", type, shuffle, value, mask);
    if (dtype_bits(t) < 32) return fmt::format("static_cast<{}>({}(static_cast<i32>({}), {}))", type, shuffle, value, mask);
    return fmt::format("{}({}, {})", shuffle, value, mask);
}

}  // namespace tessera::cuda
