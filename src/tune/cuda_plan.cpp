#include "tune/cuda_descent.h"

#include <tessera/schedule_default.h>
#include <tessera/tf32.h>

#include "schedule/stage_cost.h"
#include "schedule/stages.h"
#include "tile/lower.h"

#include <algorithm>
#include <optional>

namespace tessera::tune {
namespace {

std::vector<std::string> names_of(const std::vector<Dim>& dims) {
    std::vector<std::string> out;
    for (const Dim& d : dims) out.push_back(d.name());
    return out;
}
bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// The one read in a factor, whatever it is cast to.
Expr only_read(const Expr& factor) {
    Expr read;
    int reads = 0;
    for_each_node({factor}, [&](const Expr& n) {
        if (n->op != Op::access) return;
        read = n;
        ++reads;
    });
    return reads == 1 ? read : Expr();
}

// a b in a b + the sum so far.
std::optional<std::pair<Expr, Expr>> factors_in(const Stage& s) {
    const Expr& value = s.update->values[0];
    if (value->op == Op::fma) return std::pair{value->args[0], value->args[1]};
    if (value->op != Op::add) return std::nullopt;
    for (const size_t i : {size_t{0}, size_t{1}}) {
        const Expr &self = value->args[i], &product = value->args[1 - i];
        if (self->op == Op::access && self->target().func.get() == s.func.get() && product->op == Op::mul)
            return std::pair{product->args[0], product->args[1]};
    }
    return std::nullopt;
}

class Planner {
public:
    Planner(const Algorithm& algorithm, const Target& target) : graph_(make_stages(algorithm)) {
        plan_.initial = default_schedule(algorithm, target);
        plan_.shared_bytes = tile::gpu_limits(target).shared_bytes;
        plan_.grouped = target.arch == "sm_90a";
    }

    CudaPlan run() {
        for (size_t i = 0; i < graph_.stages.size(); ++i)
            if (auto product = product_of(i)) plan_.products.push_back(std::move(*product));
        for (const Stage& s : graph_.stages) add_definition(s);
        for (size_t i = 0; i < graph_.stages.size(); ++i) add_producer(i);
        return std::move(plan_);
    }

private:
    [[nodiscard]] const StageSpec* listed(const std::string& stage) const {
        const auto found = plan_.initial.stages.find(stage);
        return found == plan_.initial.stages.end() ? nullptr : &found->second;
    }
    [[nodiscard]] bool at_root(const std::string& stage) const {
        const StageSpec* spec = listed(stage);
        return spec && spec->compute && spec->compute->kind == Compute::Kind::root;
    }

    std::optional<CudaProduct::Factor> factor(const Expr& e) const {
        const Expr read = only_read(e);
        if (!read.defined() || !is_pointwise(read) || read->target().boundary != Boundary::none) return std::nullopt;
        CudaProduct::Factor out;
        out.of = read->target().input ? read->target().input->name : read->target().func->name;
        for (size_t d = 0; d < read->index_count(); ++d) out.dims.push_back(read->args[d]->dim().name());
        return out;
    }

