#include "fuzz/random_algorithm.h"

#include "algorithm/graph.h"

#include <tessera/routine.h>

#include <memory>

namespace tessera::fuzz {
namespace {

using At = std::vector<Expr>;

std::string argument_name(const Argument& argument) { return argument.state()->name; }

const std::vector<DType> dtypes{bool_, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, f32, i32, f8e4m3, f8e5m2};
const std::vector<DType> input_dtypes{bool_, i8, u8, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64, f32, u8, f8e4m3, f8e5m2};

class Generator {
public:
    Generator(Random& random, bool routines) : random_(random), routines_(routines) {
        const std::vector<Dim> all{Dim("p"), Dim("c"), y_, x_};
        dims_.assign(all.end() - pick(random_, std::vector<int>{1, 2, 2, 2, 2, 3, 3, 4}), all.end());
        a_ = std::make_unique<Input>("a", pick(random_, input_dtypes), dims_);
        b_ = std::make_unique<Input>("b", pick(random_, input_dtypes), dims_);
        std::vector<Dim> rows(dims_.begin(), dims_.end() - 1);
        rows.push_back(k_);
        left_ = std::make_unique<Input>("left", f32, rows);
        right_ = std::make_unique<Input>("right", f32, std::vector<Dim>{k_, x_});
        table_ = std::make_unique<Input>("table", pick(random_, input_dtypes), std::vector<Dim>{v_});
        alpha_ = std::make_unique<Scalar>("alpha", i32);
    }

    Algorithm run() {
        const auto count = chance(random_, 0.5) ? draw(random_, 1, 3) : draw(random_, 3, 8);
        for (std::int64_t i = 0; i < count; ++i) add();
        std::vector<Func> outputs{funcs_.back()};
        if (chance(random_, 0.03)) outputs = {total()};
        if (funcs_.size() > 2 && chance(random_, 0.2)) outputs.push_back(funcs_[funcs_.size() / 2]);
        // What nothing reads is not part of the algorithm: list the inputs that it does read.
        return with_arguments(outputs);
    }

private:
    Algorithm with_arguments(const std::vector<Func>& outputs) {
        std::vector<Argument> arguments{*a_, *b_, *left_, *right_, *table_, *alpha_};
        while (true) {
            try {
                return Algorithm(outputs, arguments);
            } catch (const Error& e) {
                if (e.code() != E0308_unused_argument) throw;
                const auto unused = [&](const Argument& arg) {
                    return e.message() == "argument " + argument_name(arg) + " is read by nothing";
                };
                if (std::erase_if(arguments, unused) == 0) throw;
            }
        }
    }

    std::string fresh(const std::string& base) { return base + std::to_string(names_++); }
    Dim local(const std::string& base, std::int64_t extent) { return Dim(fresh(base), extent); }
    // A dim that runs over what `d` does.
    Dim along(const std::string& base, const Dim& d) { return Dim(fresh(base), d.extent()); }

    // ---- places

    At here() const { return At(dims_.begin(), dims_.end()); }
    At moved(size_t d, const Expr& to) const {
        At at = here();
        at[d] = to;
        return at;
    }
    size_t any_dim() { return static_cast<size_t>(draw(random_, 0, static_cast<std::int64_t>(dims_.size()) - 1)); }
    size_t last() const { return dims_.size() - 1; }
    static std::vector<Index> indices(const At& at) { return {at.begin(), at.end()}; }

    // ---- reads, converted to T

