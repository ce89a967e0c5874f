#include "algorithm/graph.h"
#include "base/check.h"

#include <fmt/format.h>

#include <cctype>

namespace tessera {

namespace {
std::string legal_name(const std::string& name) {
    std::string legal = name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ? "f" + name : name;
    for (char& c : legal)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '/' && c != '.') c = '_';
    return legal;
}
}  // namespace

void check_name(const std::string& name, std::string_view kind, SourceLoc where) {
    bool good = !name.empty() && (std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_');
    for (const char c : name) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '/' || c == '.');
    if (!good)
        throw Error(E0102_bad_name, where, fmt::format("'{}' is no name for {}", name, kind),
                    {token("\"" + name + "\""), expected("letters, digits, _ / and ., not starting with a digit"),
                     fix(fmt::format("call it {}", legal_name(name)))});
}

// ---- Input and Scalar

namespace {

std::shared_ptr<InputState> make_input(std::string name, DType dtype, std::vector<Dim> dims, SourceLoc where) {
    check_name(name, "an input", where);
    for (size_t i = 0; i < dims.size(); ++i)
        for (size_t j = i + 1; j < dims.size(); ++j)
            if (dims[i].id() == dims[j].id())
                throw Error(E0104_repeated_dim, where, fmt::format("input {} has dim {} twice", name, dims[i].name()),
                            {token(name), fix("give the second one a Dim of its own, and require() that the extents are equal")});
    auto state = std::make_shared<InputState>();
    state->name = std::move(name);
    state->dtype = dtype;
    state->dims = std::move(dims);
    state->where = where;
    return state;
}

void set_values(InputState& state, const Extent& low, const Extent& high) {
    if (!is_integer(state.dtype))
        throw Error(E0204_index_type, state.where,
                    fmt::format("{} has dtype {}; values_in() is for integers", state.name, dtype_name(state.dtype)),
                    {token(state.name), fix("declare it with an integer dtype")});
    state.values = {low, high};
}

void check_rank(std::string_view name, const std::vector<Dim>& dims, size_t indices, SourceLoc where, SourceLoc declared) {
    if (dims.size() == indices) return;
    std::string like;
    for (const Dim& d : dims) like += (like.empty() ? "" : ", ") + d.name();
    throw Error(
        E0301_rank, where,
        fmt::format("{} has {} but is read with {}", name, counted(dims.size(), "dim"),
                    indices == 1 ? "1 index" : fmt::format("{} indices", indices)),
        {token(std::string(name)), expected(std::to_string(dims.size())), received(std::to_string(indices)),
         note(declared, fmt::format("{} declared here", name)), fix(fmt::format("write one index per dim: {}({})", name, like))});
}

std::vector<Expr> index_exprs(const std::vector<Index>& indices) {
    std::vector<Expr> out;
    for (const Index& i : indices) out.push_back(index_expr(i));
    return out;
}

Expr in_compute(const std::optional<Numerics>& numerics, const Expr& read) {
    return numerics && numerics->compute != read.dtype() ? make_op(Op::cast, numerics->compute, {read}) : read;
}

Expr read_input(const std::shared_ptr<const InputState>& input, Boundary mode, const Expr& outside,
                const std::vector<Index>& indices, SourceLoc where) {
    check_rank(input->name, input->dims, indices.size(), where, input->where);
    std::vector<Expr> args = index_exprs(indices);
    if (mode == Boundary::constant) args.push_back(resolve_weak(outside, input->dtype, where));
    return in_compute(input->numerics, make_access({input, nullptr, mode}, std::move(args), input->dtype, 0, where));
}

}  // namespace

