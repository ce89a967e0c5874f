#include "tune/schedule_descent.h"

#include "schedule/derived_stages.h"
#include "schedule/routine_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace tessera::tune {
namespace {

constexpr std::int64_t unrolled_reduction = 32;
constexpr std::int64_t most_copies = 256;  // of a stage's statement; more compile for many seconds and miss the instruction cache

std::vector<std::int64_t> ladder() { return {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}; }

// A place inside the loops of a stage: the stage's name and the number of its loops outside and including it.
struct Place {
    std::string stage;
    size_t loops = 0;
};

class Descent {
public:
    Descent(const InlinedGraphs& graphs, const TuningTarget& target, const PlacementCodes& codes, const Choose& choose)
        : graphs_(graphs), left_(graphs.whole()), target_(target), codes_(codes), choose_(choose) {}

    Schedule run() {
        for (size_t i = graph().stages.size(); i-- > 0;)
            if (!decide_inline(i)) decide_stage(i);
        return std::move(out_);
    }

private:
    // ---- what decisions see

    const StageGraph& graph() const { return left_->graph; }

    std::int64_t extent(const Dim& d) const {
        if (const auto constant = d.extent().constant()) return std::max<std::int64_t>(*constant, 1);
        const auto given = target_.extents.find(d.name());
        return given != target_.extents.end() ? std::max<std::int64_t>(given->second, 1)
                                              : static_cast<std::int64_t>(estimated_extent(d));
    }
    std::int64_t choose(const std::string& decision, const std::vector<std::int64_t>& domain) {
        return choose_(decision, domain);
    }
    std::int64_t lanes(const Stage& s) const {
        std::int64_t bytes = 2;
        for (const DType t : s.dtypes) bytes = std::max<std::int64_t>(bytes, dtype_bytes(t));
        return std::max<std::int64_t>(target_.vector_bytes / bytes, 4);
    }
    std::vector<LoopSpec>& loops_of(const std::string& stage) {
        auto& loops = out_.stages.at(stage).loops;
        if (!loops) loops.emplace();
        return *loops;
    }

    // ---- inline

    bool decide_inline(size_t i) {
        if (!left_->may_inline[i] || choose(graph().stages[i].name + ".inline", {0, 1}) == 0) return false;
        left_ = graphs_.without(*left_, i);
        return true;
    }

    // ---- placement

    // Loops outside a place, outermost first, through the placements of its stage.
    std::vector<LoopRef> chain(const Place& place) {
        std::vector<LoopRef> out;
        const StageSpec& spec = out_.stages.at(place.stage);
        if (spec.compute && spec.compute->kind == Compute::Kind::at) {
            const auto& outer = loops_of(spec.compute->at.stage);
            size_t count = 0;
            while (count < outer.size() && outer[count].name != spec.compute->at.loop) ++count;
            out = chain({spec.compute->at.stage, count + 1});
        }
        const auto& loops = loops_of(place.stage);
        for (size_t l = 0; l < place.loops; ++l) out.push_back({place.stage, loops[l].name});
        return out;
    }
    // Where a stage that `user` reads may stand: outside its first vector loop; outside all its loops when its init reads.
    Place innermost(const Stage& user, const std::vector<Read>& reads, size_t index) {
        size_t count = 0;
        // A reduction with partial results reads in those.
        const std::string reader = out_.stages.count(user.name + ".part") ? user.name + ".part" : user.name;
        const auto& loops = loops_of(reader);
        while (count < loops.size() && loops[count].as != LoopKind::vector) ++count;
        for (const Read& r : reads)
            if (r.user == index && r.in_init) count = 0;
        return {reader, count};
    }
    std::vector<LoopRef> legal_places(size_t i) {
        const std::vector<Read>& reads = left_->reads[i];
        std::optional<std::vector<LoopRef>> common;
        std::set<size_t> users;
        for (const Read& r : reads) users.insert(r.user);
        for (const size_t u : users) {
            const auto here = chain(innermost(graph().stages[u], reads, u));
            if (!common) {
                common = here;
                continue;
            }
            size_t same = 0;
            while (same < common->size() && same < here.size() && (*common)[same] == here[same]) ++same;
            common->resize(same);
        }
        return common.value_or(std::vector<LoopRef>{});
    }
    const LoopSpec& loop_at(const LoopRef& ref) {
        for (const LoopSpec& l : loops_of(ref.stage))
            if (l.name == ref.loop) return l;
        return loops_of(ref.stage).front();
    }