    Expr read(DType t, const At& at) {
        const size_t n = funcs_.size();
        const auto which = draw(random_, 0, static_cast<std::int64_t>(n) + 1);
        if (which >= static_cast<std::int64_t>(n)) return cast(t, wrapped(which % 2 ? *a_ : *b_, at));
        const Func& f = funcs_[static_cast<size_t>(which)];
        At own;
        for (const Dim& d : f.dims())
            for (size_t i = 0; i < dims_.size(); ++i)
                if (dims_[i].id() == d.id())
                    own.push_back(is_time(f, d) || f.state()->routine ? clamp(at[i], 0, Expr(d.extent()) - 1) : at[i]);
        if (f.components() > 1) return cast(t, f.at(indices(own))[static_cast<int>(draw(random_, 0, f.components() - 1))]);
        if (!own.empty() && chance(random_, 0.2)) return cast(t, wrapped(f, own));
        return cast(t, f.at(indices(own)).read());
    }
    // Stages hold the steps of [0, extent), not those behind it; so do the results of routines.
    static bool is_time(const Func& f, const Dim& d) { return f.state()->recurrence && f.state()->recurrence->t.id() == d.id(); }
    template <class Source>
    Expr wrapped(const Source& s, const At& at) {
        switch (draw(random_, 0, 4)) {
            case 0: return clamp(s).at(indices(at));
            case 1: return mirror(s).at(indices(at));
            case 2: return mirror_interior(s).at(indices(at));
            case 3: return periodic(s).at(indices(at));
            default: return s.dtype() == bool_ ? constant(s, true).at(indices(at)) : constant(s, 3).at(indices(at));
        }
    }
    Expr value_here(DType t) {
        if (chance(random_, 0.1)) return cast(t, (chance(random_, 0.5) ? *a_ : *b_).at(indices(here())));
        return read(t, here());
    }
    static Expr number(DType t, std::int64_t v) { return cast(t, Expr(make_constant(i32, v))); }
    // A value of -8 … 8: sums of products of such are exact in f32 for the extents that are drawn, sums of them in bf16.
    Expr small(DType t, const Expr& e) {
        if (t == bool_) return e;
        const Expr least = number(t, is_unsigned(t) ? 0 : -8), most = number(t, 8);
        return is_float(t) ? floor(clamp(e, least, most)) : clamp(e, least, most);
    }

    Expr pointwise(DType t, int depth) {
        if (depth == 0) {
            if (chance(random_, 0.05)) return cast(t, Expr(*alpha_));
            return chance(random_, 0.85) ? value_here(t) : number(t, draw(random_, 0, 7));
        }
        if (t == bool_) {
            const DType other = pick(random_, std::vector<DType>{i32, f32, u8, bf16});
            const Expr p = pointwise(other, depth - 1), q = pointwise(other, 0), r = pointwise(bool_, depth - 1);
            switch (draw(random_, 0, 4)) {
                case 0: return p < q;
                case 1: return p == q;
                case 2: return p <= q && r;
                case 3: return p != q || r;
                default: return !r;
            }
        }
        const Expr p = pointwise(t, depth - 1), q = pointwise(t, chance(random_, 0.5) ? 0 : depth - 1);
        const bool integer = is_integer(t);
        switch (draw(random_, 0, integer ? 12 : 9)) {
            case 0: return p + q;
            case 1: return p - q;
            case 2: return p * q;
            case 3: return min(p, q);
            case 4: return max(p, q);
            case 5: return select(p < q, p, q + number(t, 1));
            case 6: return select(x_ % 3 == 0 && Expr(dims_[0]) > 1, p, q);
            case 7: return abs(p);
            case 8: return integer ? p / q : select(q == number(t, 0), p, p / q);
            case 9: return select(pointwise(bool_, 0), p, q);
            case 10: return p % q;
            case 11: return (p & q) ^ (p | number(t, 1));
            default: return p >> number(t, draw(random_, 0, 3));
        }
    }

    // ---- definitions

    void add() {
        const DType t = pick(random_, dtypes);
        const auto kind = draw(random_, 0, routines_ ? 27 : 23);
        if (kind > 23) return add_routine();
        if (kind == 20) return add_recurrence();
        if (kind == 21) return define(Tuple{pointwise(t, 1), pointwise(pick(random_, dtypes), 1)});
        if (kind == 22) return add_row();
        Expr value;
        switch (kind) {
            case 0:
            case 1:
            case 2: value = pointwise(t, 2); break;
            case 3: value = shifted(t); break;
            case 4: value = scaled(t); break;
            case 5:
            case 6:
            case 7: value = stencil(t); break;
            case 8:
            case 9: value = contraction(); break;
            case 10: value = row_reduction(t); break;
            case 11: value = scanned(); break;
            case 12: value = guarded(t); break;
            case 13: value = gather(t); break;
            case 14: value = histogram(t); break;
            case 15: value = arg_extremum(t); break;
            case 16: value = ordered_sum(); break;
            case 17: value = range_of(t); break;
            case 18: value = scattered(t); break;
            case 19: value = looked_up(t); break;
            default: value = product_or_any(t); break;
        }
        define(Tuple{value});
    }
    void define(const Tuple& values) {
        Func f(fresh("f"));
        std::move(f.at(indices(here()))) = values;
        funcs_.push_back(f);
    }
    Expr sum_if(const Dims& dims, const Expr& body, const Where& w) {
        return body.dtype() == bool_ ? any(dims, body, w) : sum(dims, body, w);
    }