Expr read_func(const std::shared_ptr<FuncState>& func, int component, Boundary mode, const Expr& outside,
               const std::vector<Index>& indices, SourceLoc where) {
    if (!func->defined)
        throw Error(E0303_undefined, where, fmt::format("{} is read before it is defined", func->name),
                    {token(func->name), note(func->where, fmt::format("{} declared here", func->name)),
                     fix(fmt::format("define {} first", func->name)),
                     fix("a definition cannot read itself: use scan() or recurrence()")});
    check_rank(func->name, func->dims, indices.size(), where, func->where);
    if (component < 0 || component >= static_cast<int>(func->dtypes.size()))
        throw Error(E0305_tuple, where,
                    fmt::format("{} has {} components; component {} does not exist", func->name, func->dtypes.size(), component),
                    {token(func->name), note(func->where, fmt::format("{} defined here", func->name))});
    const DType dtype = func->dtypes[static_cast<size_t>(component)];
    std::vector<Expr> args = index_exprs(indices);
    if (mode == Boundary::constant) args.push_back(resolve_weak(outside, dtype, where));
    return in_compute(func->numerics, make_access({nullptr, func, mode}, std::move(args), dtype, component, where));
}

Input::Input(std::string name, DType dtype, std::vector<Dim> dims, SourceLoc where)
    : state_(make_input(std::move(name), dtype, std::move(dims), where)) {}
Input::Input(std::string name, Numerics numerics, std::vector<Dim> dims, SourceLoc where)
    : state_(make_input(std::move(name), numerics.storage, std::move(dims), where)) {
    check_policy(state_->name, numerics, where);
    state_->numerics = numerics;
}
Input& Input::values_in(const Extent& low, const Extent& high) & {
    set_values(*state_, low, high);
    return *this;
}
Input Input::values_in(const Extent& low, const Extent& high) && { return values_in(low, high); }
Input& Input::increasing() & {
    state_->increasing = true;
    return *this;
}
Input Input::increasing() && { return increasing(); }
const std::string& Input::name() const { return state_->name; }
DType Input::dtype() const { return state_->dtype; }
const std::vector<Dim>& Input::dims() const { return state_->dims; }
Expr Input::operator()(SourceLoc where) const { return at({}, where); }
Expr Input::at(const std::vector<Index>& indices, SourceLoc where) const {
    return read_input(state_, Boundary::none, {}, indices, where);
}

Scalar::Scalar(std::string name, DType dtype, SourceLoc where) : state_(make_input(std::move(name), dtype, {}, where)) {
    state_->scalar = true;
}
Scalar& Scalar::values_in(const Extent& low, const Extent& high) & {
    set_values(*state_, low, high);
    return *this;
}
Scalar Scalar::values_in(const Extent& low, const Extent& high) && { return values_in(low, high); }
const std::string& Scalar::name() const { return state_->name; }
DType Scalar::dtype() const { return state_->dtype; }
Expr::Expr(const Scalar& scalar) : Expr(read_input(scalar.state(), Boundary::none, {}, {}, {})) {}
Extent::Extent(const Scalar& scalar) {
    if (!is_integer(scalar.dtype()))
        throw Error(E0204_index_type, scalar.state()->where,
                    fmt::format("scalar {} has dtype {}; an extent is an integer", scalar.name(), dtype_name(scalar.dtype())),
                    {token(scalar.name()), fix("declare it i32 or i64")});
    // Weak, so that it mixes with other extents.
    ExprNode node = *Expr(scalar);
    if (node.dtype != DType::i64) node = *make_op(Op::cast, DType::i64, {Expr(scalar)});
    node.weak = true;
    node_ = make_node(std::move(node)).node();
}

// ---- boundary conditions

Bounded::Bounded(const Input& input, Boundary mode, Expr outside)
    : input_(input.state()), mode_(mode), outside_(std::move(outside)) {}
Bounded::Bounded(const Func& func, Boundary mode, Expr outside)
    : func_(func.state()), mode_(mode), outside_(std::move(outside)) {}

