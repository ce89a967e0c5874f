#include <tessera/schedule_default.h>
#include <tessera/schedule_derive.h>

#include "compile/module.h"
#include "expr/index_analysis.h"
#include "schedule/bound.h"
#include "schedule/derived_stages.h"
#include "schedule/stages.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace tessera {
namespace {

using Loops = std::vector<LoopSpec>;

// Dims of one stage as multiples of dims of another, by name.
struct DimImage {
    std::string dim;
    std::int64_t factor = 1;
};
using DimMap = std::map<std::string, DimImage>;

class Deriver {
public:
    Deriver(const Algorithm& primal, const Schedule& schedule, const Algorithm& derivative, const Target& target)
        : primal_(make_stages(primal)), given_(schedule), derivative_algorithm_(derivative), derivative_(make_stages(derivative)),
          out_(default_schedule(derivative, target)) {}

    Schedule run() {
        keep_primal_records();
        for (const Stage& s : derivative_.stages) {
            if (primal_.find(s.name)) continue;
            const auto found = out_.stages.find(s.name);
            if (found == out_.stages.end() || !found->second.loops || !is_root(found->second)) continue;
            if (const auto loops = inherited(s)) adopt(s.name, merged(*found->second.loops, *loops));
        }
        return std::move(out_);
    }

private:
    static bool is_root(const StageSpec& s) { return s.compute && s.compute->kind == Compute::Kind::root && !s.fuse_with; }

    [[nodiscard]] bool is_legal(const Schedule& schedule) const {
        try {
            for (const ScheduleChoice& choice : schedule_choices(schedule))
                static_cast<void>(bind(derivative_algorithm_, choice.schedule));
            return true;
        } catch (const Error&) {
            return false;
        } catch (const Limit&) {
            return false;
        }
    }
    void adopt(const std::string& stage, Loops loops) {
        Schedule changed = out_;
        changed.stages[stage].loops = std::move(loops);
        place_again(changed, stage);
        if (is_legal(changed)) out_ = std::move(changed);
    }

    // What stood at loops that the stage does not have any more: at its innermost loop that runs one after the other, else at
    // root.
    static void place_again(Schedule& schedule, const std::string& stage) {
        const auto& loops = schedule.stages.at(stage).loops;
        const auto name_of = [](const LoopSpec& l) { return l.name.empty() ? l.dim : l.name; };
        std::set<std::string> names;
        std::string innermost;
        if (loops)
            for (const LoopSpec& l : *loops) {
                names.insert(name_of(l));
                const bool holds = l.as == LoopKind::serial || l.as == LoopKind::parallel;
                if (holds && names.size() == static_cast<size_t>(&l - loops->data()) + 1) innermost = name_of(l);
                if (!holds) break;
            }
        if (loops)
            for (const LoopSpec& l : *loops) names.insert(name_of(l));
        for (auto& [name, spec] : schedule.stages) {
            if (spec.compute && spec.compute->kind == Compute::Kind::at && spec.compute->at.stage == stage &&
                !names.count(spec.compute->at.loop)) {
                spec.compute =
                    innermost.empty() ? Compute{Compute::Kind::root, {}} : Compute{Compute::Kind::at, {stage, innermost}};
                spec.fuse_with.reset();
                spec.store = {};
            }
            if (spec.store.at && spec.store.at->stage == stage && !names.count(spec.store.at->loop)) spec.store = {};
        }
    }

    // All records of stages that both have, else as many as can be one by one.
    void keep_primal_records() {
        Schedule all = out_;
        std::vector<std::string> names;
        for (const auto& [name, spec] : given_.stages) {
            const std::string& of = spec.derived_from().empty() ? name : spec.derived_from();
            if (!derivative_.find(of) && !spec.copy_of) continue;
            names.push_back(name);
            all.stages[name] = spec;
        }
        for (const std::string& name : names) place_again(all, name);
        if (is_legal(all)) {
            out_ = std::move(all);
            return;
        }
        for (const std::string& name : names) {
            Schedule one = out_;
            one.stages[name] = given_.stages.at(name);
            place_again(one, name);
            if (is_legal(one)) out_ = std::move(one);
        }
    }

    // The stage of the primal whose cotangent `name` is: "d_loss/out/sum" is one of out.
    [[nodiscard]] const Stage* cotangent_of(const std::string& name) const {
        const size_t slash = name.find('/');
        if (slash == std::string::npos) return nullptr;
        for (std::string of = name.substr(slash + 1); !of.empty();) {
            if (const auto found = primal_.find(of)) return &primal_.stages[*found];
            const size_t end = of.find_last_of("/.");
            of = end == std::string::npos ? "" : of.substr(0, end);
        }
        return nullptr;
    }
    // The input of the primal whose cotangent `name` is: "d_loss/x" and "d_x".
    [[nodiscard]] const InputState* input_of(const std::string& name) const {
        for (const Argument& a : primal_.algorithm.arguments()) {
            const std::string& x = a.state()->name;
            const size_t at = name.find("/" + x);
            const bool inside = at != std::string::npos && (at + 1 + x.size() == name.size() || name[at + 1 + x.size()] == '/');
            if (inside || name == "d_" + x || name.starts_with("d_" + x + "/")) return a.state().get();
        }
        return nullptr;
    }

