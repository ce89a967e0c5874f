#pragma once

#include <tessera/schedule.h>

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace tessera {

/// The JSON words of an enum of the schedule, in the order of its enumerators.
template <class E>
constexpr std::span<const std::string_view> words_of();

#define TESSERA_WORDS(Enum, array_name, ...)                                     \
    inline constexpr auto array_name = std::to_array<std::string_view>(__VA_ARGS__); \
    template <>                                                                  \
    constexpr std::span<const std::string_view> words_of<Enum>() {              \
        return array_name;                                                       \
    }

TESSERA_WORDS(LoopKind, loop_kind_words,
              {"serial", "parallel", "unroll", "vector", "block", "cluster", "warpgroup", "warp", "lane", "thread", "frag", "mesh"})
TESSERA_WORDS(Tail, tail_words, {"guard", "mask", "shift_inwards", "round_up", "pad"})
TESSERA_WORDS(Partition, partition_words, {"auto", "never", "always"})
TESSERA_WORDS(Space, space_words, {"auto", "heap", "stack", "register", "shared", "global"})
TESSERA_WORDS(Swizzle, swizzle_words, {"none", "xor", "32B", "64B", "128B"})
TESSERA_WORDS(FuseAlign, fuse_align_words, {"none", "start", "end"})
TESSERA_WORDS(Method, method_words, {"serial", "owner", "sort", "private", "atomic", "blocked", "lookback"})
TESSERA_WORDS(Engine, engine_words, {"auto", "ldg", "cp_async", "tma", "ldmatrix", "stmatrix"})
TESSERA_WORDS(Overlap, overlap_words, {"pingpong", "cooperative"})
#undef TESSERA_WORDS

static_assert(loop_kind_words.size() == static_cast<size_t>(LoopKind::mesh) + 1);
static_assert(tail_words.size() == static_cast<size_t>(Tail::pad) + 1);
static_assert(space_words.size() == static_cast<size_t>(Space::global) + 1);
static_assert(method_words.size() == static_cast<size_t>(Method::lookback) + 1);
static_assert(engine_words.size() == static_cast<size_t>(Engine::stmatrix) + 1);

/// The enumerator whose word this is.
template <class E>
std::optional<E> from_word(std::string_view spelling) {
    const auto words = words_of<E>();
    for (size_t i = 0; i < words.size(); ++i)
        if (words[i] == spelling) return static_cast<E>(i);
    return {};
}

}  // namespace tessera
