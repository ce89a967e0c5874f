#include "fuzz/random_algorithm.h"

#include "algorithm/graph.h"

#include <memory>

namespace tessera::fuzz {
namespace {

std::string argument_name(const Argument& argument) { return argument.state()->name; }

const std::vector<DType> dtypes{u8, i16, i32, i64, u32, f32, f64};

class Generator {
public:
    explicit Generator(Random& random) : random_(random) {
        const std::vector<DType> in{u8, i16, i32, f32};
        a_ = std::make_unique<Input>("a", pick(random_, in), std::vector<Dim>{y_, x_});
        b_ = std::make_unique<Input>("b", pick(random_, in), std::vector<Dim>{y_, x_});
        left_ = std::make_unique<Input>("left", f32, std::vector<Dim>{y_, k_});
        right_ = std::make_unique<Input>("right", f32, std::vector<Dim>{k_, x_});
    }

    Algorithm run() {
        const auto count = draw(random_, 1, 7);
        for (std::int64_t i = 0; i < count; ++i) add();
        std::vector<Func> outputs{funcs_.back()};
        if (funcs_.size() > 2 && chance(random_, 0.2)) outputs.push_back(funcs_[funcs_.size() / 2]);
        // What nothing reads is not part of the algorithm: list the inputs that it does read.
        return with_arguments(outputs);
    }

private:
    Algorithm with_arguments(const std::vector<Func>& outputs) {
        std::vector<Argument> arguments{*a_, *b_, *left_, *right_};
        for (int attempt = 0; attempt < 5; ++attempt) {
            try {
                return Algorithm(outputs, arguments);
            } catch (const Error& e) {
                if (e.code() != E0308_unused_argument) throw;
                for (size_t i = 0; i < arguments.size(); ++i)
                    if (e.message() == "argument " + argument_name(arguments[i]) + " is read by nothing") {
                        arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
                        break;
                    }
            }
        }
        return Algorithm(outputs, arguments);
    }

    std::string fresh(const std::string& base) { return base + std::to_string(names_++); }
    Dim local(const std::string& base, std::int64_t extent) { return Dim(fresh(base), extent); }

    // ---- reads, converted to T

    Expr read(DType t, const Expr& yy, const Expr& xx) {
        const size_t n = funcs_.size();
        const auto which = draw(random_, 0, static_cast<std::int64_t>(n) + 1);
        if (which >= static_cast<std::int64_t>(n)) return cast(t, wrapped(which % 2 ? *a_ : *b_, yy, xx));
        const Func& f = funcs_[static_cast<size_t>(which)];
        if (chance(random_, 0.2)) return cast(t, wrapped(f, yy, xx));
        return cast(t, Expr(f.at({yy, xx})));
    }
    template <class Source>
    Expr wrapped(const Source& s, const Expr& yy, const Expr& xx) {
        switch (draw(random_, 0, 4)) {
            case 0: return clamp(s)(yy, xx);
            case 1: return mirror(s)(yy, xx);
            case 2: return mirror_interior(s)(yy, xx);
            case 3: return periodic(s)(yy, xx);
            default: return constant(s, 3)(yy, xx);
        }
    }
    Expr here(DType t) {
        if (chance(random_, 0.1)) return cast(t, Expr((chance(random_, 0.5) ? *a_ : *b_)(y_, x_)));
        return read(t, y_, x_);
    }
    // A value of -8 … 8: sums of products of such are exact in f32 for the extents that are drawn.
    Expr small(DType t, const Expr& e) { return is_float(t) ? floor(clamp(e, -8, 8)) : clamp(e, is_unsigned(t) ? 0 : -8, 8); }

    Expr pointwise(DType t, int depth) {
        if (depth == 0) return chance(random_, 0.85) ? here(t) : constant(t, draw(random_, 0, 7));
        const Expr p = pointwise(t, depth - 1), q = pointwise(t, chance(random_, 0.5) ? 0 : depth - 1);
        const bool integer = is_integer(t);
        switch (draw(random_, 0, integer ? 11 : 8)) {
            case 0: return p + q;
            case 1: return p - q;
            case 2: return p * q;
            case 3: return min(p, q);
            case 4: return max(p, q);
            case 5: return select(p < q, p, q + 1);
            case 6: return select(x_ % 3 == 0 && y_ > 1, p, q);
            case 7: return abs(p);
            case 8: return integer ? p / q : select(q == 0, p, p / q);
            case 9: return p % q;
            case 10: return (p & q) ^ (p | 1);
            default: return p >> cast(t, draw(random_, 0, 3));
        }
    }

