#include "fuzz/random_real.h"

#include <tessera/autodiff.h>

#include <algorithm>
#include <functional>

namespace tessera::fuzz {
namespace {

class Generator {
public:
    explicit Generator(Random& random)
        : random_(random), rows_(sized("n", 9)), columns_(sized("x", chance(random_, 0.2) ? 40 : 13)),
          ordered_(chance(random_, 0.5)), type_(ordered_ && chance(random_, 0.4) ? f32 : f64) {
        if (ordered_) order_ = Order::ascending();
        for (std::int64_t l = draw(random_, 0, 3); l > 0; --l) lead_.push_back(sized("l" + std::to_string(l), 3));
    }

    RealProgram run() {
        for (std::int64_t count = draw(random_, 1, 2); count > 0; --count) add_program();
        for (std::int64_t count = draw(random_, 0, 2); count > 0; --count) add_link();
        std::vector<Func> outputs{funcs_.back()};
        if (chance(random_, 0.65)) outputs = gradients();
        return {Algorithm(outputs, arguments_of(outputs)), extents_, ordered_};
    }

private:
    // ---- dims and inputs

    std::string fresh(const std::string& base) { return base + std::to_string(names_++); }
    Dim sized(const std::string& name, std::int64_t most) {
        const std::int64_t extent = draw(random_, 1, most);
        if (chance(random_, 0.3)) return Dim(name, extent);
        extents_[name] = extent;
        return Dim(name);
    }
    Dim along(const Dim& d) { return Dim(fresh("j"), d.extent()); }
    Input input(const std::string& base, const std::vector<Dim>& dims) {
        inputs_.emplace_back(fresh(base), type_, dims);
        return inputs_.back();
    }
    std::vector<Dim> led(const std::vector<Dim>& more) const {
        std::vector<Dim> dims = lead_;
        dims.insert(dims.end(), more.begin(), more.end());
        return dims;
    }
    static std::vector<Index> at(const std::vector<Dim>& dims) { return {dims.begin(), dims.end()}; }
    Expr number(double v) const { return cast(type_, literal(v)); }
    Expr total(const Dims& over, const Expr& body, const Where& w = {}) { return sum(over, body, w, {.order = order_}); }
    Func define(const std::string& base, const std::vector<Dim>& dims, const Expr& value) {
        Func f(fresh(base));
        std::move(f.at(at(dims))) = value;
        return f;
    }

    // ---- programs

    void add_program() {
        switch (draw(random_, 0, 4)) {
            case 0: return funcs_.push_back(mixture());
            case 1: return funcs_.push_back(attention());
            case 2: return funcs_.push_back(normalised());
            case 3: return funcs_.push_back(triangular());
            default: return add_chain();
        }
    }

    Expr log_sum_exp(const Dim& over, const std::function<Expr(const Expr&)>& term) {
        const Dim j = along(over), k = along(over);
        const Expr largest = max({j}, term(j));
        return largest + log(total({k}, exp(term(k) - largest)));
    }

    // Points under Gaussians with triangular factors; each point's label chooses a weight.
    Func mixture() {
        const Dim k = sized(fresh("k"), 5), i = sized(fresh("i"), 7), j = along(i);
        const Input alphas = input("alphas", {k}), means = input("means", {k, i}), q = input("q", {k, i}),
                    lower = input("lower", {k, i, j}), x = input("x", {rows_, i}), weights = input("weights", {k});
        Input label(fresh("label"), i32, {rows_});
        label.values_in(0, k.extent());
        const Func apart = define("apart", {rows_, k, i}, x(rows_, i) - means(k, i));
        const Func strict = define("strict", {k, i, j}, select(j < i, lower(k, i, j), number(0)));
        const Expr row = chance(random_, 0.5) ? total({j}, strict(k, i, j) * apart(rows_, k, j))
                                              : total({j}, lower(k, i, j) * apart(rows_, k, j), where(j < i));
        const Func scaled = define("scaled", {rows_, k, i}, exp(q(k, i) * number(0.3)) * apart(rows_, k, i) + row);
        const Func terms =
            define("terms", {rows_, k},
                   alphas(k) + total({i}, q(k, i)) - number(0.5) * total({i}, scaled(rows_, k, i) * scaled(rows_, k, i)));
        const Expr chosen = weights(label(rows_)) * q(label(rows_), 0);
        return define("mixture", {rows_},
                      log_sum_exp(k, [&](const Expr& at) { return terms(rows_, at).read(); }) + chosen * chosen);
    }

