#include "backend/cuda/kernel_emitter.h"

namespace tessera::cuda {

Expr KernelEmitter::operand_of(const Stage& s, const Expr& value) {
    const auto is_self = [&](const Expr& e) { return e->op == Op::access && e->target().func == s.func; };
    TESSERA_CHECK(value->args.size() == 2 && (is_self(value->args[0]) || is_self(value->args[1])),
                  fmt::format("the update of {} is no operation on its cell", s.name));
    return value->args[is_self(value->args[0]) ? 1 : 0];
}

void KernelEmitter::emit_atomic(const Stage& s, const Address& to, const std::string& at, const std::string& value) {
    const std::string& monoid = s.update->monoid->name;
    const std::string verb = monoid == "sum" ? "atom_add" : "atom_" + monoid;
    const DType t = s.dtypes[0];
    if (to.shared) {
        const DType only = monoid == "sum" ? DType::u32 : DType::i32;
        if (t != only && !(monoid == "sum" && t == DType::i32))
            throw Limit(
                L0901_not_on_target, s.where,
                fmt::format("{} is updated atomically in shared memory, which takes no {} of {}", s.name, monoid, dtype_name(t)),
                {fix("compute it at root"), fix(fmt::format("combine values of {}", dtype_name(only)))});
        const std::string as = cuda_type(only);
        lines_.add(fmt::format("{}({}, static_cast<{}>({}));", scalars_.call(verb + "_shared"), filled_pattern(to.pointer, {at}),
                               as, value));
        return;
    }
    // Two's complement sums are the same for both signs.
    const bool unsigned_sum = monoid == "sum" && t == DType::i64;
    const std::string type = unsigned_sum ? "u64" : cuda_type(t);
    lines_.add(fmt::format("{}<{}>(reinterpret_cast<{}*>({}), static_cast<{}>({}));", scalars_.call(verb), type, type,
                           filled_pattern(to.pointer, {at}), type, value));
}

void KernelEmitter::emit_combine(const Combine& c) {
    const Stage& s = stage(c.stage);
    std::int64_t cells = 1;
    for (const std::int64_t e : own_extent(*registers_.at(c.stage))) cells *= e;
    const std::string cell = lines_.fresh("c");
    if (cells > 1) lines_.add("TSR_UNROLL");
    lines_.open(cells > 1 ? fmt::format("for (int {0} = 0; {0} < {1}; ++{0}) {{", cell, cells) : "{");
    std::vector<std::string> parts;
    for (const std::string& array : arrays_.at(c.stage)) parts.push_back(fmt::format("{}[{}]", array, cells > 1 ? cell : "0"));
    const std::int64_t warps = c.over == Scope::thread ? kernel_.threads / 32 : 1;
    CombineText text(lines_, scalars_, [this](const Expr& v) { return declare(v); });
    if (c.lanes < 32)
        text.write_lanes(s, parts, c.lanes);
    else if (c.before)
        text.write_before(s, parts, warps, plan_.combine);
    else
        text.write(s, parts, warps, plan_.combine);
    lines_.close();
}

FactorText KernelEmitter::factor(const std::string& name, const Expr& access, bool rows_are_summed) {
    const auto i = program_.bound.graph.find(access->target().func.get());
    const auto found = i ? shared_.find(*i) : shared_.end();
    TESSERA_CHECK(found != shared_.end(), "a factor of a product that is not in shared memory");
    const Stage& s = stage(*i);
    const Alloc& a = *found->second.alloc;
    FactorText out{name, found->second.base, "", "", a.extent.back() * dtype_bytes(s.dtypes[0]), {}, rows_are_summed};
    if (out.pitch % 16 != 0)
        throw Error(E0508_storage, s.where, fmt::format("rows of {} take {} bytes of shared memory", s.name, out.pitch),
                    {expected("a multiple of 16, as ldmatrix reads them"),
                     fix(fmt::format("round them up: store.align {} to a multiple of {}", s.dims.back().name(),
                                     16 / dtype_bytes(s.dtypes[0])))});
    if (a.swizzled) out.swizzle = tile::swizzle_of(out.pitch);
    if (a.boxed) out.box_bytes = a.extent[1] * out.pitch;
    const std::vector<Expr> place(access->args.begin(),
                                  access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count()));
    std::vector<Expr> at = relative(place, found->second.begin);
    const Expr column = environment_.resolved(at.back());
    at.back() = index_number(0);
    std::vector<Expr> strides = dense(numbers(a.extent));
    for (Expr& e : strides) e = index_number(std::max<std::int64_t>(1, integer_constant(e).value() / a.extent.back()));
    out.row = scalars_.index(linear(at, strides));
    out.column = scalars_.index(product_of(column, index_number(dtype_bytes(s.dtypes[0]))));
    return out;
}

