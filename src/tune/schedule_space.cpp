#include <tessera/tune_space.h>

#include "base/closest_name.h"
#include "base/hash.h"
#include "schedule/condition.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"
#include "tune/analytic_model.h"
#include "tune/cpu_facts.h"
#include "tune/cuda_descent.h"
#include "tune/gpu_model.h"
#include "tune/loop_features.h"
#include "tune/schedule_descent.h"
#include "tune/schedule_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace tessera::tune {
namespace {

struct Constraint {
    std::string text;
    Condition condition;
    std::set<std::string> names;
};

// A descent met a domain that a constraint empties; the descent is given up.
struct Emptied {
    size_t constraint = 0;
    std::string decision;
};

constexpr const char* form_decision = "form";
constexpr double free_share = 0.25;  // of random points, where there are written schedules
constexpr size_t most_remembered = 8192;

float place_of(std::int64_t value) { return static_cast<float>(std::log2(1.0 + static_cast<double>(value)) / 10); }

}  // namespace

struct ScheduleSpace::Model {
    Algorithm algorithm;
    InlinedGraphs graphs;
    TuningTarget target;
    PlacementCodes codes;
    std::vector<Constraint> constraints;
    CpuFacts facts;
    std::shared_ptr<const LearnedModel> learned;
    std::vector<Schedule> forms;
    Target kernel_target;
    std::optional<CudaPlan> cuda;  // of a GPU
    mutable std::mutex mutex;
    struct Known {
        std::vector<float> features;      // empty: the point is not legal
        std::optional<double> estimated;  // seconds on a GPU
    };
    mutable std::map<std::string, Known> known;   // by key
    mutable std::map<std::string, bool> lowered;  // by a schedule's text: whether it is legal for a GPU
    mutable std::unordered_map<std::string, std::uint32_t> numbers;
    mutable std::vector<std::string> names;
    mutable std::vector<size_t> stages;  // that decisions are about: those of one stage are inherited together

    Model(const Algorithm& a, const Target& t, int cores)
        : algorithm(a), graphs(make_stages(a)), codes(placement_codes(graph())), facts(cpu_facts(t, cores)), kernel_target(t) {
        if (t.kind == Target::Kind::cuda) cuda = cuda_plan(a, t);
    }

    const StageGraph& graph() const { return graphs.whole()->graph; }

    std::uint32_t number(const std::string& name) const {
        const std::lock_guard lock(mutex);
        const auto [at, fresh] = numbers.emplace(name, static_cast<std::uint32_t>(names.size()));
        if (fresh) {
            names.push_back(name);
            stages.push_back(stage_of(name));
        }
        return at->second;
    }
    // The number of stages for a decision about none.
    size_t stage_of(const std::string& decision) const {
        const auto& all = graph().stages;
        size_t best = all.size();
        for (size_t i = 0; i < all.size(); ++i)
            if (decision.starts_with(all[i].name + ".") && (best == all.size() || all[i].name.size() > all[best].name.size()))
                best = i;
        return best;
    }

    size_t stage_about(std::uint32_t decision) const {
        const std::lock_guard lock(mutex);
        return stages[decision];
    }

    // The values of a domain that every constraint whose last decision this is allows.
    std::vector<std::int64_t> allowed(const std::string& decision, const std::vector<std::int64_t>& domain,
                                      std::map<std::string, std::int64_t>& made) const {
        std::vector<std::int64_t> out = domain;
        for (size_t c = 0; c < constraints.size(); ++c) {
            if (!constraints[c].names.count(decision)) continue;
            bool ready = true;
            for (const std::string& n : constraints[c].names) ready = ready && (n == decision || made.count(n));
            if (!ready) continue;
            std::erase_if(out, [&](std::int64_t v) {
                made[decision] = v;
                return !holds(constraints[c].condition, made);
            });
            if (out.empty()) throw Emptied{c, decision};
        }
        return out;
    }

