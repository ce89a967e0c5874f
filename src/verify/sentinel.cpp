#include <tessera/sentinel.h>

#include "autodiff/names.h"
#include "verify/sentinel_watch.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace tessera {
namespace {

// The value at position `at` of the list.
Expr chosen_of(const Expr& at, const std::vector<Expr>& values, size_t first, size_t count) {
    if (count == 1) return values[first];
    const size_t half = count / 2;
    return select(at < static_cast<std::int64_t>(first + half), chosen_of(at, values, first, half),
                  chosen_of(at, values, first + half, count - half));
}

std::optional<NonFinite> first_in_inputs(const Algorithm& algorithm, const NamedInputs& inputs, bool infinities) {
    const auto is_bad = [&](double v) { return std::isnan(v) || (infinities && std::isinf(v)); };
    for (const Argument& a : algorithm.arguments()) {
        const InputState& input = *a.state();
        const auto found = inputs.find(input.name);
        if (!is_float(input.dtype) || found == inputs.end()) continue;
        std::vector<double> numbers;
        std::vector<std::int64_t> extents;
        if (const auto* buffer = std::get_if<AnyBuffer>(&found->second.value())) {
            numbers = numbers_of(*buffer);
            extents = buffer->extents();
        } else if (const auto* number = std::get_if<double>(&found->second.value())) {
            numbers = {*number};
        }
        for (size_t i = 0; i < numbers.size(); ++i) {
            if (!is_bad(numbers[i])) continue;
            NonFinite out;
            out.name = input.name;
            out.is_input = true;
            out.index = index_at(static_cast<std::int64_t>(i), extents);
            out.value = numbers[i];
            out.where = input.where;
            out.possible_fixes = {fmt::format("look at what fills {}", input.name)};
            return out;
        }
    }
    return std::nullopt;
}

void count_values(const std::vector<double>& numbers, NonFinite& out) {
    out.count = static_cast<std::int64_t>(numbers.size());
    out.lowest = std::numeric_limits<double>::infinity();
    out.highest = -out.lowest;
    for (const double v : numbers) {
        if (std::isnan(v)) {
            ++out.nans;
        } else if (std::isinf(v)) {
            ++out.infinities;
        } else {
            out.lowest = std::min(out.lowest, v);
            out.highest = std::max(out.highest, v);
        }
    }
}

}  // namespace

Expr is_nonfinite(const Expr& value, bool infinities) {
    if (!infinities) return make_op(Op::is_nan, DType::bool_, {value});
    // An infinity minus itself is NaN.
    return make_op(Op::is_nan, DType::bool_, {make_op(Op::sub, value.dtype(), {value, value})});
}

Expr first_position(const std::vector<Dim>& dims, const Expr& condition) {
    const Expr none = make_constant(DType::i64, no_position);
    const Expr value = select(condition, position_over(dims), none);
    return dims.empty() ? value : min(dims, value);
}

std::string NonFinite::text() const {
    std::string out = fmt::format("error: {} is {} at {}\n", name, value, place_text(index));
    if (where.known()) out += fmt::format("  --> {}:{}\n", where.file, where.line);
    out += is_input ? "  it is an argument: nothing was computed yet\n"
                    : "  it is the first definition with a value that is not finite; all that it reads is finite\n";
    if (!operation.empty()) out += fmt::format("  the first operation that gave such a value: {}\n", operation);
    if (count > 0)
        out += fmt::format("  {} has {} values: {} NaN, {} infinite{}\n", name, count, nans, infinities,
                           nans + infinities < count ? fmt::format(", the others from {} to {}", lowest, highest) : "");
    for (const std::string& f : possible_fixes) out += fmt::format("  possible fix: {}\n", f);
    return out;
}

Sentinels with_sentinels(const Algorithm& algorithm, bool infinities) {
    auto cells = std::make_shared<WatchedCells>(WatchedCells{probes_of(algorithm, true)});
    NameSupply names(algorithm.state());
    Sentinels out{algorithm, names.func("nonfinite"), {}, cells};
    if (cells->probes.empty())
        throw Error(E0202_dtype_unsupported, algorithm.state().where,
                    fmt::format("{} has no values that could be NaN or infinite", algorithm.name()),
                    {fix("watch definitions of floats")});
    std::vector<Expr> firsts;
    for (const Probe& p : cells->probes) {
        out.watched.push_back(p.name());
        const Func first = made_func(names.func(p.func.name() + "/first"), {},
                                     {first_position(p.dims, is_nonfinite(p.value, infinities))}, p.func.state()->where);
        firsts.push_back(read_at(first, {}, p.func.state()->where));
    }
    const Dim at = names.dim("watched", static_cast<std::int64_t>(firsts.size()));
    const Func flags =
        made_func(out.output, {at}, {chosen_of(cast(DType::i64, at), firsts, 0, firsts.size())}, algorithm.state().where);
    out.algorithm = with_outputs(algorithm, {flags});
    return out;
}

AnyBuffer Sentinels::flags() const { return Buffer<std::int64_t>({static_cast<std::int64_t>(watched.size())}); }

std::optional<NonFinite> Sentinels::found(const AnyBuffer& flags, const NamedInputs& inputs) const {
    const Buffer<const std::int64_t> firsts(flags);
    for (size_t k = 0; k < cells->probes.size(); ++k) {
        const std::int64_t first = firsts(static_cast<std::int64_t>(k));
        if (first == no_position) continue;
        const Probe& probe = cells->probes[k];
        ExtentValues extents = extents_of(algorithm, inputs);
        NonFinite out;
        out.name = watched[k];
        out.index = probe.index(first, extents);
        out.value = std::numeric_limits<double>::quiet_NaN();
        out.where = probe.func.state()->where;
        return out;
    }
    return std::nullopt;
}

std::optional<NonFinite> first_nonfinite(const Algorithm& algorithm, const NamedInputs& inputs, const SentinelOptions& options) {
    if (auto bad_input = first_in_inputs(algorithm, inputs, options.infinities)) return bad_input;
    const Sentinels sentinels = with_sentinels(algorithm, options.infinities);
    ExtentValues extents = extents_of(algorithm, inputs);
    NamedOutputs outputs = allocated_outputs(sentinels.algorithm, extents);
    default_module(sentinels.algorithm, options.target)(inputs, outputs);
    const Buffer<const std::int64_t> firsts(outputs.at(sentinels.output));
    auto out = sentinels.found(firsts, inputs);
    if (!out) return out;
    size_t k = 0;
    while (firsts(static_cast<std::int64_t>(k)) == no_position) ++k;
    const Probe& probe = sentinels.cells->probes[k];
    const std::int64_t position = firsts(static_cast<std::int64_t>(k));
    NameSupply names(algorithm.state());
    const Func cells = probe.cells(names.func(probe.func.name() + "/cells"));
    const Algorithm looking = with_outputs(algorithm, {cells});
    NamedOutputs values = allocated_outputs(looking, extents);
    default_module(looking, options.target)(inputs, values);
    const std::vector<double> numbers = numbers_of(values.at(cells.name()));
    out->value = numbers[static_cast<size_t>(position)];
    count_values(numbers, *out);
    Blame blame = blamed_operation(algorithm, inputs, probe, position, options.infinities);
    out->operation = std::move(blame.operation);
    out->possible_fixes = std::move(blame.possible_fixes);
    return out;
}

}  // namespace tessera