HeldText KernelEmitter::held_text(const Expr& read, bool grouped) {
    const size_t i = program_.bound.graph.find(read->target().func.get()).value();
    const Alloc& a = *registers_.at(i);
    const auto own = own_fragment(a, place_of(read), dealt_, environment_, grouped);
    TESSERA_CHECK(own.has_value(), "a factor of a product whose registers others own");
    const std::vector<std::int64_t> extent = own_extent(a);
    if (grouped) return {arrays_.at(i)[0], "", 0, read->dtype == DType::f32, packed_.count(i) != 0};
    HeldText out{arrays_.at(i)[0], lines_.fresh("held"), extent.back(), read->dtype == DType::f32};
    lines_.add(
        fmt::format("const int {} = static_cast<int>({});", out.first, scalars_.index(linear(*own, dense(numbers(extent))))));
    return out;
}

void KernelEmitter::emit_product(const tile::Mma& m) {
    const auto own = own_fragment(*registers_.at(m.stage), m.place, dealt_, environment_, m.grouped);
    TESSERA_CHECK(own.has_value(), "a product of fragments whose registers others own");
    const std::vector<std::int64_t> extent = own_extent(*registers_.at(m.stage));
    lines_.open("{");
    ProductText product;
    if (registers_.count(program_.bound.graph.find(left_read(m)->target().func.get()).value()) != 0)
        product.held = held_text(left_read(m), m.grouped);
    else
        product.left = factor("left", m.left, m.left_turned);
    product.right = factor("right", m.right, !m.right_turned);
    product.sums = arrays_.at(m.stage)[0], product.first = lines_.fresh("first"), product.sums_row = extent.back();
    product.m = m.m, product.n = m.n, product.k = m.k, product.dtype = m.right->dtype, product.in_flight = m.in_flight;
    const auto call = [this](const std::string& name) { return scalars_.call(name); };
    if (m.grouped) {
        if (m.fresh.defined()) product.fresh = scalars_.index(m.fresh);
        // In a kernel that is written nothing is in flight where a body begins or ends.
        product.leads = m.in_flight && !flying_ && !stage(m.stage).update;
        write_grouped_product(lines_, call, product);
        // It waits for the one before it.
        if (flying_ && *flying_ != m.stage) hold_sums(*flying_);
        flying_ = m.in_flight ? std::optional(m.stage) : std::nullopt;
        return lines_.close();
    }
    lines_.add(
        fmt::format("const int {} = static_cast<int>({});", product.first, scalars_.index(linear(*own, dense(numbers(extent))))));
    write_product(lines_, call, product);
    lines_.close();
}

std::optional<size_t> KernelEmitter::sums_in_flight(const Statement& s) {
    if (const auto* m = std::get_if<tile::Mma>(&s.node)) return m->in_flight ? std::optional(m->stage) : std::nullopt;
    for (const StatementPtr& child : children(s))
        if (const auto found = sums_in_flight(*child)) return found;
    return std::nullopt;
}

void KernelEmitter::hold_sums(size_t i) {
    hold_registers(
        lines_, [this](const std::string& name) { return scalars_.call(name); }, arrays_.at(i)[0],
        cells_of(own_extent(*registers_.at(i))));
}

bool KernelEmitter::is_packed_wide(const Assign& a) {
    const Expr& value = a.values[0];
    return value->op == Op::cast && value->args[0]->dtype == DType::f32;
}

// for w in [0, 2): let …; packed(…) = value
bool KernelEmitter::emit_pair(const Statement& s) {
    const auto& f = std::get<For>(s.node);
    const Statement* inside = f.body.get();
    while (const auto* l = std::get_if<Let>(&inside->node)) inside = l->body.get();
    const auto* a = std::get_if<Assign>(&inside->node);
    if (!a || packed_.count(a->stage) == 0 || registers_.count(a->stage) == 0 || integer_constant(f.extent) != 2) return false;
    pair_ = lines_.fresh("pair");
    lines_.add(fmt::format("{} {}[2];", is_packed_wide(*a) ? "float" : cuda_type(stage(a->stage).dtypes[0]), pair_));
    environment_.add_range(f.variable, f.extent);
    reach_.add_variable(f.variable, reach_.most(f.extent));
    pair_cell_ = declare(f.variable);
    lines_.add("TSR_UNROLL");
    lines_.open(fmt::format("for ({1} {0} = 0; {0} < 2; ++{0}) {{", pair_cell_, index_type_));
    emit(*f.body);
    lines_.close();
    pair_.clear();
    return true;
}

void KernelEmitter::find_grouped(const Statement& s, std::set<size_t>& out) {
    if (const auto* m = std::get_if<tile::Mma>(&s.node); m && m->grouped) {
        out.insert(m->stage);
        // Of a factor too; memory of the block is none of registers.
        const size_t left = program_.bound.graph.find(left_read(*m)->target().func.get()).value();
        out.insert(left);
        if (dtype_bytes(stage(left).dtypes[0]) == 2) packed_.insert(left);
    }
    for (const StatementPtr& child : children(s)) find_grouped(*child, out);
}

std::int64_t KernelEmitter::cells_of(const std::vector<std::int64_t>& extent) {
    std::int64_t cells = 1;
    for (const std::int64_t e : extent) cells *= e;
    return cells;
}

}  // namespace tessera::cuda