    Expr shifted(DType t) {
        At at = here();
        for (Expr& i : at) i = i + draw(random_, -3, 3);
        const Expr there = read(t, at);
        return t == bool_ ? there && value_here(t) : there + value_here(t);
    }
    Expr scaled(DType t) {
        const size_t d = any_dim();
        const Expr i(dims_[d]);
        switch (draw(random_, 0, 3)) {
            case 0: return read(t, moved(d, i * 2 - 1));
            case 1: return read(t, moved(d, i / 2));
            case 2: return read(t, moved(d, Expr(dims_[d].extent()) - 1 - i));
            default: return select(i % 2 == 0, read(t, moved(d, i / 2)), read(t, moved(d, i / 3 + 1)));
        }
    }
    Expr stencil(DType t) {
        const Dim r = local("r", draw(random_, 1, 4)), s = local("s", draw(random_, 1, 3));
        const size_t d = any_dim(), e = any_dim();
        const bool two = e != d && chance(random_, 0.5);
        At at = moved(d, dims_[d] + r - 1);
        if (two) at[e] = dims_[e] + s - 1;
        const Expr body = small(t, read(t, at));
        const Dims over = two ? Dims{r, s} : Dims{r};
        const Where w = chance(random_, 0.3) ? where(r != 1) : Where{};
        if (t == bool_) return chance(random_, 0.5) ? any(over, body, w) : all(over, body, w);
        switch (draw(random_, 0, 3)) {
            case 0: return max(over, body, w);
            case 1: return min(over, body, w);
            case 2: return sum(over, body * select(r > 1, number(t, 2), number(t, 1)), w);
            default: return sum(over, body, w);
        }
    }
    Expr contraction() {
        At row = here();
        row.back() = k_;
        const bool inside = chance(random_, 0.5);
        const Expr read_left = inside ? left_->at(indices(row)) : mirror(*left_).at(indices(row)),
                   read_right = inside ? (*right_)(k_, x_) : clamp(*right_)(k_, x_);
        const Expr l = chance(random_, 0.7) ? read_left : small(f32, read_left + 1);
        return sum({k_}, l * read_right) + (chance(random_, 0.5) ? value_here(f32) : number(f32, 1));
    }
    Expr row_reduction(DType t) {
        const size_t d = any_dim();
        const Dim j = along("j", dims_[d]);
        const Expr body = small(t, read(t, moved(d, j)));
        const Where w = chance(random_, 0.3) ? where(j <= dims_[d]) : Where{};
        if (t == bool_ || chance(random_, 0.5)) return sum_if({j}, body, w);
        return max({j}, body, w);
    }
    Expr product_or_any(DType t) {
        const size_t d = any_dim();
        const Dim j = along("j", dims_[d]), s = local("s", 2);
        const Expr odd = read(bool_, moved(d, j + s - 1));
        const Expr any_of = any({j, s}, odd, chance(random_, 0.5) ? where(j != s) : Where{});
        return is_integer(t) ? prod({s}, small(t, read(t, moved(d, dims_[d] + s)))) + cast(t, any_of) : cast(t, any_of);
    }
    Expr scanned() {
        const DType t = pick(random_, std::vector<DType>{f32, i32, i64, u8, f64});
        const Expr body = small(t, value_here(t));
        const ScanOptions options{.exclusive = chance(random_, 0.3), .reverse = chance(random_, 0.3)};
        return scan(chance(random_, 0.6) ? plus : maximum, dims_[any_dim()], body, options);
    }
    Expr guarded(DType t) {
        const size_t d = any_dim();
        const Expr before = cast(t, a_->at(indices(moved(d, dims_[d] - 1))));
        return select(dims_[d] > 0, before, value_here(t));
    }
    Expr gather(DType t) {
        const size_t d = any_dim();
        const Expr at = clamp(value_here(i32), 0, Expr(dims_[d].extent()) - 1);
        return read(t, moved(d, at));
    }
    Expr looked_up(DType t) {
        const DType narrow = pick(random_, std::vector<DType>{u8, i32, u16});
        const Expr at = clamp(value_here(narrow), number(narrow, 0), number(narrow, 15));
        const Expr found = cast(t, (*table_)(at));
        return chance(random_, 0.5) ? found : select(value_here(bool_), cast(t, (*table_)(Expr(x_) % 16)), found);
    }
    Expr histogram(DType t) {
        const Dim v = local("v", 8);
        Dims over;
        At at;
        for (const Dim& d : dims_) {
            over.push_back(along("i", d));
            at.push_back(over.back());
        }
        Func h(fresh("h"));
        h(v) = scatter(plus, {to(v, read(i32, at) % 9)}, over, number(i32, 1));
        return cast(t, Expr(h(value_here(i32) & 7)));
    }
    // Values of a row move along it; the last one stays, or they are combined.
    Expr scattered(DType t) {
        const DType kind = t == bool_ ? i32 : t;
        const size_t d = any_dim();
        const Dim i = along("i", dims_[d]);
        const Monoid m = pick(random_, std::vector<Monoid>{tessera::last, plus, maximum});
        const Expr to_index = chance(random_, 0.5) ? i / 2 + 1 : read(i32, moved(d, i)) % 7;
        ScatterOptions options;
        if (chance(random_, 0.4)) options.init = {number(kind, 5)};
        return cast(t, scatter(m, {to(dims_[d], to_index)}, {i}, small(kind, read(kind, moved(d, i))), options));
    }
    Expr arg_extremum(DType t) {
        const size_t d = any_dim();
        const Dim j = along("j", dims_[d]);
        const Expr body = read(t == bool_ ? u8 : t, moved(d, j));
        return cast(t, chance(random_, 0.5) ? argmax(j, body) : argmin(j, body));
    }
    Expr ordered_sum() {
        const DType t = pick(random_, std::vector<DType>{f32, f64});
        const size_t d = any_dim();
        const Dim j = along("j", dims_[d]), s = local("s", 2);
        const Expr body = read(t, moved(d, j + s)) * number(t, 3) / number(t, 7);
        const std::int64_t block = draw(random_, 1, 6);
        const Order order =
            pick(random_, std::vector<Order>{Order::ascending(), Order::kahan(), Order::pairwise(block), Order::blocked(block)});
        return sum({j, s}, body, chance(random_, 0.3) ? where(j != s) : Where{}, {.order = order});
    }
    Expr range_of(DType t) {
        if (t == bool_) t = i32;
        const size_t d = any_dim();
        const Dim j = along("j", dims_[d]);
        const Monoid range = monoid(
            "range",
            [](const std::vector<DType>& types) -> Tuple {
                return {number(types[0], 100), number(types[1], 0)};
            },
            [](const Tuple& l, const Tuple& r) -> Tuple {
                return {min(l[0], r[0]), max(l[1], r[1])};
            },
            {.commutative = true, .associative = true});
        const Expr low = small(t, read(t, moved(d, j))), high = small(t, read(t, moved(d, j)));
        const Tuple ends = reduce(range, {j}, {low, high}, chance(random_, 0.3) ? where(j < 5) : Where{});
        return ends[1] - ends[0];
    }

