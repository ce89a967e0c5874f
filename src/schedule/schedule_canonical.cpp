#include "base/hash.h"
#include "schedule/condition.h"
#include "schedule/primitive_table.h"
#include "schedule/schedule_json.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

using nlohmann::json;

// Erases what equals its default in the table.
void drop_defaults(const PrimitiveNode& node, json& value) {
    if (value.is_array()) {
        for (json& item : value) drop_defaults(*node.element, item);
        return;
    }
    if (!value.is_object()) return;
    for (auto item = value.begin(); item != value.end();) {
        const PrimitiveNode& member = node.has(form_record) ? *node.field(item.key()) : *node.element;
        drop_defaults(member, *item);
        const bool is_default = !member.row->default_json.empty() && *item == json::parse(member.row->default_json);
        item = is_default ? value.erase(item) : std::next(item);
    }
}

// The index of the loop that a reference means; -1 for a dim that no loop lists.
int find_loop(const StageSpec& stage, const std::string& reference) {
    if (!stage.loops) return -1;
    int by_dim = -1;
    int count = 0;
    for (size_t i = 0; i < stage.loops->size(); ++i) {
        const LoopSpec& loop = (*stage.loops)[i];
        if (loop.name == reference) return static_cast<int>(i);
        if (loop.dim == reference) {
            by_dim = static_cast<int>(i);
            ++count;
        }
    }
    return count == 1 ? by_dim : -1;
}

void name_loops_by_position(Schedule& schedule) {
    const std::map<std::string, StageSpec> before = schedule.stages;
    const auto rewrite = [&before](const std::string& stage, std::string& loop) {
        const auto target = before.find(stage);
        if (target == before.end() || loop.empty()) return;
        const int index = find_loop(target->second, loop);
        if (index >= 0) loop = fmt::format("l{}", index);
    };
    for (auto& [name, stage] : schedule.stages) {
        if (stage.compute && stage.compute->kind == Compute::Kind::at) rewrite(stage.compute->at.stage, stage.compute->at.loop);
        if (stage.fuse_with) rewrite(stage.fuse_with->stage, stage.fuse_with->loop);
        if (stage.store.at) rewrite(stage.store.at->stage, stage.store.at->loop);
        if (stage.store.alloc) rewrite(stage.store.alloc->stage, stage.store.alloc->loop);
        for (auto* loops : {&stage.loops, &stage.init})
            if (*loops)
                for (size_t i = 0; i < (*loops)->size(); ++i) (**loops)[i].name = fmt::format("l{}", i);
    }
}

void normalise_entries(std::optional<std::vector<std::string>>& entries) {
    if (!entries) return;
    for (std::string& entry : *entries) entry = to_text(parse_layout_entry(entry));
}

Schedule canonical_stages(const Schedule& schedule) {
    json value = schedule_to_value(schedule);
    check_fields(value);
    drop_defaults(primitive_root(), value);
    Schedule result = schedule_from_value(value);
    name_loops_by_position(result);
    for (auto& [name, stage] : result.stages) {
        if (stage.for_uses) std::sort(stage.for_uses->begin(), stage.for_uses->end());
        if (stage.loops && stage.loops->empty()) stage.loops.reset();
        normalise_entries(stage.store.layout);
        normalise_entries(stage.keep);
    }
    return result;
}

}  // namespace

Schedule canonical(const Schedule& schedule) {
    Schedule base = schedule;
    base.variants.clear();
    base = canonical_stages(base);
    Schedule result = base;
    for (size_t i = 0; i < schedule.variants.size(); ++i) {
        const Schedule deltas = diff(base, canonical_stages(variant_schedule(schedule, i))).deltas;
        result.variants.push_back({to_text(parse_condition(schedule.variants[i].when)), deltas.stages, deltas.clear});
    }
    return result;
}

std::string content_hash(const Schedule& schedule) { return sha256(schedule_to_value(canonical(schedule)).dump()); }

}  // namespace tessera
