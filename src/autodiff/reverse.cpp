#include "autodiff/reverse.h"

#include "autodiff/custom_rule.h"
#include "autodiff/graph_of.h"
#include "autodiff/rule_batch.h"
#include "autodiff/scalar_partials.h"
#include "base/check.h"
#include "expr/index_text.h"
#include "expr/op_cost.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

// A value that is not worth a Func of its own: a constant, also under a condition on indices, or a read at the point itself.
bool is_plain(const Expr& e, const std::vector<Dim>& dims) {
    if (is_constant(e)) return true;
    if (e->op == Op::select && is_constant(e->args[1]) && is_number(e->args[2], 0)) {
        bool of_indices = true;
        for_each_node({e->args[0]}, [&](const Expr& n) { of_indices = of_indices && n->op != Op::access; });
        return of_indices;
    }
    if (e->op != Op::access || e->target().boundary != Boundary::none || e->args.size() > dims.size()) return false;
    return std::all_of(e->args.begin(), e->args.end(), [](const Expr& a) { return a->op == Op::dim; });
}

}  // namespace

Reverse::Reverse(DerivativeGraph& graph, ReverseOptions options)
    : algorithm_(graph.algorithm.state()), normal_(graph.normal), in_normal_form_(std::make_shared<const FuncMap>(graph.normal)),
      activity_(graph.activity), names_(graph.names), options_(std::move(options)), regions_(required_regions(algorithm_)) {}

void Reverse::seed(const Func& output, int component, const Expr& given) {
    // A Func that is an output and also read outside its extents has cotangents there, but none that is given.
    Expr inside;
    const std::vector<Interval>& region = regions_.at(output.state().get());
    for (size_t i = 0; i < region.size(); ++i) {
        const Dim& d = output.dims()[i];
        const Expr at = make_dim(d);
        const Interval whole = whole_dim(d);
        const auto reaches = [](const Expr& a, const Expr& b) {
            return proves_nonnegative(simplify_index(make_op(Op::sub, DType::i64, {a, b})), {.extents_positive = true});
        };
        if (!reaches(region[i].low, whole.low)) inside = both(inside, make_op(Op::le, DType::bool_, {whole.low, at}));
        if (!reaches(whole.high, region[i].high)) inside = both(inside, make_op(Op::le, DType::bool_, {at, whole.high}));
    }
    const Expr value = inside.defined() ? chosen(inside, given, zero_of(given.dtype())) : given;
    terms_[{output.state().get(), component}].values.emplace_back(value, output.name());
}

void Reverse::run() {
    const std::vector<Func>& funcs = algorithm_.funcs;
    for (size_t i = funcs.size(); i-- > 0;) {
        const FuncState& f = *funcs[i].state();
        if (done_.count(&f) || activity_.is_cut(f) || !activity_.varies(f)) continue;
        if (f.recurrence)
            spread_group(*f.recurrence);
        else
            spread(funcs[i]);
    }
}

std::vector<Dim> Reverse::with_parameters(const std::vector<Dim>& dims) const {
    std::vector<Dim> all;
    for (const Dim& d : options_.parameters)
        if (!contains_dim(dims, d)) all.push_back(d);
    all.insert(all.end(), dims.begin(), dims.end());
    return all;
}

std::vector<LoopDim> Reverse::loops_of(const Func& f) const {
    std::vector<LoopDim> loops;
    const std::vector<Interval>& region = regions_.at(f.state().get());
    for (size_t i = 0; i < f.dims().size(); ++i)
        if (!contains_dim(options_.parameters, f.dims()[i])) loops.push_back({f.dims()[i], region[i], false});
    return loops;
}

std::vector<Interval> Reverse::region_of(const AccessTarget& target) const {
    std::vector<Interval> region;
    if (target.input) {
        for (const Dim& d : target.input->dims) region.push_back(whole_dim(d));
        return region;
    }
    region = regions_.at(target.func.get());
    // Results cover all of a cut Func, the states of a recurrence all of its steps.
    const auto& recurrence = target.func->recurrence;
    for (size_t i = 0; i < region.size(); ++i) {
        const Dim& d = target.func->dims[i];
        if (activity_.is_cut(*target.func) || (recurrence && recurrence->t.id() == d.id()))
            region[i] = hull(region[i], whole_dim(d));
    }
    return region;
}

SweepContext Reverse::context_of(const Func& f) {
    SweepContext context;
    context.active = [this](const Expr& access) { return activity_.access_varies(access); };
    context.free_of_inputs = [this](const Expr& access) { return activity_.access_is_free(access); };
    context.missing = [this, f](const Expr& node) { throw_missing(f, node); };
    return context;
}

