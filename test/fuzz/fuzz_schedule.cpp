#include "fuzz/fuzz_schedule.h"

#include "schedule/derived_stages.h"
#include "schedule/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera::fuzz {
namespace {

class Generator {
public:
    Generator(Random& random, const Algorithm& algorithm, double share)
        : random_(random), graph_(make_stages(algorithm)), share_(share) {}

    Schedule run() {
        leading_parallel_ = chance(random_, 0.25);
        if (chance(random_, 0.25)) add_copy();
        if (chance(random_, 0.25)) add_partial();
        for (size_t i = graph_.stages.size(); i-- > 0;) {
            if (share_ < 1 && !chance(random_, share_)) {
                if (!out_.stages.count(graph_.stages[i].name)) out_.stage(graph_.stages[i].name).root();
                continue;
            }
            place(graph_.stages[i]);
            if (chance(random_, 0.08)) add_clone(graph_.stages[i]);
        }
        if (chance(random_, 0.4)) share_loops();
        if (chance(random_, 0.3)) share_memory();
        for (size_t i = graph_.stages.size(); i-- > 0;) bound_copies(graph_.stages[i].name);
        return chance(random_, 0.1) ? as_variant() : std::move(out_);
    }

private:
    void place(const Stage& s) {
        const bool keep = s.output.has_value();
        if (!keep && chance(random_, 0.3)) return;
        if (out_.stages.count(s.name) && out_.stages.at(s.name).compute) return;
        if (!s.update && graph_.find(s.name + ".sum") && chance(random_, 0.3)) return add_tile(s.name);
        if (tiled_.count(s.name)) return;
        StageEdit edit = out_.stage(s.name);
        place_at(s, edit, keep);
        fill_loops(s, edit);
        if (chance(random_, 0.1)) edit.space(pick(random_, std::vector<Space>{Space::heap, Space::stack}));
        if (!keep && !s.dims.empty() && chance(random_, 0.1)) edit.align(pick(random_, s.dims).name(), draw(random_, 2, 8));
    }

    void place_at(const Stage& s, StageEdit& edit, bool keep) {
        const auto user = random_user(s);
        if (keep || !user || chance(random_, 0.35))
            edit.root();
        else {
            const auto& loops = *out_.stages.at(*user).loops;
            std::vector<std::string> places;
            for (const LoopSpec& l : loops) {
                if (l.as == LoopKind::vector) break;
                places.push_back(l.name);
            }
            if (places.empty())
                edit.root();
            else {
                const size_t at = static_cast<size_t>(draw(random_, 0, static_cast<std::int64_t>(places.size()) - 1));
                edit.at(*user, places[at]);
                if (at > 0 && chance(random_, 0.3))
                    edit.store_at(*user, places[static_cast<size_t>(draw(random_, 0, static_cast<std::int64_t>(at) - 1))]);
            }
        }
    }

    void fill_loops(const Stage& s, StageEdit& edit) {
        std::vector<std::string> pure, reduced;
        for (const Dim& d : s.update ? update_pure_dims(s) : s.dims) pure.push_back(d.name());
        if (s.update)
            for (const Dim& d : s.update->reduction_dims) reduced.push_back(d.name());
        edit.spec().loops = loops_over(pure, reduced, s.update.has_value());
    }

    std::optional<std::string> random_user(const Stage& s) {
        std::vector<std::string> users;
        for (const Stage& u : graph_.stages)
            if (reads(u, s.func.get()) && out_.stages.count(u.name) && out_.stages.at(u.name).loops) users.push_back(u.name);
        if (users.empty()) return std::nullopt;
        return pick(random_, users);
    }