    // Decides where the stage is computed and stored; the loops around it, outermost first.
    std::vector<LoopRef> place(size_t i) {
        const Stage& s = graph().stages[i];
        StageEdit edit = out_.stage(s.name);
        if (s.output || stands_at_root(graph(), i)) {
            edit.root();
            return {};
        }
        std::vector<LoopRef> places = legal_places(i);
        std::vector<std::int64_t> domain{PlacementCodes::root};
        for (const LoopRef& p : places) domain.push_back(codes_.at.at({p.stage, p.loop}));
        const std::int64_t code = choose(s.name + ".compute", domain);
        if (code == PlacementCodes::root) {
            edit.root();
            return {};
        }
        const size_t at = static_cast<size_t>(std::find(domain.begin(), domain.end(), code) - domain.begin()) - 1;
        edit.at(places[at].stage, places[at].loop);
        // A window slides along serial loops; what is outside a parallel loop is not shared by its tasks.
        std::vector<std::int64_t> levels{PlacementCodes::none};
        bool shifted = false;
        for (const Read& r : left_->reads[i]) shifted = shifted || !is_pointwise(r.access);
        for (size_t p = at; shifted && p > 0; --p) {
            const LoopSpec& crossed = loop_at(places[p]);
            if (crossed.as != LoopKind::serial || places[p].stage != places[at].stage || places[p - 1].stage != places[at].stage)
                break;
            levels.push_back(codes_.at.at({places[p - 1].stage, places[p - 1].loop}));
        }
        const std::int64_t level = choose(s.name + ".store", levels);
        if (level != PlacementCodes::none)
            for (const LoopRef& p : places)
                if (codes_.at.at({p.stage, p.loop}) == level) edit.store_at(p.stage, p.loop);
        places.resize(at + 1);
        return places;
    }

    // How many positions of a dim of `stage` are left inside the loops in `around`; 0: all of them.
    std::int64_t left_of(const std::string& stage, const std::string& dim, const std::vector<LoopRef>& around) {
        std::int64_t left = 0;
        for (const LoopRef& ref : around) {
            if (ref.stage != stage) continue;
            const LoopSpec& l = loop_at(ref);
            if (l.dim == dim) left = l.tile.value_or(1);
        }
        return left;
    }
    // Estimated extents of the region that is computed at once.
    std::vector<std::int64_t> region(size_t i, const std::vector<LoopRef>& around) {
        const Stage& s = graph().stages[i];
        std::vector<std::int64_t> out;
        for (const Dim& d : s.dims) out.push_back(around.empty() ? extent(d) : 1);
        if (around.empty()) return out;
        for (const ReadPattern& r : left_->patterns[i]) {
            const Stage& user = graph().stages[r.user];
            for (size_t d = 0; d < s.dims.size(); ++d) {
                std::int64_t width = 1;
                for (const Dim& free : r.free[d]) {
                    const std::int64_t left = left_of(user.name, free.name(), around);
                    width += (left == 0 ? extent(free) : std::min(left, extent(free))) - 1;
                }
                out[d] = std::max(out[d], std::min(width, extent(s.dims[d])));
            }
        }
        return out;
    }

    // ---- unrolled copies of the stage's statement