// The sum of what consumers gave; sums over other dims become Funcs of their own where there are several.
Expr Reverse::combined(const Key& key, const std::string& name, const std::vector<Dim>& dims, SourceLoc where) {
    const auto found = terms_.find(key);
    if (found == terms_.end()) return {};
    const auto& values = found->second.values;
    if (values.size() == 1) return values[0].first;
    Expr sum;
    for (const auto& [value, consumer] : values) {
        Expr term = value;
        if (is_structured(value->op)) {
            const Func part = made_func(names_.func(name + "/" + consumer), with_parameters(dims), {value}, where);
            term = read_at(part, dims_as_indices(part.dims()), where);
        }
        sum = sum_of(sum, term);
    }
    return sum;
}

Expr Reverse::cotangent(const Func& f, int component) {
    const Key key{f.state().get(), component};
    if (const auto state = states_.find(key); state != states_.end()) return state->second;
    const std::string suffix = f.components() > 1 ? "." + std::to_string(component) : "";
    const std::string name = options_.prefix + "/" + f.name() + suffix;
    const SourceLoc where = f.state()->where;
    const Expr value = combined(key, name, f.dims(), where);
    if (!value.defined() || is_plain(value, with_parameters(f.dims()))) return value;
    const Func made = made_func(names_.func(name), with_parameters(f.dims()), {value}, where);
    return read_at(made, dims_as_indices(made.dims()), where);
}

std::vector<Expr> Reverse::cotangents(const Func& f) {
    std::vector<Expr> out;
    for (int c = 0; c < f.components(); ++c) out.push_back(is_float(f.dtype(c)) ? cotangent(f, c) : Expr());
    return out;
}

void Reverse::spread(const Func& f) {
    done_.insert(f.state().get());
    const std::vector<Expr> given = cotangents(f);
    if (std::none_of(given.begin(), given.end(), [](const Expr& e) { return e.defined(); })) return;
    if (f.state()->rule) return spread_rule(f, given);
    const Expr root = structured_root(*f.state());
    if (root.defined()) {
        if (root->op == Op::reduce) return spread_reduce(f, root, given);
        if (root->op == Op::scan) return spread_scan(f, root, given);
        return spread_scatter(f, root, given);
    }
    SweepContext context = context_of(f);
    std::vector<Guarded> seeds;
    for (size_t c = 0; c < given.size(); ++c) {
        const Expr& v = f.state()->values[c];
        if (!v->args.empty() && v->op != Op::access)
            context.stored.emplace(v.get(), read_at(f, dims_as_indices(f.dims()), f.state()->where, static_cast<int>(c)));
        seeds.push_back(as_guarded(given[c]));
    }
    transpose_each(f, stored_terms(f, reverse_sweep(f.state()->values, seeds, context)), loops_of(f), {});
}

// Of an operand of a rule: by what its cotangent is known; null where nothing is differentiated by what it depends on.
const void* Reverse::key_of_operand(const Wrt& x) const {
    if (x.input()) return activity_.variables().inputs.count(x.input().get()) == 0 ? nullptr : x.input().get();
    const auto found = normal_.find(x.func().get());
    const FuncState* target = found == normal_.end() ? x.func().get() : found->second.state().get();
    return activity_.varies(*target) || activity_.is_cut(*target) ? target : nullptr;
}

// The rule speaks of the Funcs of the user's graph; what it makes reads those in normal form.
void Reverse::spread_rule(const Func& f, const std::vector<Expr>& given) {
    check_captures(f, activity_.variables().inputs, activity_.variables().funcs);
    const std::string name = names_.prefix(options_.prefix + "/" + f.name() + "/rule");
    const DerivativeRule& rule = *f.state()->rule;
    std::vector<Wrt> active;
    for (const Wrt& x : rule.operands)
        if (key_of_operand(x) != nullptr) active.push_back(x);
    const RulePer per = rule_per(f, active);
    // Points of `mixed` get copies of their own, in each of which all other points are zero.
    std::vector<Dim> copied;
    Expr own, value = given[0];
    for (const Dim& d : per.mixed) {
        copied.push_back(names_.dim(d.name(), d.extent()));
        own = both(own, make_op(Op::eq, DType::bool_, {make_dim(copied.back()), make_dim(d)}));
    }
    if (own.defined()) value = chosen(own, value, zero_of(value.dtype()));
    std::vector<Dim> outside = parameters_without(f.dims());
    outside.insert(outside.begin(), copied.begin(), copied.end());
    std::vector<Dim> dims = outside;
    dims.insert(dims.end(), f.dims().begin(), f.dims().end());
    const Func cotangent = made_func(name + "/given", dims, {value}, f.state()->where);
    const std::vector<Func> made = called_per(outside, {cotangent}, [&](const std::vector<Func>& each) {
        return in_normal_form_(per.apart.empty() ? reverse_of_rule(f, each[0], name)
                                                 : reverse_of_rule_per(f, each[0], per.apart, name));
    });
    for (size_t k = 0; k < rule.operands.size(); ++k) {
        const void* key = key_of_operand(rule.operands[k]);
        if (key == nullptr) continue;
        if (rule.operands[k].func()) consumer_.emplace(static_cast<const FuncState*>(key), f.state().get());
        std::vector<Expr> at = dims_as_indices(made[k].dims());
        for (size_t m = 0; m < copied.size(); ++m) at[m] = make_dim(per.mixed[m]);
        const Expr read = converted(derivative_dtype(made[k].dtype()), read_at(made[k], at, f.state()->where));
        terms_[{key, 0}].values.emplace_back(read, f.name());
    }
}

