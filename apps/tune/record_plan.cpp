#include "record_plan.h"

#include <tessera/error.h>
#include <tessera/schedule_default.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace tessera_tune {

using namespace tessera;
using namespace tessera::tune;

namespace {

constexpr int repeats = 60;                // draws of what was there before the space counts as exhausted
constexpr double few_copies = 12;          // of an innermost body: these always compile in time, or other things are slow
constexpr double passed_share = 0.15;      // of the candidates with more copies than one that was late
constexpr double random_share = 0.6;       // of the first half; the others vary the default
constexpr double far = 0.3, close = 0.15;  // of the decisions change

}  // namespace

Proposals::Proposals(const RandomPipeline& pipeline, const ScheduleSpace& space, const std::vector<Schedule>& known,
                     const std::vector<Schedule>& fastest, std::uint64_t seed)
    : pipeline_(pipeline), space_(space), near_fastest_(!fastest.empty()), random_(seed) {
    for (const Schedule& s : known) seen_.insert(lowered_hash(pipeline.algorithm, s));
    if (near_fastest_)
        for (const Schedule& s : fastest) starts_.push_back(space.point(s));
    else
        starts_.push_back(space.point(default_schedule(pipeline.algorithm, Target::host())));
}

Point Proposals::draw() {
    const auto start = [&]() -> const Point& {
        return starts_[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(starts_.size())))];
    };
    if (!near_fastest_) return random_.chance(random_share) ? space_.sample(random_) : space_.mutate(start(), far, random_);
    const double kind = random_.uniform();
    if (kind < 0.4) return space_.neighbour(start(), random_);
    return kind < 0.8 ? space_.mutate(start(), close, random_) : space_.crossover(start(), start(), random_);
}

// How often the compiler sees the largest innermost body: unrolled steps times vectors in a row.
double Proposals::copies(const Schedule& schedule) const {
    const std::vector<float> features = loop_features(pipeline_.algorithm, schedule, pipeline_.extents);
    const auto value = [&](const char* name) {
        const auto at = std::find(feature_names().begin(), feature_names().end(), name) - feature_names().begin();
        return std::exp2(static_cast<double>(features[static_cast<std::size_t>(at)])) - 1;
    };
    return value("unrolled") * std::max(1.0, value("vector_width") / 16);
}

void Proposals::was_late(const Schedule& schedule) {
    most_copies_ = std::max(few_copies, std::min(most_copies_, copies(schedule)));
}

std::optional<Schedule> Proposals::next() {
    for (int attempt = 0; attempt < repeats; ++attempt) {
        Schedule schedule = space_.schedule(draw());
        try {
            const std::string hash = lowered_hash(pipeline_.algorithm, schedule);
            if (seen_.count(hash) > 0 || (copies(schedule) >= most_copies_ && !random_.chance(passed_share))) continue;
            seen_.insert(hash);
            return schedule;
        } catch (const Exception&) {
            // What does not lower is no candidate.
        }
    }
    return std::nullopt;
}

std::optional<std::vector<Schedule>> read_plan(const std::string& path) {
    std::ifstream in(path);
    if (!in) return std::nullopt;
    std::vector<Schedule> out;
    try {
        const auto plan = nlohmann::json::parse(in);
        for (const auto& text : plan.at("candidates")) out.push_back(parse_schedule(text.get<std::string>()));
    } catch (const nlohmann::json::exception& e) {
        throw Error(E0601_syntax, {}, fmt::format("{} is no list of candidates: {}", path, e.what()), {fix("remove the file")});
    }
    return out;
}

void write_plan(const std::string& path, const std::vector<Schedule>& candidates) {
    nlohmann::json list = nlohmann::json::array();
    for (const Schedule& s : candidates) list.push_back(to_json(s, JsonStyle::compact));
    const std::string part = path + ".part";
    std::ofstream out(part);
    out << nlohmann::json{{"candidates", list}}.dump() << "\n";
    if (!out.flush())
        throw Error(E0605_file, {}, fmt::format("{} cannot be written", part), {fix("name another folder with --work")});
    out.close();
    std::filesystem::rename(part, path);
}

}  // namespace tessera_tune