    // Tiles of each dim from outside in, interleaved at random.
    std::vector<LoopSpec> loops_over(const std::vector<std::string>& pure, const std::vector<std::string>& reduced, bool update) {
        std::vector<std::vector<LoopSpec>> chains;
        std::vector<LoopSpec> loops;
        for (const std::string& d : pure) {
            const bool leads = leading_parallel_ && loops.size() + 1 < pure.size() && loops.size() == chains.size();
            if (leads) loops.push_back({.dim = d, .as = LoopKind::parallel, .name = fmt::format("{}_{}", d, names_++)});
            chains.push_back(leads ? std::vector<LoopSpec>{} : chain(d, false, update));
        }
        for (const std::string& d : reduced) chains.push_back(chain(d, true, update));
        while (true) {
            std::vector<size_t> left;
            for (size_t c = 0; c < chains.size(); ++c)
                if (!chains[c].empty()) left.push_back(c);
            if (left.empty()) break;
            auto& chain = chains[pick(random_, left)];
            loops.push_back(chain.front());
            chain.erase(chain.begin());
        }
        return loops;
    }

    std::vector<LoopSpec> chain(const std::string& dim, bool reduced, bool update) {
        std::vector<LoopSpec> loops;
        std::int64_t tile = pick(random_, std::vector<std::int64_t>{1, 2, 3, 4, 5, 8, 16});
        const std::int64_t outer = tile * draw(random_, 2, 4);
        if (tile > 1 && chance(random_, 0.3)) loops.push_back(loop(dim, outer, reduced, update, loops.empty()));
        if (tile > 1) loops.push_back(loop(dim, tile, reduced, update, loops.empty()));
        LoopSpec last = loop(dim, 0, reduced, update, loops.empty());
        if (!loops.empty()) {
            if (chance(random_, 0.3))
                last.as = LoopKind::unroll;
            else if (!reduced && chance(random_, 0.5))
                last.as = LoopKind::vector;
        }
        loops.push_back(last);
        return loops;
    }

    LoopSpec loop(const std::string& dim, std::int64_t tile, bool reduced, bool update, bool first) {
        LoopSpec l;
        l.dim = dim;
        if (tile > 0) l.tile = tile;
        l.name = dim + "_" + std::to_string(names_++);
        if (first && !reduced && chance(random_, 0.3)) l.as = LoopKind::parallel;
        if (chance(random_, 0.1)) l.partition = chance(random_, 0.5) ? Partition::never : Partition::always;
        if (tile > 0 && chance(random_, 0.4)) {
            std::vector<Tail> tails{Tail::guard};
            if (!update && !reduced) tails.push_back(Tail::shift_inwards);
            if (update && !reduced) tails.push_back(Tail::round_up);
            l.tail = pick(random_, tails);
        }
        return l;
    }

    void add_copy() {
        std::vector<std::pair<std::string, std::string>> reads;  // input, stage
        for (const Stage& s : graph_.stages)
            for_each_node(exprs_of(s), [&](const Expr& n) {
                if (n->op == Op::access && n->target().input && !n->target().input->scalar)
                    reads.emplace_back(n->target().input->name, s.name);
            });
        if (reads.empty()) return;
        const auto [input, user] = pick(random_, reads);
        for (const Argument& arg : graph_.algorithm.arguments())
            if (arg.state()->name == input) {
                StageEdit edit = out_.copy(input + ".c", input, {user});
                edit.root();
                const std::vector<Dim>& dims = arg.state()->dims;
                std::vector<std::string> names;
                for (const Dim& d : dims) names.push_back(d.name());
                edit.spec().loops = loops_over(names, {}, true);
                for (LoopSpec& l : *edit.spec().loops) l.tail.reset();
                if (dims.size() == 2 && chance(random_, 0.5)) {
                    edit.layout({names[1] + "/8", names[0], names[1] + "%8"});
                    edit.spec().loops = std::vector<LoopSpec>{{.dim = names[1], .tile = 8, .name = "panel"},
                                                              {.dim = names[0], .name = "line"},
                                                              {.dim = names[1], .as = LoopKind::vector, .name = "lane"}};
                }
            }
    }