namespace {
[[noreturn]] void throw_one_value_needed(const FuncState& f, SourceLoc where) {
    throw Error(E0305_tuple, where, fmt::format("{} has {} components; one value is needed", f.name, f.dtypes.size()),
                {token(f.name), note(f.where, fmt::format("{} defined here", f.name)),
                 fix(fmt::format("choose one: {0}(...)[0]; under a boundary condition give it a Func first: one(i) = {0}(i)[0]",
                                 f.name))});
}
}  // namespace

Expr Bounded::at(const std::vector<Index>& indices, SourceLoc where) const {
    if (input_) return read_input(input_, mode_, outside_, indices, where);
    if (func_->defined && func_->dtypes.size() > 1) throw_one_value_needed(*func_, where);
    return read_func(func_, 0, mode_, outside_, indices, where);
}
Bounded clamp(const Input& input) { return {input, Boundary::clamp, {}}; }
Bounded clamp(const Func& func) { return {func, Boundary::clamp, {}}; }
Bounded mirror(const Input& input) { return {input, Boundary::mirror, {}}; }
Bounded mirror(const Func& func) { return {func, Boundary::mirror, {}}; }
Bounded mirror_interior(const Input& input) { return {input, Boundary::mirror_interior, {}}; }
Bounded mirror_interior(const Func& func) { return {func, Boundary::mirror_interior, {}}; }
Bounded periodic(const Input& input) { return {input, Boundary::periodic, {}}; }
Bounded periodic(const Func& func) { return {func, Boundary::periodic, {}}; }
Bounded constant(const Input& input, const Operand& value) { return {input, Boundary::constant, value.expr}; }
Bounded constant(const Func& func, const Operand& value) { return {func, Boundary::constant, value.expr}; }

// ---- Func

Func::Func(std::string name, SourceLoc where) : state_(std::make_shared<FuncState>()) {
    check_name(name, "a Func", where);
    state_->name = std::move(name);
    state_->where = where;
}
Func::Func(std::string name, DType dtype, SourceLoc where) : Func(std::move(name), where) { state_->declared = dtype; }
Func::Func(std::string name, Numerics numerics, SourceLoc where) : Func(std::move(name), where) {
    check_policy(state_->name, numerics, where);
    state_->numerics = numerics;
}
const std::string& Func::name() const { return state_->name; }
bool Func::defined() const { return state_->defined; }

