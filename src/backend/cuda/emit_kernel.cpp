#include "backend/cuda/combine_text.h"
#include "backend/cuda/cuda_source.h"
#include "backend/cuda/device_functions.h"
#include "backend/cuda/product_text.h"
#include "backend/cuda/ring_text.h"
#include "backend/cuda/scalar_text.h"
#include "base/check.h"
#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/async_copy.h"
#include "tile/environment.h"
#include "tile/lower.h"
#include "tile/shared_layout.h"
#include "tile/whole_nest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace tessera::cuda {
namespace {

using tile::Alloc;
using tile::Assign;
using tile::AsyncCopy;
using tile::Await;
using tile::Axis;
using tile::Barrier;
using tile::BoxCopy;
using tile::Combine;
using tile::Commit;
using tile::DealtAxis;
using tile::Environment;
using tile::Fence;
using tile::For;
using tile::If;
using tile::InBuffer;
using tile::Kernel;
using tile::Let;
using tile::Program;
using tile::Scope;
using tile::Scratch;
using tile::Sequence;
using tile::SharedPlan;
using tile::Spread;
using tile::Statement;
using tile::StatementPtr;

/// How a cell of a stage is reached.
struct Address {
    Expr offset;                       // undefined: none
    std::string load, store, pointer;  // patterns: {0} the offset, {1} the value
    bool shared = false;
    std::string base = {};           // of global memory
    std::vector<Expr> strides = {};  // of it, in cells
};

/// Where the cells of a stage in shared memory start: of the buffer that is meant, where there are several.
struct SharedMemory {
    const Alloc* alloc = nullptr;
    std::vector<Expr> begin;
    std::string base;
};

Expr product_of(const Expr& a, const Expr& b) { return simplify_index(make_op(Op::mul, DType::i64, {a, b})); }

class KernelEmitter {
public:
    KernelEmitter(const Program& program, const Kernel& kernel, std::string name)
        : program_(program), kernel_(kernel), plan_(plan_shared(program, kernel)),
          scalars_(lines_, out_.functions,
                   {[this](const Expr& v) { return variable(v); }, [this](const Expr& e) { return extent(e); },
                    [this](const Expr& access, const std::vector<Expr>& place) { return read(access, place); },
                    [](const Expr& access, size_t d) { return boundary_extent(access, d); }}) {
        out_.name = std::move(name);
        out_.threads = kernel.threads;
        out_.shared_bytes = plan_.bytes;
        find_grouped(*kernel.body, grouped_sums_);
    }

    EmittedKernel run() {
        for (const char* word : {"tid", "smem", "p", "t", "block", "upper", "a", "b", "c", "d", "h", "i", "j", "k"})
            (void)lines_.fresh(word);
        lines_.open("");
        grid();
        if (plan_.bytes > 0) lines_.add(fmt::format("const u32 smem = {}();", scalars_.call("smem_base")));
        start_rings(lines_, scalars_, plan_);
        emit(*kernel_.body);
        lines_.close("}");
        std::vector<std::string> params;
        for (const KernelParam& p : out_.params) params.push_back(fmt::format("{} {}", p.type, p.name));
        std::string body = lines_.text();
        body.erase(0, body.find('\n') + 1);
        out_.text = fmt::format("extern \"C\" TSR_KERNEL({}, {}) {}({}) {{\n{}", kernel_.threads, kernel_.min_ctas, out_.name,
                                fmt::join(params, ", "), body);
        return std::move(out_);
    }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }

    // ---- names and parameters

    std::string variable(const Expr& v) {
        const auto found = names_.find(v.get());
        TESSERA_CHECK(found != names_.end(), fmt::format("variable {} has no text", tile::name_of(v)));
        return found->second;
    }
    const std::string& declare(const Expr& v) { return names_[v.get()] = lines_.fresh(tile::name_of(v)); }

