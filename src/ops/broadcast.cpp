#include "ops/broadcast.h"

#include "algorithm/graph.h"
#include "base/closest_name.h"
#include "expr/bounds.h"
#include "expr/index_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::ops {

namespace {

bool is_one(const Dim& d) { return d.extent().constant() == 1; }

std::string dims_text(const std::vector<Dim>& dims) {
    std::vector<std::string> names;
    for (const Dim& d : dims) names.push_back(d.name());
    return fmt::format("[{}]", fmt::join(names, ", "));
}

[[noreturn]] void throw_broadcast(const Shape& a, const Dim& of_a, const Shape& b, const Dim& of_b) {
    throw Error(
        E0313_broadcast, b.where,
        fmt::format("{} and {} do not broadcast: dim {} of extent {} meets dim {} of extent {}", a.name, b.name, of_a.name(),
                    extent_text(of_a), of_b.name(), extent_text(of_b)),
        {note(a.where, fmt::format("{} has dims {}", a.name, dims_text(a.dims))),
         note(b.where, fmt::format("{} has dims {}", b.name, dims_text(b.dims))), fix("use one Dim where the extents are equal"),
         fix("give one of them the static extent 1, or transpose it: dims are matched from the last one")});
}

}  // namespace

std::string extent_text(const Dim& d) { return index_text(simplify_index(index_expr(d.extent()))); }

bool equal_extents(const Dim& a, const Dim& b) {
    if (a.id() == b.id()) return true;
    const Expr x = simplify_index(index_expr(a.extent())), y = simplify_index(index_expr(b.extent()));
    if (x.same_as(y)) return true;
    const Facts facts{.extents_positive = true};
    return proves_nonnegative(x - y, facts) && proves_nonnegative(y - x, facts);
}

std::vector<Dim> broadcast(const std::vector<Shape>& shapes) {
    // result[i] is owned by shapes[owner[i]]; both run from the last dim backwards.
    std::vector<Dim> result;
    std::vector<size_t> owner;
    for (size_t s = 0; s < shapes.size(); ++s) {
        const std::vector<Dim>& dims = shapes[s].dims;
        for (size_t i = 0; i < dims.size(); ++i) {
            const Dim& d = dims[dims.size() - 1 - i];
            if (i == result.size()) {
                result.push_back(d);
                owner.push_back(s);
            } else if (is_one(result[i]) && !is_one(d)) {
                result[i] = d;
                owner[i] = s;
            } else if (!is_one(d) && !equal_extents(result[i], d)) {
                throw_broadcast(shapes[owner[i]], result[i], shapes[s], d);
            }
        }
    }
    std::reverse(result.begin(), result.end());
    return result;
}

std::vector<Index> aligned(const std::vector<Dim>& from, const std::vector<Dim>& result) {
    std::vector<Index> indices;
    for (size_t i = 0; i < from.size(); ++i) {
        const Dim& d = result[result.size() - from.size() + i];
        if (is_one(from[i]) && d.id() != from[i].id())
            indices.emplace_back(0);
        else
            indices.emplace_back(d);
    }
    return indices;
}

Expr broadcast_to(const Tensor& t, const Shape& shape) {
    for (size_t i = 0; i < t.rank(); ++i) {
        const Dim& d = t.dims()[t.rank() - 1 - i];
        if (i >= shape.dims.size())
            throw Error(
                E0313_broadcast, t.where(),
                fmt::format("{} with dims {} does not broadcast to {} with dims {}", t.name(), dims_text(t.dims()), shape.name,
                            dims_text(shape.dims)),
                {note(shape.where, fmt::format("{} is used here", shape.name)), fix(fmt::format("leave out dim {}", d.name()))});
        const Dim& into = shape.dims[shape.dims.size() - 1 - i];
        if (!is_one(d) && !equal_extents(d, into)) throw_broadcast(shape, into, Shape(t), d);
    }
    return t.at(aligned(t.dims(), shape.dims));
}