    std::optional<CudaProduct> product_of(size_t sum) const {
        const Stage& s = graph_.stages[sum];
        if (s.kind != Stage::Kind::reduction || s.dtypes.size() != 1 || s.dims.size() < 2 || s.update->condition.defined() ||
            s.update->reduction_dims.size() != 1 || s.update->order.kind != Order::Kind::any)
            return std::nullopt;
        const auto both = factors_in(s);
        if (!both) return std::nullopt;
        auto a = factor(both->first), b = factor(both->second);
        const std::vector<Read> reads = reads_of(graph_, sum);
        if (!a || !b || a->of == b->of || reads.empty()) return std::nullopt;
        CudaProduct p;
        p.sum = s.name;
        p.definition = graph_.stages[reads[0].user].name;
        const Stage& definition = graph_.stages[reads[0].user];
        for (const Read& r : reads)
            if (r.user != reads[0].user || r.in_init || !is_pointwise(r.access)) return std::nullopt;
        if (definition.update || definition.dtypes.size() != 1 || !at_root(p.definition) ||
            names_of(definition.dims) != names_of(s.dims))
            return std::nullopt;
        const std::vector<std::string> dims = names_of(s.dims);
        p.m = dims[dims.size() - 2], p.n = dims.back(), p.k = s.update->reduction_dims[0].name();
        p.batch.assign(dims.begin(), dims.end() - 2);
        if (has(b->dims, p.m)) std::swap(a, b);
        for (CudaProduct::Factor* f : {&*a, &*b}) {
            const std::string &own = f == &*a ? p.m : p.n, &other = f == &*a ? p.n : p.m;
            const size_t rank = f->dims.size();
            if (rank < 2 || !has(f->dims, own) || !has(f->dims, p.k) || has(f->dims, other)) return std::nullopt;
            f->along_k = f->dims.back() == p.k && f->dims[rank - 2] == own;
            if (!f->along_k && (f->dims.back() != own || f->dims[rank - 2] != p.k)) return std::nullopt;
        }
        p.left = std::move(*a), p.right = std::move(*b);
        p.out_bytes = static_cast<std::int64_t>(dtype_bytes(definition.dtypes[0]));
        choose_atom(p, both->first, both->second, s.dtypes[0]);
        return p;
    }

    void choose_atom(CudaProduct& p, const Expr& a, const Expr& b, DType sums) const {
        const Expr left = only_read(a), right = only_read(b);
        p.cell_bytes = static_cast<std::int64_t>(std::max(dtype_bytes(left->dtype), dtype_bytes(right->dtype)));
        if (left->dtype != right->dtype) return;
        const DType t = left->dtype;
        const bool cast = a->op == Op::cast && b->op == Op::cast && a->args[0].same_as(left) && b->args[0].same_as(right);
        const bool both_along_k = p.left.along_k && p.right.along_k;
        if (cast && sums == DType::f32 && (t == DType::bf16 || t == DType::f16)) p.atom = "m16n8k16";
        if (cast && sums == DType::i32 && (t == DType::i8 || t == DType::u8) && both_along_k) p.atom = "m16n8k32";
        if (sums == DType::f32 && t == DType::f32 && both_along_k && a.same_as(round_tf32(left)) && b.same_as(round_tf32(right)))
            p.atom = "m16n8k8";
        p.grouped =
            plan_.grouped && cast && sums == DType::f32 && both_along_k && (t == DType::bf16 || t == DType::f16 || is_f8(t));
    }

    // Of a default nest of blocks and threads.
    void add_definition(const Stage& s) {
        if (s.update || s.dims.empty() || !at_root(s.name)) return;
        CudaDefinition out{s.name, names_of(s.dims), false};
        for (const auto& [name, spec] : plan_.initial.stages)
            out.row = out.row || (spec.compute && spec.compute->kind == Compute::Kind::at && spec.compute->at.stage == s.name);
        const auto& loops = plan_.initial.stages.at(s.name).loops;
        out.row =
            out.row || !loops || loops->empty() || loops->back().as != LoopKind::thread || loops->size() != s.dims.size() + 1;
        plan_.definitions.push_back(std::move(out));
    }

    void add_producer(size_t i) {
        const Stage& s = graph_.stages[i];
        if (s.update || s.output || !at_root(s.name)) return;
        std::optional<size_t> reader;
        for (const Read& r : reads_of(graph_, i)) {
            if (reader && *reader != r.user) return;
            reader = r.user;
        }
        if (!reader) return;
        const std::string name = graph_.stages[*reader].name;
        const auto cells = [&](const std::string& stage) {
            return std::any_of(plan_.definitions.begin(), plan_.definitions.end(),
                               [&](const CudaDefinition& d) { return d.stage == stage && !d.row; });
        };
        if (cells(s.name) && cells(name)) plan_.producers.push_back({s.name, name, names_of(s.dims)});
    }

    StageGraph graph_;
    CudaPlan plan_;
};

}  // namespace

CudaPlan cuda_plan(const Algorithm& algorithm, const Target& target) { return Planner(algorithm, target).run(); }

}  // namespace tessera::tune
