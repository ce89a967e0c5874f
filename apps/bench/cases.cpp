#include "cases.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "algebra_cases.h"
#include "definitions.h"
#include "pipeline_cases.h"
#include "rivals/halide_rivals.h"
#include "tessera_kernels.h"

namespace bench {
namespace {

using rivals::Arithmetic;
using rivals::Kernel;
using rivals::Plan;

std::vector<float> random_floats(std::size_t count, float low, float high, unsigned rng_start) {
    std::mt19937 rng(rng_start);
    std::vector<float> values(count);
    for (float& value : values) value = low + (high - low) * float(rng() >> 8) * 0x1p-24f;
    return values;
}

/// A kernel on Halide's threads; it keeps the arrays that it runs on.
Contestant with_halide_pool(std::string name, Kernel kernel, std::shared_ptr<const void> arrays) {
    return {std::move(name), [arrays = std::move(arrays), kernel = std::move(kernel)] { kernel(); }, rivals::use_halide_threads};
}

/// The case of every schedule of one of our functions; they share rivals, arrays and the name up to the slash.
template <typename Ours>
std::vector<Case> case_per_schedule(const std::string& name, const std::vector<Rival>& rivals,
                                    const std::shared_ptr<const void>& arrays, Ours&& ours, const Work& work,
                                    const std::function<void()>& keep = {}) {
    std::vector<Case> cases;
    for (const OurSchedule schedule : our_schedules) {
        const OurKernel kernel = ours(schedule);
        if (!kernel) continue;
        cases.push_back({fmt::format("{}/{}", name, name_of(schedule)),
                         {"Tessera", [arrays, kernel] { kernel(); }, use_tessera_threads},
                         rivals,
                         work,
                         keep});
    }
    return cases;
}

/// The work of a pipeline by what one pixel takes.
Work per_pixel(Size2 size, double operations, double bytes) {
    const double pixels = double(size.height) * size.width;
    return {operations * pixels, bytes * pixels};
}

std::string named_difference(const char* whose, const std::string& difference) {
    return difference.empty() ? "" : fmt::format("{}: {}", whose, difference);
}

/// The first of two differences that is one.
std::string either(std::string a, const std::string& b) { return a.empty() ? b : a; }

/// An f32 stencil: one input, one output for all contestants, and what the definition says. Ours and exact rivals must have its
/// bits; others may be off by rounding, which cancellation relates to the largest value.
class FloatStencil : public std::enable_shared_from_this<FloatStencil> {
public:
    FloatStencil(std::vector<float> input, std::vector<float> expected)
        : in(std::move(input)), expected_(std::move(expected)), out(expected_.size()) {
        for (const float value : expected_) scale_ = std::max(scale_, std::abs(double(value)));
    }

    Rival rival(std::string name, Kernel kernel, bool exact) {
        const double tolerance = exact ? 0 : scale_ * relaxed_tolerance;
        return {with_halide_pool(std::move(name), std::move(kernel), shared_from_this()), [self = shared_from_this(), tolerance] {
                    return either(named_difference("ours", float_difference(self->ours_, self->expected_, 0)),
                                  named_difference("rival", float_difference(self->out, self->expected_, tolerance)));
                }};
    }

    void keep() { ours_ = out; }

