#include "unit/autodiff/derivative_cases.h"

#include <random>

// Random definitions: the two modes agree, and inverted accesses agree with adding up by scatters.
namespace tessera::autodiff_test {
namespace {

class RandomProgram {
public:
    explicit RandomProgram(unsigned seed) : random_(seed) {
        for (int d = 0; d < 3; ++d) {
            const std::string name = "d" + std::to_string(d);
            extents_[name] = 1 + pick(5);
            if (seed % 2 == 0)
                dims_.emplace_back(name, extents_[name]);
            else
                dims_.emplace_back(name);
        }
        for (int k = 0; k < 2; ++k) {
            inputs_.emplace_back("x" + std::to_string(k), f64, some_dims(k == 0 ? 3 : 1 + pick(2)));
            wrt_.push_back(inputs_.back());
        }
        at_.emplace_back("at", i32, std::vector<Dim>{dims_[0]});
        at_[0].values_in(0, dims_[1].extent());
        for (int i = 0; i < 8; ++i) places_.push_back(pick(static_cast<int>(extents_.at("d1"))));
        const int stages = 1 + pick(5);
        for (int s = 0; s < stages; ++s) add_stage(s);
    }

    Program program() {
        Func y("y");
        const Func& end = funcs_.back();
        const std::vector<Index> all(end.dims().begin(), end.dims().end());
        // Every input is read.
        Expr value = end.at(all).read();
        for (const Input& x : inputs_)
            value = value + 0.5 * sum(x.dims(), x.at(std::vector<Index>(x.dims().begin(), x.dims().end())));
        y.at(all) = value;
        return {.y = y, .wrt = wrt_, .extents = extents_, .low = -1.5, .high = 1.5, .integers = {{"at", places_}}};
    }

private:
    int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
    std::vector<Dim> some_dims(int count) {
        std::vector<Dim> all = dims_;
        std::shuffle(all.begin(), all.end(), random_);
        all.erase(all.begin() + count, all.end());
        return all;
    }
    Dim any_of(const std::vector<Dim>& dims) { return dims[static_cast<size_t>(pick(static_cast<int>(dims.size())))]; }