    // The loops that a stage runs in, those that it is placed in first.
    [[nodiscard]] Loops effective_loops(const std::string& stage, int depth = 0) const {
        Loops loops;
        if (depth > 8) return loops;
        const auto found = given_.stages.find(stage);
        const bool listed = found != given_.stages.end();
        if (!listed || !found->second.compute || found->second.compute->kind == Compute::Kind::inline_) {
            // Inline: the loops of who reads it.
            const auto at = primal_.find(stage);
            for (const Stage& user : primal_.stages)
                if (at && user.name != stage && reads(user, primal_.stages[*at].func.get()))
                    return effective_loops(user.name, depth + 1);
            return loops;
        }
        const StageSpec& spec = found->second;
        if (spec.compute && spec.compute->kind == Compute::Kind::at)
            for (const LoopSpec& l : effective_loops(spec.compute->at.stage, depth + 1)) {
                loops.push_back(l);
                if (l.name == spec.compute->at.loop || (l.name.empty() && l.dim == spec.compute->at.loop)) break;
            }
        if (spec.loops) loops.insert(loops.end(), spec.loops->begin(), spec.loops->end());
        return loops;
    }

    [[nodiscard]] std::optional<Loops> inherited(const Stage& s) const {
        if (const Stage* of = cotangent_of(s.name)) {
            DimMap same;
            for (const Dim& d : of->dims)
                if (contains_dim(s.dims, d)) same[d.name()] = {d.name(), 1};
            return mapped(effective_loops(of->name), same, s);
        }
        const InputState* x = input_of(s.name);
        if (!x) return std::nullopt;
        for (const Stage& reader : primal_.stages)
            for (const Expr& e : exprs_of(reader)) {
                std::optional<Loops> loops;
                for_each_node({e}, [&](const Expr& n) {
                    if (loops || n->op != Op::access || !n->target().input || n->target().input->name != x->name) return;
                    loops = mapped(effective_loops(reader.name), through(n, *x), s);
                });
                if (loops) return loops;
            }
        return std::nullopt;
    }

    // Each dim of the reader that moves one index, with how far.
    static DimMap through(const Expr& access, const InputState& x) {
        DimMap map;
        IndexAnalysis analysis;
        for (size_t k = 0; k < x.dims.size(); ++k) {
            const Polynomial index = analysis.normal(access->args[k]);
            for (const Expr& atom : atoms_of(index)) {
                if (atom->op != Op::dim) continue;
                const auto split = split_linear(index, atom);
                const auto factor = split ? split->factor.constant() : std::nullopt;
                // The dim that reaches furthest stands for the index: x of 2 x + r.
                if (factor && *factor != 0 && !map.count(atom->dim().name()) && largest(index) == std::abs(*factor))
                    map[atom->dim().name()] = {x.dims[k].name(), std::abs(*factor)};
            }
        }
        return map;
    }
    static std::int64_t largest(const Polynomial& index) {
        std::int64_t most = 0;
        for (const Term& t : index.terms())
            if (!t.atoms.empty()) most = std::max(most, std::abs(t.factor));
        return most;
    }

    // `loops` over the dims of `s`; nothing where no loop is left or only plain ones.
    static std::optional<Loops> mapped(const Loops& loops, const DimMap& map, const Stage& s) {
        Loops out;
        std::map<std::string, std::string> taken;  // a dim of s follows one dim of the reader
        bool says_something = false;
        for (const LoopSpec& l : loops) {
            const auto image = map.find(l.dim);
            if (image == map.end()) continue;
            const bool has_dim =
                std::any_of(s.dims.begin(), s.dims.end(), [&](const Dim& d) { return d.name() == image->second.dim; });
            if (!has_dim || taken.emplace(image->second.dim, l.dim).first->second != l.dim) continue;
            LoopSpec made = l;
            made.dim = image->second.dim;
            if (made.tile) made.tile = *made.tile * image->second.factor;
            made.prefetch.clear();
            made.tail.reset();
            says_something = says_something || made.tile || made.as != LoopKind::serial;
            out.push_back(std::move(made));
        }
        if (!says_something) return std::nullopt;
        return out;
    }

    // Inherited loops where they cover the vector loop that the default has, else its loops with the inherited outer tiles.
    static Loops merged(const Loops& plain, const Loops& own) {
        const auto is_vector = [](const LoopSpec& l) { return l.as == LoopKind::vector; };
        if (std::any_of(own.begin(), own.end(), is_vector) || std::none_of(plain.begin(), plain.end(), is_vector)) return own;
        Loops out;
        std::map<std::string, std::int64_t> inner;  // the largest tile of the default's loops of a dim
        for (const LoopSpec& l : plain)
            inner[l.dim] = std::max(inner[l.dim], l.as == LoopKind::parallel ? 0 : l.tile.value_or(1));
        for (const LoopSpec& l : own)
            if (l.tile && inner.count(l.dim) && *l.tile > inner[l.dim] && l.as != LoopKind::unroll) out.push_back(l);
        for (const LoopSpec& l : plain) {
            const bool replaced = l.as == LoopKind::parallel &&
                                  std::any_of(out.begin(), out.end(), [&](const LoopSpec& o) { return o.dim == l.dim; });
            if (replaced && l.tile) continue;
            LoopSpec kept = l;
            if (replaced) kept.as = LoopKind::serial;
            out.push_back(std::move(kept));
        }
        return out;
    }

    StageGraph primal_;
    const Schedule& given_;
    const Algorithm& derivative_algorithm_;
    StageGraph derivative_;
    Schedule out_;
};

}  // namespace

Schedule derive_schedule(const Algorithm& primal, const Schedule& primal_schedule, const Algorithm& derivative,
                         const Target& target) {
    require_available(target);
    Schedule base = primal_schedule;
    base.variants.clear();
    static_cast<void>(bind(primal, base));
    return Deriver(primal, base, derivative, target).run();
}

}  // namespace tessera