    Func attention() {
        const Dim key(fresh("key"), rows_.extent()), d = sized(fresh("d"), 6);
        const Input queries = input("queries", led({rows_, d})), keys = input("keys", led({key, d})),
                    values = input("values", led({key, d}));
        const auto of = [&](const Input& x, const Expr& row, const Expr& column) {
            std::vector<Index> index(lead_.begin(), lead_.end());
            index.emplace_back(row);
            index.emplace_back(column);
            return x.at(index);
        };
        const std::vector<Dim> square = led({rows_, key});
        const Func scores = define("scores", square, total({d}, of(queries, rows_, d) * of(keys, key, d)) * number(0.4));
        const bool causal = chance(random_, 0.6);
        const Where seen = causal ? where(key <= rows_) : Where{};
        const Func top = define("top", led({rows_}), max({key}, scores.at(at(square)).read(), seen));
        const Func weight =
            define("weight", square,
                   causal && chance(random_, 0.5)
                       ? select(key <= rows_, exp(scores.at(at(square)).read() - top.at(at(led({rows_}))).read()), number(0))
                       : exp(min(scores.at(at(square)).read() - top.at(at(led({rows_}))).read(), number(2))));
        const Expr mass = total({key}, weight.at(at(square)).read(), seen);
        return define("attention", led({rows_, d}), total({key}, weight.at(at(square)).read() * of(values, key, d), seen) / mass);
    }

    Func normalised() {
        const std::vector<Dim> dims = led({rows_, columns_}), rows = led({rows_});
        const Input x = input("x", dims), gain = input("gain", {columns_});
        const Expr count = cast(type_, Expr(columns_.extent()));
        const Func mean = define("mean", rows, total({columns_}, x.at(at(dims))) / count);
        const Expr off = x.at(at(dims)) - mean.at(at(rows)).read();
        const Func spread = define("spread", rows, total({columns_}, off * off) / count);
        return define("normalised", dims, off / sqrt(spread.at(at(rows)).read() + number(0.1)) * gain(columns_));
    }

    // L x or its transpose, with or without the diagonal.
    Func triangular() {
        const Dim j = along(columns_);
        const Input factor = input("factor", {columns_, j}), x = input("x", led({columns_}));
        std::vector<Index> there(lead_.begin(), lead_.end());
        there.emplace_back(j);
        const bool transposed = chance(random_, 0.5), strict = chance(random_, 0.5);
        const Expr entry = transposed ? factor(j, columns_) : factor(columns_, j);
        const Expr part = strict ? (transposed ? columns_ < j : j < columns_) : (transposed ? columns_ <= j : j <= columns_);
        return define("triangular", led({columns_}), total({j}, entry * x.at(there), where(part)) + x.at(at(led({columns_}))));
    }

    // ---- chains of definitions over some of the dims