    // An index over `scope` that stays finite; boundary conditions bring it inside.
    Expr index(const std::vector<Dim>& scope) {
        if (scope.empty()) return cast(i64, Expr(literal(std::int64_t{pick(3) - 1})));
        const Expr a = cast(i64, any_of(scope)), b = cast(i64, any_of(scope));
        switch (pick(8)) {
            case 0: return a + (pick(5) - 2);
            case 1: return a * 2 - b + 1;
            case 2: return (a + 3) / 2 - 1;
            case 3: return (a + b - 2) % 3;
            case 4: return (1 + pick(3)) * a + b * 3;
            case 5: return b - a;
            default: return a;
        }
    }
    Expr read(const std::vector<Dim>& scope) {
        const bool from_input = funcs_.empty() || pick(3) == 0;
        const Input& x = inputs_[static_cast<size_t>(pick(2))];
        const Func f = from_input ? Func("unused") : funcs_[static_cast<size_t>(pick(static_cast<int>(funcs_.size())))];
        const std::vector<Dim>& dims = from_input ? x.dims() : f.dims();
        std::vector<Index> indices;
        bool plain = true;
        for (const Dim& d : dims) {
            const bool same = contains_dim(scope, d) && pick(2) == 0;
            plain = plain && same;
            if (!same && d.id() == dims_[1].id() && contains_dim(scope, dims_[0]) && pick(3) == 0)
                indices.emplace_back(at_[0](dims_[0]) + pick(2));
            else
                indices.emplace_back(same ? Expr(d) : index(scope));
        }
        if (plain) return from_input ? x.at(indices) : f.at(indices).read();
        const auto bounded = [&](const auto& tensor) {
            switch (pick(5)) {
                case 0: return clamp(tensor);
                case 1: return mirror(tensor);
                case 2: return mirror_interior(tensor);
                case 3: return periodic(tensor);
                default: return constant(tensor, 0.25);
            }
        };
        return from_input ? bounded(x).at(indices) : bounded(f).at(indices);
    }
    Expr value(const std::vector<Dim>& scope, int depth) {
        if (depth == 0) return read(scope);
        const Expr a = value(scope, depth - 1), b = value(scope, pick(2) == 0 ? 0 : depth - 1);
        switch (pick(9)) {
            case 0: return a + b;
            case 1: return a * b;
            case 2: return sin(a) - b;
            case 3: return tanh(a) * b;
            case 4: return a / (2.0 + b * b);
            case 5: return select(a > b, a * 0.5, b);
            case 6: return max(a, b) + min(a * 2.0, b);
            case 7: return scope.empty() ? relu(a) : select(cast(i64, any_of(scope)) % 2 == 0, exp(0.3 * sin(a)), b);
            default: return sqrt(a * a + 1.0) - b;
        }
    }
    void add_stage(int number) {
        const std::vector<Dim> dims = some_dims(1 + pick(2));
        Func f("f" + std::to_string(number));
        const std::vector<Index> left(dims.begin(), dims.end());
        std::vector<Dim> inner = dims;
        Dim r("r" + std::to_string(number), 1 + pick(4));
        inner.push_back(r);
        switch (pick(8)) {
            case 0:
            case 1: f.at(left) = sum({r}, value(inner, 1)); break;
            case 2: f.at(left) = sum({r}, value(inner, 1), where(cast(i64, r) <= cast(i64, dims[0]))) * 0.5; break;
            case 3: f.at(left) = max({r}, value(inner, 1)) + value(dims, 1); break;
            case 4: f.at(left) = prod({r}, 0.5 * value(inner, 0) + 0.7); break;
            case 5: f.at(left) = scan(plus, dims[0], value(dims, 1), {.exclusive = pick(2) == 0, .reverse = pick(2) == 0}); break;
            case 6: {
                const Expr drive = value(dims, 1);
                std::vector<Index> back = left;
                back[0] = Index(dims[0] - 1);
                recurrence(dims[0], {{f.at(left), cast(f64, 0.3)}},
                           [&](const Self& s) -> Tuple { return {0.5 * sin(s[0].at(back).read()) + drive}; });
                break;
            }
            default: f.at(left) = value(dims, 2);
        }
        funcs_.push_back(f);
    }
    static bool contains_dim(const std::vector<Dim>& dims, const Dim& d) {
        for (const Dim& x : dims)
            if (x.id() == d.id()) return true;
        return false;
    }

    std::mt19937 random_;
    std::vector<Dim> dims_;
    std::map<std::string, std::int64_t> extents_;
    std::vector<Input> inputs_, wrt_, at_;
    std::vector<std::int64_t> places_;
    std::vector<Func> funcs_;
};

TEST(GradientFuzz, BothModesAgreeOnRandomDefinitions) {
    for (unsigned seed = 1; seed <= 48; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomProgram random(seed);
        const Program p = random.program();
        try {
            check_derivative(p, seed, false);
            check_against_scatter(p, seed);
        } catch (const Error& e) {
            ADD_FAILURE() << e.what();
        }
        if (testing::Test::HasFailure()) FAIL() << Algorithm({p.y}, arguments_of({p.y})).text();
    }
}

void expect_agreement_of_second(unsigned seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomProgram random(seed);
    Program p = random.program();
    const Expr value = p.y.at(std::vector<Index>(p.y.dims().begin(), p.y.dims().end())).read();
    Func loss("loss");
    loss() = sum(p.y.dims(), value * (value + 2.0));
    try {
        p.y = grad(loss, {p.wrt[0]})[0];
        check_derivative(p, seed, false);
    } catch (const Error& e) {
        ADD_FAILURE() << e.what();
    }
    if (testing::Test::HasFailure()) FAIL() << Algorithm({loss}, arguments_of({loss})).text();
}

// Of static extents, and of open ones, where what is required of chains of boundary conditions is a long expression.
TEST(GradientFuzz, BothModesAgreeOnGradientsOfRandomDefinitions) {
    for (unsigned seed = 2; seed <= 24 && !testing::Test::HasFailure(); seed += 2) expect_agreement_of_second(seed);
}
TEST(GradientFuzz, BothModesAgreeOnGradientsOverOpenExtents) {
    for (unsigned seed = 1; seed <= 27 && !testing::Test::HasFailure(); seed += 2) expect_agreement_of_second(seed);
}

}  // namespace
}  // namespace tessera::autodiff_test
