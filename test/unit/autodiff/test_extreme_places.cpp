#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <cmath>
#include <limits>

// What comes in at a maximum goes to the first of the largest values, however the place is found: by comparing with the maximum,
// or as one of a pair.
namespace tessera {
namespace {

constexpr std::int64_t rows = 41, columns = 67;

// Few different values, so that rows are full of ties; one row in four has nothing but -inf and NaN.
Buffer<float> values_with_ties() {
    constexpr float inf_value = std::numeric_limits<float>::infinity(), nan_value = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> usual{-2, -1, -0.0f, 0, 1, 1.5f, 2}, rare{-inf_value, -inf_value, nan_value};
    const Buffer<float> out({rows, columns});
    std::uint32_t state = 5;
    const auto drawn = [&](std::uint32_t below) { return ((state = state * 1664525u + 1013904223u) >> 8) % below; };
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t k = 0; k < columns; ++k) {
            const bool special = i % 4 == 3 || (i % 4 == 2 && drawn(40) == 0);
            out(i, k) = special ? rare[drawn(i % 8 == 3 ? 2 : 3)] : usual[drawn(static_cast<std::uint32_t>(1 + i % 7))];
        }
    return out;
}

struct Rows {
    Dim i{"i"}, k{"k"};
    Input a{"a", f32, {i, k}};
    Func y{"y"};

    [[nodiscard]] std::vector<float> given(const Func& f) const {
        const std::int64_t n = f.rank() == 0 ? 1 : f.dims()[0].id() == i.id() ? rows : columns;
        std::vector<float> out;
        for (std::int64_t e = 0; e < n; ++e) out.push_back(1 + 0.25f * static_cast<float>(e));
        return out;
    }
};

Buffer<float> filled(const Func& f, const std::vector<float>& values) {
    const Buffer<float> out(f.rank() == 0 ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{std::ssize(values)});
    std::copy(values.begin(), values.end(), out.data());
    return out;
}
std::vector<float> elements(const Buffer<float>& b) { return {b.data(), b.data() + b.size()}; }
void expect_equal(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t e = 0; e < a.size(); ++e)
        ASSERT_TRUE(a[e] == b[e] || (std::isnan(a[e]) && std::isnan(b[e])))
            << what << ", " << e << ": " << a[e] << " and " << b[e];
}

std::vector<float> by_functions(const Rows& r, const Target& target) {
    const Input given("given", f32, r.y.dims());
    const ValuesAndGrads g = value_and_vjp({{r.y, given}}, {r.a});
    const Algorithm both({g.values[0], g.gradients[0]}, {r.a, given});
    EXPECT_EQ(both.text().find("argm"), std::string::npos) << both.text();
    const Buffer<float> y = filled(r.y, r.given(r.y)), d({rows, columns});
    compile(both, default_schedule(both, target), target)({{"a", values_with_ties()}, {"given", filled(r.y, r.given(r.y))}},
                                                          {{g.values[0].name(), y}, {g.gradients[0].name(), d}});
    return elements(d);
}

// Two calls compare nothing: what one keeps, another may have rounded.
std::vector<float> by_pairs(const Rows& r, const SavePolicy& save) {
    const Target target = parse_target("interpreter");
    const ForwardBackward pair = vjp(Algorithm({r.y}, {r.a}), {.wrt = {"a"}, .save = save});
    EXPECT_NE(pair.forward.text().find("argm"), std::string::npos) << pair.forward.text();
    NamedInputs back{{"d_y", filled(r.y, r.given(r.y))}, {"a", values_with_ties()}};
    NamedOutputs kept;
    for (const Func& f : pair.forward.outputs()) {
        const Buffer<float> like = filled(f, r.given(f));
        for (int c = 0; c < f.components(); ++c)
            kept.emplace(f.components() == 1 ? f.name() : f.name() + "." + std::to_string(c),
                         AnyBuffer(f.dtype(c) == i64 ? TESSERA_I64 : TESSERA_F32, like.extents()));
    }
    compile(pair.forward, default_schedule(pair.forward, target), target)({{"a", values_with_ties()}}, kept);
    NamedInputs needed;
    for (const Argument& x : pair.backward.arguments()) {
        const std::string& name = Input(x.state()).name();
        if (const auto found = kept.find(name); found != kept.end())
            needed.emplace(name, found->second);
        else
            needed.emplace(name, back.at(name));
    }
    const Buffer<float> d({rows, columns});
    compile(pair.backward, default_schedule(pair.backward, target), target)(needed, {{"d_a", d}});
    return elements(d);
}

void expect_one_place(const Rows& r) {
    const std::vector<float> reference = by_pairs(r, {.kind = SavePolicy::Kind::save});
    expect_equal(by_pairs(r, {.kind = SavePolicy::Kind::recompute}), reference, "pairs computed again");
    for (const char* target : {"interpreter", "host"}) expect_equal(by_functions(r, parse_target(target)), reference, target);
}