std::vector<Dim> Reverse::parameters_without(const std::vector<Dim>& dims) const {
    std::vector<Dim> out;
    for (const Dim& d : options_.parameters)
        if (!contains_dim(dims, d)) out.push_back(d);
    return out;
}

// A rule serves a dim of `per` that its Func has as it is where it is known not to mix the dim's points and adds none up, since
// all operands have the dim. What an equation couples is solved for once for each point.
Reverse::RulePer Reverse::rule_per(const Func& f, const std::vector<Wrt>& operands) const {
    const DerivativeRule& rule = *f.state()->rule;
    RulePer per;
    bool as_it_is = true;
    for (const Dim& d : options_.parameters) {
        const bool own = contains_dim(f.dims(), d), apart = contains_dim(rule.per, d), coupled = own && rule.linear && !apart;
        for (const Wrt& x : operands) {
            const bool has_dim = contains_dim(dims_of(x), d);
            if (has_dim && (!own || coupled)) throw_mixed(f, d, name_of(x));
            as_it_is = as_it_is && (!own || coupled || (apart && has_dim));
        }
        if (own) (coupled ? per.mixed : per.apart).push_back(d);
    }
    if (as_it_is) per.apart.clear();
    return per;
}
void Reverse::throw_mixed(const Func& f, const Dim& d, const std::string& operand) {
    throw Error(
        E1003_derivative_shape, f.state()->where,
        fmt::format("{} at one point depends on {} at all points of {}; a derivative per {} needs them apart", f.name(), operand,
                    d.name(), d.name()),
        {token(f.name()), fix(fmt::format("leave {} out of `per`", d.name())),
         fix(fmt::format("take all derivatives: jacobian(y, {})", operand)),
         fix(fmt::format("say that the equations of {} are independent along {}, in its options' `per`", f.name(), d.name()))});
}

void Reverse::transpose_all(const Func& f, const std::vector<Expr>& roots, const std::vector<Guarded>& seeds,
                            const std::vector<LoopDim>& loops, const std::vector<Expr>& conditions, const SweepContext& context) {
    transpose_each(f, reverse_sweep(roots, seeds, context), loops, conditions);
}

// Values that several accesses get are computed once per point and stored: one sweep per point, then loads.
std::vector<Contribution> Reverse::stored_terms(const Func& f, std::vector<Contribution> contributions) {
    constexpr double cheap = 2;
    const auto cost = [](const Expr& e) {
        double sum = 0;
        for_each_node({e}, [&](const Expr& n) { sum += op_cost(*n); });
        return sum;
    };
    std::vector<Expr> values;
    std::vector<std::pair<size_t, size_t>> stored;  // contribution, component
    for (size_t i = 0; i < contributions.size(); ++i) {
        const Expr value = contributions[i].value.expr();
        if (is_plain(value, with_parameters(f.dims())) || cost(value) <= cheap) continue;
        size_t at = 0;
        while (at < values.size() && !values[at].same_as(value)) ++at;
        if (at == values.size()) values.push_back(value);
        stored.emplace_back(i, at);
    }
    if (stored.size() < 2) return contributions;
    const std::vector<Dim> dims = with_parameters(f.dims());
    const SourceLoc where = f.state()->where;
    const Func terms = made_func(names_.func(options_.prefix + "/" + f.name() + "/terms"), dims, values, where);
    for (const auto& [i, at] : stored) {
        Guarded& g = contributions[i].value;
        bool of_indices = !g.always();
        if (of_indices) for_each_node({g.condition}, [&](const Expr& n) { of_indices = of_indices && n->op != Op::access; });
        g = {of_indices ? g.condition : Expr(), read_at(terms, dims_as_indices(dims), where, static_cast<int>(at))};
    }
    return contributions;
}

