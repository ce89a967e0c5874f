#include "backend/cuda/kernel_emitter.h"

namespace tessera::cuda {

bool KernelEmitter::is_global(size_t i) const {
    if (registers_.count(i) != 0 || shared_.count(i) != 0) return false;
    if (stage(i).output) return true;
    const auto scratch =
        std::find_if(program_.scratch.begin(), program_.scratch.end(), [&](const Scratch& each) { return each.stage == i; });
    return scratch != program_.scratch.end() && !scratch->begin.empty() && integer_constant(scratch->begin.back()) == 0;
}

bool KernelEmitter::is_boxed(size_t i) const {
    const auto found = shared_.find(i);
    return found != shared_.end() && found->second.alloc->grouped;
}

bool KernelEmitter::emit_whole(const Statement& s) {
    if (whole_ || is_guarded_nest_) return false;
    const auto nest = whole_nest(program_, s, environment_,
                                 {[this](size_t i) { return is_global(i); }, [this](size_t i) { return is_boxed(i); },
                                  [this](size_t i) { return registers_.count(i) != 0; }});
    if (!nest) return false;
    std::set<std::string> conditions;
    if (nest->condition.defined()) conditions.insert(scalars_.index(nest->condition));
    for (const auto& [loop, v] : nest->vectors) {
        const Stage& stored = stage(v.store->stage);
        if (is_global(v.store->stage))
            conditions.insert(aligned(address(v.store->stage, 0, v.store->place), v.cells, stored.dtypes[0]));
        for (const Expr& load : v.loads) conditions.insert(aligned(source(load, place_of(load)), v.cells, load->dtype));
    }
    const bool always = conditions.empty();
    lines_.open(always ? "{" : fmt::format("if ({}) {{", fmt::join(conditions, " && ")));
    whole_ = &*nest;
    emit(s);
    whole_ = nullptr;
    if (always) {
        lines_.close();
        return true;
    }
    lines_.otherwise();
    is_guarded_nest_ = true;
    emit(s);
    is_guarded_nest_ = false;
    lines_.close();
    return true;
}

std::string KernelEmitter::aligned(const Address& a, std::int64_t cells, DType dtype) {
    std::string words = fmt::format("reinterpret_cast<u64>({})", a.base);
    for (size_t d = 0; d + 1 < a.strides.size(); ++d) {
        // A parameter, or in memory of the kernel's own a product of extents.
        const bool own = a.strides[d]->op == Op::variable;
        words += fmt::format(" | static_cast<u64>({}) * {}", own ? variable(a.strides[d]) : scalars_.index(a.strides[d]),
                             dtype_bytes(dtype));
    }
    return fmt::format("({}) % {} == 0", words, cells * dtype_bytes(dtype));
}

std::vector<Expr> KernelEmitter::place_of(const Expr& access) {
    return {access->args.begin(), access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count())};
}

bool KernelEmitter::emit_vector(const Statement& s) {
    const auto found = whole_ ? whole_->vectors.find(&s) : std::map<const Statement*, tile::VectorLoop>::const_iterator{};
    if (!whole_ || found == whole_->vectors.end()) return false;
    const tile::VectorLoop& v = found->second;
    const For& f = std::get<For>(s.node);
    environment_.add_range(f.variable, f.extent);
    for (const Statement* at = f.body.get(); !std::holds_alternative<Assign>(at->node); at = children(*at)[0].get())
        if (const auto* let = std::get_if<Let>(&at->node)) environment_.add_let(let->variable, let->value);
    const auto first_of = [&](const Address& a) {
        return simplify_index(substitute(environment_.resolved(a.offset), {{f.variable.get(), index_number(0)}}));
    };
    const auto vector = [&](const Address& a, DType dtype, const char* constant) {
        return fmt::format("reinterpret_cast<{}{}<{}, {}>*>({} + {})", constant, scalars_.call("Vec"), cuda_type(dtype), v.cells,
                           a.base, scalars_.index(first_of(a)));
    };
    for (const Expr& load : v.loads) {
        const std::string name = lines_.fresh("cells");
        lines_.add(fmt::format("const {}<{}, {}> {} = {}({});", scalars_.call("Vec"), cuda_type(load->dtype), v.cells, name,
                               scalars_.call("ldg"), vector(source(load, place_of(load)), load->dtype, "const ")));
        loaded_[load.get()] = name;
    }
    const DType dtype = stage(v.store->stage).dtypes[0];
    stored_ = lines_.fresh("cells");
    lines_.add(fmt::format("{}<{}, {}> {};", scalars_.call("Vec"), cuda_type(dtype), v.cells, stored_));
    lines_.add("TSR_UNROLL");
    round_ = declare(f.variable);
    reach_.add_variable(f.variable, reach_.most(f.extent));
    lines_.open(fmt::format("for ({2} {0} = 0; {0} < {1}; ++{0}) {{", round_, v.cells, index_type_));
    vector_store_ = v.store;
    emit(*f.body);
    vector_store_ = nullptr;
    lines_.close();
    const Address to = address(v.store->stage, 0, v.store->place);
    if (to.shared) {
        const std::string at = scalars_.index(first_of(to));
        lines_.add(fmt::format("{}({}, {});", scalars_.call("sts"), filled_pattern(to.pointer, {at}), stored_));
    } else {
        lines_.add(fmt::format("{}({}, {});", scalars_.call("stg"), vector(to, dtype, ""), stored_));
    }
    loaded_.clear();
    return true;
}

}  // namespace tessera::cuda