    // A Func without the last dim.
    void add_row() {
        if (dims_.size() < 2) return define(Tuple{pointwise(i32, 1)});
        const DType t = pick(random_, dtypes);
        const Dim j = along("j", x_);
        const Expr body = small(t, read(t, moved(last(), j)));
        Func f(fresh("row"));
        At at = here();
        at.pop_back();
        const bool largest = t != bool_ && chance(random_, 0.5);
        std::move(f.at(indices(at))) = largest ? max({j}, body) : sum_if({j}, body, {});
        funcs_.push_back(f);
    }
    // A C function (fuzz_routines.cpp) and what it means.
    void add_routine() {
        const auto which = draw(random_, 0, 2);
        const auto operand = [&](DType t) {
            define(Tuple{pointwise(t, 1)});
            return funcs_.back();
        };
        const Func from = operand(which == 0 ? pick(random_, dtypes) : i32);
        Func meaning(fresh("meaning"));
        std::vector<Wrt> operands{from};
        switch (which) {
            case 0: meaning.at(indices(here())) = from.at(indices(moved(last(), Expr(x_.extent()) - 1 - x_))).read(); break;
            case 1: meaning.at(indices(here())) = scan(plus, x_, from.at(indices(here())).read()); break;
            default: {
                const Func other = operand(i32);
                operands.emplace_back(other);
                const Expr a = from.at(indices(here())).read(), b = other.at(indices(here())).read();
                meaning.at(indices(here())) = Tuple{a + b, max(a, b)};
            }
        }
        const std::vector<std::string> symbols{"tessera_fuzz_reversed", "tessera_fuzz_running_sums",
                                               "tessera_fuzz_sum_and_larger"};
        funcs_.push_back(routine(symbols[static_cast<size_t>(which)], meaning, {.name = fresh("routine"), .operands = operands}));
    }
    Func total() {
        const DType t = pick(random_, std::vector<DType>{i32, u8, i64});
        Dims over;
        At at;
        for (const Dim& d : dims_) {
            over.push_back(along("i", d));
            at.push_back(over.back());
        }
        Func f(fresh("total"));
        f() = sum(over, read(t, at));
        return f;
    }