    using Pick = std::function<std::int64_t(std::uint32_t decision, const std::vector<std::int64_t>& domain)>;
    // One descent; throws Emptied.
    Point walk(const Pick& pick, Schedule* schedule = nullptr, std::vector<Decision>* trace = nullptr) const {
        Point point;
        std::map<std::string, std::int64_t> made;
        const Choose choose = [&](const std::string& decision, const std::vector<std::int64_t>& domain) {
            std::vector<std::int64_t> narrowed;
            if (!constraints.empty()) narrowed = allowed(decision, domain, made);
            const std::vector<std::int64_t>& values = constraints.empty() ? domain : narrowed;
            const std::uint32_t id = number(decision);
            const std::int64_t value = values.size() == 1 ? values[0] : pick(id, values);
            if (!constraints.empty()) made[decision] = value;
            if (domain.size() > 1) point.choices.push_back({id, value, place_of(value)});
            if (trace) {
                trace->push_back({decision, word(decision, value), {}});
                for (const std::int64_t v : values) trace->back().domain.push_back(word(decision, v));
            }
            return value;
        };
        std::vector<std::int64_t> kinds{0};
        while (kinds.size() <= forms.size()) kinds.push_back(static_cast<std::int64_t>(kinds.size()));
        const std::int64_t form = forms.empty() ? 0 : choose(form_decision, kinds);
        const Schedule made_schedule = form > 0 ? resized(forms[static_cast<size_t>(form) - 1], choose, legal_on_gpu())
                                       : cuda   ? descend_cuda(*cuda, choose)
                                                : descend(graphs, target, codes, choose);
        if (schedule) *schedule = made_schedule;
        return point;
    }
    // Empty elsewhere.
    IsLegal legal_on_gpu() const {
        if (!cuda) return {};
        return [this](const Schedule& s) {
            const std::string text = to_json(s);
            {
                const std::lock_guard lock(mutex);
                if (const auto found = lowered.find(text); found != lowered.end()) return found->second;
            }
            bool legal = true;
            try {
                (void)tile::lower(build_loop_tree(bind(algorithm, s, kernel_target)), kernel_target);
            } catch (const Exception&) {
                legal = false;
            }
            const std::lock_guard lock(mutex);
            if (lowered.size() >= most_remembered) lowered.clear();
            return lowered[text] = legal;
        };
    }
    // The written schedule that `schedule` is with other sizes, counted from one.
    std::optional<std::int64_t> form_of(const Schedule& schedule) const {
        const auto sizes = sizes_of(schedule);
        for (size_t f = 0; f < forms.size(); ++f) {
            const Schedule same = resized(forms[f], [&](const std::string& decision, const std::vector<std::int64_t>& domain) {
                const auto size = sizes.find(decision);
                return size == sizes.end() ? domain[0] : nearest(domain, size->second);
            });
            if (same == schedule) return static_cast<std::int64_t>(f) + 1;
        }
        return std::nullopt;
    }
    // Whether values that each are legal may not go together.
    bool is_checked(const Point& point) const {
        if (cuda) return true;
        const std::uint32_t id = number(form_decision);
        return std::any_of(point.choices.begin(), point.choices.end(),
                           [&](const Choice& c) { return c.decision == id && c.value != 0; });
    }
    std::string word(const std::string& decision, std::int64_t value) const {
        if (decision == form_decision) return value == 0 ? "free" : fmt::format("written {}", value);
        if (cuda && decision.ends_with(".product")) return product_words().at(static_cast<size_t>(value));
        if (cuda && decision.ends_with(".kept")) return kept_words().at(static_cast<size_t>(value));
        if (cuda) return std::to_string(value);
        const bool compute = decision.ends_with(".compute"), store = decision.ends_with(".store");
        if (compute && value == PlacementCodes::root) return "root";
        if (store && value == PlacementCodes::none) return "none";
        if (compute || store)
            for (const auto& [ref, code] : codes.at)
                if (code == value) return ref.first + "@" + ref.second;
        return std::to_string(value);
    }