    std::int64_t trips(const LoopRef& ref) {
        std::int64_t outside = 0;
        for (const LoopSpec& l : loops_of(ref.stage)) {
            if (l.name == ref.loop) {
                if (outside == 0) outside = extent_named(ref.stage, l.dim);
                return std::max<std::int64_t>(outside / l.tile.value_or(1), 1);
            }
            if (l.dim == loop_at(ref).dim && l.tile) outside = *l.tile;
        }
        return 1;
    }
    std::int64_t extent_named(const std::string& stage, const std::string& dim) const {
        for (const Stage& s : graph().stages) {
            if (s.name != stage) continue;
            for (const Dim& d : s.dims)
                if (d.name() == dim) return extent(d);
            if (!s.update) continue;
            for (const Dim& d : s.update->reduction_dims)
                if (d.name() == dim) return extent(d);
        }
        return 1;
    }
    // Of one position of the loops in `around`.
    std::int64_t copies_in(const std::vector<LoopRef>& around) {
        std::int64_t copies = 1;
        for (const LoopRef& ref : around)
            if (loop_at(ref).as == LoopKind::unroll) copies = std::min(copies * trips(ref), most_copies);
        return copies;
    }
    [[nodiscard]] bool may_unroll(std::int64_t times) const { return copies_ * times <= most_copies; }

    // ---- loops

    struct Axis {  // the decisions for one dim
        Dim dim;
        std::int64_t outer = 0, unroll = 1, vector = 1;
        [[nodiscard]] std::int64_t block() const { return unroll * vector; }
    };

    std::vector<std::int64_t> outer_domain(std::int64_t length, std::int64_t block) {
        std::vector<std::int64_t> domain{0};
        for (const std::int64_t t : ladder())
            if (t > block && t % block == 0 && t < length) domain.push_back(t);
        if (block > 1)
            for (std::int64_t t = block * 2; t < length && t <= 1024; t *= 2)
                if (!std::count(domain.begin(), domain.end(), t)) domain.push_back(t);
        // Divisors leave no remainder.
        for (std::int64_t parts = 2; parts <= 16; ++parts)
            if (length % parts == 0 && length / parts > block && (length / parts) % block == 0 &&
                !std::count(domain.begin(), domain.end(), length / parts))
                domain.push_back(length / parts);
        std::sort(domain.begin(), domain.end());
        return domain;
    }
    void decide_rows(const std::string& stage, Axis& a, std::int64_t length, bool root) {
        std::vector<std::int64_t> unrolls{1};
        for (const std::int64_t u : {2, 3, 4, 6, 8})
            if (u <= length && may_unroll(u)) unrolls.push_back(u);
        a.unroll = choose(fmt::format("{}.{}.unroll", stage, a.dim.name()), unrolls);
        copies_ *= a.unroll;
        if (root) a.outer = choose(fmt::format("{}.{}.outer", stage, a.dim.name()), outer_domain(length, a.block()));
    }
    void decide_columns(const Stage& s, Axis& a, std::int64_t length, bool root, std::int64_t rows_unrolled) {
        const std::string prefix = fmt::format("{}.{}", s.name, a.dim.name());
        std::vector<std::int64_t> vectors{1};
        const std::int64_t natural = lanes(s);
        for (const std::int64_t v : {natural / 2, natural, natural * 2})
            if (v >= 2 && v <= std::max<std::int64_t>(length, 2)) vectors.push_back(v);
        a.vector = choose(prefix + ".vector", vectors);
        std::vector<std::int64_t> unrolls{1};
        for (const std::int64_t u : {2, 3, 4, 6})
            if (u * a.vector <= length && u * rows_unrolled <= 2 * target_.vector_registers && may_unroll(u))
                unrolls.push_back(u);
        a.unroll = choose(prefix + ".unroll", unrolls);
        copies_ *= a.unroll;
        if (root) a.outer = choose(prefix + ".outer", outer_domain(length, a.block()));
    }
    static LoopSpec loop(const Dim& dim, LoopRole role, std::int64_t tile, LoopKind as) {
        LoopSpec l;
        l.dim = dim.name();
        if (tile > 1) l.tile = tile;
        l.as = as;
        l.name = loop_name(dim.name(), role);
        return l;
    }
    static void add_block(std::vector<LoopSpec>& out, const Axis& a) {
        if (a.block() > 1)
            out.push_back(loop(a.dim, LoopRole::block, a.block(), LoopKind::serial));
        else
            out.push_back(loop(a.dim, LoopRole::position, 1, LoopKind::serial));
    }
    static void add_inner(std::vector<LoopSpec>& out, const Axis& a) {
        if (a.vector > 1 && a.unroll > 1) out.push_back(loop(a.dim, LoopRole::unrolled, a.vector, LoopKind::unroll));
        if (a.block() > 1) out.push_back(loop(a.dim, LoopRole::position, 1, a.vector > 1 ? LoopKind::vector : LoopKind::unroll));
    }

