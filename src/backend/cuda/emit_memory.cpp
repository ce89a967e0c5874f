#include "backend/cuda/kernel_emitter.h"

namespace tessera::cuda {

Expr KernelEmitter::linear(const std::vector<Expr>& index, const std::vector<Expr>& strides) {
    Expr out = index_number(0);
    for (size_t d = 0; d < index.size(); ++d)
        out = make_op(Op::add, DType::i64, {out, make_op(Op::mul, DType::i64, {index[d], strides[d]})});
    return simplify_index(out);
}

Expr KernelEmitter::place_in_group(const std::vector<Expr>& index) {
    const auto op = [](Op o, const Expr& a, std::int64_t b) { return make_op(o, DType::i64, {a, index_number(b)}); };
    const Expr &row = index[index.size() - 2], &column = index.back();
    return simplify_index(make_op(
        Op::add, DType::i64,
        {make_op(Op::add, DType::i64, {op(Op::mul, op(Op::div, column, 2), 4), op(Op::mul, row, 2)}), op(Op::mod, column, 2)}));
}

std::string KernelEmitter::swizzled_pattern(const Alloc& a) {
    const tile::RowSwizzle rows = tile::swizzle_of(a.extent.back() * dtype_bytes(stage(a.stage).dtypes[0])).value();
    return fmt::format("{}<{}, {}>(static_cast<u32>({{0}}))", scalars_.call("swizzled"), rows.row_bits + rows.shift, rows.mask);
}

std::vector<Expr> KernelEmitter::dense(const std::vector<Expr>& extent) {
    std::vector<Expr> strides(extent.size(), index_number(1));
    for (size_t d = extent.size(); d-- > 1;) strides[d - 1] = product_of(strides[d], extent[d]);
    return strides;
}

std::vector<Expr> KernelEmitter::numbers(const std::vector<std::int64_t>& values) {
    std::vector<Expr> out;
    for (const std::int64_t v : values) out.push_back(index_number(v));
    return out;
}

std::vector<Expr> KernelEmitter::relative(const std::vector<Expr>& place, const std::vector<Expr>& begin) {
    std::vector<Expr> out;
    for (size_t d = 0; d < place.size(); ++d) out.push_back(index_difference(place[d], begin[d]));
    return out;
}

Address KernelEmitter::address(size_t i, size_t component, const std::vector<Expr>& place) {
    const Stage& s = stage(i);
    const std::string type = cuda_type(s.dtypes[component]);
    Address out;
    if (const auto own = registers_.find(i); own != registers_.end()) {
        const auto index = own_index(*own->second, place, dealt_, environment_);
        TESSERA_CHECK(index.has_value(), fmt::format("a thread uses registers of another for {}", s.name));
        out.offset =
            grouped_sums_.count(i) != 0 ? place_in_group(*index) : linear(*index, dense(numbers(own_extent(*own->second))));
        const std::string& array = arrays_.at(i)[component];
        out.load = array + "[{0}]";
        out.store = array + "[{0}] = {1};";
        return out;
    }
    if (const auto shared = shared_.find(i); shared != shared_.end()) {
        const Alloc& a = *shared->second.alloc;
        std::int64_t before = 0, cells = 1;
        for (const std::int64_t e : a.extent) cells *= e;
        for (size_t c = 0; c < component; ++c) before += (cells * dtype_bytes(s.dtypes[c]) + 15) / 16 * 16;
        const Expr bytes = product_of(linear(relative(place, shared->second.begin), dense(numbers(a.extent))),
                                      index_number(dtype_bytes(s.dtypes[component])));
        out.offset = index_sum(bytes, index_number(before));
        out.pointer = shared->second.base + " + " + (a.swizzled ? swizzled_pattern(a) : "static_cast<u32>({0})");
        out.load = fmt::format("{}<{}>({})", scalars_.call("lds"), type, out.pointer);
        out.store = fmt::format("{}<{}>({}, {{1}});", scalars_.call("sts"), type, out.pointer);
        out.shared = true;
        return out;
    }
    std::string pointer;
    if (s.output) {
        pointer = variable(parameter({KernelParam::Kind::output, *s.output, component, {}, s.name, ""}, type + "*"));
        for (size_t d = 0; d < place.size(); ++d)
            out.strides.push_back(stride(KernelParam::Kind::output_stride, *s.output, d, place.size(), s.name));
        out.offset = linear(place, out.strides);
    } else {
        const auto scratch =
            std::find_if(program_.scratch.begin(), program_.scratch.end(), [&](const Scratch& each) { return each.stage == i; });
        TESSERA_CHECK(scratch != program_.scratch.end(), fmt::format("{} has no memory", s.name));
        const auto number = static_cast<size_t>(scratch - program_.scratch.begin());
        pointer = variable(parameter({KernelParam::Kind::scratch, number, component, {}, s.name, ""}, type + "*"));
        out.strides = dense(scratch->extent);
        out.offset = linear(relative(place, scratch->begin), out.strides);
    }
    global(out, pointer, type);
    return out;
}

Expr KernelEmitter::stride(KernelParam::Kind kind, size_t index, size_t axis, size_t rank, const std::string& name) {
    if (axis + 1 == rank) return index_number(1);
    const Expr out = parameter({kind, index, axis, {}, fmt::format("{}_stride{}", name, axis), ""}, index_type_);
    reach_.add_stride(out, kind, index, axis, rank);
    return out;
}

void KernelEmitter::global(Address& out, const std::string& pointer, const std::string& type) {
    out.base = pointer;
    out.pointer = pointer + " + {0}";
    out.load = fmt::format("{}({} + {{0}})", scalars_.call("ldg"), pointer);
    // The type is named: an index of 32 bits may be what is stored as one of 64.
    out.store = fmt::format("{}<{}>({} + {{0}}, {{1}});", scalars_.call("stg"), type, pointer);
}

std::pair<std::string, Expr> KernelEmitter::read(const Expr& access, const std::vector<Expr>& place) {
    const Address a = source(access, place);
    if (const auto cells = loaded_.find(access.get()); cells != loaded_.end())
        return {fmt::format("{}.v[{}]", cells->second, round_), index_number(0)};
    return {a.load, a.offset};
}

Address KernelEmitter::source(const Expr& access, const std::vector<Expr>& place) {
    if (access->target().func) {
        const auto i = program_.bound.graph.find(access->target().func.get());
        if (packed_.count(i.value()) != 0 && registers_.count(i.value()) != 0)
            throw Limit(L0903_schedule, stage(*i).where,
                        fmt::format("{} is read, and is packed for a product of warpgroups", stage(*i).name),
                        {fix("read what it was rounded from")});
        return address(i.value(), static_cast<size_t>(access->component()), place);
    }
    const InputState& input = *access->target().input;
    const auto& arguments = program_.bound.graph.algorithm.arguments();
    const auto found =
        std::find_if(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.state().get() == &input; });
    const auto number = static_cast<size_t>(found - arguments.begin());
    const std::string type = cuda_type(input.dtype);
    if (input.scalar) return {{}, variable(parameter({KernelParam::Kind::scalar, number, 0, {}, input.name, ""}, type)), {}, {}};
    const std::string pointer = variable(
        parameter({KernelParam::Kind::input, number, 0, {}, input.name, ""}, fmt::format("const {}* __restrict__", type)));
    std::vector<Expr> strides;
    for (size_t d = 0; d < place.size(); ++d)
        strides.push_back(stride(KernelParam::Kind::input_stride, number, d, place.size(), input.name));
    Address a;
    global(a, pointer, type);
    a.offset = linear(place, strides);
    a.strides = std::move(strides);
    return a;
}

Expr KernelEmitter::boundary_extent(const Expr& access, size_t d) {
    const AccessTarget& t = access->target();
    return resolve_weak(Expr((t.input ? t.input->dims : t.func->dims)[d].extent()), DType::i64, {});
}

}  // namespace tessera::cuda