void require_equal(const Shape& a, const Dim& of_a, const Shape& b, const Dim& of_b) {
    if (equal_extents(of_a, of_b)) return;
    throw Error(E0106_dim_mismatch, b.where,
                fmt::format("dim {} of {} has extent {} but dim {} of {} has extent {}; they must be equal", of_a.name(), a.name,
                            extent_text(of_a), of_b.name(), b.name, extent_text(of_b)),
                {note(a.where, fmt::format("{} has dims {}", a.name, dims_text(a.dims))),
                 note(b.where, fmt::format("{} has dims {}", b.name, dims_text(b.dims))), fix("use one Dim for both"),
                 fix("transpose one of them")});
}

void require_rank(const Tensor& t, size_t least, std::string_view shape) {
    if (t.defined() && t.rank() >= least) return;
    throw Error(E0301_rank, t.where(),
                fmt::format("{} has {} dims {}; {} is wanted", t.name(), t.rank(), dims_text(t.dims()), shape),
                {expected(fmt::format("at least {} dims", least)), received(std::to_string(t.rank())),
                 fix("add the missing dims, with the static extent 1 if need be")});
}

namespace {
void require_kind(bool fits, std::string_view what, std::string_view kind, const Tensor& t) {
    if (fits && !t.value().is_weak()) return;
    throw Error(
        E0202_dtype_unsupported, t.where(), fmt::format("{} takes {}, but {} is {}", what, kind, t.name(), dtype_name(t.dtype())),
        {expected(std::string(kind)), received(std::string(dtype_name(t.dtype()))), fix("convert it: ops::cast(dtype, x)")});
}
}  // namespace
void require_float(std::string_view what, const Tensor& t) { require_kind(is_float(t.dtype()), what, "floats", t); }
void require_integer(std::string_view what, const Tensor& t) { require_kind(is_integer(t.dtype()), what, "integers", t); }

void require_dim(const Tensor& t, const Dim& d) {
    if (contains_dim(t.dims(), d)) return;
    std::vector<std::string> names;
    for (const Dim& x : t.dims()) names.push_back(x.name());
    throw Error(E0103_unknown_dim, t.where(),
                fmt::format("{} has no dim {}; its dims are {}", t.name(), d.name(), dims_text(t.dims())),
                {note(d.state().where, fmt::format("dim {} declared here", d.name())), fix_spelling(d.name(), names)});
}

Dims unpacked(const Tensor& t, const Dims& dims) {
    Dims out;
    const auto add = [&](const Dim& d) {
        if (contains_dim(out, d))
            throw Error(E0104_repeated_dim, t.where(), fmt::format("dim {} is named twice for {}", d.name(), t.name()),
                        {fix("name it once")});
        out.push_back(d);
    };
    for (const Dim& d : dims) {
        if (!d.is_pack()) {
            require_dim(t, d);
            add(d);
        } else {
            for (const Dim& other : rest(t.dims(), dims)) add(other);
        }
    }
    return out;
}

std::vector<Dim> rest(const std::vector<Dim>& dims, const std::vector<Dim>& without) {
    std::vector<Dim> out;
    for (const Dim& d : dims)
        if (!contains_dim(without, d)) out.push_back(d);
    return out;
}

DType wide(DType t) {
    if (is_narrow_float(t)) return f32;
    return is_integer(t) && dtype_bits(t) < 32 ? i32 : t;
}

Dim own_dim(const std::string& result, std::string_view local, const Extent& extent) {
    std::string name = fmt::format("{}_{}", result, local);
    for (char& c : name)
        if (c == '/' || c == '.') c = '_';
    return Dim(name, extent);
}

Dim DistinctDims::add(const Dim& d, std::string_view local) {
    dims_.push_back(contains_dim(dims_, d) ? own_dim(result_, local, d.extent()) : d);
    return dims_.back();
}

std::vector<Dim> DistinctDims::add_all(const std::vector<Dim>& dims) {
    std::vector<Dim> added;
    for (const Dim& d : dims) added.push_back(add(d, fmt::format("{}_{}", d.name(), dims_.size())));
    return added;
}

Func define(const std::string& name, const std::vector<Dim>& dims, const Expr& value, SourceLoc where) {
    Func f(name, where);
    f.at(indices_of(dims), where) = Operand(value, where);
    return f;
}

}  // namespace tessera::ops
