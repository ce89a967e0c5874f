#include <gtest/gtest.h>

#include "cuda/corpus_run.h"
#include "tile/lower.h"

// Products of products, rows that lanes reduce, and sums that are rescaled: what their kernels consist of, and what is refused.
// What they compute is in the corpus.
namespace tessera::cuda_test {
namespace {

std::string text_of(const Algorithm& algorithm, const Schedule& schedule) {
    const Target target = parse_target("cuda-sm_80");
    return to_text(tile::lower(build_loop_tree(bind(algorithm, schedule, target)), target));
}
size_t count(const std::string& text, const std::string& word) {
    size_t found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
}
// What is said of the corpus' schedule with a change.
template <class Change>
std::string said(const std::string& name, Change&& change) {
    const CorpusKernel& k = corpus_kernel(name);
    Schedule s = k.schedule;
    change(s);
    try {
        (void)text_of(k.algorithm, s);
    } catch (const Exception& e) {
        return e.what();
    }
    return "accepted";
}
void expect_said(const std::string& text, const std::string& wanted) { EXPECT_NE(text.find(wanted), std::string::npos) << text; }

TEST(AttentionSchedules, AProductIsAFactorInRegisters) {
    const CorpusKernel& k = corpus_kernel("hidden_layer_bf16");
    const std::string text = text_of(k.algorithm, k.schedule);
    EXPECT_EQ(count(text, "alloc register"), 3U) << text;
    EXPECT_EQ(count(text, "mma "), 2U) << text;
    expect_said(said("hidden_layer_bf16", [](Schedule& s) { s.stages.at("hidden.r").loops->at(1).tail = Tail::guard; }),
                "hidden.r is not padded with zeros along k");
    expect_said(said("hidden_layer_bf16", [](Schedule& s) { s.stages.at("hidden.r").loops->at(0).tile = 32; }),
                "hidden.sum is stored in registers, but a thread reads cells of other threads");
}

// One pass over the keys for each of three, two or one loop; with each the scores are multiplied anew.
TEST(AttentionSchedules, PassesOverTheKeys) {
    const auto passes = [](const std::string& name) {
        const CorpusKernel& k = corpus_kernel(name);
        const std::string text = text_of(k.algorithm, k.schedule);
        EXPECT_EQ(count(text, "combine lane top.max"), 1U) << text;
        EXPECT_EQ(count(text, "combine lane total.sum"), 1U) << text;
        return count(text, "mma ") - 1;
    };
    EXPECT_EQ(passes("attention_three_passes_d64"), 3U);
    EXPECT_EQ(passes("attention_two_passes_d64_causal"), 2U);
    EXPECT_EQ(passes("attention_online_d64"), 1U);
    expect_said(said("attention_two_passes_d64_causal", [](Schedule& s) { s.stages.at("top.max").store.space = Space::shared; }),
                "top.max reduces rows of fragments and is not stored in registers");
    expect_said(said("attention_two_passes_d64_causal", [](Schedule& s) { s.stages.at("total.sum").loops->at(0).tile = 32; }),
                "loop ks of total.sum reduces");
}

TEST(AttentionSchedules, OnlineIsRefusedWhereSumsAreNotRescaled) {
    const CorpusKernel& k = corpus_kernel("attention_online_d64");
    const auto of = [&](const std::function<Expr(const Expr&, const Expr&)>& weigh) {
        Dim h("h"), q("q"), keys("k"), d("d", 64), e("e", 64);
        Input Q("Q", bf16, {h, q, d}), K("K", bf16, {h, keys, d}), V("V", bf16, {h, keys, e});
        Func score("score"), top("top"), weights("weights"), total("total"), o("o");
        score(h, q, keys) = sum({d}, cast(f32, Q(h, q, d)) * cast(f32, K(h, keys, d)));
        top(h, q) = max({keys}, score(h, q, keys));
        weights(h, q, keys) = cast(bf16, weigh(score(h, q, keys), top(h, q)));
        total(h, q) = sum({keys}, cast(f32, weights(h, q, keys)));
        o(h, q, e) = cast(bf16, sum({keys}, cast(f32, weights(h, q, keys)) * cast(f32, V(h, keys, e))) / total(h, q));
        try {
            (void)text_of(Algorithm({o}, {Q, K, V}), k.schedule);
        } catch (const Exception& x) {
            return std::string(x.what());
        }
        return std::string("accepted");
    };
    const auto shift = [](const Expr& top) { return select(top == lowest(f32), 0.0f, top); };
    EXPECT_EQ(of([&](const Expr& s, const Expr& top) { return exp(s - shift(top)); }), "accepted");
    EXPECT_EQ(of([&](const Expr& s, const Expr& top) { return exp2(s * 0.5f - shift(top) * 0.5f); }), "accepted");
    expect_said(of([](const Expr& s, const Expr& top) { return exp(s - top); }), "the shift is not select");
    expect_said(of([&](const Expr& s, const Expr& top) { return exp(s) / shift(top); }), "it is added in another form");
    expect_said(of([&](const Expr& s, const Expr& top) { return exp(s - shift(top)) * top; }), "two factors depend on it");
    expect_said(said("attention_online_d64", [](Schedule& s) { s.stages.at("total.sum").fuse_with.reset(); }), "total.sum");
    expect_said(said("attention_online_d64", [](Schedule& s) { s.stages.at("top.max").loops->at(0).tile = 32; }),
                "has no serial loop over the same tiles of k");
}

}  // namespace
}  // namespace tessera::cuda_test