void Reverse::transpose_each(const Func& f, const std::vector<Contribution>& contributions, const std::vector<LoopDim>& loops,
                             const std::vector<Expr>& conditions) {
    for (const Contribution& c : contributions) {
        const AccessTarget& target = c.access->target();
        if (target.func) consumer_.emplace(target.func.get(), f.state().get());
        AccessPlace place;
        place.loops = loops;
        place.conditions = conditions;
        place.parameters = options_.parameters;
        place.target_dims = target.input ? target.input->dims : target.func->dims;
        place.target_region = region_of(target);
        place.name = options_.prefix + "/" + (target.input ? target.input->name : target.func->name);
        place.order = options_.order;
        place.regions = &regions_;
        place.check_inverse = options_.check_inverses;
        // A state cannot be added up from all times at once.
        place.force_scatter = options_.force_scatter && (target.input || states_.empty());
        check_on_diagonal(f, c.access, place);
        const Expr value = transposed(c, place, names_);
        const void* key = target.input ? static_cast<const void*>(target.input.get()) : target.func.get();
        if (value.defined()) terms_[{key, c.access->component()}].values.emplace_back(value, f.name());
    }
}

// A dim of `per` that the tensor has too is read at the very point.
void Reverse::check_on_diagonal(const Func& f, const Expr& access, const AccessPlace& place) const {
    for (size_t k = 0; k < place.target_dims.size(); ++k) {
        const Dim& d = place.target_dims[k];
        if (!contains_dim(options_.parameters, d) || simplify_index(access->args[k]).same_as(make_dim(d))) continue;
        const AccessTarget& target = access->target();
        const std::string& name = target.input ? target.input->name : target.func->name;
        throw Error(E1003_derivative_shape, access->where,
                    fmt::format("{} reads {} at {} = {}; a derivative per {} needs reads at {} itself", f.name(), name, d.name(),
                                index_text(access->args[k]), d.name(), d.name()),
                    {token(name), expected(d.name()), received(index_text(access->args[k])), fix("leave the dim out of `per`"),
                     fix(fmt::format("take all derivatives: jacobian(y, {})", name))});
    }
}

Func Reverse::finished(const Key& key, const std::string& name, const std::vector<Dim>& dims, DType dtype, SourceLoc where) {
    Expr value = combined(key, name, dims, where);
    if (!value.defined()) value = zero_of(derivative_dtype(dtype));
    return made_func(names_.func(name), with_parameters(dims), {converted(dtype, value)}, where);
}

Func Reverse::result(const std::shared_ptr<const InputState>& input) {
    return finished({input.get(), 0}, options_.prefix + "/" + input->name, input->dims, input->dtype, input->where);
}
Func Reverse::result(const Func& cut) {
    return finished({cut.state().get(), 0}, options_.prefix + "/" + cut.name(), cut.dims(), cut.dtype(), cut.state()->where);
}
bool Reverse::reached(const void* variable) const {
    const auto found = terms_.find({variable, 0});
    return found != terms_.end();
}

std::string Reverse::path_through(const FuncState& f) const {
    // Down to a variable by the first read that varies, up to the output by the first consumer.
    std::vector<std::string> down;
    std::unordered_set<const FuncState*> seen;
    for (const FuncState* at = &f; at != nullptr && seen.insert(at).second;) {
        const FuncState* next = nullptr;
        std::string leaf;
        for_each_node(definition_roots(*at), [&](const Expr& n) {
            if (n->op != Op::access || !activity_.access_varies(n) || next || !leaf.empty()) return;
            const AccessTarget& target = n->target();
            if (target.input)
                leaf = target.input->name;
            else if (activity_.is_cut(*target.func))
                leaf = target.func->name;
            else
                next = target.func.get();
        });
        if (!leaf.empty())
            down.push_back(leaf);
        else if (next)
            down.push_back(next->name);
        at = next;
    }
    std::string path;
    for (size_t i = down.size(); i-- > 0;) path += down[i] + " -> ";
    path += f.name;
    seen.clear();
    for (auto up = consumer_.find(&f); up != consumer_.end() && seen.insert(up->second).second; up = consumer_.find(up->second))
        path += " -> " + up->second->name;
    return path;
}

void Reverse::throw_missing(const Func& f, const Expr& node) const {
    const std::string name(op_row(node->op).name);
    throw Error(E1001_no_derivative, f.state()->where,
                fmt::format("{} in the definition of {} has no derivative: {}", name, f.name(), no_derivative(node->op)),
                {token(name), note(fmt::format("the derivative is needed on the way {}", path_through(*f.state()))),
                 fix(fmt::format("straight_through({}(x), x) passes the derivative of x", name)),
                 fix(fmt::format("stop_gradient({}(x)) makes it zero", name))});
}

void Reverse::throw_no_rule(const Func& f, const Expr& root, const std::string& what) const {
    throw Error(E1001_no_derivative, root->where,
                fmt::format("{} in {} has no derivative: {}", root->reduction().monoid->name, f.name(), what),
                {note(fmt::format("the derivative is needed on the way {}", path_through(*f.state()))),
                 fix("write the derivative with custom_vjp()"), fix("use an associative monoid of floats")});
}

}  // namespace tessera