    void add_tile(const std::string& name) {
        TileRecord t;
        const auto some = [&](std::int64_t low, std::int64_t high) {
            return chance(random_, 0.5) ? std::optional(draw(random_, low, high)) : std::nullopt;
        };
        t.tile_m = some(1, 6);
        t.vector_width = pick(random_, std::vector<std::int64_t>{2, 4, 8});
        t.tile_n = *t.vector_width * draw(random_, 1, 3);
        if (chance(random_, 0.3)) t.block_m = t.tile_m.value_or(4) * 2;
        if (chance(random_, 0.3)) t.block_n = *t.tile_n * 2;
        t.tile_k = some(2, 8);
        t.unroll_factor = some(2, 4);
        out_.stage(name).tile(t);
        tiled_.insert(name + ".sum");
    }

    // An instance of `s` of its own for one of its users.
    void add_clone(const Stage& s) {
        std::vector<std::string> users;
        for (const Stage& u : graph_.stages)
            if (reads(u, s.func.get())) users.push_back(u.name);
        if (users.empty() || s.name.find('.') != std::string::npos) return;
        StageEdit edit = out_.clone(s.name + ".own", s.name, {pick(random_, users)});
        edit.root();
        fill_loops(s, edit);
    }

    // The same as a variant of a schedule that computes everything at root.
    Schedule as_variant() {
        Schedule base;
        for (const auto& [name, spec] : out_.stages)
            if (!spec.is_derived()) base.stage(name).root();
        base.variant("x >= 0", out_);
        return variant_schedule(base, 0);
    }

    void add_partial() {
        std::vector<const Stage*> reductions;
        for (const Stage& s : graph_.stages)
            if (s.kind == Stage::Kind::reduction) reductions.push_back(&s);
        if (reductions.empty()) return;
        const Stage& s = *pick(random_, reductions);
        const std::string k = pick(random_, s.update->reduction_dims).name();
        if (k.find_first_of("/%") != std::string::npos) return;  // blocks of an order are not split once more
        const std::string kept = k + (chance(random_, 0.5) ? "/" : "%") + std::to_string(draw(random_, 2, 8));
        out_.partial(s.name + ".part", s.name, {kept}).root();
        // Lanes of lanes.
        const std::string again = k + "%" + std::to_string(draw(random_, 2, 4));
        if (kept.find('%') != std::string::npos && again != kept && chance(random_, 0.5))
            out_.partial(s.name + ".again", s.name + ".part", {again}).root();
        StageEdit edit = out_.stage(s.name);
        edit.root();
        edit.spec().loops = std::vector<LoopSpec>{};
    }

    // Two stages at one place whose outer loops are of one kind.
    void share_loops() {
        std::vector<std::pair<std::string, std::string>> pairs;
        for (const auto& [a, first] : out_.stages)
            for (const auto& [b, second] : out_.stages)
                if (a != b && first.compute == second.compute && first.loops && second.loops && !first.loops->empty() &&
                    !second.loops->empty())
                    pairs.emplace_back(a, b);
        if (pairs.empty()) return;
        const auto [leader, other] = pick(random_, pairs);
        const auto& outer = *out_.stages.at(leader).loops;
        auto& own = *out_.stages.at(other).loops;
        const size_t last =
            static_cast<size_t>(draw(random_, 0, static_cast<std::int64_t>(std::min(outer.size(), own.size())) - 1));
        for (size_t l = 0; l <= last; ++l)
            if (own[l].as == LoopKind::serial || own[l].as == LoopKind::parallel) own[l].as = outer[l].as;
        out_.stage(other).fuse_with(
            {leader, outer[last].name,
             pick(random_, std::vector<FuseAlign>{FuseAlign::none, FuseAlign::none, FuseAlign::start, FuseAlign::end})});
        if (chance(random_, 0.6)) place_between(leader, other, pick(random_, outer).name);
    }

