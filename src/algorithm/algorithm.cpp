#include "algorithm/called_routine.h"
#include "algorithm/graph.h"
#include "base/check.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <unordered_set>

namespace tessera {
std::vector<Expr> roots_of(const FuncState& f) {
    std::vector<Expr> roots = f.values;
    if (f.init.defined()) roots.push_back(f.init);
    return roots;
}

namespace {

class Builder {
public:
    explicit Builder(AlgorithmState& a) : a_(a) {}

    void build() {
        for (const Func& f : a_.outputs) visit(f);
        check_arguments();
        check_names();
        collect_dims();
    }

private:
    // Depth first, producers before consumers, without recursion on chains of definitions.
    void visit(const Func& root) {
        struct Frame {
            std::shared_ptr<FuncState> func;
            std::vector<std::shared_ptr<FuncState>> reads;
            size_t next = 0;
        };
        std::vector<Frame> stack;
        const auto enter = [&](const std::shared_ptr<FuncState>& f) {
            if (!f->defined)
                throw Error(E0303_undefined, f->where, fmt::format("{} has no definition", f->name),
                            {token(f->name), fix(fmt::format("write {}(...) = ...", f->name))});
            if (seen_.insert(f.get()).second) stack.push_back({f, reads_of(*f)});
        };
        enter(root.state());
        while (!stack.empty()) {
            if (stack.back().next < stack.back().reads.size()) {
                const auto next = stack.back().reads[stack.back().next++];
                enter(next);
                continue;
            }
            a_.funcs.emplace_back(stack.back().func);
            stack.pop_back();
        }
    }

    std::vector<std::shared_ptr<FuncState>> reads_of(const FuncState& f) {
        std::vector<std::shared_ptr<FuncState>> reads;
        const auto visit_node = [&](const Expr& n) {
            if (n->op == Op::dim || n->op == Op::extent) note_dim(n->dim());
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter)
                for (const Dim& d : n->reduction().dims) note_dim(d);
            if (n->op == Op::scatter)
                for (const Dim& d : n->scatter().destination) note_dim(d);
            if (n->op != Op::access) return;
            if (n->target().func)
                reads.push_back(n->target().func);
            else
                read_.insert({n->target().input.get(), n->where});
        };
        for (const Dim& d : f.dims) note_dim(d);
        for_each_node(roots_of(f), visit_node);
        if (f.recurrence)
            for (const auto& state : f.recurrence->states) reads.push_back(state.lock());
        return reads;
    }

    void note_dim(const Dim& d) {
        if (d.is_pack())
            throw Error(E0103_unknown_dim, d.state().where, "a definition still has the dim pack '...'",
                        {fix("packs are resolved by the operators of ops; index a plain definition by named dims")});
        if (!contains_dim(all_dims_, d)) all_dims_.push_back(d);
    }

    void check_arguments() {
        std::set<const InputState*> listed;
        std::vector<std::string> names;
        for (const Argument& arg : a_.arguments) {
            if (!listed.insert(arg.state().get()).second)
                throw Error(E0101_duplicate_name, a_.where, fmt::format("argument {} is listed twice", arg.state()->name),
                            {token(arg.state()->name), fix("list it once")});
            names.push_back(arg.state()->name);
            for (const Dim& d : arg.state()->dims) note_dim(d);
        }
        for (const Dim& d : all_dims_) read_extent(d.state().extent);
        for (const auto& [a, b] : a_.require) {
            read_extent(a);
            read_extent(b);
        }
        for (const Argument& arg : a_.arguments)
            if (arg.state()->values) {
                read_extent(arg.state()->values->first);
                read_extent(arg.state()->values->second);
            }
        for (const auto& [input, where] : read_)
            if (!listed.count(input))
                throw Error(E0307_missing_argument, where,
                            fmt::format("{} is read but is not an argument of the algorithm", input->name),
                            {token(input->name), note(a_.where, "the algorithm is made here"),
                             note(fmt::format("its arguments are {}", join_names(names))),
                             fix(fmt::format("add {} to the argument list", input->name))});
        for (const Argument& arg : a_.arguments)
            if (!read_.count(arg.state().get()) && !binds_extent(*arg.state()))
                throw Error(E0308_unused_argument, a_.where, fmt::format("argument {} is read by nothing", arg.state()->name),
                            {token(arg.state()->name), note(arg.state()->where, "declared here"),
                             fix("remove it from the argument list")});
    }