    // Constraints may leave some descents without an end: others are tried.
    template <class Attempt>
    Point patiently(Attempt attempt) const {
        std::map<size_t, std::pair<int, std::string>> emptied;
        for (int n = 0; n < 200; ++n) {
            try {
                return attempt(n);
            } catch (const Emptied& e) {
                auto& entry = emptied[e.constraint];
                ++entry.first;
                entry.second = e.decision;
            }
        }
        const auto worst = std::max_element(emptied.begin(), emptied.end(),
                                            [](const auto& a, const auto& b) { return a.second.first < b.second.first; });
        std::vector<Hint> hints{
            note(fmt::format("no value of {} is left in {} of 200 descents", worst->second.second, worst->second.first)),
            fix("relax or remove this constraint")};
        throw Error(E0805_usage, {}, fmt::format("the constraint {} empties the search space", constraints[worst->first].text),
                    std::move(hints));
    }

    // As `wanted` says where it can be; what it does not say is picked at random.
    Point near(const std::map<std::uint32_t, std::int64_t>& wanted, Random& random) const {
        return patiently([&](int attempt) {
            return walk([&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
                const auto found = wanted.find(id);
                if (found == wanted.end() || (attempt > 0 && random.chance(std::min(0.1 * attempt, 1.0))))
                    return domain[static_cast<size_t>(random.below(static_cast<std::int64_t>(domain.size())))];
                return nearest(domain, found->second);
            });
        });
    }
    static std::int64_t nearest(const std::vector<std::int64_t>& domain, std::int64_t value) {
        if (std::find(domain.begin(), domain.end(), value) != domain.end()) return value;
        return *std::min_element(domain.begin(), domain.end(), [&](std::int64_t a, std::int64_t b) {
            const float middle = place_of(value), from_a = std::abs(place_of(a) - middle),
                        from_b = std::abs(place_of(b) - middle);
            return from_a != from_b ? from_a < from_b : a < b;
        });
    }
    Schedule schedule(const Point& point) const {
        std::map<std::uint32_t, std::int64_t> wanted;
        for (const Choice& c : point.choices) wanted[c.decision] = c.value;
        Schedule out;
        walk(
            [&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
                const auto found = wanted.find(id);
                return found == wanted.end() ? domain[0] : nearest(domain, found->second);
            },
            &out);
        return out;
    }
    Known known_of(const std::string& key, const Point& point) const {
        {
            const std::lock_guard lock(mutex);
            if (const auto found = known.find(key); found != known.end()) return found->second;
        }
        Known out;
        try {
            const LoopTree tree = build_loop_tree(bind(algorithm, schedule(point), kernel_target));
            if (cuda) {
                const tile::Program program = tile::lower(tree, kernel_target);
                out = {tree_features(tree, target.extents, &program),
                       gpu_seconds(program, target.extents, gpu_facts(kernel_target))};
            } else {
                out.features = tree_features(tree, target.extents);
            }
        } catch (const Exception&) {
            // A size that a written schedule cannot have, or too much for a block.
            if (!is_checked(point)) throw;
        }
        const std::lock_guard lock(mutex);
        if (known.size() >= most_remembered) known.clear();
        return known.emplace(key, std::move(out)).first->second;
    }
};

ScheduleSpace::ScheduleSpace(const Algorithm& algorithm, const Target& target, const SpaceOptions& options)
    : model_(std::make_unique<Model>(algorithm, target, options.cores)) {
    Model& m = *model_;
    m.learned = options.model;
    m.forms = options.forms;
    m.target = {options.extents, m.facts.vector_bytes, m.facts.vector_registers, m.facts.cores};
    for (const std::string& text : options.constraints) {
        Condition c = parse_condition(text);
        auto used = names_in(c);
        m.constraints.push_back({text, std::move(c), std::move(used)});
    }
    Random random(1);
    // Every decision that a constraint names must exist on some descent.
    std::set<std::string> unknown;
    for (const Constraint& c : m.constraints) unknown.insert(c.names.begin(), c.names.end());
    if (unknown.empty()) return;
    const auto constraints = std::exchange(m.constraints, {});
    for (int n = 0; n < 64 && !unknown.empty(); ++n)
        for (const Choice& c : sample(random).choices) unknown.erase(m.names[c.decision]);
    if (!unknown.empty())
        throw Error(E0805_usage, {}, fmt::format("a constraint names the decision {}, which does not exist", *unknown.begin()),
                    {fix_spelling(*unknown.begin(), m.names)});
    m.constraints = constraints;
    (void)sample(random);
}

