// Lesson 3: reductions are expressions, and stages of their own.
#include "expect.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

using namespace tessera;

namespace {

Buffer<float> waves(std::vector<std::int64_t> extents) {
    Buffer<float> values(std::move(extents));
    float at = 0;
    values.for_each([&](float& value) { value = std::sin(at += 0.7f); });
    return values;
}

/// C = A B. The dims that stand on the left stay; `k` is summed over.
Algorithm matmul(const ReduceOptions& options = {}) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n), options);
    return Algorithm({C}, {A, B});
}

void a_sum_is_a_stage() {
    // The sum is the stage C.sum. It is computed for one tile of C at a time, in registers; C then stores the tile. An epilogue
    // (a bias, an activation) would stand in C and cost nothing extra.
    Schedule tiled;
    tiled.stage("C")
        .root()
        .parallel("m", 32, "mb")
        .serial("n", 16, "nt")
        .serial("m", 4, "mt")
        .unroll("m", 0, "mi")
        .vector("n", 0, "ni");
    tiled.stage("C.sum").at("C", "mt").space(Space::register_).serial("k").unroll("m").vector("n");

    const Buffer<float> a = waves({50, 70}), b = waves({70, 40}), expected({50, 40}), c({50, 40});
    compile(matmul(), {}, parse_target("interpreter"))({{"A", a}, {"B", b}}, {{"C", expected}});
    compile(matmul(), tiled)({{"A", a}, {"B", b}}, {{"C", c}});
    for (std::int64_t i = 0; i < 50; ++i)
        for (std::int64_t j = 0; j < 40; ++j) expect(c(i, j) == expected(i, j), "the same order of k gives the same bits");
}

void a_partial_splits_a_sum() {
    // The stage C.part sums blocks of 16; C.sum adds the blocks. Sums of order `any` (the default) may be split like that.
    Schedule blocked;
    blocked.stage("C").root();
    blocked.stage("C.sum").root();
    blocked.partial("C.part", "C.sum", {"k/16"}).root();
    const Buffer<float> a = waves({5, 70}), b = waves({70, 4}), c({5, 4});
    compile(matmul(), blocked)({{"A", a}, {"B", b}}, {{"C", c}});
    double exact = 0;
    for (std::int64_t k = 0; k < 70; ++k) exact += double{a(3, k)} * double{b(k, 2)};
    expect(std::abs(c(3, 2) - exact) < 1e-4, "blocks add up to the sum");

    // Where the order belongs to the meaning, the algorithm says so, and no schedule may change it.
    try {
        (void)compile(matmul({.order = Order::ascending()}), blocked);
        expect(false, "an ascending sum is not split");
    } catch (const Error& error) {
        std::cout << error.message() << "\n";
        expect(error.code() == E0505_order || error.code() == E0509_derived_stage, "the code says which mistake it is");
    }
}

void reductions_are_expressions() {
    // Several in one definition: a softmax, written as it is meant.
    Dim i("i"), j("j");
    Input logits("logits", f32, {i, j});
    Func top("top"), weight("weight"), softmax("softmax"), best("best");
    top(i) = max({j}, logits(i, j));
    weight(i, j) = exp(logits(i, j) - top(i));
    softmax(i, j) = weight(i, j) / sum({j}, weight(i, j));
    best(i) = argmax(j, logits(i, j));
    const Algorithm algorithm({softmax, best}, {logits});

    const Buffer<float> in = waves({3, 9}), out({3, 9});
    const Buffer<std::int64_t> index({3});
    compile(algorithm, default_schedule(algorithm))({{"logits", in}}, {{"softmax", out}, {"best", index}});
    for (std::int64_t row = 0; row < 3; ++row) {
        float total = 0;
        for (std::int64_t k = 0; k < 9; ++k) {
            total += out(row, k);
            expect(out(row, k) <= out(row, index(row)), "the largest input has the largest weight");
        }
        expect(std::abs(total - 1) < 1e-6f, "weights sum to one");
    }
}

void monoids_scatters_and_scans() {
    // A monoid is a combination with a neutral element: here the range of values, as a pair.
    const Monoid range = monoid(
        "range",
        [](const std::vector<DType>& types) -> Tuple {
            return {cast(types[0], 1e30), cast(types[1], -1e30)};
        },
        [](const Tuple& a, const Tuple& b) -> Tuple {
            return {min(a[0], b[0]), max(a[1], b[1])};
        },
        {.commutative = true, .associative = true});
    Dim i("i"), bin("bin", 4);
    Input values("values", f32, {i});
    Func spread("spread"), histogram("histogram"), running("running");
    const Tuple ends = reduce(range, {i}, {values(i), values(i)});
    spread() = ends[1] - ends[0];
    // A scatter puts each value where an index says: a histogram over four bins of [-1, 1].
    histogram(bin) = scatter(plus, {to(bin, cast(i32, floor((values(i) + 1.0f) * 2.0f)))}, {i}, cast(u32, 1));
    // A scan keeps its dim: the running sum.
    running(i) = scan(plus, i, values(i));
    const Algorithm algorithm({spread, histogram, running}, {values});

    const Buffer<float> in = waves({100}), width(std::vector<std::int64_t>{}), sums({100});
    const Buffer<std::uint32_t> counts({4});
    compile(algorithm, {}, parse_target("interpreter"))({{"values", in}},
                                                        {{"spread", width}, {"histogram", counts}, {"running", sums}});
    expect(width() > 1.9f && width() <= 2.0f, "a sine wave spans two");
    expect(counts(0) + counts(1) + counts(2) + counts(3) == 100, "each value is in one bin");
    float total = 0;
    for (std::int64_t k = 0; k < 100; ++k) total += in(k);
    expect(sums(99) == total, "the last running sum is the sum");
}

}  // namespace

int main() {
    a_sum_is_a_stage();
    a_partial_splits_a_sum();
    reductions_are_expressions();
    monoids_scatters_and_scans();
}