    void decide_stage(size_t i) {
        const Stage& s = graph().stages[i];
        const std::vector<LoopRef> around = place(i);
        copies_ = copies_in(around);
        if ((s.dims.empty() && !s.update) || s.kind == Stage::Kind::routine) return;
        if (s.update && (s.update->sequential || s.kind == Stage::Kind::scatter || s.kind == Stage::Kind::recurrence))
            return ordered_loops(s, around.empty());
        if (s.update && decide_lanes(i, around)) return;
        if (s.update && decide_registers(i, around)) return;
        decide_loops(i, around);
    }

    // Scans, scatters and recurrences run in order; what is free of that order runs outside.
    void ordered_loops(const Stage& s, bool root) {
        std::vector<LoopSpec> loops;
        for (const Dim& d : update_pure_dims(s)) loops.push_back(loop(d, LoopRole::position, 1, LoopKind::serial));
        if (root && !loops.empty() && choose(s.name + ".tasks", {0, 1}) == 1) loops[0].as = LoopKind::parallel;
        for (const Dim& d : s.update->reduction_dims) loops.push_back(loop(d, LoopRole::position, 1, LoopKind::serial));
        out_.stage(s.name).spec().loops = std::move(loops);
    }

    bool free_order(const Stage& s) const {
        const Update& u = *s.update;
        return u.order.kind == Order::Kind::any && u.monoid && u.monoid->traits.associative && u.monoid->traits.commutative;
    }

    // Partial results in the lanes of a vector along the last reduced dim.
    bool decide_lanes(size_t i, const std::vector<LoopRef>& around) {
        const Stage& s = graph().stages[i];
        if (s.kind != Stage::Kind::reduction || !free_order(s) || s.update->reduction_dims.empty() || s.dims.empty() ||
            s.update->condition.defined())
            return false;
        const Dim& k = s.update->reduction_dims.back();
        std::vector<std::int64_t> domain{0};
        for (const std::int64_t width : {lanes(s), 2 * lanes(s), 4 * lanes(s)})
            if (extent(k) >= 2 * width) domain.push_back(width);
        const std::int64_t width = choose(s.name + ".lanes", domain);
        if (width == 0) return false;
        const std::string kept = fmt::format("{}%{}", k.name(), width), name = s.name + ".part";
        const bool parallel = around.empty() && choose(s.name + ".tasks", {0, 1}) == 1;
        std::vector<LoopSpec> loops, partial;
        for (const Dim& d : s.dims) {
            loops.push_back(loop(d, LoopRole::position, 1, parallel && loops.empty() ? LoopKind::parallel : LoopKind::serial));
            partial.push_back(loop(d, LoopRole::position, 1, LoopKind::serial));
        }
        for (const Dim& d : s.update->reduction_dims) partial.push_back(loop(d, LoopRole::position, 1, LoopKind::serial));
        partial.push_back({.dim = kept, .as = LoopKind::vector, .name = "lane"});
        const std::string innermost_loop = loops.back().name;
        loops.push_back({.dim = kept, .name = "lane"});
        out_.stage(s.name).spec().loops = std::move(loops);
        out_.partial(name, s.name, {kept}).at(s.name, innermost_loop).spec().loops = std::move(partial);
        return true;
    }