namespace {
void require_defined(const FuncState& f) {
    if (!f.defined)
        throw Error(E0303_undefined, f.where, fmt::format("{} has no definition", f.name),
                    {token(f.name), fix(fmt::format("write {}(...) = ...", f.name))});
}

std::vector<Dim> left_hand_dims(const FuncState& f, const std::vector<Index>& indices) {
    std::vector<Dim> dims;
    for (const Index& i : indices) {
        if (i.expr->op != Op::dim)
            throw Error(E0306_left_hand_side, i.where,
                        fmt::format("the left-hand side of {} has an index that is no plain Dim", f.name),
                        {token(f.name), expected("distinct Dims"), fix("index by a Dim and shift the reads on the right instead"),
                         fix("for data-dependent places use scatter()")});
        const Dim d = i.expr->dim();
        if (contains_dim(dims, d))
            throw Error(E0104_repeated_dim, i.where,
                        fmt::format("dim {} stands twice on the left-hand side of {}", d.name(), f.name),
                        {token(f.name), fix("use a second Dim and select(i == j, ...)")});
        dims.push_back(d);
    }
    return dims;
}

Expr stored(const FuncState& f, const Operand& value) {
    const Expr& e = value.expr;
    if (is_constant(e) && e->weak && !f.declared && !f.numerics)
        throw Error(E0203_literal, value.where,
                    fmt::format("the definition of {} is made of literals only; its dtype is open", f.name),
                    {token(f.name), fix(fmt::format("write {}(...) = cast(f32, ...)", f.name)),
                     fix(fmt::format("declare it: Func {}(\"{}\", f32)", f.name, f.name))});
    if (f.numerics) {
        const Expr strong = accumulated(e->weak ? resolve_weak(e, f.numerics->compute, value.where) : e, *f.numerics);
        if (strong.dtype() == f.numerics->storage) return strong;
        return make_op(f.numerics->saturate ? Op::saturate_cast : Op::cast, f.numerics->storage, {strong});
    }
    const Expr strong = e->weak ? resolve_weak(e, f.declared.value_or(e.dtype()), value.where) : e;
    if (f.declared && strong.dtype() != *f.declared)
        throw Error(
            E0205_narrowing, value.where,
            fmt::format("{} is declared {} but its definition yields {}", f.name, dtype_name(*f.declared),
                        dtype_name(strong.dtype())),
            {token(f.name), expected(std::string(dtype_name(*f.declared))), received(std::string(dtype_name(strong.dtype()))),
             fix(fmt::format("write the conversion: cast({0}, ...) or saturate_cast({0}, ...)", dtype_name(*f.declared)))});
    return strong;
}

void define(FuncState& f, const std::vector<Index>& indices, const std::vector<Operand>& values, SourceLoc where) {
    if (f.defined)
        throw Error(E0302_redefined, where, fmt::format("{} is defined twice", f.name),
                    {token(f.name), note(f.where, "first defined here"), fix("give the second definition a Func of its own"),
                     fix("accumulate with sum(), scan() or recurrence()")});
    if (values.empty()) throw Error(E0305_tuple, where, fmt::format("{} is defined as an empty tuple", f.name), {token(f.name)});
    std::vector<Dim> dims = left_hand_dims(f, indices);
    std::vector<Expr> stores;
    for (const Operand& v : values) {
        stores.push_back(stored(f, v));
        for (const Dim& d : free_dims(stores.back()))
            if (!contains_dim(dims, d))
                throw Error(E0103_unknown_dim, where,
                            fmt::format("dim {} is free in the definition of {} but not on its left-hand side", d.name(), f.name),
                            {token(d.name()), note(d.state().where, fmt::format("dim {} declared here", d.name())),
                             fix(fmt::format("add {} to the left-hand side", d.name())),
                             fix(fmt::format("reduce over it: sum({{{}}}, ...)", d.name()))});
    }
    f.dims = std::move(dims);
    f.values = std::move(stores);
    f.dtypes.clear();
    for (const Expr& v : f.values) f.dtypes.push_back(v.dtype());
    f.where = where;
    f.defined = true;
}
}  // namespace

const std::vector<Dim>& Func::dims() const {
    require_defined(*state_);
    return state_->dims;
}
DType Func::dtype(int component) const {
    require_defined(*state_);
    return state_->dtypes.at(static_cast<size_t>(component));
}
int Func::components() const {
    require_defined(*state_);
    return static_cast<int>(state_->dtypes.size());
}

void FuncRef::operator=(const Operand& value) && { define(*func_, indices_, {value}, where_); }
void FuncRef::operator=(const Expr& value) && { define(*func_, indices_, {Operand(value, where_)}, where_); }
void FuncRef::operator=(const Tuple& values) && { define(*func_, indices_, values.values(), where_); }
void FuncRef::operator=(const FuncRef& value) && { define(*func_, indices_, {Operand(value.read(), where_)}, where_); }

Expr FuncRef::operator[](int i) const { return read_func(func_, i, Boundary::none, {}, indices_, where_); }
Expr FuncRef::read() const {
    if (func_->defined && func_->dtypes.size() > 1) throw_one_value_needed(*func_, where_);
    return read_func(func_, 0, Boundary::none, {}, indices_, where_);
}
Expr::Expr(const FuncRef& access) : Expr(access.read()) {}

// ---- dims

std::vector<Dim> joined_dims(std::vector<Dim> a, const std::vector<Dim>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

bool contains_dim(const std::vector<Dim>& dims, const Dim& dim) {
    for (const Dim& d : dims)
        if (d.id() == dim.id()) return true;
    return false;
}

}  // namespace tessera
