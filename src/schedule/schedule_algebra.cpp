#include "schedule/primitive_table.h"
#include "schedule/schedule_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// All of the algebra is on the JSON value, with the table saying which values are one piece.
namespace tessera {
namespace {

using nlohmann::json;

const PrimitiveNode& member_node(const PrimitiveNode& node, const std::string& key) {
    const PrimitiveNode* member = node.has(form_record) ? node.field(key) : node.element;
    if (member == nullptr)
        throw Error(E0602_schema, {}, fmt::format("a schedule has no field '{}'", key.substr(0, 80)),
                    {note("what deltas clear is a path of the schedule's JSON")});
    return *member;
}

bool merges_inside(const PrimitiveNode& node, const json& a, const json& b) {
    return !node.row->whole && a.is_object() && b.is_object();
}

// `at` and `loop` of a store are one reference; "root" has no loop.
constexpr std::string_view store_path = "stages.*.store";

void drop_old_loop(const PrimitiveNode& node, json& base, const json& deltas) {
    if (node.row->path != store_path) return;
    if (deltas.contains("at") && !deltas.contains("loop")) base.erase("loop");
}

void apply_deltas(const PrimitiveNode& node, json& base, const json& deltas) {
    for (const auto& item : deltas.items()) {
        const PrimitiveNode& member = member_node(node, item.key());
        if (item.value().is_null()) {
            base.erase(item.key());
            continue;
        }
        json& target = base[item.key()];
        if (!member.row->whole && item.value().is_object()) {
            if (!target.is_object()) target = json::object();
            apply_deltas(member, target, item.value());
        } else {
            target = item.value();
        }
    }
    drop_old_loop(node, base, deltas);
}

std::string shown_value(const json& value) {
    const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return text.size() <= 160 ? text : text.substr(0, 160) + " ...";
}

// Stage and field of a path: ("C", "store/space").
struct FieldPath {
    std::vector<std::string> parts;