    // Accumulators in registers: all pure dims of the block that the consumer's loops leave are unrolled and in vectors.
    bool decide_registers(size_t i, const std::vector<LoopRef>& around) {
        const Stage& s = graph().stages[i];
        const std::vector<Read>& reads = left_->reads[i];
        if (around.empty() || s.dims.empty() || reads.size() != 1 || reads[0].in_init || !is_pointwise(reads[0].access))
            return false;
        const Stage& user = graph().stages[reads[0].user];
        if (user.update || around.back().stage != user.name) return false;
        std::vector<std::int64_t> left;
        std::int64_t cells = 1;
        for (size_t d = 0; d < s.dims.size(); ++d) {
            left.push_back(left_of(user.name, reads[0].access->args[d]->dim().name(), around));
            if (left.back() == 0) return false;
            if (d + 1 < s.dims.size()) cells *= left.back();
        }
        const std::int64_t columns = left.back(), natural = lanes(s);
        std::vector<std::int64_t> widths;
        for (const std::int64_t w : {natural / 2, natural, 2 * natural})
            if (w > 1 && columns % w == 0 && cells * (columns / w) * w <= 2 * target_.vector_registers * natural &&
                may_unroll(cells * (columns / w)))
                widths.push_back(w);
        if (widths.empty()) return false;
        widths.insert(widths.begin(), 0);
        const std::int64_t width = choose(s.name + ".registers", widths);
        if (width == 0) return false;
        copies_ *= cells * (columns / width);
        std::vector<LoopSpec> loops;
        reduction_loops(s, loops);
        for (size_t d = 0; d + 1 < s.dims.size(); ++d)
            loops.push_back(loop(s.dims[d], LoopRole::position, 1, left[d] > 1 ? LoopKind::unroll : LoopKind::serial));
        if (columns > width) loops.push_back(loop(s.dims.back(), LoopRole::unrolled, width, LoopKind::unroll));
        loops.push_back(loop(s.dims.back(), LoopRole::position, 1, LoopKind::vector));
        out_.stage(s.name).space(Space::register_).spec().loops = std::move(loops);
        decide_packing(s, user, around);
        return true;
    }

    std::vector<std::int64_t> unrolled_blocks() const {
        std::vector<std::int64_t> out{1};
        for (const std::int64_t b : {2, 4})
            if (may_unroll(b)) out.push_back(b);
        return out;
    }

    // The loops over reduced dims, in their order: short ones unrolled whole, the last long one in blocks.
    void reduction_loops(const Stage& s, std::vector<LoopSpec>& loops) {
        std::int64_t points = 1;
        bool constant = true;
        for (const Dim& d : s.update->reduction_dims) {
            points *= extent(d);
            constant = constant && d.extent().constant();
        }
        const bool whole =
            constant && points <= unrolled_reduction && may_unroll(points) && choose(s.name + ".reduced.unroll", {0, 1}) == 1;
        for (const Dim& d : s.update->reduction_dims) {
            std::int64_t block = 1;
            if (!whole && d.id() == s.update->reduction_dims.back().id() && extent(d) > unrolled_reduction)
                block = choose(fmt::format("{}.{}.unroll", s.name, d.name()), unrolled_blocks());
            if (block > 1) loops.push_back(loop(d, LoopRole::block, block, LoopKind::serial));
            loops.push_back(loop(d, LoopRole::position, 1, whole || block > 1 ? LoopKind::unroll : LoopKind::serial));
        }
    }