ScheduleSpace::~ScheduleSpace() = default;

// Knuth 1975, "Estimating the efficiency of backtrack programs": the mean product of domain sizes over random descents.
SpaceSize ScheduleSpace::size() const {
    Random random(7);
    constexpr int descents = 400;
    double sum = 0;
    for (int n = 0; n < descents; ++n) {
        double product = 1;
        try {
            model_->walk([&](std::uint32_t, const std::vector<std::int64_t>& domain) {
                product *= static_cast<double>(domain.size());
                return domain[static_cast<size_t>(random.below(static_cast<std::int64_t>(domain.size())))];
            });
        } catch (const Emptied&) {
            product = 0;
        }
        sum += product;
    }
    const double estimate = sum / descents;
    if (estimate > 20000) return {estimate, false};
    double count = 0;
    for (std::optional<Point> p = after(nullptr); p && count < 40000; p = after(&*p)) ++count;
    return count < 40000 ? SpaceSize{count, true} : SpaceSize{estimate, false};
}

Point ScheduleSpace::sample(Random& random) const {
    std::map<std::uint32_t, std::int64_t> wanted;
    if (!model_->forms.empty())
        wanted[model_->number(form_decision)] =
            random.chance(free_share) ? 0 : 1 + random.below(static_cast<std::int64_t>(model_->forms.size()));
    return model_->near(wanted, random);
}

Point ScheduleSpace::mutate(const Point& point, double rate, Random& random) const {
    for (int attempt = 0; attempt < 20; ++attempt) {
        std::map<std::uint32_t, std::int64_t> wanted;
        const auto forced =
            point.choices.empty() ? 0 : static_cast<size_t>(random.below(static_cast<std::int64_t>(point.choices.size())));
        // What is left out is made anew.
        for (size_t c = 0; c < point.choices.size(); ++c)
            if (c != forced && !random.chance(rate)) wanted[point.choices[c].decision] = point.choices[c].value;
        Point out = model_->near(wanted, random);
        if (!(out == point)) return out;
    }
    return sample(random);
}

Point ScheduleSpace::neighbour(const Point& point, Random& random) const {
    if (point.choices.empty()) return point;
    for (int attempt = 0; attempt < 20; ++attempt) {
        std::map<std::uint32_t, std::int64_t> wanted;
        for (const Choice& c : point.choices) wanted[c.decision] = c.value;
        const Choice moved = point.choices[static_cast<size_t>(random.below(static_cast<std::int64_t>(point.choices.size())))];
        const bool up = random.chance(0.5);
        Point out = model_->patiently([&](int n) {
            return model_->walk([&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
                const auto found = wanted.find(id);
                if (found == wanted.end() || n > 0)
                    return domain[static_cast<size_t>(random.below(static_cast<std::int64_t>(domain.size())))];
                if (id != moved.decision) return Model::nearest(domain, found->second);
                const auto at = std::find(domain.begin(), domain.end(), Model::nearest(domain, found->second));
                if (up) return at + 1 == domain.end() ? *at : *(at + 1);
                return at == domain.begin() ? *at : *(at - 1);
            });
        });
        if (!(out == point)) return out;
    }
    return mutate(point, 0, random);
}

Point ScheduleSpace::crossover(const Point& a, const Point& b, Random& random) const {
    std::vector<std::optional<bool>> from_b(model_->graph().stages.size() + 1);
    std::map<std::uint32_t, std::int64_t> wanted;
    for (const bool second : {false, true})
        for (const Choice& c : (second ? b : a).choices) {
            std::optional<bool>& inherits = from_b[model_->stage_about(c.decision)];
            if (!inherits) inherits = random.chance(0.5);
            if (*inherits == second) wanted[c.decision] = c.value;
        }
    return model_->near(wanted, random);
}

