#include "schedule_db/kernel_key.h"

#include <tessera/schedule_source.h>

#include "algorithm/canonical.h"
#include "algorithm/graph_names.h"
#include "base/hash.h"
#include "schedule/canonical_stages.h"

#include <cmath>

namespace tessera {

std::string kernel_hash(const Algorithm& algorithm) { return sha256(db::kernel_source(algorithm)); }

std::string shape_text(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& extents) {
    const CanonicalNames names = canonical_names(algorithm);
    nlohmann::json out = nlohmann::json::object();
    for (const Dim& d : entry_dims(algorithm.state())) {
        const auto name = names.dim_of.find(d.id());
        if (name == names.dim_of.end()) continue;
        const auto fixed = d.extent().constant();
        nlohmann::json dim{{"fixed", fixed.has_value()}};
        const auto given = extents.find(d.name());
        if (fixed)
            dim["extent"] = *fixed;
        else if (given != extents.end())
            dim["extent"] = given->second;
        out[name->second] = dim;
    }
    return out.dump();
}

namespace db {

std::string kernel_source(const Algorithm& algorithm) { return kernel_text(algorithm); }
Schedule in_stored_names(const Algorithm& algorithm, const Schedule& schedule) { return in_canonical_names(algorithm, schedule); }
Schedule out_of_stored_names(const Algorithm& algorithm, const Schedule& schedule) { return in_user_names(algorithm, schedule); }

std::optional<double> shape_distance(const nlohmann::json& built, const nlohmann::json& recorded) {
    constexpr double farthest = 4, openness = 1;
    if (built.size() != recorded.size()) return std::nullopt;
    double sum = 0;
    for (const auto& [name, dim] : built.items()) {
        const auto other = recorded.find(name);
        if (other == recorded.end()) return std::nullopt;
        if (dim.at("fixed") != other->at("fixed"))
            sum += openness;
        else if (dim.at("fixed").get<bool>()) {
            const auto a = dim.at("extent").get<double>(), b = other->at("extent").get<double>();
            const double ratio = a == b ? 0 : std::abs(std::log2(std::max(a, 0.5) / std::max(b, 0.5)));
            if (ratio > farthest) return std::nullopt;
            sum += ratio;
        }
    }
    return sum;
}

}  // namespace db
}  // namespace tessera
