#include "gradient_contest.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include <tessera/compile.h>
#include <tessera/schedule_default.h>

namespace bench {
namespace {

using namespace tessera;

/// A compiled algorithm with its arrays.
class Kernel {
public:
    Kernel(const Algorithm& algorithm, const std::map<std::string, AnyBuffer>& arrays)
        : module_(compile(algorithm, default_schedule(algorithm))) {
        for (const Argument& a : algorithm.arguments()) {
            const std::string& name = Input(a.state()).name();
            inputs_.emplace(name, arrays.at(name));
        }
        for (const Func& f : algorithm.outputs()) {
            std::vector<std::int64_t> extents;
            for (const Dim& d : f.dims()) extents.push_back(d.extent().constant().value());
            results_.push_back(f.dtype() == f64 ? Buffer<double>(extents).any() : Buffer<float>(extents).any());
            outputs_.emplace(f.name(), results_.back());
        }
    }
    void operator()() const { module_(inputs_, outputs_); }
    [[nodiscard]] const std::vector<AnyBuffer>& results() const { return results_; }

private:
    Module module_;
    NamedInputs inputs_;
    NamedOutputs outputs_;
    std::vector<AnyBuffer> results_;
};

template <class T>
std::string difference_of(const T* ours, const T* theirs, std::int64_t count, double tolerance) {
    double largest = 0, apart = 0;
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        largest = std::max(largest, std::abs(double(theirs[i])));
        const double here = std::abs(double(ours[i]) - double(theirs[i]));
        if (!(here <= apart)) {
            apart = here;
            at = i;
        }
    }
    if (apart <= tolerance * largest) return "";
    return fmt::format("element {} is {} against {} (largest {:.3g}, tolerance {:.1e} of it)", at, ours[at], theirs[at], largest,
                       tolerance);
}

}  // namespace

std::string result_difference(const AnyBuffer& ours, const std::vector<char>& theirs, double tolerance) {
    const bool wide = ours.dtype() == TESSERA_F64;
    const std::size_t bytes = static_cast<std::size_t>(ours.size()) * (wide ? 8 : 4);
    if (bytes != theirs.size()) return fmt::format("{} bytes against {}", bytes, theirs.size());
    if (wide)
        return difference_of(static_cast<const double*>(ours.data()), reinterpret_cast<const double*>(theirs.data()), ours.size(),
                             tolerance);
    return difference_of(static_cast<const float*>(ours.data()), reinterpret_cast<const float*>(theirs.data()), ours.size(),
                         tolerance);
}

Case gradient_contest(GradientCase c, JaxProcess& jax) {
    const auto both = std::make_shared<Kernel>(c.both, c.arrays), value = std::make_shared<Kernel>(c.value, c.arrays);
    const auto use_threads = [](int threads) { tessera_set_num_threads(threads); };
    Case made{c.name, {"Tessera", [both] { (*both)(); }, use_threads}, {}};
    Rival rival{{"JAX", {}}, {}, jax.problem()};
    if (jax.problem().empty()) {
        const auto theirs = std::make_shared<std::vector<std::vector<char>>>(jax.load(c));
        rival.contestant.seconds_of = [&jax](int calls) { return jax.seconds_of_gradient(calls); };
        rival.difference = [theirs, both, tolerance = c.tolerance] {
            for (std::size_t i = 0; i < both->results().size(); ++i) {
                const std::string found = i < theirs->size() ? result_difference(both->results()[i], (*theirs)[i], tolerance)
                                                             : "JAX gives fewer results";
                if (!found.empty()) return fmt::format("result {}: {}", i, found);
            }
            return std::string();
        };
    }
    made.rivals.push_back(rival);
    if (c.written.gradient) {
        made.rivals.push_back(
            {{"C by hand", c.written.gradient}, [both, w = c.written, tolerance = c.tolerance] {
                 for (std::size_t i = 0; i < both->results().size(); ++i) {
                     const AnyBuffer& theirs = w.results[i];
                     const char* raw = static_cast<const char*>(theirs.data());
                     const std::string found = result_difference(both->results()[i], {raw, raw + theirs.size() * 8}, tolerance);
                     if (!found.empty()) return fmt::format("result {}: {}", i, found);
                 }
                 return std::string();
             }});
        made.rivals.push_back({{"C by hand, the value alone", c.written.value}, [] { return std::string(); }});
    }
    made.rivals.push_back({{value_alone, [value] { (*value)(); }, use_threads}, [] { return std::string(); }});
    return made;
}

std::vector<Case> forward_contests(const GradientCase& c) {
    const auto use_threads = [](int threads) { tessera_set_num_threads(threads); };
    const auto contest = [&](const std::string& name, const Algorithm& ours, const char* rival, const Algorithm& theirs) {
        const auto kernel = std::make_shared<Kernel>(ours, c.arrays), other = std::make_shared<Kernel>(theirs, c.arrays);
        return Case{name,
                    {"Tessera", [kernel] { (*kernel)(); }, use_threads},
                    {{{rival, [other] { (*other)(); }, use_threads}, [] { return std::string(); }}}};
    };
    std::vector<Case> cases{contest(c.name + ", along a tangent", c.along, value_alone, c.value)};
    if (c.second) cases.push_back(contest(c.name + ", Hessian times vector", *c.second, gradient_alone, c.both));
    return cases;
}

}  // namespace bench
