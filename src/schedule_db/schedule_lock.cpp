#include <tessera/schedule_source.h>

#include "base/json_text.h"
#include "schedule_db/kernel_key.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace tessera {

using nlohmann::json;

namespace {

constexpr int lock_version = 1;

std::string target_text(const Target& target) { return build_context(target).target; }

// Kernel, shape and target: what a build is known by.
std::string key_of(const Algorithm& algorithm, const Target& target) {
    return json::array({kernel_hash(algorithm), json::parse(shape_text(algorithm)), target_text(target)}).dump();
}

}  // namespace

struct ScheduleLock::State {
    std::string path = "a lock";
    std::map<std::string, json> entries;
};

ScheduleLock::ScheduleLock() : state_(std::make_unique<State>()) {}
ScheduleLock::ScheduleLock(ScheduleLock&&) noexcept = default;
ScheduleLock::~ScheduleLock() = default;
std::string ScheduleLock::name() const { return state_->path; }
std::size_t ScheduleLock::size() const { return state_->entries.size(); }

ScheduleLock ScheduleLock::read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Error(E0605_file, {}, fmt::format("the lock file {} cannot be read", path),
                    {fix("make it with tessera-tune lock")});
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const json value = parse_json(text, path);
    const auto malformed = [&](const std::string& what) {
        return Error(E0602_schema, {}, fmt::format("{}: {}", path, what), {fix("make it again with tessera-tune lock")});
    };
    if (!value.is_object() || !value.contains("tessera_lock") || !value["tessera_lock"].is_number_integer())
        throw malformed("this is no lock file");
    if (value["tessera_lock"] > lock_version)
        throw Error(E0603_version, {}, fmt::format("{} was written by a newer version", path),
                    {fix("make it again with tessera-tune lock")});
    ScheduleLock out;
    out.state_->path = path;
    try {
        for (const json& e : value.at("schedules")) {
            const Schedule s = parse_schedule(e.at("content").dump());
            if (content_hash(s) != e.at("hash"))
                throw Error(E0601_syntax, {},
                            fmt::format("{}: the schedule of {} has not the hash that it states", path, e.at("kernel").dump()),
                            {note("it was changed by hand"), fix("make it again with tessera-tune lock")});
            (void)e.at("tier").get<std::string>();
            (void)e.at("found").get<std::string>();
            out.state_->entries[json::array({e.at("kernel"), e.at("shape"), e.at("target")}).dump()] = e;
        }
    } catch (const json::exception& e) {
        throw malformed(e.what());
    }
    return out;
}

FoundSchedule ScheduleLock::find(const Algorithm& algorithm, const Target& target) const {
    FoundSchedule out;
    const auto found = state_->entries.find(key_of(algorithm, target));
    if (found == state_->entries.end()) {
        out.explanation = fmt::format("{} has no entry for kernel {:.12}, shape {} on {}", state_->path, kernel_hash(algorithm),
                                      shape_text(algorithm), target_text(target));
        return out;
    }
    const json& e = found->second;
    out.tier = LookupTier::exact;
    out.hash = e.at("hash");
    out.schedule = db::out_of_stored_names(algorithm, parse_schedule(e.at("content").dump()));
    out.explanation = fmt::format("{}: locked schedule {:.12}, which was {}", state_->path, out.hash,
                                  e.at("found").get_ref<const std::string&>());
    return out;
}

void ScheduleLock::pin(const Algorithm& algorithm, const Target& target, const FoundSchedule& found) {
    const Schedule stored = db::in_stored_names(algorithm, found.schedule);
    state_->entries[key_of(algorithm, target)] = {{"name", algorithm.name()},
                                                  {"kernel", kernel_hash(algorithm)},
                                                  {"shape", json::parse(shape_text(algorithm))},
                                                  {"target", target_text(target)},
                                                  {"tier", word(found.tier)},
                                                  {"found", found.explanation},
                                                  {"hash", content_hash(stored)},
                                                  {"content", json::parse(to_json(stored, JsonStyle::compact))}};
}

std::string ScheduleLock::text() const {
    nlohmann::json schedules = nlohmann::json::array();
    for (const auto& entry : state_->entries) schedules.push_back(entry.second);
    return nlohmann::json{{"tessera_lock", lock_version}, {"schedules", schedules}}.dump(2) + "\n";
}

}  // namespace tessera