    // An input that is read along the vectors is copied into panels as wide as the consumer's register block.
    void decide_packing(const Stage& s, const Stage& user, const std::vector<LoopRef>& around) {
        const Dim n = user.dims.back();
        std::int64_t block = 0, panel = 0;
        for (const LoopRef& ref : around) {
            const LoopSpec& l = loop_at(ref);
            if (ref.stage != user.name || l.dim != n.name()) continue;
            if (l.name == loop_name(n.name(), LoopRole::outer)) block = l.tile.value_or(1);
            if (l.name == loop_name(n.name(), LoopRole::block)) panel = l.tile.value_or(1);
        }
        if (block == 0 || panel == 0 || block % panel != 0) return;
        const std::int64_t width = std::max<std::int64_t>(target_.vector_bytes / dtype_bytes(s.dtypes[0]), 2);
        std::vector<const InputState*> inputs;
        for_each_node(s.update->values, [&](const Expr& e) {
            if (e->op != Op::access || !e->target().input || e->target().boundary != Boundary::none || e->args.size() != 2 ||
                !is_pointwise(e))
                return;
            const InputState* input = e->target().input.get();
            if (e->args[1]->dim().name() == s.dims.back().name() && input->dims[1].id() == s.dims.back().id() &&
                contains_dim(s.update->reduction_dims, e->args[0]->dim()) && !std::count(inputs.begin(), inputs.end(), input))
                inputs.push_back(input);
        });
        for (const InputState* input : inputs) {
            if (choose(fmt::format("{}.pack.{}", s.name, input->name), {0, 1}) == 0) continue;
            const Dim &k = input->dims[0], &columns = input->dims[1];
            StageEdit copy = out_.copy(input->name + ".p", input->name, {s.name});
            copy.at(user.name, loop_name(n.name(), LoopRole::outer))
                .layout({fmt::format("{}/{}", columns.name(), panel), k.name(), fmt::format("{}%{}", columns.name(), panel)});
            std::vector<LoopSpec> loops{loop(columns, LoopRole::block, panel, LoopKind::serial),
                                        loop(k, LoopRole::position, 1, LoopKind::serial)};
            if (panel > width && panel % width == 0) loops.push_back(loop(columns, LoopRole::unrolled, width, LoopKind::unroll));
            loops.push_back(loop(columns, LoopRole::position, 1, LoopKind::vector));
            copy.spec().loops = std::move(loops);
        }
    }

    void decide_loops(size_t i, const std::vector<LoopRef>& around) {
        const Stage& s = graph().stages[i];
        const bool root = around.empty();
        const std::vector<std::int64_t> lengths = region(i, around);
        const std::vector<Dim> pure = s.update ? update_pure_dims(s) : s.dims;
        const auto length_of = [&](const Dim& d) {
            for (size_t at = 0; at < s.dims.size(); ++at)
                if (s.dims[at].id() == d.id()) return lengths[at];
            return extent(d);
        };
        const size_t rank = pure.size();
        std::optional<Axis> y, x;
        if (rank >= 1) x = Axis{pure[rank - 1]};
        if (rank >= 2) y = Axis{pure[rank - 2]};
        if (y) decide_rows(s.name, *y, length_of(y->dim), root);
        if (x) decide_columns(s, *x, length_of(x->dim), root, y ? y->unroll : 1);
        std::vector<LoopSpec> loops, inside;
        for (size_t d = 0; d + 2 < rank; ++d) {
            const auto constant = pure[d].extent().constant();
            const bool small = constant && *constant <= 16;
            if (small && choose(fmt::format("{}.{}.inside", s.name, pure[d].name()), {0, 1}) == 1) {
                const bool unrolled = *constant <= 4 && may_unroll(*constant);
                if (unrolled) copies_ *= *constant;
                inside.push_back(loop(pure[d], LoopRole::position, 1, unrolled ? LoopKind::unroll : LoopKind::serial));
            } else
                loops.push_back(loop(pure[d], LoopRole::position, 1, LoopKind::serial));
        }
        const auto ordered = [&](const std::string& decision, auto add) {
            const bool columns_first = y && x && choose(decision, {0, 1}) == 1;
            if (columns_first) add(*x);
            if (y) add(*y);
            if (x && !columns_first) add(*x);
        };
        const auto add_outer = [&](const Axis& a) {
            if (a.outer > 0) loops.push_back(loop(a.dim, LoopRole::outer, a.outer, LoopKind::serial));
        };
        if (y && x && y->outer > 0 && x->outer > 0)
            ordered(s.name + ".outer_order", add_outer);
        else {
            if (y) add_outer(*y);
            if (x) add_outer(*x);
        }
        size_t shared = loops.size();
        // Where the reduced dims stand: around the blocks, inside them, or inside the unrolled rows.
        const std::int64_t reduced = s.update && rank > 0 ? choose(s.name + ".reduced", {0, 1, 2}) : 0;
        if (s.update && reduced == 0)
            reduction_loops(s, loops);
        else
            shared = std::string::npos;
        ordered(s.name + ".order", [&](const Axis& a) { add_block(loops, a); });
        if (s.update && reduced == 1) reduction_loops(s, loops);
        if (y) add_inner(loops, *y);
        loops.insert(loops.end(), inside.begin(), inside.end());
        if (s.update && reduced == 2) reduction_loops(s, loops);
        if (x) add_inner(loops, *x);
        if (root) decide_tasks(s, loops, shared);
        out_.stage(s.name).spec().loops = std::move(loops);
    }

