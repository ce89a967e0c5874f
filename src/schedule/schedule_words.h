#pragma once

#include <tessera/schedule.h>

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace tessera {

/// One word that a field may have: what it does to the loop tree, and what to write instead where the CPU or the CUDA backend
/// refuses it ("" where it has it).
struct WordRow {
    std::string_view word;
    std::string_view doc;
    std::string_view cpu_alternative = "";
    std::string_view cuda_alternative = "";
};

inline constexpr auto loop_kind_words = std::to_array<WordRow>({
    {"serial", "one iteration after the other"},
    {"parallel", "for m: S -> parallel m: S; adjacent parallel loops are one linear space", "", "block"},
    {"unroll", "for m in [0, 2): S(m) -> S(0); S(1); a constant extent"},
    {"vector", "for n in [0, 8): S(n) -> S(ramp(0, 1, 8)); a constant extent"},
    {"block", "blocks of the grid; the outermost one starts a kernel", "parallel"},
    {"cluster", "the blocks of one cluster, of which the loops around it count as many; 2, 4 or 8", "parallel"},
    {"warpgroup", "four warps that issue one instruction", "unroll"},
    {"warp", "the warps of a block", "unroll"},
    {"lane", "the lanes of a warp", "vector"},
    {"thread", "all threads of the block, linear, strided when the region is larger", "vector"},
    {"frag", "one tile value per warp or warpgroup, lanes by layout inference", "unroll and vector"},
    {"mesh:<axis>", "the devices along one axis of the mesh", "parallel", "block"},
});
inline constexpr auto tail_words = std::to_array<WordRow>({
    {"guard", "the last tile runs under `if (m < extent)`; always legal"},
    {"mask", "the last tile runs whole, its loads and stores masked"},
    {"shift_inwards", "the last tile starts at extent - tile and recomputes; not on a reduction's own loops"},
    {"round_up", "the last tile runs whole into padded storage"},
    {"pad", "of copies: fills so that the consumer is unchanged"},
});
inline constexpr auto partition_words = std::to_array<WordRow>({
    {"auto", "splits where a boundary condition can be dropped"},
    {"never", "one loop"},
    {"always", "for m -> prologue; for m in the interior; epilogue", "", "auto"},
});
inline constexpr auto space_words = std::to_array<WordRow>({
    {"auto", "the backend's choice by size"},
    {"heap", "allocated by the runtime", "", "global"},
    {"stack", "on the stack; a constant size", "", "register"},
    {"register", "in registers; a constant size, constant indices"},
    {"shared", "shared memory of a block", "stack"},
    {"global", "device memory", "heap"},
});
inline constexpr auto swizzle_words = std::to_array<WordRow>({
    {"none", "rows as they are"},
    {"xor", "row bits are exclusive-ored into the vector index", "none"},
    {"32B", "the 32 byte pattern of TMA", "none"},
    {"64B", "the 64 byte pattern of TMA", "none"},
    {"128B", "the 128 byte pattern of TMA", "none"},
});
inline constexpr auto fuse_align_words = std::to_array<WordRow>({
    {"none", "each stage keeps its own first iteration"},
    {"start", "both start at the same iteration"},
    {"end", "both end at the same iteration"},
});
inline constexpr auto method_words = std::to_array<WordRow>({
    {"serial", "in source order"},
    {"owner", "each destination gathers what belongs to it", "serial", "serial"},
    {"sort", "sources sorted by destination, then segments combined", "serial", "serial"},
    {"private", "a private destination per worker, combined once", "serial", "serial"},
    {"atomic", "integers only: atomic updates", "serial"},
    {"blocked", "of scans: threads combine the steps that each has, then each starts from what is before it", "serial"},
    {"lookback", "of scans: one pass, each block waits for the one before", "serial", "serial"},
});
inline constexpr auto engine_words = std::to_array<WordRow>({
    {"auto", "the backend's choice"},
    {"ldg", "through registers", "auto"},
    {"cp_async", "asynchronous copies of 4, 8 or 16 bytes: what the innermost vector loop covers", "auto"},
    {"tma", "the tensor memory accelerator, one box a copy", "auto"},
    {"ldmatrix", "fragments from shared memory", "auto", "auto"},
    {"stmatrix", "fragments to shared memory", "auto", "auto"},
});
inline constexpr auto overlap_words = std::to_array<WordRow>({
    {"pingpong", "a warpgroup copies, two consumers have a tile each: one multiplies while the other stores", "no overlap"},
    {"cooperative", "a warpgroup copies, the others share one tile", "no overlap"},
});
inline constexpr auto compute_words = std::to_array<WordRow>({
    {"inline", "recomputed at each use; a reduction gets a private instance in each user's innermost loop"},
    {"root", "a loop nest of its own before all that use it"},
});

/// The words of an enum of the schedule, in the order of its enumerators.
template <class E>
constexpr std::span<const WordRow> words_of();
template <>
constexpr std::span<const WordRow> words_of<LoopKind>() {
    return loop_kind_words;
}
template <>
constexpr std::span<const WordRow> words_of<Tail>() {
    return tail_words;
}
template <>
constexpr std::span<const WordRow> words_of<Partition>() {
    return partition_words;
}
template <>
constexpr std::span<const WordRow> words_of<Space>() {
    return space_words;
}
template <>
constexpr std::span<const WordRow> words_of<Swizzle>() {
    return swizzle_words;
}
template <>
constexpr std::span<const WordRow> words_of<FuseAlign>() {
    return fuse_align_words;
}
template <>
constexpr std::span<const WordRow> words_of<Method>() {
    return method_words;
}
template <>
constexpr std::span<const WordRow> words_of<Engine>() {
    return engine_words;
}
template <>
constexpr std::span<const WordRow> words_of<Overlap>() {
    return overlap_words;
}

static_assert(loop_kind_words.size() == static_cast<size_t>(LoopKind::mesh) + 1);
static_assert(tail_words.size() == static_cast<size_t>(Tail::pad) + 1);
static_assert(partition_words.size() == static_cast<size_t>(Partition::always) + 1);
static_assert(space_words.size() == static_cast<size_t>(Space::global) + 1);
static_assert(swizzle_words.size() == static_cast<size_t>(Swizzle::bytes128) + 1);
static_assert(fuse_align_words.size() == static_cast<size_t>(FuseAlign::end) + 1);
static_assert(method_words.size() == static_cast<size_t>(Method::lookback) + 1);
static_assert(engine_words.size() == static_cast<size_t>(Engine::stmatrix) + 1);
static_assert(overlap_words.size() == static_cast<size_t>(Overlap::cooperative) + 1);

/// The enumerator whose word this is.
template <class E>
std::optional<E> from_word(std::string_view spelling) {
    const auto words = words_of<E>();
    for (size_t i = 0; i < words.size(); ++i)
        if (words[i].word == spelling) return static_cast<E>(i);
    return {};
}

}  // namespace tessera
