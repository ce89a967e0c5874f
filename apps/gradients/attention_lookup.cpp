// Learns to look things up: a table of keys and values, and questions that are keys seen through an unknown matrix. The gradient
// goes through attention to the matrix that undoes it. Prints the share of questions answered with the right value; fails below
// 95 %.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "descent.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr std::int64_t tables = 8, entries = 32, width = 16;

// Tables of keys and values of length about 1, and one question for each key: the key through `hidden`.
void fill_tables(const apps::CompiledProgram& program, const Buffer<float>& hidden, apps::RandomNumbers& random) {
    const auto key = program.array("key"), value = program.array("value"), question = program.array("question");
    random.fill(key);
    random.fill(value);
    for (std::int64_t t = 0; t < tables; ++t)
        for (std::int64_t e = 0; e < entries; ++e)
            for (std::int64_t i = 0; i < width; ++i) {
                float sum = 0;
                for (std::int64_t j = 0; j < width; ++j) sum += key(t, e, j) * hidden(j, i);
                question(t, e, i) = sum;
            }
}

}  // namespace

int main() {
    Dim t("t", tables), q("q", entries), k("k", entries), d("d", width), e("e", width);
    const Input question("question", f32, {t, q, e}), key("key", f32, {t, k, d}), value("value", f32, {t, k, e}),
        undo("undo", f32, {e, d});
    Func query("query"), loss("loss");
    query(t, q, d) = sum({e}, question(t, q, e) * undo(e, d));
    const Func answer = ops::attention("answer", query, key, value);
    const Expr apart = answer(t, q, e) - value(t, q, e);
    loss() = sum({t, q, e}, apart * apart) / static_cast<float>(tables * entries * width);

    apps::Descent descent(loss, {undo}, {answer});
    apps::RandomNumbers random(4);
    Buffer<float> hidden{width, width};
    random.fill(hidden, 1 / std::sqrt(double(width)));
    random.fill(descent.program().array("undo"), 0.1);
    const int steps = 600;
    for (int s = 0; s < steps; ++s) {
        fill_tables(descent.program(), hidden, random);
        const double before = descent.step(s < steps / 2 ? 0.02 : 0.01);
        if (s % 200 == 199) std::cout << "step " << s + 1 << ": mean square error " << before << "\n";
    }

    // Tables that it has not seen.
    int right = 0;
    fill_tables(descent.program(), hidden, random);
    descent.step(0);
    const auto got = descent.program().array("answer"), values = descent.program().array("value");
    for (std::int64_t a = 0; a < tables; ++a)
        for (std::int64_t i = 0; i < entries; ++i) {
            const auto distance = [&](std::int64_t other) {
                double sum = 0;
                for (std::int64_t c = 0; c < width; ++c) sum += std::pow(got(a, i, c) - values(a, other, c), 2);
                return sum;
            };
            bool nearest = true;
            for (std::int64_t other = 0; other < entries; ++other) nearest = nearest && distance(i) <= distance(other);
            right += nearest;
        }
    const double share = 100.0 * right / (tables * entries);
    std::cout << "questions answered right: " << share << " %\n";
    expect(share >= 95, "95 % of the questions are answered right");
}