    // What the two need, and nothing else does, in a loop that they may share.
    void place_between(const std::string& leader, const std::string& other, const std::string& loop) {
        std::vector<std::string> names;
        for (const Stage& s : graph_.stages) {
            bool between = false, elsewhere = s.output || s.name == leader || s.name == other || !out_.stages.count(s.name);
            for (const Stage& u : graph_.stages) {
                if (u.func == s.func || !reads(u, s.func.get())) continue;
                const bool by_them = u.name == leader || u.name == other;
                between = between || by_them;
                elsewhere = elsewhere || !by_them;
            }
            if (between && !elsewhere) names.push_back(s.name);
        }
        if (names.empty()) return;
        StageEdit edit = out_.stage(pick(random_, names));
        edit.at(leader, loop).spec().store = {};
    }

    // A stage in the memory of its one reader, both with the tails that this asks for.
    void share_memory() {
        std::vector<std::pair<std::string, std::string>> pairs;
        for (const Stage& s : graph_.stages) {
            std::vector<std::string> users;
            for (const Stage& u : graph_.stages)
                if (reads(u, s.func.get())) users.push_back(u.name);
            if (users.size() != 1 || s.output) continue;
            const auto own = out_.stages.find(s.name), other = out_.stages.find(users[0]);
            if (own != out_.stages.end() && other != out_.stages.end() && own->second.compute == other->second.compute &&
                own->second.loops && other->second.loops)
                pairs.emplace_back(s.name, users[0]);
        }
        if (pairs.empty()) return;
        const auto [stage, reader] = pick(random_, pairs);
        for (const std::string& name : {stage, reader})
            for (LoopSpec& loop : *out_.stages.at(name).loops) loop.tail.reset();
        out_.stages.at(stage).store.at.reset();
        out_.stages.at(reader).store.at.reset();
        out_.stage(stage).live_in(reader);
    }

    // How many elements the unrolled and vector loops of a stage hold, from outside in to the loop `last` ("": all), those around
    // it included.
    std::int64_t copies(const std::string& stage, const std::string& last) const {
        const auto found = out_.stages.find(stage);
        if (found == out_.stages.end()) return 1;
        const StageSpec& spec = found->second;
        std::int64_t count =
            spec.compute && spec.compute->kind == Compute::Kind::at ? copies(spec.compute->at.stage, spec.compute->at.loop) : 1;
        if (!spec.loops) return count;
        std::map<std::string, std::int64_t> around;  // dim -> the tile that is cut next
        for (const LoopSpec& l : *spec.loops) {
            const std::int64_t tile = l.tile.value_or(1);
            if (l.as == LoopKind::unroll || l.as == LoopKind::vector)
                count *= around.count(l.dim) ? std::max<std::int64_t>(around[l.dim] / tile, 1) : 1;
            around[l.dim] = tile;
            if (l.name == last) break;
        }
        return count;
    }

    // Loops that unroll hundreds of elements say no more than others, and take minutes to compile.
    void bound_copies(const std::string& stage) {
        const auto found = out_.stages.find(stage);
        if (found == out_.stages.end() || !found->second.loops) return;
        for (const LoopKind kind : {LoopKind::unroll, LoopKind::vector}) {
            if (copies(stage, "") <= most_copies) return;
            for (LoopSpec& l : *found->second.loops)
                if (l.as == kind) l.as = LoopKind::serial;
        }
    }
    static constexpr std::int64_t most_copies = 64;

    Random& random_;
    StageGraph graph_;
    double share_;
    Schedule out_;
    int names_ = 0;
    bool leading_parallel_ = false;
    std::set<std::string> tiled_;  // sums whose loops come from a tile record
};

}  // namespace

Schedule random_schedule(Random& random, const Algorithm& algorithm, double share) {
    return Generator(random, algorithm, share).run();
}

}  // namespace tessera::fuzz
