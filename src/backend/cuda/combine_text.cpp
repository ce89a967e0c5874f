#include "backend/cuda/combine_text.h"

#include "backend/cuda/cuda_source.h"

#include <fmt/format.h>

namespace tessera::cuda {

void CombineText::write(const Stage& s, const Names& parts, std::int64_t warps, std::int64_t shared) {
    lanes(s, parts);
    if (warps == 1) return;
    leave(s, parts, shared);
    take(s, parts, warps, shared);
    lanes(s, parts);
}

void CombineText::write_before(const Stage& s, const Names& parts, std::int64_t warps, std::int64_t shared) {
    const Names total = copies(s, "total", parts);
    const Names none = identity(s);
    for (size_t i = 0; i < parts.size(); ++i) lines_.add(fmt::format("{} = {};", parts[i], none[i]));
    lanes_before(s, total, parts);
    if (warps == 1) return;
    leave(s, total, shared);
    take(s, total, warps, shared);
    const Names before = copies(s, "warps_before", none);
    lanes_before(s, total, before);
    // Lane w has what is before warp w.
    Names own;
    for (size_t i = 0; i < parts.size(); ++i) own.push_back(shuffled(s.dtypes[i], "shfl_idx", before[i], thread() + " / 32"));
    assign(s, parts, own, parts);
}

// What each warp has combined, in shared memory for all.
void CombineText::leave(const Stage& s, const Names& parts, std::int64_t shared) {
    const std::string sync = scalars_.call("sync_cta") + "();";
    lines_.open(fmt::format("if ({} % 32 == 0) {{", thread()));
    for (size_t i = 0; i < parts.size(); ++i)
        lines_.add(fmt::format("{}<{}>({} + {} / 32 * 8, {});", scalars_.call("sts"), cuda_type(s.dtypes[i]),
                               partial_at(i, shared), thread(), parts[i]));
    lines_.close();
    lines_.add(sync);
}
// Of warp w in lane w; the identity in lanes without one.
void CombineText::take(const Stage& s, const Names& parts, std::int64_t warps, std::int64_t shared) {
    lines_.open(fmt::format("if ({} % 32 < {}) {{", thread(), warps));
    for (size_t i = 0; i < parts.size(); ++i)
        lines_.add(fmt::format("{} = {}<{}>({} + {} % 32 * 8);", parts[i], scalars_.call("lds"), cuda_type(s.dtypes[i]),
                               partial_at(i, shared), thread()));
    if (warps < 32) {
        lines_.otherwise();
        const Names none = identity(s);
        for (size_t i = 0; i < parts.size(); ++i) lines_.add(fmt::format("{} = {};", parts[i], none[i]));
    }
    lines_.close();
}
std::string CombineText::partial_at(size_t component, std::int64_t shared) {
    return fmt::format("smem + {}", shared + static_cast<std::int64_t>(256 * component));
}

// A butterfly in which the lower lane stands left.
void CombineText::lanes(const Stage& s, const Names& parts, std::int64_t count) {
    const std::string mask = lines_.fresh("mask");
    lines_.add("TSR_UNROLL");
    lines_.open(fmt::format("for (int {0} = {1}; {0} > 0; {0} /= 2) {{", mask, count / 2));
    exchange(s, parts, mask);
    lines_.close();
}
// The same from neighbours outwards: the upper one of two groups of lanes has the lower one's total before it.
void CombineText::lanes_before(const Stage& s, const Names& total, const Names& before) {
    const std::string mask = lines_.fresh("mask");
    lines_.add("TSR_UNROLL");
    lines_.open(fmt::format("for (int {0} = 1; {0} < 32; {0} *= 2) {{", mask));
    exchange(s, total, mask, &before);
    lines_.close();
}

void CombineText::exchange(const Stage& s, const Names& parts, const std::string& mask, const Names* before) {
    lines_.add(fmt::format("const bool upper = ({} & {}) != 0;", thread(), mask));
    Names other, left, right;
    for (size_t i = 0; i < parts.size(); ++i) {
        other.push_back(lines_.fresh("other"));
        lines_.add(fmt::format("const {} {} = {};", cuda_type(s.dtypes[i]), other[i],
                               shuffled(s.dtypes[i], "shfl_xor", parts[i], mask)));
        left.push_back(fmt::format("upper ? {} : {}", other[i], parts[i]));
        right.push_back(fmt::format("upper ? {} : {}", parts[i], other[i]));
    }
    if (before) {
        lines_.open("if (upper) {");
        assign(s, *before, other, *before);
        lines_.close();
    }
    assign(s, parts, left, right);
}

// to = left combined with right; all of them are read first.
void CombineText::assign(const Stage& s, const Names& to, const Names& left, const Names& right) {
    std::vector<Expr> lefts, rights, values;
    for (size_t i = 0; i < to.size(); ++i) {
        const std::string type = cuda_type(s.dtypes[i]);
        lefts.push_back(make_variable("left", s.dtypes[i]));
        rights.push_back(make_variable("right", s.dtypes[i]));
        lines_.add(fmt::format("const {} {} = {};", type, declare_(lefts.back()), left[i]));
        lines_.add(fmt::format("const {} {} = {};", type, declare_(rights.back()), right[i]));
    }
    const Tuple combined = s.update->monoid->combine(Tuple(lefts), Tuple(rights));
    for (size_t i = 0; i < to.size(); ++i) values.push_back(resolve_weak(combined[i], s.dtypes[i], s.where));
    const Names texts = scalars_.values(values);
    for (size_t i = 0; i < to.size(); ++i) lines_.add(fmt::format("{} = {};", to[i], texts[i]));
}

CombineText::Names CombineText::copies(const Stage& s, const std::string& name, const Names& of) {
    Names out;
    for (size_t i = 0; i < of.size(); ++i) {
        out.push_back(lines_.fresh(name));
        lines_.add(fmt::format("{} {} = {};", cuda_type(s.dtypes[i]), out.back(), of[i]));
    }
    return out;
}
CombineText::Names CombineText::identity(const Stage& s) {
    Names out;
    for (const Expr& e : s.values) out.push_back(scalars_.value(e));
    return out;
}

std::string CombineText::shuffled(DType t, const std::string& shuffle, const std::string& value, const std::string& by) {
    const std::string call = scalars_.call(shuffle), type = cuda_type(t);
    if (is_narrow_float(t))
        return fmt::format("{}{{static_cast<u{}>({}(static_cast<u32>({}.x), {}))}}", type, dtype_bits(t), call, value, by);
    if (dtype_bits(t) < 32) return fmt::format("static_cast<{}>({}(static_cast<i32>({}), {}))", type, call, value, by);
    return fmt::format("{}({}, {})", call, value, by);
}

}  // namespace tessera::cuda