TEST(ExtremePlaces, OfTiesInfinitiesAndNaN) {
    Rows largest, smallest, some, all, squares;
    largest.y(largest.i) = max({largest.k}, largest.a(largest.i, largest.k));
    smallest.y(smallest.i) = min({smallest.k}, smallest.a(smallest.i, smallest.k));
    some.y(some.i) = max({some.k}, some.a(some.i, some.k), where(some.k > 3 && some.a(some.i, some.k) < 1.0f));
    all.y() = min({all.i, all.k}, abs(all.a(all.i, all.k)), where(all.i % 4 != 3));
    squares.y(squares.k) = max({squares.i}, squares.a(squares.i, squares.k) * squares.a(squares.i, squares.k));
    for (const Rows* r : {&largest, &smallest, &some, &all, &squares}) expect_one_place(*r);
}

TEST(ExtremePlaces, AreTheFirstOnes) {
    Rows r;
    r.y(r.i) = max({r.k}, r.a(r.i, r.k));
    const Buffer<float> a = values_with_ties();
    const std::vector<float> given = r.given(r.y);
    std::vector<float> wanted(static_cast<size_t>(rows * columns));
    for (std::int64_t i = 0; i < rows; ++i) {
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < columns; ++k)
            if (!std::isnan(a(i, best)) && (std::isnan(a(i, k)) || a(i, k) > a(i, best))) best = k;
        wanted[static_cast<size_t>(i * columns + best)] = given[static_cast<size_t>(i)];
    }
    EXPECT_EQ(by_functions(r, parse_target("host")), wanted);
    // The tangent is the one at the place.
    const Input v("v", f32, {r.i, r.k});
    const Func along = jvp(r.y, {{r.a, v}});
    const Algorithm tangents({along}, {r.a, v});
    EXPECT_EQ(tangents.text().find("argm"), std::string::npos) << tangents.text();
    EXPECT_EQ(tangents.text().find("sum("), std::string::npos) << tangents.text();
    const Buffer<float> directions({rows, columns}), d({rows});
    for (std::int64_t e = 0; e < rows * columns; ++e) directions.data()[e] = static_cast<float>(e);
    const Target host = parse_target("host");
    compile(tangents, default_schedule(tangents, host), host)({{"a", a}, {"v", directions}}, {{along.name(), d}});
    for (std::int64_t i = 0; i < rows; ++i) {
        const auto from = wanted.begin() + i * columns;
        const auto at = std::find_if(from, from + columns, [](float x) { return x != 0; }) - wanted.begin();
        EXPECT_EQ(d(i), static_cast<float>(at)) << i;
    }
}

// A maximum of nothing does not move, and reads no direction.
TEST(ExtremePlaces, OfNothing) {
    Rows r;
    r.y(r.i) = max({r.k}, r.a(r.i, r.k));
    Func dear("dear");
    dear(r.i) = max({r.k}, exp(r.a(r.i, r.k)));
    const Input v("v", f32, {r.i, r.k});
    for (const Func& y : {r.y, dear})
        for (const char* backend : {"interpreter", "host"}) {
            const Target target = parse_target(backend);
            const Algorithm along({jvp(y, {{r.a, v}})}, {r.a, v});
            const Buffer<float> empty({rows, 0}), d({rows});
            compile(along, default_schedule(along, target), target)({{"a", empty}, {"v", empty}},
                                                                    {{along.outputs()[0].name(), d}});
            EXPECT_EQ(elements(d), std::vector<float>(rows, 0)) << backend;
        }
}

// Values that are dear, or that another schedule sums in another order, are computed once, as a pair with their place.
TEST(ExtremePlaces, OfDearAndOfInexactValuesAreKept) {
    Dim i("i"), k("k"), q("q");
    const Input a("a", f32, {i, k}), b("b", f32, {i, k, q});
    const auto is_pair = [](const Func& y, const std::vector<Wrt>& wrt) {
        Func total("total");
        total() = sum(y.dims(), y(y.dims()[0]));
        const std::vector<Func> g = grad(total, wrt);
        return Algorithm(g, arguments_of(g)).text().find("argmax") != std::string::npos;
    };
    Func cheap("cheap"), dear("dear"), sums("sums"), sum_of("sum_of"), in_order("in_order"), ordered("ordered");
    cheap(i) = max({k}, a(i, k) * 2.0f);
    dear(i) = max({k}, exp(a(i, k)));
    sum_of(i, k) = sum({q}, b(i, k, q));
    sums(i) = max({k}, sum_of(i, k) + 1.0f);
    in_order(i, k) = sum({q}, b(i, k, q), {.order = Order::ascending()});
    ordered(i) = max({k}, in_order(i, k) + 1.0f);
    EXPECT_FALSE(is_pair(cheap, {a}));
    EXPECT_TRUE(is_pair(dear, {a}));
    EXPECT_TRUE(is_pair(sums, {b}));
    EXPECT_FALSE(is_pair(ordered, {b}));
}

}  // namespace
}  // namespace tessera
