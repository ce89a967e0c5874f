#include "cuda/corpus.h"
#include "cuda/corpus_loops.h"

namespace tessera::cuda_test {
namespace {

using Uses = std::vector<std::string>;

// 64 rows a block, 16 a warp.
LoopSpec warp_rows() { return warp("q", 16, "qw"); }

// A product along the last dims of both factors, 64 x 64 of a block.
void scores(StageEdit edit) {
    loops(edit, {warp_rows(), warp("k", 64, "kw"), frag("q"), frag("k"), frag("d")}).space(Space::register_).mma("m16n8k16");
}
// What scores and weights multiply: 16 bytes at a time, into swizzled rows. Zeros behind the last key.
StageEdit copied(StageEdit edit, const std::string& outer, const std::string& inner, std::int64_t buffers) {
    std::vector<LoopSpec> specs{thread(outer), thread(inner, 8, "chunk"), vector(inner)};
    if (outer == "k") specs.insert(specs.begin(), padded(thread("k", 64, "kt")));
    return loops(edit, specs).space(Space::shared).engine(Engine::cp_async).buffers(buffers).swizzle(Swizzle::xor_);
}

// A layer of 64 channels between two others, whose values stay in registers: relu(X W) V.
CorpusKernel hidden_layer(const std::string& name, DType dtype, std::int64_t width) {
    Dim q("q"), k("k"), d("d", 64), e("e", width);
    Input X("X", dtype, {q, d}), W("W", dtype, {k, d}), V("V", dtype, {k, e}), bias("bias", f32, {k});
    Func hidden("hidden"), O("O");
    hidden(q, k) = cast(dtype, relu(sum({d}, cast(f32, X(q, d)) * cast(f32, W(k, d))) + bias(k)));
    O(q, e) = sum({k}, cast(f32, hidden(q, k)) * cast(f32, V(k, e)));
    Schedule s;
    loops(s.stage("O").root(), {block("q", 64, "qb"), warp_rows(), frag("q"), frag("e")});
    loops(s.stage("O.sum").at("O", "qb"), {serial("k", 64, "ks"), warp_rows(), frag("q"), frag("e"), frag("k")})
        .space(Space::register_)
        .mma("m16n8k16");
    scores(s.stage("hidden.sum").at("O.sum", "ks"));
    loops(s.copy("hidden.r", "hidden", {"O.sum"}).at("O.sum", "ks"),
          {warp_rows(), padded(warp("k", 64, "kt")), frag("q"), frag("k")})
        .space(Space::register_);
    copied(s.copy("X.s", "X", {"hidden.sum"}).at("O", "qb"), "q", "d", 1);
    copied(s.copy("W.s", "W", {"hidden.sum"}).at("O.sum", "ks"), "k", "d", 2);
    copied(s.copy("V.s", "V", {"O.sum"}).at("O.sum", "ks"), "k", "e", 2);
    s.kernels["O"].threads = 128;
    return {name, Algorithm({O}, {X, W, V, bias}), s, {{{"q", 1}, {"k", 1}}, {{"q", 70}, {"k", 150}}}, 150, 8};
}

// Rows of scores become weights by their maximum and sum, which lanes reduce in registers.
struct Attention {
    Dim h{"h"}, q{"q"}, k{"k"}, d, e;
    Input Q{"Q", bf16, {h, q, d}}, K{"K", bf16, {h, k, d}}, V{"V", bf16, {h, k, e}};
    Func o{"o"};

    explicit Attention(std::int64_t head) : d("d", head), e("e", head) {}

