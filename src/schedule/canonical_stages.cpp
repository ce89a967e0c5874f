#include "schedule/canonical_stages.h"

#include "algorithm/canonical.h"
#include "schedule/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace tessera {
namespace {

using Names = std::map<std::string, std::string>;

// User's name -> canonical name, of stages and inputs, and of the dims of each.
struct StageNames {
    Names stages, inputs, dims;
    std::map<std::string, Names> dims_of;  // by the user's name of a stage or input
};

std::string canonical_stage(const Names& funcs, const std::string& stage) {
    if (const auto found = funcs.find(stage); found != funcs.end()) return found->second;
    // "C.sum.1" belongs to C.
    std::string owner;
    for (const auto& entry : funcs)
        if (stage.starts_with(entry.first + ".") && entry.first.size() > owner.size()) owner = entry.first;
    return owner.empty() ? stage : funcs.at(owner) + stage.substr(owner.size());
}

StageNames stage_names(const Algorithm& algorithm) {
    const CanonicalNames names = canonical_names(algorithm);
    StageNames out{{}, names.inputs, names.dims, {}};
    const auto add_dims = [&](const std::string& owner, const std::vector<Dim>& dims) {
        for (const Dim& d : dims)
            if (const auto found = names.dim_of.find(d.id()); found != names.dim_of.end())
                out.dims_of[owner].emplace(d.name(), found->second);
    };
    for (const Stage& s : make_stages(algorithm).stages) {
        out.stages[s.name] = canonical_stage(names.funcs, s.name);
        add_dims(s.name, s.dims);
        if (s.update) add_dims(s.name, s.update->reduction_dims);
    }
    for (const Argument& a : algorithm.arguments()) add_dims(a.state()->name, a.state()->dims);
    return out;
}

StageNames inverse(const StageNames& names) {
    const auto turned = [](const Names& map) {
        Names out;
        for (const auto& [from, to] : map) out.emplace(to, from);
        return out;
    };
    StageNames out{turned(names.stages), turned(names.inputs), turned(names.dims), {}};
    for (const auto& [owner, dims] : names.dims_of) {
        const auto stage = names.stages.find(owner);
        out.dims_of[stage == names.stages.end() ? names.inputs.at(owner) : stage->second] = turned(dims);
    }
    return out;
}

const StageSpec* find_stage(const Schedule& schedule, const std::string& name) {
    if (const auto found = schedule.stages.find(name); found != schedule.stages.end()) return &found->second;
    for (const Variant& v : schedule.variants)
        if (const auto found = v.stages.find(name); found != v.stages.end()) return &found->second;
    return nullptr;
}

// The stage or input whose dims a record is written in.
std::string owner_of(const Schedule& schedule, std::string name) {
    for (int step = 0; step < 16; ++step) {
        const StageSpec* spec = find_stage(schedule, name);
        if (spec == nullptr || !spec->is_derived()) break;
        name = spec->derived_from();
    }
    return name;
}

std::set<std::string> all_stages(const Schedule& schedule) {
    std::set<std::string> out;
    for (const auto& entry : schedule.stages) out.insert(entry.first);
    for (const Variant& v : schedule.variants)
        for (const auto& entry : v.stages) out.insert(entry.first);
    return out;
}

// Two dims of one name may stand in two stages: each record is renamed with the dims of its own stage.
Schedule renamed_by_stage(const Schedule& schedule, const StageNames& names) {
    const Renaming whole{names.stages, names.dims, names.inputs};
    Schedule out = renamed(schedule, whole);
    for (const std::string& stage : all_stages(schedule)) {
        const auto dims = names.dims_of.find(owner_of(schedule, stage));
        if (dims == names.dims_of.end()) continue;
        const Schedule own = renamed(schedule, {names.stages, dims->second, names.inputs});
        const auto found = names.stages.find(stage);
        const std::string& to = found == names.stages.end() ? stage : found->second;
        if (out.stages.count(to)) out.stages[to] = own.stages.at(to);
        for (std::size_t v = 0; v < out.variants.size(); ++v)
            if (out.variants[v].stages.count(to)) out.variants[v].stages[to] = own.variants[v].stages.at(to);
    }
    return out;
}

std::string_view kind_of(const StageSpec& spec) { return spec.copy_of ? "copy" : spec.clone_of ? "clone" : "partial"; }

// Derived stages in an order that their names do not decide: by kind, by what they are of, by their uses.
std::vector<std::string> derived_stages(const Schedule& schedule) {
    std::vector<std::tuple<std::string, std::string, std::vector<std::string>, std::string>> rows;
    for (const std::string& name : all_stages(schedule)) {
        const StageSpec* spec = find_stage(schedule, name);
        if (spec->is_derived())
            rows.emplace_back(kind_of(*spec), spec->derived_from(), spec->for_uses.value_or(std::vector<std::string>{}), name);
    }
    std::sort(rows.begin(), rows.end());
    std::vector<std::string> out;
    for (auto& row : rows) out.push_back(std::get<3>(row));
    return out;
}

}  // namespace

Schedule in_canonical_names(const Algorithm& algorithm, const Schedule& schedule) {
    const Schedule plain = renamed_by_stage(canonical(schedule), stage_names(algorithm));
    Renaming derived;
    std::map<std::string_view, int> counts;
    for (const std::string& name : derived_stages(plain)) {
        const std::string_view kind = kind_of(*find_stage(plain, name));
        derived.stages[name] = fmt::format("{}{}", kind, counts[kind]++);
    }
    return canonical(renamed(plain, derived));
}

std::string schedule_hash(const Algorithm& algorithm, const Schedule& schedule) {
    return content_hash(in_canonical_names(algorithm, schedule));
}

Schedule in_user_names(const Algorithm& algorithm, const Schedule& schedule) {
    const StageNames names = stage_names(algorithm);
    const Schedule plain = renamed_by_stage(schedule, inverse(names));
    Renaming derived;
    for (const std::string& name : derived_stages(plain)) {
        std::string source = find_stage(plain, name)->derived_from();
        std::string wanted = fmt::format("{}.{}", owner_of(plain, source), name);
        while (names.stages.count(wanted) || names.inputs.count(wanted)) wanted += "_";
        derived.stages[name] = wanted;
    }
    return renamed(plain, derived);
}

}  // namespace tessera