    Dim any_of(const std::vector<Dim>& dims) { return pick(random_, dims); }
    std::vector<Dim> some_dims() {
        std::vector<Dim> all = led({rows_, columns_}), some;
        for (const Dim& d : all)
            if (chance(random_, 0.6)) some.push_back(d);
        if (some.empty()) some.push_back(any_of(all));
        return some;
    }
    void add_chain() {
        if (inputs_.empty()) {
            input("a", led({rows_, columns_}));
            input("b", {any_of(led({rows_, columns_}))});
        }
        for (std::int64_t count = draw(random_, 1, 3); count > 0; --count) add_link();
    }
    Expr index(const std::vector<Dim>& scope) {
        const Expr a(any_of(scope)), b(any_of(scope));
        switch (draw(random_, 0, 6)) {
            case 0: return a + draw(random_, -2, 2);
            case 1: return a * 2 - b + 1;
            case 2: return (a + 3) / 2 - 1;
            case 3: return (a + b) % 3;
            case 4: return b - a;
            default: return a;
        }
    }
    template <class Source>
    Expr bounded(const Source& s, const std::vector<Index>& at) {
        switch (draw(random_, 0, 4)) {
            case 0: return clamp(s).at(at);
            case 1: return mirror(s).at(at);
            case 2: return mirror_interior(s).at(at);
            case 3: return periodic(s).at(at);
            default: return constant(s, 0.25).at(at);
        }
    }
    static bool holds(const std::vector<Dim>& dims, const Dim& d) {
        return std::any_of(dims.begin(), dims.end(), [&](const Dim& x) { return x.id() == d.id(); });
    }
    template <class Source>
    Expr read_of(const Source& s, const std::vector<Dim>& dims, const std::vector<Dim>& scope) {
        std::vector<Index> indices;
        bool plain = true;
        for (const Dim& d : dims) {
            const bool same = holds(scope, d) && chance(random_, 0.7);
            plain = plain && same;
            indices.emplace_back(same ? Expr(d) : index(scope));
        }
        if (!plain) return bounded(s, indices);
        if constexpr (std::is_same_v<Source, Func>)
            return s.at(indices).read();
        else
            return s.at(indices);
    }
    Expr read(const std::vector<Dim>& scope) {
        if (funcs_.empty() || chance(random_, 0.3)) {
            const Input x = pick(random_, inputs_);
            return read_of(x, x.dims(), scope);
        }
        const Func f = pick(random_, funcs_);
        return read_of(f, f.dims(), scope);
    }
    Expr value(const std::vector<Dim>& scope, int depth) {
        if (depth == 0) return read(scope);
        const Expr a = value(scope, depth - 1), b = value(scope, chance(random_, 0.5) ? 0 : depth - 1);
        switch (draw(random_, 0, 8)) {
            case 0: return a + b;
            case 1: return sin(a) * b;
            case 2: return sin(a) - b;
            case 3: return tanh(a) * b;
            case 4: return a / (number(2) + b * b);
            case 5: return select(a > b, a * number(0.5), b);
            case 6: return max(a, b) + min(a * number(2), b);
            case 7: return select(Expr(any_of(scope)) % 2 == 0, exp(number(0.3) * sin(a)), b);
            default: return sqrt(a * a + number(1)) - b;
        }
    }
    void add_link() {
        if (inputs_.empty()) return add_chain();
        const std::vector<Dim> dims = some_dims();
        const Dim r(fresh("r"), draw(random_, 1, 5)), j = along(any_of(dims));
        std::vector<Dim> inner = dims, wide = dims;
        inner.push_back(r);
        wide.push_back(j);
        switch (draw(random_, 0, 8)) {
            case 0: return funcs_.push_back(define("f", dims, total({r}, value(inner, 1))));
            case 1: return funcs_.push_back(define("f", dims, total({j}, value(wide, 1), where(j <= dims[0])) * number(0.5)));
            case 2:
                return funcs_.push_back(define("f", dims, total({j}, value(wide, 0) * value(wide, 0), where(j < dims.back()))));
            case 3: return funcs_.push_back(define("f", dims, max({r}, value(inner, 1)) + value(dims, 1)));
            case 4: return funcs_.push_back(define("f", dims, prod({r}, number(0.5) * tanh(value(inner, 0)) + number(0.7))));
            case 5: return funcs_.push_back(define("f", dims, log(total({j}, exp(sin(value(wide, 0))))) + value(dims, 0)));
            case 6:
                return funcs_.push_back(define("f", dims,
                                               scan(plus, any_of(dims), value(dims, 1),
                                                    {.exclusive = chance(random_, 0.5), .reverse = chance(random_, 0.5)})));
            case 7: return add_recurrence(dims);
            default: return funcs_.push_back(define("f", dims, value(dims, 2)));
        }
    }
    void add_recurrence(const std::vector<Dim>& dims) {
        Func f(fresh("f"));
        const Expr drive = value(dims, 1);
        std::vector<Index> back = at(dims);
        back[0] = Index(dims[0] - 1);
        recurrence(dims[0], {{f.at(at(dims)), number(0.3)}},
                   [&](const Self& s) -> Tuple { return {number(0.5) * sin(s[0].at(back).read()) + drive}; });
        funcs_.push_back(f);
    }

    // ---- derivatives

    std::vector<Func> gradients() {
        Func loss("loss");
        const Func& f = funcs_.back();
        Dims over;
        for (const Dim& d : f.dims()) over.push_back(d);
        const Expr y = f.at(at(f.dims())).read();
        loss() = chance(random_, 0.5) ? total(over, sin(y)) : total(over, y * y);
        std::vector<Wrt> by;
        for (const Argument& arg : arguments_of({loss}))
            for (const Input& x : inputs_)
                if (arg.state() == x.state() && (by.empty() || chance(random_, 0.7))) by.emplace_back(x);
        const GradOptions options{.order = order_};
        if (chance(random_, 0.5)) return grad(loss, by, options);
        const ValueAndGrad both = value_and_grad(loss, by, options);
        std::vector<Func> out{both.value};
        out.insert(out.end(), both.gradients.begin(), both.gradients.end());
        return out;
    }

    Random& random_;
    std::map<std::string, std::int64_t> extents_;
    Dim rows_, columns_;
    bool ordered_;
    DType type_;
    Order order_;
    std::vector<Dim> lead_;
    std::vector<Input> inputs_;
    std::vector<Func> funcs_;
    int names_ = 0;
};

}  // namespace

RealProgram random_real(Random& random) {
    // As random_algorithm(): what cannot be proved inside is drawn anew, and what reads no input over a dim without extent.
    while (true) {
        try {
            return Generator(random).run();
        } catch (const Error& e) {
            if (e.code() != E0401_out_of_bounds && e.code() != E0402_unbounded && e.code() != E0103_unknown_dim) throw;
        }
    }
}

}  // namespace tessera::fuzz