    // An input that is not read may still give the extent of a dim that is used.
    bool binds_extent(const InputState& input) const {
        for (const Dim& d : input.dims)
            for (const Func& f : a_.funcs)
                if (contains_dim(f.dims(), d)) return true;
        return false;
    }

    void read_extent(const std::optional<Extent>& extent) {
        if (!extent) return;
        for_each_node({Expr(*extent)}, [&](const Expr& n) {
            if (n->op == Op::extent && !contains_dim(all_dims_, n->dim())) all_dims_.push_back(n->dim());
            if (n->op == Op::access) read_.insert({n->target().input.get(), n->where});
        });
    }

    void check_names() {
        std::map<std::string, std::pair<SourceLoc, std::string_view>> names;
        const auto add = [&](const std::string& name, SourceLoc where, std::string_view kind) {
            const auto [it, fresh] = names.emplace(name, std::make_pair(where, kind));
            if (!fresh)
                throw Error(E0101_duplicate_name, where,
                            fmt::format("{} and {} of one algorithm are both named {}", it->second.second, kind, name),
                            {token(name), note(it->second.first, "the other one is here"), fix("give one of them another name")});
        };
        for (const Argument& arg : a_.arguments) add(arg.state()->name, arg.state()->where, "an argument");
        for (const Func& f : a_.funcs) add(f.name(), f.state()->where, "a Func");
    }

    // Dims whose extents the entry must know: of arguments and outputs, and all that these and the definitions mention by extent.
    void collect_dims() {
        const auto add = [&](const Dim& d) {
            if (!contains_dim(a_.dims, d)) a_.dims.push_back(d);
        };
        for (const Argument& arg : a_.arguments)
            for (const Dim& d : arg.state()->dims) add(d);
        for (const Func& f : a_.outputs)
            for (const Dim& d : f.dims()) add(d);
        std::vector<Expr> roots;
        for (const Func& f : a_.funcs) {
            for (const Expr& e : roots_of(*f.state())) roots.push_back(e);
        }
        std::vector<std::pair<Dim, SourceLoc>> needed;
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::extent) needed.emplace_back(n->dim(), SourceLoc{});
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter)
                for (const Dim& d : n->reduction().dims) needed.emplace_back(d, n->where);
            if (n->op == Op::scatter)
                for (const Dim& d : n->scatter().destination) needed.emplace_back(d, n->where);
            if (n->op == Op::access && n->target().func && n->target().boundary != Boundary::none)
                for (const Dim& d : n->target().func->dims) needed.emplace_back(d, n->where);
        });
        // A routine computes and is given whole tensors.
        for (const Func& f : a_.funcs) {
            if (!f.state()->routine) continue;
            for (const Dim& d : f.dims()) needed.emplace_back(d, f.state()->where);
            for (const Wrt& x : f.state()->routine->operands)
                for (const Dim& d : x.input() ? x.input()->dims : x.func()->dims) needed.emplace_back(d, f.state()->where);
        }
        for (const Func& f : a_.funcs)
            if (f.state()->recurrence) needed.emplace_back(f.state()->recurrence->t, f.state()->where);
        for (size_t i = 0; i < a_.dims.size(); ++i) need(a_.dims[i], {}, needed);
        for (size_t i = 0; i < needed.size(); ++i) {
            const auto [d, where] = needed[i];
            if (contains_dim(a_.dims, d)) continue;
            if (!d.state().extent)
                throw Error(E0103_unknown_dim, where.known() ? where : d.state().where,
                            fmt::format("nothing gives dim {} an extent", d.name()),
                            {token(d.name()), note(d.state().where, fmt::format("dim {} declared here", d.name())),
                             fix(fmt::format("give it one: Dim {0}(\"{0}\", 16)", d.name())), fix("use the Dim of an input")});
            a_.dims.push_back(d);
            need(d, where, needed);
        }
        for (const Dim& d : a_.dims) {
            for (const Dim& e : a_.dims)
                if (e.id() != d.id() && e.name() == d.name())
                    throw Error(E0101_duplicate_name, d.state().where,
                                fmt::format("two dims with extents are named {}", d.name()),
                                {token(d.name()), note(e.state().where, "the other one is here"),
                                 fix("use one Dim for both when their extents are equal, else rename one")});
        }
    }

    static void need(const Dim& d, SourceLoc where, std::vector<std::pair<Dim, SourceLoc>>& needed) {
        if (!d.state().extent) return;
        for_each_node({Expr(*d.state().extent)}, [&](const Expr& n) {
            if (n->op == Op::extent) needed.emplace_back(n->dim(), where);
        });
    }

    AlgorithmState& a_;
    std::unordered_set<const FuncState*> seen_;
    std::map<const InputState*, SourceLoc> read_;
    std::vector<Dim> all_dims_;
};

