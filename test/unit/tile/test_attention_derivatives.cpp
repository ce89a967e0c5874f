#include <tessera/autodiff.h>

#include <gtest/gtest.h>

#include "../apps/gpu_kernels/flash_attention.h"
#include "../apps/gpu_kernels/flash_attention_backward.h"
#include "cuda/corpus_run.h"

// What the backward kernels of attention are compared with is the derivative of what the forward one is compared with.
namespace tessera {
namespace {

using Extents = std::map<std::string, std::int64_t>;

// Computed of what is known, and of random numbers otherwise.
cuda_test::CorpusBuffers evaluated(const Algorithm& algorithm, const Extents& extents, const interpreter::Inputs& known) {
    cuda_test::CorpusBuffers out = cuda_test::corpus_buffers({"", algorithm, {}, {}}, extents, 5);
    for (auto& [name, value] : out.inputs)
        if (const auto given = known.find(name); given != known.end()) value = given->second;
    interpreter::evaluate(algorithm, out.inputs, out.outputs);
    return out;
}

// Cotangents of bf16 are f32.
AnyBuffer widened(const AnyBuffer& from) {
    const AnyBuffer out(TESSERA_F32, from.extents());
    for (std::int64_t i = 0; i < from.size(); ++i)
        static_cast<float*>(out.data())[i] = static_cast<float>(static_cast<const bfloat16*>(from.data())[i]);
    return out;
}

TEST(AttentionDerivatives, AreThoseOfItsDefinition) {
    const std::vector<std::pair<bool, Extents>> cases{{false, {{"heads", 2}, {"queries", 21}, {"keys", 34}}},
                                                      {true, {{"heads", 1}, {"queries", 21}, {"keys", 34}}},
                                                      {true, {{"heads", 1}, {"queries", 40}, {"keys", 17}}}};
    for (const auto& [causal, extents] : cases) {
        SCOPED_TRACE(causal);
        interpreter::Inputs known;
        const auto keep = [&](const cuda_test::CorpusBuffers& b) {
            known.insert(b.inputs.begin(), b.inputs.end());
            known.insert(b.outputs.begin(), b.outputs.end());
        };
        keep(evaluated(gpu_kernels::attention("O", {.head = 64, .causal = causal, .statistics = true}), extents, {}));
        const cuda_test::CorpusBuffers by_queries =
            evaluated(gpu_kernels::attention_by_queries({.head = 64, .causal = causal}), extents, known);
        keep(by_queries);
        const cuda_test::CorpusBuffers by_keys =
            evaluated(gpu_kernels::attention_by_keys({.head = 64, .causal = causal}), extents, known);

        known["d_O"] = widened(std::get<AnyBuffer>(known.at("dO")));
        const ForwardBackward pair = vjp(gpu_kernels::attention("O", {.head = 64, .causal = causal}),
                                         {.wrt = {"Q", "K", "V"}, .save = {.kind = SavePolicy::Kind::recompute}});
        const cuda_test::CorpusBuffers wanted = evaluated(pair.backward, extents, known);
        // O is rounded before delta is summed up from it.
        EXPECT_EQ(cuda_test::difference(wanted.outputs.at("d_Q"), by_queries.outputs.at("dQ"), 1), "");
        EXPECT_EQ(cuda_test::difference(wanted.outputs.at("d_K"), by_keys.outputs.at("dK"), 1), "");
        EXPECT_EQ(cuda_test::difference(wanted.outputs.at("d_V"), by_keys.outputs.at("dV"), 1), "");
    }
}

}  // namespace
}  // namespace tessera