    // The outermost loops, one or two, run as parallel tasks.
    void decide_tasks(const Stage& s, std::vector<LoopSpec>& loops, size_t limit) {
        std::vector<std::int64_t> domain{0};
        for (size_t l = 0; l < 2 && l < loops.size() && l < limit; ++l) {
            const bool reduces = s.update && std::any_of(s.update->reduction_dims.begin(), s.update->reduction_dims.end(),
                                                         [&](const Dim& d) { return d.name() == loops[l].dim; });
            if (loops[l].as != LoopKind::serial || reduces) break;
            domain.push_back(static_cast<std::int64_t>(l) + 1);
        }
        const std::int64_t parallel = choose(s.name + ".tasks", domain);
        for (size_t l = 0; l < static_cast<size_t>(parallel); ++l) loops[l].as = LoopKind::parallel;
    }

    const InlinedGraphs& graphs_;
    std::shared_ptr<const InlinedGraph> left_;
    const TuningTarget& target_;
    const PlacementCodes& codes_;
    const Choose& choose_;
    Schedule out_;
    std::int64_t copies_ = 1;  // of the statement of the stage that is decided, by unrolled loops so far
};

}  // namespace

std::string loop_name(const std::string& dim, LoopRole role) {
    static constexpr const char* suffix[] = {"o", "t", "u", "i"};
    return fmt::format("{}.{}", dim, suffix[static_cast<size_t>(role)]);
}

PlacementCodes placement_codes(const StageGraph& graph) {
    PlacementCodes out;
    std::int64_t next = 2;
    for (size_t i = graph.stages.size(); i-- > 0;) {
        const Stage& s = graph.stages[i];
        std::vector<Dim> dims = s.dims;
        if (s.update)
            for (const Dim& d : s.update->reduction_dims)
                if (!contains_dim(dims, d)) dims.push_back(d);
        for (const LoopRole role : {LoopRole::outer, LoopRole::block, LoopRole::unrolled, LoopRole::position})
            for (const Dim& d : dims) out.at[{s.name, loop_name(d.name(), role)}] = next++;
        // Loops over kept lanes of a partial hold nothing; their names need no code of their own.
        out.at[{s.name, "lane"}] = next++;
        out.at[{s.name + ".part", "lane"}] = next++;
        for (const Dim& d : dims) out.at[{s.name + ".part", loop_name(d.name(), LoopRole::position)}] = next++;
    }
    return out;
}

Schedule descend(const InlinedGraphs& graphs, const TuningTarget& target, const PlacementCodes& codes, const Choose& choose) {
    return Descent(graphs, target, codes, choose).run();
}

}  // namespace tessera::tune
