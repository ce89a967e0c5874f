// Kernels written by hand: right in every asynchronous mode and order of threads, over odd and tiny shapes; and wrong, which must
// be noticed, without any one of their synchronisations.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "backend/cuda/device/word_types.cuh"
#include "emulator/emulated_ops.h"
#include "emulator/hand_kernels.h"

namespace tessera::emulator {

extern int skipped_place;

namespace {

using Values = std::vector<tsr::bf16>;

Values random_values(std::size_t count, std::mt19937& random) {
    std::normal_distribution<float> normal;
    Values values(count);
    for (tsr::bf16& v : values) v = {bf16_bits(normal(random))};
    return values;
}

float value(tsr::bf16 x) { return number_value(Number::bf16, &x); }

GlobalMemory readable(const Values& v) { return {const_cast<tsr::bf16*>(v.data()), v.size() * 2, true}; }

double relative_error(const Values& got, const std::vector<double>& wanted) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const double d = value(got[i]) - wanted[i];
        difference += d * d;
        size += wanted[i] * wanted[i];
    }
    return std::sqrt(difference / size);
}

// bf16 results of sums that are right to about f32: half a unit of 2^-8 at random, 2^-9 / sqrt(3).
constexpr double bf16_rounding = 0.0025;

struct Gemm {
    int m, n, k;
    bool b_transposed;
    Values a, b, c;
    std::vector<float> bias;
    std::vector<double> wanted;

    Gemm(int rows, int columns, int depth, bool transposed) : m(rows), n(columns), k(depth), b_transposed(transposed) {
        std::mt19937 random(1);
        a = random_values(static_cast<std::size_t>(m * k), random);
        b = random_values(static_cast<std::size_t>(k * n), random);
        c.resize(static_cast<std::size_t>(m * n));
        std::normal_distribution<float> normal;
        for (int j = 0; j < n; ++j) bias.push_back(normal(random));
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < n; ++j) {
                double sum = bias[static_cast<std::size_t>(j)];
                for (int t = 0; t < k; ++t)
                    sum += double{value(a[at(i, t, k)])} * value(b[b_transposed ? at(j, t, k) : at(t, j, n)]);
                wanted.push_back(sum > 0 ? sum : 0);
            }
    }
    static std::size_t at(int row, int column, int width) { return static_cast<std::size_t>(row * width + column); }

    /// Empty where the result is right.
    std::string run(Options options, int ctas = 2) {
        for (tsr::bf16& x : c) x = {0x7fff};
        options.memory = {readable(a), readable(b), {bias.data(), bias.size() * 4, true}, {c.data(), c.size() * 2}};
        const GemmCase gemm{m, n, k, a.data(), b.data(), bias.data(), c.data()};
        try {
            (void)(b_transposed ? run_gemm_sm90(gemm, options, ctas) : run_gemm_sm80(gemm, options));
        } catch (const Fault& f) {
            return f.what();
        }
        const double error = relative_error(c, wanted);
        return error < bf16_rounding ? "" : "wrong: relative error " + std::to_string(error);
    }
};

struct Attention {
    int heads, q_rows, kv_rows, head;
    bool causal, hopper;
    Values q, k, v, out;
    std::vector<double> wanted;
    static constexpr float scale = 0.125f;

    /// For the kernel of sm_80 with heads of 64, or that of sm_90 with heads of 128.
    Attention(int head_count, int rows, int keys, bool on_hopper = false, bool is_causal = false)
        : heads(head_count), q_rows(rows), kv_rows(keys), head(on_hopper ? 128 : 64), causal(is_causal), hopper(on_hopper) {
        std::mt19937 random(2);
        q = random_values(static_cast<std::size_t>(heads * q_rows * head), random);
        k = random_values(static_cast<std::size_t>(heads * kv_rows * head), random);
        v = random_values(static_cast<std::size_t>(heads * kv_rows * head), random);
        out.resize(q.size());
        for (int h = 0; h < heads; ++h)
            for (int i = 0; i < q_rows; ++i) add_row(h, i);
    }
    void add_row(int h, int i) {
        std::vector<double> p(static_cast<std::size_t>(kv_rows));
        double sum = 0;
        for (int j = 0; j < kv_rows; ++j) {
            double score = 0;
            for (int d = 0; d < head; ++d) score += double{value(q[at(h, i, d, q_rows)])} * value(k[at(h, j, d, kv_rows)]);
            p[static_cast<std::size_t>(j)] = causal && j > i ? 0 : std::exp(score * scale);
            sum += p[static_cast<std::size_t>(j)];
        }
        for (int d = 0; d < head; ++d) {
            double o = 0;
            for (int j = 0; j < kv_rows; ++j) o += p[static_cast<std::size_t>(j)] * value(v[at(h, j, d, kv_rows)]);
            wanted.push_back(o / sum);
        }
    }
    [[nodiscard]] std::size_t at(int h, int row, int d, int rows) const {
        return static_cast<std::size_t>((h * rows + row) * head + d);
    }