    [[nodiscard]] FieldPath with(const std::string& part) const {
        FieldPath longer = *this;
        longer.parts.push_back(part);
        return longer;
    }
    [[nodiscard]] std::string from(size_t first) const {
        std::string text;
        for (size_t i = first; i < parts.size(); ++i) text += (text.empty() || parts[i].starts_with("[") ? "" : "/") + parts[i];
        return text;
    }
    // Without the leading "stages", which most paths have.
    [[nodiscard]] std::string text() const { return from(parts.size() > 1 && parts[0] == "stages" ? 1 : 0); }
    [[nodiscard]] std::string subject() const {
        if (parts.size() > 2 && (parts[0] == "stages" || parts[0] == "kernels"))
            return fmt::format("{} {}: {}", parts[0] == "stages" ? "stage" : "kernel", parts[1], from(2));
        return text();
    }
};

void unite(const PrimitiveNode& node, json& a, const json& b, const FieldPath& path) {
    for (const auto& item : b.items()) {
        const FieldPath inner = path.with(item.key());
        const auto own = a.find(item.key());
        if (own == a.end()) {
            a[item.key()] = item.value();
        } else if (*own != item.value()) {
            const PrimitiveNode& member = member_node(node, item.key());
            if (!merges_inside(member, *own, item.value()))
                throw Error(E0510_merge_conflict, {},
                            fmt::format("{} is {} on the left and {} on the right", inner.subject(), shown_value(*own),
                                        shown_value(item.value())),
                            {fix("write left.derive(right) where the right side should win")});
            unite(member, *own, item.value(), inner);
        }
    }
}

json difference(const PrimitiveNode& node, const json& a, const json& b) {
    json deltas = json::object();
    for (const auto& item : a.items())
        if (!b.contains(item.key())) deltas[item.key()] = nullptr;
    for (const auto& item : b.items()) {
        const auto old = a.find(item.key());
        if (old == a.end()) {
            deltas[item.key()] = item.value();
        } else if (*old != item.value()) {
            const PrimitiveNode& member = member_node(node, item.key());
            deltas[item.key()] =
                merges_inside(member, *old, item.value()) ? difference(member, *old, item.value()) : item.value();
        }
    }
    if (node.row->path == store_path && b.contains("at") && (deltas.contains("at") || deltas.contains("loop"))) {
        deltas["at"] = b["at"];
        deltas["loop"] = b.value("loop", json(nullptr));
        if (deltas["loop"].is_null()) deltas.erase("loop");
    }
    return deltas;
}

void explain_lists(const json& a, const json& b, const FieldPath& path, std::string& out);

void explain(const json& a, const json& b, const FieldPath& path, std::string& out) {
    if (a == b) return;
    if (a.is_object() && b.is_object()) {
        json keys = a;
        keys.update(b);
        for (const auto& item : keys.items()) {
            const FieldPath inner = path.with(item.key());
            if (!a.contains(item.key()))
                out += fmt::format("{}: set to {}\n", inner.text(), shown_value(b[item.key()]));
            else if (!b.contains(item.key()))
                out += fmt::format("{}: unset, was {}\n", inner.text(), shown_value(a[item.key()]));
            else
                explain(a[item.key()], b[item.key()], inner, out);
        }
    } else if (a.is_array() && b.is_array()) {
        explain_lists(a, b, path, out);
    } else {
        out += fmt::format("{}: {} -> {}\n", path.text(), shown_value(a), shown_value(b));
    }
}

// Lists of one length entry by entry; otherwise what lies between the common ends.
void explain_lists(const json& a, const json& b, const FieldPath& path, std::string& out) {
    if (a.size() == b.size()) {
        for (size_t i = 0; i < a.size(); ++i) explain(a[i], b[i], path.with(fmt::format("[{}]", i)), out);
        return;
    }
    size_t front = 0;
    while (front < std::min(a.size(), b.size()) && a[front] == b[front]) ++front;
    size_t back = 0;
    while (back < std::min(a.size(), b.size()) - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
    for (size_t i = front; i + back < a.size(); ++i)
        out += fmt::format("{}[{}]: removed {}\n", path.text(), i, shown_value(a[i]));
    for (size_t i = front; i + back < b.size(); ++i) out += fmt::format("{}[{}]: added {}\n", path.text(), i, shown_value(b[i]));
}

Schedule checked(const json& value) {
    check_fields(value);
    Schedule schedule = schedule_from_value(value);
    check_contradictions(schedule);
    return schedule;
}

}  // namespace

Schedule derive_fields(const Schedule& base, const Schedule& deltas) {
    json value = schedule_to_value(base);
    apply_deltas(primitive_root(), value, schedule_to_value(deltas));
    return schedule_from_value(value);
}

Schedule Schedule::derive(const Schedule& deltas) const {
    json value = schedule_to_value(*this);
    apply_deltas(primitive_root(), value, schedule_to_value(deltas));
    return checked(value);
}

Schedule operator|(const Schedule& a, const Schedule& b) {
    json value = schedule_to_value(a);
    unite(primitive_root(), value, schedule_to_value(b), {});
    return checked(value);
}

ScheduleDiff diff(const Schedule& a, const Schedule& b) {
    const json before = schedule_to_value(a);
    const json after = schedule_to_value(b);
    json deltas = difference(primitive_root(), before, after);
    deltas["tessera_schedule"] = 1;
    ScheduleDiff result{schedule_from_value(deltas), {}};
    explain(before, after, {}, result.text);
    return result;
}

Schedule variant_schedule(const Schedule& schedule, std::size_t index) {
    if (index >= schedule.variants.size())
        throw Error(E0511_variant, {}, fmt::format("variant {} is asked for", index),
                    {note(fmt::format("the schedule has {} variants", schedule.variants.size()))});
    Schedule base = schedule;
    base.variants.clear();
    return base.derive({.stages = schedule.variants[index].stages, .clear = schedule.variants[index].clear});
}

}  // namespace tessera
