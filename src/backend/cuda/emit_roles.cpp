#include "backend/cuda/kernel_emitter.h"

namespace tessera::cuda {

std::string KernelEmitter::by_one_thread() { return alone_ ? "" : fmt::format("if ({} == 0) ", thread()); }

// The threads of the role that copies stand behind the others.
void KernelEmitter::emit_roles(const Roles& r) {
    const auto registers = [&](const char* change, std::int64_t count) {
        if (count > 0) lines_.add(fmt::format("{}<{}>();", scalars_.call(change), count));
    };
    lines_.open(fmt::format("if ({}({} / 128) == {}) {{", scalars_.call("uniform"), thread(), kernel_.threads / 128));
    registers("reg_dealloc", r.producer_registers);
    lines_.open(fmt::format("if ({} == {}) {{", thread(), kernel_.threads));
    alone_ = true;
    emit(*r.copies);
    alone_ = false;
    lines_.close();
    lines_.otherwise();
    registers("reg_alloc", r.consumer_registers);
    in_role_ = true;
    emit(*r.rest);
    in_role_ = false;
    lines_.close();
}

void KernelEmitter::emit_tiles(const Tiles& t) {
    Expr all = index_number(1);
    for (const Axis& a : kernel_.grid) all = product_of(all, a.extent);
    constexpr std::int64_t most_blocks = 1 << 16;  // at once
    reach_.note(index_sum(all, index_number(most_blocks)));
    reach_.add_variable(t.round, reach_.most(all));
    environment_.add_range(t.round, all);
    const std::string end = lines_.fresh("tiles"), block = lines_.fresh("tile"), value = scalars_.index(all);
    lines_.add(fmt::format("const {} {} = {};", index_type_, end, value));
    const std::string& round = declare(t.round);
    const std::string at = fmt::format("{}() + {} * {}()", scalars_.call("cta_x"), round, scalars_.call("grid_x"));
    lines_.open(fmt::format("for ({0} {1} = 0; {2} < {3}; ++{1}) {{", index_type_, round, at, end));
    lines_.add(fmt::format("const {} {} = {};", index_type_, block, at));
    decode(kernel_.grid, block);
    emit(*t.body);
    lines_.close();
}

// Of a fresh barrier the phase before the first is over.
void KernelEmitter::emit_acquire(const Acquire& a) {
    const Expr turn = simplify_index(make_op(Op::div, DType::i64, {a.token, index_number(a.ring)}));
    lines_.add(fmt::format("{}(smem + {} + {}, static_cast<u32>({}) & 1u ^ 1u);", scalars_.call("mbar_wait"),
                           plan_.released.at(a.stages[0]), slot(a.token, a.ring), scalars_.index(turn)));
}

void KernelEmitter::emit_release(const Release& r) {
    const std::string at = slot(r.token, r.ring);
    lines_.open(fmt::format("if ({} % 32 == 0) {{", thread()));
    lines_.add(fmt::format("{}(smem + {} + {});", scalars_.call("mbar_arrive"), plan_.released.at(r.stages[0]), at));
    lines_.close();
}

}  // namespace tessera::cuda