size_t position(const std::vector<std::string>& names, const std::string& name, std::string_view kind, SourceLoc where) {
    for (size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return i;
    throw Error(E0314_in_place, where, fmt::format("in_place names {} {}, which does not exist", kind, name),
                {token("\"" + name + "\""), fix_spelling(name, names)});
}

void check_required(const AlgorithmState& a) {
    for (const auto& [x, y] : a.require)
        if (x.constant() && y.constant() && *x.constant() != *y.constant())
            throw Error(E0106_dim_mismatch, a.where,
                        fmt::format("the algorithm requires {} == {}, which never holds", *x.constant(), *y.constant()),
                        {token("require"), expected(std::to_string(*x.constant())), received(std::to_string(*y.constant())),
                         fix("check the static extents of the dims in require")});
}

void resolve_in_place(AlgorithmState& a, const AlgorithmOptions& options) {
    std::vector<std::string> inputs, outputs;
    std::vector<std::pair<size_t, int>> places;  // of each name: output and component
    for (const Argument& arg : a.arguments) inputs.push_back(arg.state()->name);
    for (size_t o = 0; o < a.outputs.size(); ++o)
        for (int c = 0; c < a.outputs[o].components(); ++c) {
            outputs.push_back(buffer_name(a.outputs[o], c));
            places.emplace_back(o, c);
        }
    for (const auto& [in, out] : options.in_place) {
        const size_t i = position(inputs, in, "input", a.where);
        const auto [o, c] = places[position(outputs, out, "output", a.where)];
        const InputState& input = *a.arguments[i].state();
        const Func& output = a.outputs[o];
        bool fits = input.dtype == output.dtype(c) && input.dims.size() == output.rank();
        for (size_t d = 0; fits && d < input.dims.size(); ++d) fits = input.dims[d].id() == output.dims()[d].id();
        if (!fits)
            throw Error(E0314_in_place, a.where, fmt::format("{} and {} cannot share memory: dtype or dims differ", in, out),
                        {fix("give the output the input's dims and dtype")});
        a.in_place.push_back({i, o, c});
    }
}

}  // namespace

Algorithm::Algorithm(const std::vector<Func>& outputs, const std::vector<Argument>& arguments, const AlgorithmOptions& options,
                     SourceLoc where) {
    auto state = std::make_shared<AlgorithmState>();
    state->where = where;
    state->outputs = outputs;
    state->arguments = arguments;
    state->require = options.require;
    if (outputs.empty()) throw Error(E0303_undefined, where, "an algorithm has no output", {fix("list at least one Func")});
    for (size_t i = 0; i < outputs.size(); ++i)
        for (size_t j = i + 1; j < outputs.size(); ++j)
            if (outputs[i].state() == outputs[j].state())
                throw Error(E0101_duplicate_name, where, fmt::format("output {} is listed twice", outputs[i].name()),
                            {token(outputs[i].name()), fix("list it once")});
    state->name = options.name.empty() ? outputs[0].name() : options.name;
    Builder(*state).build();
    check_required(*state);
    resolve_in_place(*state, options);
    prove_accesses(*state);
    state_ = std::move(state);
    check_effects(*this, options);
}
const std::string& Algorithm::name() const { return state_->name; }
const std::vector<Func>& Algorithm::outputs() const { return state_->outputs; }
const std::vector<Argument>& Algorithm::arguments() const { return state_->arguments; }
const std::vector<Func>& Algorithm::funcs() const { return state_->funcs; }

}  // namespace tessera
