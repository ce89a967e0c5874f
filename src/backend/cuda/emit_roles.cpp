#include "backend/cuda/kernel_emitter.h"

namespace tessera::cuda {

// "cta_x()", counted in clusters.
std::string KernelEmitter::of_clusters(const char* count) {
    const std::string all = fmt::format("{}()", scalars_.call(count));
    return out_.cluster > 1 ? fmt::format("{} / {}", all, out_.cluster) : all;
}

std::string KernelEmitter::by_one_thread() { return alone_ ? "" : fmt::format("if ({} == 0) ", thread()); }

std::string KernelEmitter::in_consumer(std::string number, std::int64_t count) const {
    return kernel_.consumers > 1 && in_role_ ? fmt::format("{} % {}", number, count) : number;
}

// Numbers of barriers are literals: for one in a register ptxas reserves all 16.
void KernelEmitter::by_consumer(const std::function<std::string(std::int64_t)>& text) {
    for (std::int64_t c = 0; c < kernel_.consumers; ++c) {
        if (kernel_.consumers > 1) lines_.open(fmt::format("if ({} == {}) {{", consumer_, c));
        lines_.add(text(c));
        if (kernel_.consumers > 1) lines_.close();
    }
}

// The threads of the role that copies stand behind the others.
void KernelEmitter::emit_roles(const Roles& r) {
    const std::int64_t consuming = kernel_.threads * kernel_.consumers;
    const auto registers = [&](const char* change, std::int64_t count) {
        if (count > 0) lines_.add(fmt::format("{}<{}>();", scalars_.call(change), count));
    };
    lines_.open(fmt::format("if ({}({} / 128) == {}) {{", scalars_.call("uniform"), thread(), consuming / 128));
    registers("reg_dealloc", r.producer_registers);
    lines_.open(fmt::format("if ({} == {}) {{", thread(), consuming));
    alone_ = true;
    emit(*r.copies);
    alone_ = false;
    lines_.close();
    lines_.otherwise();
    registers("reg_alloc", r.consumer_registers);
    in_role_ = true;
    if (kernel_.consumers > 1) {
        consumer_ = lines_.fresh("consumer");
        lines_.add(fmt::format("const int {} = {}({} / {});", consumer_, scalars_.call("uniform"), thread(), kernel_.threads));
    }
    emit(*r.rest);
    in_role_ = false;
    lines_.close();
}

void KernelEmitter::emit_tiles(const Tiles& t) {
    Expr all = index_number(1);
    for (const Axis& a : kernel_.grid) all = product_of(all, a.extent);
    constexpr std::int64_t most_blocks = 1 << 16;                 // at once
    const std::int64_t steps = in_role_ ? kernel_.consumers : 1;  // rounds of the others are left out
    reach_.note(index_sum(all, index_number(steps * most_blocks)));
    reach_.add_variable(t.round, reach_.most(all));
    environment_.add_range(t.round, all);
    const std::string end = lines_.fresh("tiles"), block = lines_.fresh("tile"), value = scalars_.index(all);
    lines_.add(fmt::format("const {} {} = {};", index_type_, end, value));
    const std::string& round = declare(t.round);
    const std::string grid = of_clusters("grid_x");
    const std::string at = fmt::format("{} + {} * {}", of_clusters("cta_x"), round, out_.cluster > 1 ? "(" + grid + ")" : grid);
    lines_.open(fmt::format("for ({0} {1} = {4}; {2} < {3}; {5}) {{", index_type_, round, at, end, steps > 1 ? consumer_ : "0",
                            steps > 1 ? fmt::format("{} += {}", round, steps) : "++" + round));
    round_before_ = fmt::format("{} > 0", round);
    round_behind_ = fmt::format("{} + {} < {}", block, grid, end);
    lines_.add(fmt::format("const {} {} = {};", index_type_, block, at));
    decode(kernel_.grid, block);
    emit(*t.body);
    lines_.close();
}

void KernelEmitter::emit_put(const tile::BoxStore& b) {
    const size_t from = program_.bound.graph.find(b.source->target().func.get()).value();
    const std::vector<std::int64_t>& extent = shared_.at(from).alloc->extent;
    const Stage& s = stage(b.stage);
    std::vector<std::int64_t> box{extent[3], extent[2]};
    box.resize(b.place.size(), 1);
    const std::int64_t bytes = extent[3] * dtype_bytes(s.dtypes[0]);
    const std::string name = map_name({true, *s.output, std::move(box), static_cast<int>(bytes)}, s.name);
    const Address first = address(from, 0, {b.source->args[0], b.source->args[1], b.source->args[2], b.source->args[3]});
    const std::string at = lines_.fresh("boxes"), offset = scalars_.index(first.offset);
    std::vector<std::string> place;
    for (const Expr& e : b.place) place.push_back(scalars_.index(e));
    std::string outer;
    for (size_t d = b.place.size() - 1; d-- > 0;) outer += fmt::format(", static_cast<int>({})", place[d]);
    lines_.open(fmt::format("if ({} % 128 == 0) {{", thread()));
    lines_.add(fmt::format("const u32 {} = {} + static_cast<u32>({});", at, shared_.at(from).base, offset));
    for (std::int64_t i = 0; i < extent[1]; ++i)
        lines_.add(fmt::format("{}(&{}, {} + {}, static_cast<int>({}) + {}{});",
                               scalars_.call(fmt::format("tma_store_{}d", b.place.size())), name, at, i * extent[2] * bytes,
                               place.back(), i * extent[3], outer));
    lines_.add(fmt::format("{}();", scalars_.call("tma_store_commit")));
    lines_.close();
}

// Barriers by number: 1 and on, of the consumers; behind them, of the warpgroups; behind these, of the consumers' turns.
void KernelEmitter::emit_role_barrier() {
    by_consumer([&](std::int64_t c) { return fmt::format("{}({}, {});", scalars_.call("sync_named"), 1 + c, kernel_.threads); });
}

// Of two consumers one waits and the other one does not.
void KernelEmitter::emit_take_turn() { emit_turn(round_before_, "sync_named", 0); }
void KernelEmitter::emit_pass_turn() { emit_turn(round_behind_, "arrive_named", 1); }
void KernelEmitter::emit_turn(const std::string& condition, const char* meet, std::int64_t next) {
    const std::int64_t first = 1 + kernel_.consumers + kernel_.consumers * kernel_.threads / 128;
    lines_.open(fmt::format("if ({}) {{", condition));
    by_consumer([&](std::int64_t c) {
        return fmt::format("{}({}, {});", scalars_.call(meet), first + (c + next) % kernel_.consumers, 2 * kernel_.threads);
    });
    lines_.close();
}

void KernelEmitter::emit_group_barrier() {
    const std::int64_t groups = kernel_.consumers * kernel_.threads / 128;
    for (std::int64_t g = 0; g < groups; ++g) {
        const std::string meet = fmt::format("{}({}, 128);", scalars_.call("sync_named"), 1 + kernel_.consumers + g);
        const std::string group = fmt::format("{}({} / 128) == {}", scalars_.call("uniform"), thread(), g);
        if (groups > 1) lines_.open(fmt::format("if ({}) {{", group));
        lines_.add(meet);
        if (groups > 1) lines_.close();
    }
}

// Of a fresh barrier the phase before the first is over.
void KernelEmitter::emit_acquire(const Acquire& a) {
    const Expr turn = simplify_index(make_op(Op::div, DType::i64, {a.token, index_number(a.ring)}));
    lines_.add(fmt::format("{}(smem + {} + {}, static_cast<u32>({}) & 1u ^ 1u);", scalars_.call("mbar_wait"),
                           plan_.released.at(a.stages[0]), slot(a.token, a.ring), scalars_.index(turn)));
}

void KernelEmitter::emit_release(const Release& r) {
    const std::string at = fmt::format("smem + {} + {}", plan_.released.at(r.stages[0]), slot(r.token, r.ring));
    if (out_.cluster == 1) {
        lines_.open(fmt::format("if ({} % 32 == 0) {{", thread()));
        lines_.add(fmt::format("{}({});", scalars_.call("mbar_arrive"), at));
    } else {
        // Others fill the buffer too.
        lines_.open(fmt::format("if ({} % 32 < {}) {{", thread(), out_.cluster));
        lines_.add(fmt::format("{}({}, static_cast<u32>({} % 32));", scalars_.call("mbar_arrive_remote"), at, thread()));
    }
    lines_.close();
}

}  // namespace tessera::cuda