std::optional<Point> ScheduleSpace::after(const Point* point) const {
    // The last decision that has a larger value takes it; what follows takes its first.
    std::vector<Choice> prefix = point ? point->choices : std::vector<Choice>{};
    bool step = point != nullptr;
    while (!step || !prefix.empty()) {
        std::map<std::uint32_t, std::int64_t> fixed;
        for (const Choice& c : prefix) fixed[c.decision] = c.value;
        const std::uint32_t last = prefix.empty() ? 0 : prefix.back().decision;
        bool moved = !step;
        std::vector<Choice> made;
        try {
            Point out = model_->walk([&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
                const auto found = fixed.find(id);
                std::int64_t value = found == fixed.end() ? domain[0] : found->second;
                if (step && id == last) {
                    const auto next = std::upper_bound(domain.begin(), domain.end(), value);
                    moved = next != domain.end();
                    if (moved) value = *next;
                }
                made.push_back({id, value, 0});
                return value;
            });
            if (moved) return out;
            prefix.pop_back();
        } catch (const Emptied&) {
            prefix = std::move(made);
        }
        step = true;
    }
    return std::nullopt;
}

std::string ScheduleSpace::key(const Point& point) const {
    std::string out;
    for (const Choice& c : point.choices) {
        out += std::to_string(c.decision);
        out += '=';
        out += std::to_string(c.value);
        out += ' ';
    }
    return out;
}

bool ScheduleSpace::legal(const Point& point) const { return !model_->is_checked(point) || !features(point).empty(); }

std::vector<float> ScheduleSpace::features(const Point& point) const { return model_->known_of(key(point), point).features; }

std::optional<double> ScheduleSpace::estimate(const Point& point) const {
    if (model_->cuda) return model_->known_of(key(point), point).estimated;
    const auto f = features(point);
    if (f.empty()) return std::nullopt;
    if (!model_->learned) return analytic_seconds(f, model_->facts);
    // The model is of one core: what more of them give is as the analytic model has it.
    CpuFacts one = model_->facts;
    one.cores = 1;
    const auto all_cores = analytic_seconds(f, model_->facts), one_core = analytic_seconds(f, one);
    return std::exp(-static_cast<double>(model_->learned->rank({f}).front())) * *all_cores / *one_core;
}

std::string ScheduleSpace::text(const Point& point) const {
    std::string out;
    for (const Choice& c : point.choices) {
        std::string name;
        {
            const std::lock_guard lock(model_->mutex);
            name = model_->names[c.decision];
        }
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, model_->word(name, c.value));
    }
    return out;
}

Schedule ScheduleSpace::schedule(const Point& point) const { return model_->schedule(point); }

Point ScheduleSpace::point(const Schedule& schedule) const {
    std::map<std::uint32_t, std::int64_t> wanted;
    if (const auto form = model_->form_of(schedule)) {
        wanted[model_->number(form_decision)] = *form;
        for (const auto& [name, value] : sizes_of(schedule)) wanted[model_->number(name)] = value;
    } else if (!model_->cuda)
        for (const auto& [name, value] : decisions_in(schedule, model_->graph(), model_->codes))
            wanted[model_->number(name)] = value;
    Random random(3);
    return model_->patiently([&](int attempt) {
        return model_->walk([&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
            const auto found = wanted.find(id);
            if (attempt > 0 && random.chance(std::min(0.1 * attempt, 1.0)))
                return domain[static_cast<size_t>(random.below(static_cast<std::int64_t>(domain.size())))];
            return found == wanted.end() ? domain[0] : Model::nearest(domain, found->second);
        });
    });
}

std::vector<ScheduleSpace::Decision> ScheduleSpace::decisions(const Point& point) const {
    std::map<std::uint32_t, std::int64_t> wanted;
    for (const Choice& c : point.choices) wanted[c.decision] = c.value;
    std::vector<Decision> trace;
    model_->walk(
        [&](std::uint32_t id, const std::vector<std::int64_t>& domain) {
            const auto found = wanted.find(id);
            return found == wanted.end() ? domain[0] : Model::nearest(domain, found->second);
        },
        nullptr, &trace);
    return trace;
}

std::string lowered_hash(const Algorithm& algorithm, const Schedule& schedule, const Target& target) {
    LoopTree tree = build_loop_tree(bind(algorithm, schedule, target));
    return sha256(target.kind == Target::Kind::cuda ? to_text(tile::lower(tree, target)) : to_text(tree));
}

}  // namespace tessera::tune
