#include <tessera/schedule.h>

#include "base/json_text.h"
#include "schedule/condition.h"

#include <fmt/format.h>

#include <utility>

namespace tessera {
namespace {

using Names = std::map<std::string, std::string>;

std::string name_after(const Names& names, const std::string& name) {
    const auto found = names.find(name);
    return found == names.end() ? name : found->second;
}

class Renamer {
public:
    Renamer(const Schedule& schedule, const Renaming& names) : schedule_(schedule), names_(names) {}

    Schedule rename() const {
        Schedule result;
        result.stages = renamed_stages(schedule_.stages);
        for (const auto& [name, kernel] : schedule_.kernels) {
            KernelSpec& added = add(result.kernels, name_after(names_.stages, name), kernel);
            if (added.raster) added.raster->order = renamed_dim(added.raster->order);
        }
        for (const Variant& variant : schedule_.variants)
            result.variants.push_back(
                {renamed_condition(variant.when), renamed_stages(variant.stages), renamed_pointers(variant.clear)});
        result.clear = renamed_pointers(schedule_.clear);
        return result;
    }

private:
    template <class T>
    static T& add(std::map<std::string, T>& map, const std::string& name, const T& value) {
        const auto [place, added] = map.emplace(name, value);
        if (!added)
            throw Error(E0101_duplicate_name, {}, fmt::format("two stages of a schedule are renamed to {}", name),
                        {fix("give each stage a name of its own")});
        return place->second;
    }

    // A dim, or an entry over one: "k/16".
    std::string renamed_dim(const std::string& dim) const {
        if (const auto found = names_.dims.find(dim); found != names_.dims.end()) return found->second;
        const size_t end = dim.find_first_of("/%");
        if (end == std::string::npos) return dim;
        return name_after(names_.dims, dim.substr(0, end)) + dim.substr(end);
    }
    // A stage or an Input; the number of an access stays: "C.sum#1".
    std::string renamed_source(const std::string& name) const {
        const size_t end = name.find('#');
        const std::string stem = name.substr(0, end);
        const std::string rest = end == std::string::npos ? "" : name.substr(end);
        return name_after(names_.stages.contains(stem) ? names_.stages : names_.inputs, stem) + rest;
    }
    std::string renamed_condition(const std::string& when) const {
        return to_text(renamed(parse_condition(when), [this](const std::string& name) { return renamed_quantity(name); }));
    }
    // An extent "m", a Scalar "s", a stride "A.stride.m".
    std::string renamed_quantity(const std::string& name) const {
        const size_t dot = name.find('.');
        if (dot == std::string::npos) return names_.dims.contains(name) ? names_.dims.at(name) : name_after(names_.inputs, name);
        const size_t last = name.rfind('.');
        return name_after(names_.inputs, name.substr(0, dot)) + name.substr(dot, last - dot) + "." +
               name_after(names_.dims, name.substr(last + 1));
    }

    // By name a loop keeps its reference; by dim it follows the dim.
    std::string renamed_loop(const std::string& stage, const std::string& loop) const {
        if (!names_.dims.contains(loop)) return loop;
        const auto is_named = [&](const std::map<std::string, StageSpec>& stages) {
            const auto target = stages.find(stage);
            if (target == stages.end() || !target->second.loops) return false;
            for (const LoopSpec& other : *target->second.loops)
                if (other.name == loop) return true;
            return false;
        };
        if (is_named(schedule_.stages)) return loop;
        for (const Variant& variant : schedule_.variants)
            if (is_named(variant.stages)) return loop;
        return names_.dims.at(loop);
    }
    void rename(LoopRef& reference) const {
        if (reference.loop.empty()) return;  // "root"
        reference.loop = renamed_loop(reference.stage, reference.loop);
        reference.stage = name_after(names_.stages, reference.stage);
    }
    void rename(std::vector<LoopSpec>& loops) const {
        for (LoopSpec& loop : loops) {
            loop.dim = renamed_dim(loop.dim);
            for (Prefetch& prefetch : loop.prefetch) prefetch.of = renamed_source(prefetch.of);
        }
    }
    template <class T>
    std::map<std::string, T> renamed_keys(const std::map<std::string, T>& dims) const {
        std::map<std::string, T> result;
        for (const auto& [dim, value] : dims) result[renamed_dim(dim)] = value;
        return result;
    }

    std::map<std::string, StageSpec> renamed_stages(const std::map<std::string, StageSpec>& stages) const {
        std::map<std::string, StageSpec> result;
        for (const auto& [name, stage] : stages) rename(add(result, name_after(names_.stages, name), stage));
        return result;
    }

    void rename(StageSpec& stage) const {
        if (stage.compute && stage.compute->kind == Compute::Kind::at) rename(stage.compute->at);
        if (stage.fuse_with) {
            stage.fuse_with->loop = renamed_loop(stage.fuse_with->stage, stage.fuse_with->loop);
            stage.fuse_with->stage = name_after(names_.stages, stage.fuse_with->stage);
        }
        if (stage.loops) rename(*stage.loops);
        if (stage.init) rename(*stage.init);
        rename(stage.store);
        for (auto* source : {&stage.copy_of, &stage.clone_of, &stage.partial_of})
            if (*source) *source = renamed_source(**source);
        if (stage.for_uses)
            for (std::string& use : *stage.for_uses) use = renamed_source(use);
        if (stage.keep)
            for (std::string& entry : *stage.keep) entry = renamed_dim(entry);
        for (auto& [axis, dims] : stage.axes)
            for (std::string& dim : dims) dim = renamed_dim(dim);
    }

    void rename(StoreSpec& store) const {
        if (store.at) rename(*store.at);
        if (store.alloc) rename(*store.alloc);
        if (store.layout)
            for (std::string& entry : *store.layout) entry = renamed_dim(entry);
        store.align = renamed_keys(store.align);
        store.fold = renamed_keys(store.fold);
        if (store.in) store.in = name_after(names_.stages, *store.in);
    }

    std::set<std::string> renamed_pointers(const std::set<std::string>& pointers) const {
        std::set<std::string> result;
        for (const std::string& pointer : pointers) result.insert(renamed_pointer(pointer));
        return result;
    }
    // "/stages/<stage>/store/fold/<dim>"
    std::string renamed_pointer(const std::string& pointer) const;

    const Schedule& schedule_;
    const Renaming& names_;
};

std::string Renamer::renamed_pointer(const std::string& pointer) const {
    std::string out;
    std::string head;
    size_t index = 0;
    for (size_t begin = 1; begin <= pointer.size(); ++index) {
        const size_t end = std::min(pointer.find('/', begin), pointer.size());
        std::string part = pointer_unescape(pointer.substr(begin, end - begin));
        if (index == 1 && (head == "/stages" || head == "/kernels")) part = name_after(names_.stages, part);
        if (index == 4 && (head.ends_with("/store/fold") || head.ends_with("/store/align"))) part = renamed_dim(part);
        out += "/" + pointer_escape(part);
        head += "/" + pointer.substr(begin, end - begin);
        begin = end + 1;
    }
    return out;
}

}  // namespace

Schedule renamed(const Schedule& schedule, const Renaming& names) { return Renamer(schedule, names).rename(); }

}  // namespace tessera
