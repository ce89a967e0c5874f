#pragma once

#include <tessera/tessera.h>

#include <string>
#include <vector>

namespace tessera::autodiff_test {

inline std::vector<Index> all_of(const std::vector<Dim>& dims) { return {dims.begin(), dims.end()}; }

/// A definition with each construct of the language, over dims of these extents.
struct Constructs {
    Dim i, t, v{"v", 3};
    Input a{"a", f64, {i, t}}, b{"b", f64, {t}}, at{"at", i32, {t}};
    std::vector<Func> all;

    explicit Constructs(std::int64_t rows = 2, std::int64_t columns = 5) : i("i", rows), t("t", columns) {
        at.values_in(0, t.extent());
        add("sums", {i}, sum({t}, a(i, t) * b(t) * b(t)));
        add("products", {i}, prod({t}, a(i, t) + 0.1 * b(t)));
        add("largest", {i}, max({t}, a(i, t) * b(t)));
        add("smallest", {}, min({i, t}, a(i, t) - b(t), where(t != 1)));
        add("means", {i}, mean({t}, sin(a(i, t)) * b(t)));
        add("logsumexp", {i}, logsumexp({t}, a(i, t) * b(t)));
        const Tuple spread = welford({t}, a(i, t) * b(t));
        add("spread", {i}, spread[1] + spread[2]);
        for (const bool reverse : {false, true})
            for (const Monoid& m : {plus, times, maximum, minimum})
                add("scan_" + m.name() + (reverse ? "_back" : ""), {i, t}, scan(m, t, a(i, t) * b(t), {.reverse = reverse}));
        for (const Monoid& m : {plus, maximum, minimum, last})
            add("scatter_" + m.name(), {i, v},
                scatter(m, {to(v, at(t))}, {t}, a(i, t) * a(i, t), {.init = {cast(f64, 1) + 0.1 * a(i, 0)}}));
        add("gathered", {i, t}, a(i, at(t)) * b(at(t)) * b(t));
        add("clamped", {i, t}, clamp(a)(i, t - 1) * clamp(a)(i, t + 2));
        add("mirrored", {i, t}, mirror(a)(i, t - 2) * mirror(a)(i, t));
        add("mirrored_inside", {i, t}, mirror_interior(a)(i - 1, t) * b(t));
        add("periodic", {i, t}, periodic(a)(i, t + 3) * periodic(a)(i, t - 1));
        add("outside", {i, t}, constant(a, 0.5)(i, t - 1) * constant(a, 0.5)(i - 1, t));
        add("halves", {i, t}, a(i, t / 2) * a(i, t) * b(t % 2));
        add("chosen", {i, t}, select(a(i, t) > b(t), a(i, t) * b(t), sin(b(t))));
        add_recurrences();
    }

private:
    void add(const std::string& name, const std::vector<Dim>& dims, const Expr& value) {
        Func f(name);
        f.at(all_of(dims)) = value;
        all.push_back(f);
    }
    void add_recurrences() {
        Func linear("linear"), stops("stops");
        recurrence(t, {{linear(t, i), cast(f64, 1)}},
                   [&](const Self& s) -> Tuple { return {a(i, t) * s[0](t - 1, i) + b(t) * s[0](t - 2, i)}; });
        all.push_back(linear);
        Dim steps("steps", 6);
        recurrence(
            steps, {{stops(steps, i), cast(f64, 1) + a(i, 0) * a(i, 0)}},
            [&](const Self& s) -> Tuple { return {0.5 * (s[0](steps - 1, i) + (1.0 + a(i, 1) * a(i, 1)) / s[0](steps - 1, i))}; },
            {.until = [&](const Self& s) { return abs(s[0](steps, i) - s[0](steps - 1, i)) < 0.05; }});
        all.push_back(at_end(stops));
    }
};

}  // namespace tessera::autodiff_test