    Algorithm define(bool causal) {
        Func score("score"), top("top"), weights("weights"), total("total");
        const Expr product = sum({d}, cast(f32, Q(h, q, d)) * cast(f32, K(h, k, d))) * 0.125f;
        // Added, so that whole tiles of scores are computed.
        score(h, q, k) = causal ? product + select(k - k.extent() <= q - q.extent(), 0.0f, lowest(f32)) : product;
        top(h, q) = max({k}, score(h, q, k));
        const Expr shift = select(top(h, q) == lowest(f32), 0.0f, top(h, q));
        weights(h, q, k) = cast(bf16, exp(score(h, q, k) - shift));
        total(h, q) = sum({k}, cast(f32, weights(h, q, k)));
        const Expr mixed = sum({k}, cast(f32, weights(h, q, k)) * cast(f32, V(h, k, e)));
        o(h, q, e) = cast(bf16, select(total(h, q) == 0.0f, 0.0f, mixed / total(h, q)));
        return Algorithm({o}, {Q, K, V});
    }
};

// Scores of their own for the reduction of rows, computed tile by tile in its loop over keys. It reads them through
// `definitions`.
void reduce_rows(Schedule& s, const std::string& rows, const std::string& of_scores, const Uses& definitions) {
    loops(s.stage(rows).at("o", "qb"), {serial("k", 64, "ks"), serial("h"), warp_rows(), frag("q"), frag("k")})
        .space(Space::register_);
    std::string user = rows;
    for (const std::string& definition : definitions) {
        s.clone(of_scores + "." + definition, definition, {user});
        user = of_scores + "." + definition;
    }
    scores(s.clone(of_scores, "score.sum", {user}).at(rows, "ks"));
    copied(s.copy(of_scores + ".K", "K", {of_scores}).at(rows, "ks"), "k", "d", 2);
}

// Over keys: the maximum, the weights' sum, and what they mix; the last two together; or all three, rescaled as the maximum
// grows.
enum class Passes { three, two, one };
CorpusKernel attention_in_passes(const std::string& name, std::int64_t head, bool causal, Passes passes) {
    Attention a(head);
    const Algorithm algorithm = a.define(causal);
    Schedule s;
    loops(s.stage("o").root(), {block("h"), block("q", 64, "qb"), warp_rows(), frag("q"), frag("e")});
    Uses scored{"score.sum", "top.scores"}, weighted{"o.sum"};
    reduce_rows(s, "top.max", "top.scores", {"score"});
    if (passes == Passes::one) s.stage("top.max").fuse_with({.stage = "o.sum", .loop = "ks", .online = true});
    if (passes != Passes::three) {
        loops(s.stage("total.sum").at("o", "qb"), {serial("k", 64, "ks"), serial("h"), warp_rows(), frag("q"), frag("k")})
            .space(Space::register_)
            .fuse_with({"o.sum", "ks"});
        weighted.push_back("total.sum");
    } else {
        reduce_rows(s, "total.sum", "total.scores", {"weights", "score"});
        scored.push_back("total.scores");
    }
    loops(s.stage("o.sum").at("o", "qb"), {serial("k", 64, "ks"), serial("h"), warp_rows(), frag("q"), frag("e"), frag("k")})
        .space(Space::register_)
        .mma("m16n8k16");
    scores(s.stage("score.sum").at("o.sum", "ks"));
    loops(s.copy("weights.r", "weights", weighted).at("o.sum", "ks"),
          {warp_rows(), padded(warp("k", 64, "kt")), frag("q"), frag("k")})
        .space(Space::register_);
    StageEdit queries = copied(s.copy("Q.s", "Q", scored).at("o", "qb"), "q", "d", 1);
    // One loop alone uses what is copied before it: both arrive together.
    queries.spec().loops->insert(queries.spec().loops->begin(), thread("h"));
    if (passes != Passes::one) queries.engine(Engine::auto_);
    copied(s.copy("K.s", "K", {"score.sum"}).at("o.sum", "ks"), "k", "d", 2);
    copied(s.copy("V.s", "V", {"o.sum"}).at("o.sum", "ks"), "k", "e", 2);
    s.kernels["o"].threads = 128;
    return {name, algorithm,
            s,    {{{"h", 1}, {"q", 1}, {"k", 1}}, {{"h", 2}, {"q", 70}, {"k", 50}}, {{"h", 1}, {"q", 9}, {"k", 150}}},
            1,    8};
}

}  // namespace

std::vector<CorpusKernel> attention_corpus() {
    return {hidden_layer("hidden_layer_bf16", bf16, 64),
            hidden_layer("hidden_layer_f16", f16, 128),
            attention_in_passes("attention_three_passes_d64", 64, false, Passes::three),
            attention_in_passes("attention_two_passes_d64_causal", 64, true, Passes::two),
            attention_in_passes("attention_online_d64", 64, false, Passes::one),
            attention_in_passes("attention_online_d128_causal", 128, true, Passes::one)};
}

}  // namespace tessera::cuda_test