    // ---- definitions

    void add() {
        Func f(fresh("f"));
        const DType t = pick(random_, dtypes);
        Expr value;
        switch (draw(random_, 0, 11)) {
            case 0:
            case 1: value = pointwise(t, 2); break;
            case 2: value = read(t, y_ + draw(random_, -3, 3), x_ + draw(random_, -3, 3)) + here(t); break;
            case 3:
            case 4: value = stencil(t); break;
            case 5: value = contraction(); break;
            case 6: value = row_reduction(t); break;
            case 7:
                value = scan(plus, chance(random_, 0.5) ? x_ : y_, small(t, here(t)),
                             {.exclusive = chance(random_, 0.3), .reverse = chance(random_, 0.3)});
                break;
            case 8: value = guarded(t); break;
            case 9: value = gather(t); break;
            case 10: value = histogram(t); break;
            default: value = arg_extremum(t); break;
        }
        f(y_, x_) = value;
        funcs_.push_back(f);
    }

    Expr stencil(DType t) {
        const Dim r = local("r", draw(random_, 1, 4)), s = local("s", draw(random_, 1, 3));
        const bool two = chance(random_, 0.5);
        const Expr body = small(t, two                    ? read(t, y_ + r - 1, x_ + s - 1)
                                   : chance(random_, 0.5) ? read(t, y_ + r - 1, x_)
                                                          : read(t, y_, x_ + r - 2));
        const Dims dims = two ? Dims{r, s} : Dims{r};
        const Where w = chance(random_, 0.3) ? where(r != 1) : Where{};
        switch (draw(random_, 0, 3)) {
            case 0: return max(dims, body, w);
            case 1: return min(dims, body, w);
            case 2: return sum(dims, body * select(r > 1, cast(t, 2), cast(t, 1)), w);
            default: return sum(dims, body, w);
        }
    }
    Expr contraction() {
        const bool inside = chance(random_, 0.5);
        const Expr read_left = inside ? (*left_)(y_, k_) : mirror(*left_)(y_, k_),
                   read_right = inside ? (*right_)(k_, x_) : clamp(*right_)(k_, x_);
        const Expr l = chance(random_, 0.7) ? read_left : small(f32, read_left + 1);
        return sum({k_}, l * read_right) + (chance(random_, 0.5) ? here(f32) : cast(f32, 1));
    }
    Expr row_reduction(DType t) {
        const Dim j = Dim(fresh("j"), x_.extent());
        const Expr body = small(t, read(t, y_, j));
        const Where w = chance(random_, 0.3) ? where(j <= x_) : Where{};
        return chance(random_, 0.5) ? sum({j}, body, w) : max({j}, body, w);
    }
    Expr guarded(DType t) {
        const Expr shifted = cast(t, Expr((*a_)(y_, x_ - 1)));
        return select(x_ > 0, shifted, here(t));
    }
    Expr gather(DType t) {
        const Expr row = clamp(here(i32), 0, y_.extent() - 1);
        return read(t, row, x_);
    }
    Expr histogram(DType t) {
        const Dim v = local("v", 8), i = Dim(fresh("i"), x_.extent()), j = Dim(fresh("j"), y_.extent());
        Func h(fresh("h"));
        h(v) = scatter(plus, {to(v, read(i32, j, i) % 9)}, {j, i}, cast(i32, 1));
        return cast(t, Expr(h(here(i32) & 7)));
    }
    Expr arg_extremum(DType t) {
        const Dim j = Dim(fresh("j"), x_.extent());
        const Expr body = read(t, y_, j);
        return cast(t, chance(random_, 0.5) ? argmax(j, body) : argmin(j, body));
    }

    Random& random_;
    Dim y_{"y"}, x_{"x"}, k_{"k"};
    std::unique_ptr<Input> a_, b_, left_, right_;
    std::vector<Func> funcs_;
    int names_ = 0;
};

}  // namespace

Algorithm random_algorithm(Random& random) {
    // Reads without a boundary are drawn too; where they cannot be proved inside, another algorithm is drawn.
    while (true) {
        try {
            return Generator(random).run();
        } catch (const Error& e) {
            if (e.code() != E0401_out_of_bounds) throw;
        }
    }
}

}  // namespace tessera::fuzz