    std::string run(Options options) {
        for (tsr::bf16& x : out) x = {0x7fff};
        options.memory = {readable(q), readable(k), readable(v), {out.data(), out.size() * 2}};
        try {
            const AttentionCase attention{heads, q_rows, kv_rows, q.data(), k.data(), v.data(), out.data(), scale, causal};
            (void)(hopper ? run_flash_sm90(attention, options) : run_flash_sm80(attention, options));
        } catch (const Fault& f) {
            return f.what();
        }
        const double error = relative_error(out, wanted);
        return error < 2 * bf16_rounding ? ""
                                         : "wrong: relative error " + std::to_string(error);  // probabilities are rounded too
    }
};

/// Every mode in the order of threads, and three shuffled orders.
template <class Case, class... More>
void expect_right_in_all_modes(Case& c, More... more) {
    for (const Async async : {Async::eager, Async::lazy, Async::random})
        for (const std::uint64_t seed : {0, 1, 2})
            EXPECT_EQ(c.run({.seed = seed, .async = async}, more...), "")
                << "mode " << static_cast<int>(async) << " seed " << seed;
}

TEST(HandKernels, GemmSm80) {
    struct Row {
        int m, n, k;
    };
    for (const Row r : {Row{128, 128, 32}, {128, 128, 8}, {130, 136, 72}, {1, 8, 160}, {256, 264, 200}}) {
        SCOPED_TRACE(testing::Message() << r.m << " x " << r.n << " x " << r.k);
        Gemm g(r.m, r.n, r.k, false);
        expect_right_in_all_modes(g);
    }
}

TEST(HandKernels, FlashAttentionSm80) {
    struct Row {
        int heads, q, kv;
    };
    for (const Row r : {Row{1, 64, 64}, {2, 128, 192}, {1, 1, 1}, {1, 70, 130}}) {
        SCOPED_TRACE(testing::Message() << r.heads << " heads " << r.q << " x " << r.kv);
        Attention a(r.heads, r.q, r.kv);
        expect_right_in_all_modes(a);
    }
}

TEST(HandKernels, GemmSm90) {
    struct Row {
        int m, n, k, ctas;
    };
    // one k tile, fewer than buffers, more; odd ends; several tiles for each cluster
    for (const Row r : {Row{256, 256, 64, 2}, {256, 256, 128, 2}, {264, 8, 328, 2}, {8, 8, 8, 2}, {250, 520, 200, 2}}) {
        SCOPED_TRACE(testing::Message() << r.m << " x " << r.n << " x " << r.k);
        Gemm g(r.m, r.n, r.k, true);
        expect_right_in_all_modes(g, r.ctas);
    }
}

TEST(HandKernels, FlashAttentionSm90) {
    struct Row {
        int heads, q, kv;
        bool causal;
    };
    // one tile of kv, two, more than buffers; odd ends on both sides; rows of q that see few tiles
    for (const Row r :
         {Row{1, 128, 128, false}, {2, 130, 200, false}, {1, 1, 1, false}, {1, 300, 300, true}, {1, 64, 500, true}}) {
        SCOPED_TRACE(testing::Message() << r.heads << " heads " << r.q << " x " << r.kv << (r.causal ? " causal" : ""));
        Attention a(r.heads, r.q, r.kv, true, r.causal);
        expect_right_in_all_modes(a);
    }
}

/// Runs a case without each of its synchronisations; every time one of a few runs must fail.
template <class Run>
void expect_every_place_is_needed(Places places, Run run) {
    ASSERT_GT(places.end - places.first, 3);
    int noticed = 0;
    for (int place = places.first; place < places.end; ++place) {
        skipped_place = place;
        std::string what;
        for (std::uint64_t seed = 0; seed < 4 && what.empty(); ++seed)
            what = run({.seed = seed, .async = seed == 1 ? Async::eager : seed == 2 ? Async::random : Async::lazy});
        skipped_place = -1;
        if (what.empty())
            ADD_FAILURE() << "nobody noticed that place " << place - places.first << " is missing";
        else
            ++noticed;
    }
    std::printf("%d of %d noticed\n", noticed, places.end - places.first);
}

TEST(Mutations, GemmSm80) {
    Gemm g(128, 128, 160, false);
    expect_every_place_is_needed(places_gemm_sm80(), [&](const Options& o) { return g.run(o); });
}

TEST(Mutations, FlashAttentionSm80) {
    Attention a(1, 64, 256);
    expect_every_place_is_needed(places_flash_sm80(), [&](const Options& o) { return a.run(o); });
}

TEST(Mutations, FlashAttentionSm90) {
    Attention a(1, 128, 600, true);
    expect_every_place_is_needed(places_flash_sm90(), [&](const Options& o) { return a.run(o); });
}

TEST(Mutations, GemmSm90) {
    Gemm g(256, 512, 448, true);
    expect_every_place_is_needed(places_gemm_sm90(), [&](const Options& o) { return g.run(o); });
}

}  // namespace
}  // namespace tessera::emulator
