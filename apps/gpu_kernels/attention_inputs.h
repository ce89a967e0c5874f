#pragma once

#include <tessera/tessera.h>

#include <cmath>
#include <cstdint>

namespace gpu_kernels {

/// What attention reads, as its definitions and its kernels name it, for every head.
struct AttentionInputs {
    tessera::Dim heads{"heads"}, queries{"queries"}, keys{"keys"}, d, e;
    tessera::Input Q, K, V;

    explicit AttentionInputs(std::int64_t head)
        : d("d", head), e("e", head), Q("Q", tessera::bf16, {heads, queries, d}), K("K", tessera::bf16, {heads, keys, d}),
          V("V", tessera::bf16, {heads, keys, e}) {}

    /// Q K^T / sqrt(head), over (heads, queries, keys); the lowest number where `causal` hides a key from a query.
    [[nodiscard]] tessera::Func scores(bool causal) const {
        const auto wide = [](const tessera::Expr& narrow) { return tessera::cast(tessera::f32, narrow); };
        const auto root = static_cast<float>(std::sqrt(static_cast<double>(d.extent().constant().value())));
        const tessera::Expr score = tessera::sum({d}, wide(Q(heads, queries, d)) * wide(K(heads, keys, d))) / root;
        const tessera::Expr seen = keys - keys.extent() <= queries - queries.extent();
        tessera::Func out("scores");
        out(heads, queries, keys) = causal ? tessera::select(seen, score, tessera::lowest(tessera::f32)) : score;
        return out;
    }
};

constexpr float log2_of_e = 1.44269504F, log_of_2 = 0.693147181F;
/// exp(x / sqrt(head)) = exp2(x scale_of(head))
inline float scale_of(std::int64_t head) { return static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(head))); }

}  // namespace gpu_kernels