    void add_recurrence() {
        const DType t = pick(random_, std::vector<DType>{i32, f32, i64, u8, f64});
        const size_t time = any_dim();
        const bool reverse = chance(random_, 0.3), two = chance(random_, 0.3);
        const Expr body = small(t, value_here(t));
        Func h(fresh("h")), g(fresh("g"));
        const auto before = [&](std::int64_t steps) {
            At at = moved(time, reverse ? dims_[time] + steps : dims_[time] - steps);
            const size_t d = any_dim();
            if (d != time && chance(random_, 0.4)) at[d] = clamp(dims_[d] + draw(random_, -1, 1), 0, Expr(dims_[d].extent()) - 1);
            return indices(at);
        };
        // What a step combines of a whole line of the step before.
        const auto line_before = [&](const Self& s) -> Expr {
            const size_t d = any_dim();
            if (d == time) return number(t, 1);
            const Dim j = along("j", dims_[d]);
            At at = moved(time, reverse ? dims_[time] + 1 : dims_[time] - 1);
            at[d] = j;
            const Expr was = s[0].at(indices(at)).read();
            if (chance(random_, 0.5)) return max({j}, was);
            return sum({j}, was, chance(random_, 0.3) ? where(j != 1) : Where{});
        };
        std::vector<StateVar> states{{h.at(indices(here())), number(t, 2)}};
        if (two) states.push_back({g.at(indices(here())), number(t, 1)});
        const auto step = [&](const Self& s) -> Tuple {
            const Expr was = s[0].at(before(1)).read(), longer = s[two ? 1 : 0].at(before(2)).read();
            const Expr line = chance(random_, 0.3) ? line_before(s) : number(t, 1);
            const Expr next =
                clamp(was * number(t, 2) - longer * line + body, number(t, is_unsigned(t) ? 0 : -100), number(t, 100));
            if (!two) return {next};
            return {next, max(was, longer) - body};
        };
        recurrence(dims_[time], states, step, {.reverse = reverse});
        funcs_.push_back(h);
        if (two && chance(random_, 0.5)) funcs_.push_back(g);
    }

    Random& random_;
    Dim y_{"y"}, x_{"x"}, k_{"k"}, v_{"v", 16};
    std::vector<Dim> dims_;
    std::unique_ptr<Input> a_, b_, left_, right_, table_;
    std::unique_ptr<Scalar> alpha_;
    std::vector<Func> funcs_;
    bool routines_;
    int names_ = 0;
};

}  // namespace

Algorithm random_algorithm(Random& random, bool routines) {
    // Reads without a boundary are drawn too; where they cannot be proved inside, or a recurrence's region is not found, another
    // algorithm is drawn.
    while (true) {
        try {
            return Generator(random, routines).run();
        } catch (const Error& e) {
            if (e.code() != E0401_out_of_bounds && e.code() != E0402_unbounded) throw;
        }
    }
}

}  // namespace tessera::fuzz