    const std::vector<float> in;

private:
    static constexpr double relaxed_tolerance = 1e-5;
    const std::vector<float> expected_;
    double scale_ = 0;
    std::vector<float> ours_;

public:
    std::vector<float> out;
};

std::vector<Case> blur_cases(Size2 size) {
    struct Arrays {
        std::vector<std::uint16_t> in, expected, out, ours;
        std::string difference() const {
            const auto first = [&](const char* whose, const std::vector<std::uint16_t>& got) {
                const auto at = std::mismatch(got.begin(), got.end(), expected.begin());
                return at.first == got.end()
                           ? ""
                           : fmt::format("{}: element {} is {}, not {}", whose, at.first - got.begin(), *at.first, *at.second);
            };
            return either(first("ours", ours), first("rival", out));
        }
    };
    const auto arrays = std::make_shared<Arrays>();
    std::mt19937 rng(7);
    arrays->in.resize(std::size_t(size.height + 2) * (size.width + 2));
    for (auto& value : arrays->in) value = static_cast<std::uint16_t>(rng());
    arrays->expected = defined_blur(arrays->in, size);
    arrays->out.resize(arrays->expected.size());
    std::vector<Rival> all;
    for (const rivals::NamedPlan& r : rivals::named_plans) {
        if (r.arithmetic == Arithmetic::strict) continue;  // integers
        const Kernel kernel = rivals::halide_blur(arrays->in.data(), arrays->out.data(), size, r.plan);
        if (rivals::runs(fmt::format("blur: {}", r.name), kernel))
            all.push_back({with_halide_pool(r.name, kernel, arrays), [arrays] { return arrays->difference(); }});
    }
    return case_per_schedule(
        fmt::format("blur {}x{}", size.width, size.height), all, arrays,
        [&](OurSchedule schedule) { return tessera_blur(arrays->in.data(), arrays->out.data(), size, schedule); },
        per_pixel(size, 3, 4), [arrays] { arrays->ours = arrays->out; });
}

using StencilOf = Kernel (*)(const float*, float*, Size2, Plan, Arithmetic);
using OurStencil = Kernel (*)(const float*, float*, Size2, OurSchedule);

std::vector<Case> float_stencil_cases(const std::string& name, std::shared_ptr<FloatStencil> arrays, Size2 size, OurStencil ours,
                                      StencilOf stencil, const Work& work, bool strict_is_exact) {
    std::vector<Rival> all;
    for (const rivals::NamedPlan& r : rivals::named_plans) {
        Kernel kernel = stencil(arrays->in.data(), arrays->out.data(), size, r.plan, r.arithmetic);
        if (rivals::runs(fmt::format("{}: {}", name, r.name), kernel))
            all.push_back(arrays->rival(r.name, std::move(kernel), strict_is_exact && r.arithmetic == Arithmetic::strict));
    }
    return case_per_schedule(
        fmt::format("{} {}x{}", name, size.width, size.height), all, arrays,
        [&](OurSchedule schedule) { return ours(arrays->in.data(), arrays->out.data(), size, schedule); }, work,
        [arrays] { arrays->keep(); });
}

std::vector<Case> unsharp_cases(Size2 size) {
    auto in = random_floats(std::size_t(3) * size.height * size.width, 0.05f, 1.0f, 11);
    auto expected = defined_unsharp(in, size);
    return float_stencil_cases("unsharp", std::make_shared<FloatStencil>(std::move(in), std::move(expected)), size,
                               tessera_unsharp, rivals::halide_unsharp, per_pixel(size, 31, 24), true);
}

std::vector<Case> harris_cases(Size2 size) {
    auto in = random_floats(std::size_t(3) * (size.height + 4) * (size.width + 4), 0.0f, 1.0f, 12);
    auto expected = defined_harris(in, size);
    // The definition multiplies and adds in one step, Halide in two.
    return float_stencil_cases("harris", std::make_shared<FloatStencil>(std::move(in), std::move(expected)), size, tessera_harris,
                               rivals::halide_harris, per_pixel(size, 43, 16), false);
}

/// The best of the rivals' schedules by hand: the tuned ones, the published one where there is no other.
void keep_best_rivals(Case& made) {
    const auto has = [](const char* plan) { return [plan](const Rival& r) { return r.contestant.name.rfind(plan, 0) == 0; }; };
    const bool tuned = std::any_of(made.rivals.begin(), made.rivals.end(), has("Halide, tuned"));
    std::erase_if(made.rivals, std::not_fn(has(tuned ? "Halide, tuned" : "Halide, published")));
}

}  // namespace

void for_each_case(const CaseOptions& options, const rivals::OpenBlas& blas, const std::function<void(const Case&)>& measure) {
    enum class Tier { quick, usual, all };
    struct Listed {
        std::string name;
        Tier tier;
        std::function<std::vector<Case>()> make;
    };
    const Size2 photo{.height = 1536, .width = 2560}, large{.height = 4800, .width = 6400};
    std::vector<Listed> table{
        {"blur", Tier::quick, [&] { return blur_cases(photo); }},
        {"blur large", Tier::all, [&] { return blur_cases(large); }},
        {"unsharp", Tier::quick, [&] { return unsharp_cases(photo); }},
        {"harris", Tier::quick, [&] { return harris_cases(photo); }},
    };
    for (PipelineCase& pipeline : pipeline_cases(photo))
        table.push_back({pipeline.name, pipeline.quick ? Tier::quick : Tier::usual, std::move(pipeline.make)});
    for (AlgebraCase& algebra : algebra_cases(blas))
        table.push_back({algebra.name,
                         algebra.rare    ? Tier::all
                         : algebra.quick ? Tier::quick
                                         : Tier::usual,
                         std::move(algebra.make)});
    const Tier asked_for = options.quick ? Tier::quick : options.usual ? Tier::usual : Tier::all;

    for (const Listed& row : table) {
        const auto asked = [&](const std::string& name) { return row.name.rfind(name, 0) == 0; };
        const bool named = std::any_of(options.only.begin(), options.only.end(), asked);
        if (!named && (!options.only.empty() || row.tier > asked_for)) continue;
        std::vector<Case> cases = row.make();
        const auto is_tuned = [](const Case& c) { return c.name.ends_with("/tuned"); };
        if (!options.tuned)
            std::erase_if(cases, is_tuned);
        else if (std::none_of(cases.begin(), cases.end(), is_tuned))
            continue;
        for (Case& made : cases) {
            if (options.tuned) keep_best_rivals(made);
            measure(made);
        }
    }
}

}  // namespace bench