    // The parameter as an Expr; made at its first use.
    Expr parameter(KernelParam wanted, const std::string& type) {
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
    std::string extent(const Expr& e) {
        return variable(parameter({KernelParam::Kind::extent, 0, 0, e, e->dim().name() + "_extent", ""}, "i64"));
    }

    void grid() {
        Expr total = index_number(1);
        for (const Axis& a : kernel_.grid) {
            total = product_of(total, a.extent);
            out_.grid.push_back(a.extent);
            environment_.add_range(a.variable, a.extent);
        }
        if (kernel_.grid.empty()) return;
        lines_.add(fmt::format("const i64 block = {}();", scalars_.call("cta_x")));
        decode(kernel_.grid, "block");
    }
    // The axes' variables from a linear position, the last one fastest.
    void decode(const std::vector<Axis>& axes, const std::string& position) {
        std::string inner;
        for (size_t i = axes.size(); i-- > 0;) {
            const std::string size = i > 0 ? scalars_.index(axes[i].extent) : "";
            std::string value = inner.empty() ? position : fmt::format("{} / ({})", position, inner);
            if (i > 0) value += fmt::format(" % {}", size);
            lines_.add(fmt::format("const i64 {} = {};", declare(axes[i].variable), value));
            inner = inner.empty() ? size : fmt::format("{} * {}", inner, size);
        }
    }

    // ---- statements

    void emit(const Statement& s) {
        match(
            s.node,
            [&](const Sequence& q) {
                for (const StatementPtr& child : q.statements) emit(*child);
            },
            [&](const For& f) {
                if (emit_whole(s) || emit_vector(s)) return;
                environment_.add_range(f.variable, f.extent);
                const auto rounds = integer_constant(environment_.resolved(f.extent));
                const std::string end = scalars_.index(f.extent);
                // Else ptxas moves the first sums' stores between the products.
                if (const auto sums = sums_in_flight(*f.body)) hold_sums(*sums);
                if (f.unrolled || (rounds && *rounds <= 64 && uses_registers(*f.body))) lines_.add("TSR_UNROLL");
                const std::string& name = declare(f.variable);
                lines_.open(fmt::format("for (i64 {0} = 0; {0} < {1}; ++{0}) {{", name, end));
                emit(*f.body);
                lines_.close();
            },
            [&](const Let& l) {
                environment_.add_let(l.variable, l.value);
                const std::string value = scalars_.index(l.value);
                lines_.add(fmt::format("const i64 {} = {};", declare(l.variable), value));
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
            [&](const BoxCopy& c) { emit_box(c); },
            [&](const Fence&) { lines_.add(fmt::format("{}();", scalars_.call("fence_proxy_async"))); },
            [&](const tile::Settle& w) {
                lines_.add(fmt::format("{}<0>();", scalars_.call("wgmma_wait")));
                hold_sums(w.stage);
            },
            [&](const Commit& c) {
                if (c.bytes == 0) return lines_.add(fmt::format("{}();", scalars_.call("cp_async_commit")));
                full_ = lines_.fresh("full");
                lines_.add(fmt::format("const u32 {} = {};", full_, ring_barrier(c.stages[0], c.token)));
                lines_.add(fmt::format("if ({} == 0) {}({}, {});", thread(), scalars_.call("mbar_expect_tx"), full_, c.bytes));
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
                lines_.add(fmt::format("{}();", scalars_.call(b.over == Scope::lane ? "sync_warp" : "sync_cta")));
            });
    }

    // In global memory, where its dims' first cells are.
    bool is_global(size_t i) const {
        if (registers_.count(i) != 0 || shared_.count(i) != 0) return false;
        if (stage(i).output) return true;
        const auto scratch =
            std::find_if(program_.scratch.begin(), program_.scratch.end(), [&](const Scratch& each) { return each.stage == i; });
        return scratch != program_.scratch.end() && !scratch->begin.empty() && integer_constant(scratch->begin.back()) == 0;
    }

    // A nest of stores first without guards and by vectors, where that is right for all of it.
    bool emit_whole(const Statement& s) {
        if (whole_ || is_guarded_nest_) return false;
        const auto nest = whole_nest(program_, s, environment_, [this](size_t i) { return is_global(i); });
        if (!nest) return false;
        std::set<std::string> conditions;
        if (nest->condition.defined()) conditions.insert(scalars_.index(nest->condition));
        for (const auto& [loop, v] : nest->vectors) {
            const Stage& stored = stage(v.store->stage);
            conditions.insert(aligned(address(v.store->stage, 0, v.store->place), v.cells, stored.dtypes[0]));
            for (const Expr& load : v.loads) conditions.insert(aligned(source(load, place_of(load)), v.cells, load->dtype));
        }
        lines_.open(fmt::format("if ({}) {{", fmt::join(conditions, " && ")));
        whole_ = &*nest;
        emit(s);
        whole_ = nullptr;
        lines_.otherwise();
        is_guarded_nest_ = true;
        emit(s);
        is_guarded_nest_ = false;
        lines_.close();
        return true;
    }
    // Base and rows of memory lie at multiples of so many cells.
    std::string aligned(const Address& a, std::int64_t cells, DType dtype) {
        std::string words = fmt::format("reinterpret_cast<u64>({})", a.base);
        for (size_t d = 0; d + 1 < a.strides.size(); ++d)
            words += fmt::format(" | static_cast<u64>({})",
                                 scalars_.index(product_of(a.strides[d], index_number(dtype_bytes(dtype)))));
        return fmt::format("({}) % {} == 0", words, cells * dtype_bytes(dtype));
    }
    static std::vector<Expr> place_of(const Expr& access) {
        return {access->args.begin(), access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count())};
    }

    // A loop as reads of vectors, rounds that compute their cells, and the store of one.
    bool emit_vector(const Statement& s) {
        const auto found = whole_ ? whole_->vectors.find(&s) : std::map<const Statement*, tile::VectorLoop>::const_iterator{};
        if (!whole_ || found == whole_->vectors.end()) return false;
        const tile::VectorLoop& v = found->second;
        const For& f = std::get<For>(s.node);
        environment_.add_range(f.variable, f.extent);
        for (const Statement* at = f.body.get(); !std::holds_alternative<Assign>(at->node); at = children(*at)[0].get())
            if (const auto* let = std::get_if<Let>(&at->node)) environment_.add_let(let->variable, let->value);
        const auto vector = [&](const Address& a, DType dtype, const char* constant) {
            const Expr first = simplify_index(substitute(environment_.resolved(a.offset), {{f.variable.get(), index_number(0)}}));
            return fmt::format("reinterpret_cast<{}{}<{}, {}>*>({} + {})", constant, scalars_.call("Vec"), cuda_type(dtype),
                               v.cells, a.base, scalars_.index(first));
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
        lines_.open(fmt::format("for (i64 {0} = 0; {0} < {1}; ++{0}) {{", round_, v.cells));
        vector_store_ = v.store;
        emit(*f.body);
        vector_store_ = nullptr;
        lines_.close();
        lines_.add(fmt::format("{}({}, {});", scalars_.call("stg"), vector(address(v.store->stage, 0, v.store->place), dtype, ""),
                               stored_));
        loaded_.clear();
        return true;
    }

    bool uses_registers(const Statement& s) const {
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

    std::string thread() { return fmt::format("{}()", scalars_.call("tid")); }

    void emit_spread(const Spread& p) {
        for (const Axis& a : p.axes) environment_.add_range(a.variable, a.extent);
        const std::int64_t group = p.over == Scope::warpgroup || p.over == Scope::member ? 128 : 32;
        const std::int64_t available = p.over == Scope::member      ? 128
                                       : p.over == Scope::warpgroup ? kernel_.threads / 128
                                       : p.over == Scope::lane      ? 32
                                       : p.over == Scope::warp      ? kernel_.threads / 32
                                                                    : kernel_.threads;
        const std::string own =
            p.over == Scope::thread ? thread() : fmt::format("{} {} {}", thread(), inside_of(p.over) ? "/" : "%", group);
        const size_t before = dealt_.size();
        for (DealtAxis& a : dealt_axes(p, kernel_.threads, environment_)) dealt_.push_back(std::move(a));
        const auto total = positions(p.axes, environment_);
        const std::string position = lines_.fresh("p");
        if (total && *total <= available) {
            lines_.open(*total == available ? "{" : fmt::format("if ({} < {}) {{", own, *total));
            if (!p.axes.empty()) lines_.add(fmt::format("const int {} = {};", position, own));
        } else {
            Expr all = index_number(1);
            for (const Axis& a : p.axes) all = product_of(all, a.extent);
            const std::string end = scalars_.index(all);
            lines_.open(fmt::format("for ({0} {1} = {2}; {1} < {3}; {1} += {4}) {{", total ? "int" : "i64", position, own, end,
                                    available));
        }
        decode(p.axes, position);
        emit(*p.body);
        lines_.close();
        dealt_.resize(before);
    }

    void emit_alloc(const Alloc& a) {
        const Stage& s = stage(a.stage);
        if (a.space == Space::register_) {
            registers_[a.stage] = &a;
            const std::int64_t cells = cells_of(own_extent(a));
            std::vector<std::string>& arrays = arrays_[a.stage];
            arrays.clear();
            for (const DType t : s.dtypes) {
                arrays.push_back(lines_.fresh(s.name));
                lines_.add(fmt::format("{} {}[{}];", cuda_type(t), arrays.back(), cells));
            }
        } else {
            shared_[a.stage] = {&a, a.begin, fmt::format("smem + {}", plan_.offsets.at(a.stage))};
        }
        emit(*a.body);
        registers_.erase(a.stage);
        shared_.erase(a.stage);
    }

    void emit_copy(const AsyncCopy& c) {
        if (c.whole.defined()) lines_.open(fmt::format("if ({}) {{", scalars_.index(c.whole)));
        const Address to = address(c.stage, 0, c.place);
        const std::vector<Expr> place(c.source->args.begin(),
                                      c.source->args.begin() + static_cast<std::ptrdiff_t>(c.source->index_count()));
        const Address from = source(c.source, place);
        lines_.add(fmt::format("{}({}, {}, true);",
                               scalars_.call(fmt::format("cp_async{}", c.cells * dtype_bytes(c.source->dtype))),
                               filled_pattern(to.pointer, {scalars_.index(to.offset)}),
                               filled_pattern(from.pointer, {scalars_.index(from.offset)})));
        if (!c.whole.defined()) return;
        lines_.otherwise();
        emit(*c.otherwise);
        lines_.close();
    }

    std::string ring_barrier(size_t stage, const Expr& token) {
        const auto& [begin, count] = plan_.rings.at(stage);
        const Expr number = simplify_index(make_op(Op::mod, DType::i64, {token, index_number(count)}));
        return fmt::format("smem + {} + static_cast<u32>({}) * 8", begin, scalars_.index(number));
    }
    void emit_box(const BoxCopy& c) {
        const SharedMemory& memory = shared_.at(c.stage);
        const DType dtype = stage(c.stage).dtypes[0];
        const std::vector<std::int64_t>& extent = memory.alloc->extent;
        BoxMap map{argument_of(program_, *c.source->target().input),
                   {extent.rbegin(), extent.rend()},
                   memory.alloc->swizzled ? static_cast<int>(extent.back() * dtype_bytes(dtype)) : 0};
        const auto known = std::find(out_.maps.begin(), out_.maps.end(), map);
        const auto number = static_cast<size_t>(known - out_.maps.begin());
        if (known == out_.maps.end()) out_.maps.push_back(std::move(map));
        const std::string name =
            variable(parameter({KernelParam::Kind::tensor_map, number, 0, {}, c.source->target().input->name + "_map", ""},
                               "TSR_GRID_CONST TensorMap"));
        std::string at;
        for (size_t d = c.source->index_count(); d-- > 0;)
            at += fmt::format(", static_cast<int>({})", scalars_.index(c.source->args[d]));
        lines_.add(fmt::format("if ({} == 0) {}({}, &{}, {}{});", thread(),
                               scalars_.call(fmt::format("tma_load_{}d", c.source->index_count())), memory.base, name, full_,
                               at));
    }

    void emit_assign(const Assign& a) {
        const Stage& s = stage(a.stage);
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

    // self + x -> x
    static Expr operand_of(const Stage& s, const Expr& value) {
        const auto is_self = [&](const Expr& e) { return e->op == Op::access && e->target().func == s.func; };
        TESSERA_CHECK(value->args.size() == 2 && (is_self(value->args[0]) || is_self(value->args[1])),
                      fmt::format("the update of {} is no operation on its cell", s.name));
        return value->args[is_self(value->args[0]) ? 1 : 0];
    }
    void emit_atomic(const Stage& s, const Address& to, const std::string& at, const std::string& value) {
        const std::string& monoid = s.update->monoid->name;
        const std::string verb = monoid == "sum" ? "atom_add" : "atom_" + monoid;
        const DType t = s.dtypes[0];
        if (to.shared) {
            const DType only = monoid == "sum" ? DType::u32 : DType::i32;
            if (t != only && !(monoid == "sum" && t == DType::i32))
                throw Limit(L0901_not_on_target, s.where,
                            fmt::format("{} is updated atomically in shared memory, which takes no {} of {}", s.name, monoid,
                                        dtype_name(t)),
                            {fix("compute it at root"), fix(fmt::format("combine values of {}", dtype_name(only)))});
            const std::string as = cuda_type(only);
            lines_.add(fmt::format("{}({}, static_cast<{}>({}));", scalars_.call(verb + "_shared"),
                                   filled_pattern(to.pointer, {at}), as, value));
            return;
        }
        // Two's complement sums are the same for both signs.
        const bool unsigned_sum = monoid == "sum" && t == DType::i64;
        const std::string type = unsigned_sum ? "u64" : cuda_type(t);
        lines_.add(fmt::format("{}<{}>(reinterpret_cast<{}*>({}), static_cast<{}>({}));", scalars_.call(verb), type, type,
                               filled_pattern(to.pointer, {at}), type, value));
    }

    void emit_combine(const Combine& c) {
        const Stage& s = stage(c.stage);
        std::int64_t cells = 1;
        for (const std::int64_t e : own_extent(*registers_.at(c.stage))) cells *= e;
        const std::string cell = lines_.fresh("c");
        if (cells > 1) lines_.add("TSR_UNROLL");
        lines_.open(cells > 1 ? fmt::format("for (int {0} = 0; {0} < {1}; ++{0}) {{", cell, cells) : "{");
        std::vector<std::string> parts;
        for (const std::string& array : arrays_.at(c.stage))
            parts.push_back(fmt::format("{}[{}]", array, cells > 1 ? cell : "0"));
        const std::int64_t warps = c.over == Scope::thread ? kernel_.threads / 32 : 1;
        CombineText(lines_, scalars_, [this](const Expr& v) { return declare(v); }).write(s, parts, warps, plan_.combine);
        lines_.close();
    }

    // ---- products

    FactorText factor(const std::string& name, const Expr& access, bool rows_are_summed) {
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

    void emit_product(const tile::Mma& m) {
        const auto own = own_fragment(*registers_.at(m.stage), m.place, dealt_, environment_, m.grouped);
        TESSERA_CHECK(own.has_value(), "a product of fragments whose registers others own");
        const std::vector<std::int64_t> extent = own_extent(*registers_.at(m.stage));
        lines_.open("{");
        ProductText product;
        product.left = factor("left", m.left, m.left_turned), product.right = factor("right", m.right, !m.right_turned);
        product.sums = arrays_.at(m.stage)[0], product.first = lines_.fresh("first"), product.sums_row = extent.back();
        product.m = m.m, product.n = m.n, product.k = m.k, product.dtype = m.left->dtype, product.in_flight = m.in_flight;
        const auto call = [this](const std::string& name) { return scalars_.call(name); };
        if (m.grouped) {
            write_grouped_product(lines_, call, product);
            return lines_.close();
        }
        lines_.add(fmt::format("const int {} = static_cast<int>({});", product.first,
                               scalars_.index(linear(*own, dense(numbers(extent))))));
        write_product(lines_, call, product);
        lines_.close();
    }

    // ---- memory

    static Expr linear(const std::vector<Expr>& index, const std::vector<Expr>& strides) {
        Expr out = index_number(0);
        for (size_t d = 0; d < index.size(); ++d)
            out = make_op(Op::add, DType::i64, {out, make_op(Op::mul, DType::i64, {index[d], strides[d]})});
        return simplify_index(out);
    }
    // Of a warpgroup's sums: cell (h, 2 j + w) of a thread's is register 4 j + 2 h + w.
    static Expr place_in_group(const std::vector<Expr>& index) {
        const auto op = [](Op o, const Expr& a, std::int64_t b) { return make_op(o, DType::i64, {a, index_number(b)}); };
        const Expr &row = index[index.size() - 2], &column = index.back();
        return simplify_index(
            make_op(Op::add, DType::i64,
                    {make_op(Op::add, DType::i64, {op(Op::mul, op(Op::div, column, 2), 4), op(Op::mul, row, 2)}),
                     op(Op::mod, column, 2)}));
    }
    static std::optional<size_t> sums_in_flight(const Statement& s) {
        if (const auto* m = std::get_if<tile::Mma>(&s.node)) return m->in_flight ? std::optional(m->stage) : std::nullopt;
        for (const StatementPtr& child : children(s))
            if (const auto found = sums_in_flight(*child)) return found;
        return std::nullopt;
    }
    void hold_sums(size_t i) {
        hold_registers(
            lines_, [this](const std::string& name) { return scalars_.call(name); }, arrays_.at(i)[0],
            cells_of(own_extent(*registers_.at(i))));
    }
    static void find_grouped(const Statement& s, std::set<size_t>& out) {
        if (const auto* m = std::get_if<tile::Mma>(&s.node); m && m->grouped) out.insert(m->stage);
        for (const StatementPtr& child : children(s)) find_grouped(*child, out);
    }
    static std::int64_t cells_of(const std::vector<std::int64_t>& extent) {
        std::int64_t cells = 1;
        for (const std::int64_t e : extent) cells *= e;
        return cells;
    }
    std::string swizzled_pattern(const Alloc& a) {
        const tile::RowSwizzle rows = tile::swizzle_of(a.extent.back() * dtype_bytes(stage(a.stage).dtypes[0])).value();
        return fmt::format("{}<{}, {}>(static_cast<u32>({{0}}))", scalars_.call("swizzled"), rows.row_bits + rows.shift,
                           rows.mask);
    }
    // Strides of dense rows.
    static std::vector<Expr> dense(const std::vector<Expr>& extent) {
        std::vector<Expr> strides(extent.size(), index_number(1));
        for (size_t d = extent.size(); d-- > 1;) strides[d - 1] = product_of(strides[d], extent[d]);
        return strides;
    }
    static std::vector<Expr> numbers(const std::vector<std::int64_t>& values) {
        std::vector<Expr> out;
        for (const std::int64_t v : values) out.push_back(index_number(v));
        return out;
    }
    static std::vector<Expr> relative(const std::vector<Expr>& place, const std::vector<Expr>& begin) {
        std::vector<Expr> out;
        for (size_t d = 0; d < place.size(); ++d) out.push_back(index_difference(place[d], begin[d]));
        return out;
    }

    Address address(size_t i, size_t component, const std::vector<Expr>& place) {
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
            const auto scratch = std::find_if(program_.scratch.begin(), program_.scratch.end(),
                                              [&](const Scratch& each) { return each.stage == i; });
            TESSERA_CHECK(scratch != program_.scratch.end(), fmt::format("{} has no memory", s.name));
            const auto number = static_cast<size_t>(scratch - program_.scratch.begin());
            pointer = variable(parameter({KernelParam::Kind::scratch, number, component, {}, s.name, ""}, type + "*"));
            out.strides = dense(scratch->extent);
            out.offset = linear(relative(place, scratch->begin), out.strides);
        }
        global(out, pointer);
        return out;
    }
    // The last dim is dense.
    Expr stride(KernelParam::Kind kind, size_t index, size_t axis, size_t rank, const std::string& name) {
        if (axis + 1 == rank) return index_number(1);
        return parameter({kind, index, axis, {}, fmt::format("{}_stride{}", name, axis), ""}, "i64");
    }
    void global(Address& out, const std::string& pointer) {
        out.base = pointer;
        out.pointer = pointer + " + {0}";
        out.load = fmt::format("{}({} + {{0}})", scalars_.call("ldg"), pointer);
        out.store = fmt::format("{}({} + {{0}}, {{1}});", scalars_.call("stg"), pointer);
    }

    std::pair<std::string, Expr> read(const Expr& access, const std::vector<Expr>& place) {
        const Address a = source(access, place);
        if (const auto cells = loaded_.find(access.get()); cells != loaded_.end())
            return {fmt::format("{}.v[{}]", cells->second, round_), index_number(0)};
        return {a.load, a.offset};
    }
    Address source(const Expr& access, const std::vector<Expr>& place) {
        if (access->target().func) {
            const auto i = program_.bound.graph.find(access->target().func.get());
            return address(i.value(), static_cast<size_t>(access->component()), place);
        }
        const InputState& input = *access->target().input;
        const auto& arguments = program_.bound.graph.algorithm.arguments();
        const auto found =
            std::find_if(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.state().get() == &input; });
        const auto number = static_cast<size_t>(found - arguments.begin());
        const std::string type = cuda_type(input.dtype);
        if (input.scalar)
            return {{}, variable(parameter({KernelParam::Kind::scalar, number, 0, {}, input.name, ""}, type)), {}, {}};
        const std::string pointer =
            variable(parameter({KernelParam::Kind::input, number, 0, {}, input.name, ""}, fmt::format("const {}*", type)));
        std::vector<Expr> strides;
        for (size_t d = 0; d < place.size(); ++d)
            strides.push_back(stride(KernelParam::Kind::input_stride, number, d, place.size(), input.name));
        Address a;
        global(a, pointer);
        a.offset = linear(place, strides);
        a.strides = std::move(strides);
        return a;
    }
    static Expr boundary_extent(const Expr& access, size_t d) {
        const AccessTarget& t = access->target();
        return resolve_weak(Expr((t.input ? t.input->dims : t.func->dims)[d].extent()), DType::i64, {});
    }

    const Program& program_;
    const Kernel& kernel_;
    SharedPlan plan_;
    EmittedKernel out_;
    Lines lines_;
    ScalarText scalars_;
    Environment environment_;
    std::vector<DealtAxis> dealt_;
    const tile::WholeNest* whole_ = nullptr;  // what is emitted without guards
    bool is_guarded_nest_ = false;            // what is emitted with them
    std::map<const ExprNode*, std::string> loaded_;
    const Assign* vector_store_ = nullptr;
    std::string stored_, round_;
    std::vector<Expr> param_exprs_;
    std::map<const ExprNode*, std::string> names_;
    std::map<size_t, const Alloc*> registers_;
    std::map<size_t, SharedMemory> shared_;
    std::string full_;  // the barrier of the copies that start
    std::map<size_t, std::vector<std::string>> arrays_;
    std::set<size_t> grouped_sums_;
};

}  // namespace

std::vector<EmittedKernel> emit_kernels(const Program& program, const std::string& prefix) {
    std::vector<EmittedKernel> out;
    for (const Kernel& k : program.kernels) out.push_back(KernelEmitter(program, k, prefix + "_" + k.name).run());
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
