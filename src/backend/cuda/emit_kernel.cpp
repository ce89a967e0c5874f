#include "backend/cuda/kernel_emitter.h"

#include <cctype>

namespace tessera::cuda {

// Types of parameters and variables are blocks of the device text as functions are.
static bool names_type(const std::string& text, const std::string& type) {
    const auto is_word = [&](size_t at) { return std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_'; };
    for (size_t at = text.find(type); at != std::string::npos; at = text.find(type, at + 1))
        if ((at == 0 || !is_word(at - 1)) && (at + type.size() == text.size() || !is_word(at + type.size()))) return true;
    return false;
}

EmittedKernel KernelEmitter::run() {
    for (const char* word : {"tid", "smem", "p", "t", "block", "upper", "a", "b", "c", "d", "e", "h", "i", "j", "k"})
        (void)lines_.fresh(word);
    lines_.open("");
    grid();
    if (plan_.bytes > 0) lines_.add(fmt::format("const u32 smem = {}();", scalars_.call("smem_base")));
    start_rings(lines_, scalars_, plan_, {kernel_.threads / 32, out_.cluster});
    emit(*kernel_.body);
    // The others still write to the shared memory of this block.
    if (out_.cluster > 1) lines_.add(fmt::format("{}();", scalars_.call("cluster_sync")));
    lines_.close("}");
    out_.reach = reach_.result();
    std::vector<std::string> params;
    for (const KernelParam& p : out_.params) params.push_back(fmt::format("{} {}", p.type, p.name));
    std::string body = lines_.text();
    body.erase(0, body.find('\n') + 1);
    out_.text = fmt::format("extern \"C\" TSR_KERNEL({}, {}) {}{}({}) {{\n{}", out_.threads, kernel_.min_ctas,
                            out_.cluster > 1 ? fmt::format("TSR_CLUSTER({}) ", out_.cluster) : "", out_.name,
                            fmt::join(params, ", "), body);
    for (const DType t : {DType::f16, DType::bf16, DType::f8e4m3, DType::f8e5m2})
        if (names_type(out_.text, cuda_type(t))) out_.functions.insert(cuda_type(t));
    return std::move(out_);
}

std::string KernelEmitter::variable(const Expr& v) {
    const auto found = names_.find(v.get());
    TESSERA_CHECK(found != names_.end(), fmt::format("variable {} has no text", tile::name_of(v)));
    return found->second;
}

Expr KernelEmitter::parameter(KernelParam wanted, const std::string& type) {
    for (size_t i = 0; i < out_.params.size(); ++i) {
        const KernelParam& p = out_.params[i];
        if (p.kind == wanted.kind && p.index == wanted.index && p.axis == wanted.axis && p.dim.same_as(wanted.dim))
            return param_exprs_[i];
    }
    wanted.name = lines_.fresh(wanted.name);
    wanted.type = type;
    param_exprs_.push_back(make_variable(wanted.name, DType::i64));
    names_[param_exprs_.back().get()] = wanted.name;
    out_.params.push_back(std::move(wanted));
    return param_exprs_.back();
}

std::string KernelEmitter::extent(const Expr& e) {
    reach_.note(e);
    return variable(parameter({KernelParam::Kind::extent, 0, 0, e, e->dim().name() + "_extent", ""}, index_type_));
}

void KernelEmitter::grid() {
    Expr total = index_number(1);
    for (const Axis& a : kernel_.grid) {
        total = product_of(total, a.extent);
        out_.grid.push_back(a.extent);
        environment_.add_range(a.variable, a.extent);
    }
    for (const Axis& a : kernel_.cluster) {
        out_.grid.push_back(a.extent);
        environment_.add_range(a.variable, a.extent);
        reach_.add_variable(a.variable, reach_.most(a.extent));
        lines_.add(fmt::format("const {0} {1} = static_cast<{0}>({2}());", index_type_, declare(a.variable),
                               scalars_.call("cluster_rank")));
    }
    if (kernel_.grid.empty() || kernel_.persistent) return;
    lines_.add(fmt::format("const {} block = {};", index_type_, of_clusters("cta_x")));
    decode(kernel_.grid, "block");
}

void KernelEmitter::decode(const std::vector<Axis>& axes, const std::string& position) {
    std::string inner;
    for (size_t i = axes.size(); i-- > 0;) {
        reach_.add_variable(axes[i].variable, reach_.most(axes[i].extent));
        const std::string size = i > 0 ? scalars_.index(axes[i].extent) : "";
        std::string value = inner.empty() ? position : fmt::format("{} / ({})", position, inner);
        if (i > 0) value += fmt::format(" % {}", size);
        lines_.add(fmt::format("const {} {} = {};", index_type_, declare(axes[i].variable), value));
        inner = inner.empty() ? size : fmt::format("{} * {}", inner, size);
    }
}

void KernelEmitter::emit(const Statement& s) {
    match(
        s.node,
        [&](const Sequence& q) {
            for (const StatementPtr& child : q.statements) emit(*child);
        },
        [&](const For& f) {
            if (emit_whole(s) || emit_vector(s) || emit_pair(s)) return;
            environment_.add_range(f.variable, f.extent);
            const auto rounds = integer_constant(environment_.resolved(f.extent));
            const std::string end = scalars_.index(f.extent);
            reach_.note(f.extent);
            reach_.add_variable(f.variable, reach_.most(f.extent));
            // Else ptxas moves the first sums' stores between the products.
            if (const auto sums = sums_in_flight(*f.body); sums && arrays_.count(*sums) != 0) hold_sums(*sums);
            if (f.unrolled || (rounds && *rounds <= 64 && uses_registers(*f.body))) lines_.add("TSR_UNROLL");
            const std::string& name = declare(f.variable);
            lines_.open(fmt::format("for ({2} {0} = 0; {0} < {1}; ++{0}) {{", name, end, index_type_));
            emit(*f.body);
            lines_.close();
        },
        [&](const Let& l) {
            environment_.add_let(l.variable, l.value);
            const std::string value = scalars_.index(l.value);
            reach_.note(l.value);
            reach_.add_value(l.variable, l.value);
            lines_.add(fmt::format("const {} {} = {};", index_type_, declare(l.variable), value));
            emit(*l.body);
        },
        [&](const If& i) {
            if (whole_ && whole_->guards.count(&s) != 0) return emit(*i.body);
            lines_.open(fmt::format("if ({}) {{", scalars_.index(i.condition)));
            emit(*i.body);
            lines_.close();
        },
        [&](const Spread& p) { emit_spread(p); }, [&](const Alloc& a) { emit_alloc(a); },
        [&](const Assign& a) { emit_assign(a); }, [&](const Combine& c) { emit_combine(c); },
        [&](const tile::Mma& m) { emit_product(m); }, [&](const AsyncCopy& c) { emit_copy(c); },
        [&](const InBuffer& b) {
            SharedMemory& memory = shared_.at(b.stage);
            const SharedMemory outside = memory;
            memory.begin = b.begin;
            memory.base = lines_.fresh(stage(b.stage).name + "_at");
            const std::string index = scalars_.index(b.index);
            lines_.add(fmt::format("const u32 {} = smem + {} + static_cast<u32>({}) * {};", memory.base,
                                   plan_.offsets.at(b.stage), index, tile::buffer_bytes(program_, *memory.alloc)));
            emit(*b.body);
            shared_.at(b.stage) = outside;
        },
        [&](const BoxCopy& c) { emit_box(c); }, [&](const tile::BoxStore& b) { emit_put(b); },
        [&](const tile::Reclaim&) {
            lines_.add(fmt::format("if ({} % 128 == 0) {}<0>();", thread(), scalars_.call("tma_store_wait_read")));
        },
        [&](const Roles& r) { emit_roles(r); }, [&](const Tiles& t) { emit_tiles(t); },
        [&](const Acquire& a) { emit_acquire(a); }, [&](const Release& r) { emit_release(r); },
        [&](const tile::TakeTurn&) { emit_take_turn(); }, [&](const tile::PassTurn&) { emit_pass_turn(); },
        [&](const Fence&) { lines_.add(fmt::format("{}();", scalars_.call("fence_proxy_async"))); },
        [&](const tile::Settle& w) {
            lines_.add(fmt::format("{}<0>();", scalars_.call("wgmma_wait")));
            hold_sums(w.stage);
            flying_.reset();
        },
        [&](const Commit& c) {
            if (c.bytes == 0) return lines_.add(fmt::format("{}();", scalars_.call("cp_async_commit")));
            full_ = lines_.fresh("full");
            lines_.add(fmt::format("const u32 {} = {};", full_, ring_barrier(c.stages[0], c.token)));
            lines_.add(fmt::format("{}{}({}, {});", by_one_thread(), scalars_.call("mbar_expect_tx"), full_, c.bytes));
        },
        [&](const Await& a) {
            if (a.ring > 0) {
                const Expr turn = simplify_index(make_op(Op::div, DType::i64, {a.token, index_number(a.ring)}));
                return lines_.add(fmt::format("{}({}, static_cast<u32>({}) & 1u);", scalars_.call("mbar_wait"),
                                              ring_barrier(a.stages[0], a.token), scalars_.index(turn)));
            }
            lines_.add(fmt::format("{}<{}>();", scalars_.call("cp_async_wait"), a.in_flight.value()));
        },
        [&](const Barrier& b) {
            if (b.over == Scope::member) return emit_group_barrier();
            if (in_role_ && b.over == Scope::thread) return emit_role_barrier();
            lines_.add(fmt::format("{}();", scalars_.call(b.over == Scope::lane ? "sync_warp" : "sync_cta")));
        });
}

bool KernelEmitter::uses_registers(const Statement& s) const {
    bool found = false;
    const auto* a = std::get_if<Assign>(&s.node);
    if (a && registers_.count(a->stage) != 0) return true;
    for_each_node(expressions(s), [&](const Expr& n) {
        if (n->op != Op::access || !n->target().func) return;
        const auto i = program_.bound.graph.find(n->target().func.get());
        found = found || (i && registers_.count(*i) != 0);
    });
    for (const StatementPtr& child : children(s)) found = found || uses_registers(*child);
    return found;
}

void KernelEmitter::emit_spread(const Spread& p) {
    for (const Axis& a : p.axes) environment_.add_range(a.variable, a.extent);
    const std::int64_t group = p.over == Scope::warpgroup || p.over == Scope::member ? 128 : 32;
    const std::int64_t available = p.over == Scope::member      ? 128
                                   : p.over == Scope::warpgroup ? kernel_.threads / 128
                                   : p.over == Scope::lane      ? 32
                                   : p.over == Scope::warp      ? kernel_.threads / 32
                                                                : kernel_.threads;
    std::string own =
        p.over == Scope::thread ? thread() : fmt::format("{} {} {}", thread(), inside_of(p.over) ? "/" : "%", group);
    if (p.over == Scope::thread || inside_of(p.over)) own = in_consumer(std::move(own), available);
    // All lanes have the same, which ptxas does not see: descriptors of factors then stay in uniform registers.
    if (p.over == Scope::warpgroup) own = fmt::format("{}({})", scalars_.call("uniform"), own);
    const size_t before = dealt_.size();
    for (DealtAxis& a : dealt_axes(p, kernel_.threads, environment_)) dealt_.push_back(std::move(a));
    const auto total = positions(p.axes, environment_);
    const std::string position = lines_.fresh("p");
    if (total && *total <= available) {
        lines_.open(*total == available ? "{" : fmt::format("if ({} < {}) {{", own, *total));
        // Of one position the number is known, so that indices of registers are.
        if (!p.axes.empty()) lines_.add(fmt::format("const int {} = {};", position, *total == 1 ? "0" : own));
    } else {
        Expr all = index_number(1);
        for (const Axis& a : p.axes) all = product_of(all, a.extent);
        const std::string end = scalars_.index(all);
        reach_.note(index_sum(all, index_number(available)));
        lines_.open(fmt::format("for ({0} {1} = {2}; {1} < {3}; {1} += {4}) {{", total ? "int" : index_type_, position, own, end,
                                available));
    }
    decode(p.axes, position);
    emit(*p.body);
    lines_.close();
    dealt_.resize(before);
}

void KernelEmitter::emit_alloc(const Alloc& a) {
    const Stage& s = stage(a.stage);
    if (a.space == Space::register_) {
        registers_[a.stage] = &a;
        const std::int64_t cells = cells_of(own_extent(a));
        std::vector<std::string>& arrays = arrays_[a.stage];
        arrays.clear();
        for (const DType t : s.dtypes) {
            arrays.push_back(lines_.fresh(s.name));
            if (packed_.count(a.stage) != 0)
                lines_.add(fmt::format("u32 {}[{}];", arrays.back(), cells / 2));
            else
                lines_.add(fmt::format("{} {}[{}];", cuda_type(t), arrays.back(), cells));
        }
    } else {
        shared_[a.stage] = {&a, a.begin, fmt::format("smem + {}", plan_.offsets.at(a.stage))};
    }
    emit(*a.body);
    registers_.erase(a.stage);
    shared_.erase(a.stage);
}

void KernelEmitter::emit_copy(const AsyncCopy& c) {
    if (c.whole.defined()) lines_.open(fmt::format("if ({}) {{", scalars_.index(c.whole)));
    const Address to = address(c.stage, 0, c.place);
    const std::vector<Expr> place(c.source->args.begin(),
                                  c.source->args.begin() + static_cast<std::ptrdiff_t>(c.source->index_count()));
    const Address from = source(c.source, place);
    lines_.add(fmt::format("{}({}, {}, true);", scalars_.call(fmt::format("cp_async{}", c.cells * dtype_bytes(c.source->dtype))),
                           filled_pattern(to.pointer, {scalars_.index(to.offset)}),
                           filled_pattern(from.pointer, {scalars_.index(from.offset)})));
    if (!c.whole.defined()) return;
    lines_.otherwise();
    emit(*c.otherwise);
    lines_.close();
}

std::string KernelEmitter::slot(const Expr& token, std::int64_t ring) {
    const Expr number = simplify_index(make_op(Op::mod, DType::i64, {token, index_number(ring)}));
    return fmt::format("static_cast<u32>({}) * 8", scalars_.index(number));
}

std::string KernelEmitter::ring_barrier(size_t stage, const Expr& token) {
    const auto& [begin, count] = plan_.rings.at(stage);
    return fmt::format("smem + {} + {}", begin, slot(token, count));
}

std::string KernelEmitter::map_name(BoxMap map, const std::string& of) {
    const auto known = std::find(out_.maps.begin(), out_.maps.end(), map);
    const auto number = static_cast<size_t>(known - out_.maps.begin());
    if (known == out_.maps.end()) out_.maps.push_back(std::move(map));
    return variable(parameter({KernelParam::Kind::tensor_map, number, 0, {}, of + "_map", ""}, "TSR_GRID_CONST TensorMap"));
}

void KernelEmitter::emit_box(const BoxCopy& c) {
    const SharedMemory& memory = shared_.at(c.stage);
    const DType dtype = stage(c.stage).dtypes[0];
    const std::vector<std::int64_t>& extent = memory.alloc->extent;
    const size_t rank = c.source->index_count();
    const std::int64_t boxes = memory.alloc->boxed ? extent[0] : 1;
    std::vector<std::int64_t> box(extent.rbegin(), extent.rend());
    if (memory.alloc->boxed) box.pop_back();
    box.resize(rank, 1);
    // A part of the rows, whole patterns of the swizzle.
    const std::string own = c.parts > 1 ? variable(kernel_.cluster[0].variable) : "";
    if (c.parts > 1) box[1] /= c.parts;
    const std::int64_t rows = box[1], columns = box[0];
    const std::string name = map_name({false, argument_of(program_, *c.source->target().input), std::move(box),
                                       memory.alloc->swizzled ? static_cast<int>(extent.back() * dtype_bytes(dtype)) : 0},
                                      c.source->target().input->name);
    std::string outer;
    for (size_t d = rank - 1; d-- > 0;) {
        outer += fmt::format(", static_cast<int>({})", scalars_.index(c.source->args[d]));
        if (d + 2 == rank && c.parts > 1) outer += fmt::format(" + {} * {}", own, rows);
    }
    const std::string first = fmt::format("static_cast<int>({})", scalars_.index(c.source->args[rank - 1]));
    for (std::int64_t i = 0; i < boxes; ++i) {
        const std::string at = i == 0 ? first : fmt::format("{} + {}", first, i * columns);
        const std::string to =
            i == 0 ? memory.base : fmt::format("{} + {}", memory.base, i * rows * columns * dtype_bytes(dtype));
        if (c.parts == 1) {
            lines_.add(fmt::format("{}{}({}, &{}, {}, {}{});", by_one_thread(), scalars_.call(fmt::format("tma_load_{}d", rank)),
                                   to, name, full_, at, outer));
            continue;
        }
        const std::int64_t bytes = tile::buffer_bytes(program_, *memory.alloc) / c.parts;
        lines_.add(fmt::format("{}{}({} + static_cast<u32>({}) * {}, &{}, {}, {}{}, {});", by_one_thread(),
                               scalars_.call(fmt::format("tma_load_{}d_multicast", rank)), to, own, bytes, name, full_, at, outer,
                               (1 << c.parts) - 1));
    }
}

void KernelEmitter::emit_assign(const Assign& a) {
    const Stage& s = stage(a.stage);
    if (packed_.count(a.stage) != 0 && registers_.count(a.stage) != 0) {
        const Address to = address(a.stage, 0, a.place);
        const bool wide = is_packed_wide(a);
        const std::string value = scalars_.value(wide ? a.values[0]->args[0] : a.values[0]);
        TESSERA_CHECK(!pair_.empty(), fmt::format("one cell of {} is stored alone", s.name));
        const std::string pack = wide ? scalars_.call(s.dtypes[0] == DType::f16 ? "pack_f16x2" : "pack_bf16x2") : "";
        lines_.add(fmt::format("{}[{}] = {};", pair_, pair_cell_, value));
        lines_.add(fmt::format("if ({} == 1) {}[({}) / 2] = {};", pair_cell_, arrays_.at(a.stage)[0], scalars_.index(to.offset),
                               wide ? fmt::format("{0}({1}[0], {1}[1])", pack, pair_)
                                    : fmt::format("static_cast<u32>({0}[0].x) | static_cast<u32>({0}[1].x) << 16", pair_)));
        return;
    }
    if (&a == vector_store_) return lines_.add(fmt::format("{}.v[{}] = {};", stored_, round_, scalars_.value(a.values[0])));
    std::vector<Expr> exprs = a.values;
    if (a.atomic) exprs = {operand_of(s, a.values[0])};
    std::vector<Address> addresses;
    const size_t values = exprs.size();
    std::vector<std::string> texts = scalars_.values(exprs);
    for (size_t c = 0; c < s.dtypes.size(); ++c) {
        addresses.push_back(address(a.stage, c, a.place));
        texts.push_back(scalars_.index(addresses.back().offset));
    }
    std::vector<std::string> stored;
    for (size_t c = 0; c < values; ++c) {
        // All values are computed before the first is stored.
        stored.push_back(texts[c]);
        if (values > 1) {
            stored.back() = lines_.fresh("t");
            lines_.add(fmt::format("const {} {} = {};", cuda_type(s.dtypes[c]), stored.back(), texts[c]));
        }
    }
    for (size_t c = 0; c < values; ++c) {
        const std::string at = texts[values + c];
        if (a.atomic)
            emit_atomic(s, addresses[c], at, stored[c]);
        else
            lines_.add(filled_pattern(addresses[c].store, {at, stored[c]}));
    }
}

std::vector<EmittedKernel> emit_kernels(const Program& program, const std::string& prefix, IndexWidth width) {
    std::vector<EmittedKernel> out;
    for (const Kernel& k : program.kernels) {
        out.push_back(KernelEmitter(program, k, prefix + "_" + k.name, width).run());
        if (width == IndexWidth::narrow && !out.back().reach.known) return emit_kernels(program, prefix, IndexWidth::wide);
        out.back().width = width;
    }
    return out;
}

std::string cuda_source(const std::vector<EmittedKernel>& kernels, const Target& target, const std::string& comment) {
    std::set<std::string> functions;
    for (const EmittedKernel& k : kernels) functions.insert(k.functions.begin(), k.functions.end());
    std::string out;
    for (size_t at = 0; at < comment.size();) {
        const size_t end = std::min(comment.find('\n', at), comment.size());
        out += "// " + comment.substr(at, end - at) + "\n";
        at = end + 1;
    }
    out += device_prelude(functions, target.arch) + "\nnamespace tsr {\n";
    for (const EmittedKernel& k : kernels) out += "\n" + k.text;
    return out + "\n}  // namespace tsr\n";
}

}  // namespace tessera::cuda
