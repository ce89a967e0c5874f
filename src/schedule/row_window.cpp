#include "schedule/row_window.h"

#include "expr/bounds.h"
#include "expr/index_analysis.h"

#include <algorithm>
#include <map>

namespace tessera {
namespace {

constexpr std::int64_t small_extent = 64;
constexpr std::int64_t few_rows = 4;
constexpr size_t side_by_side = 4;

}  // namespace

std::optional<RowStream> shift_from(const Expr& e, const Dim& row) {
    if (!contains_dim(free_dims(e), row)) return {};
    Domain domain;
    domain.set(row, {make_constant(DType::i64, std::int64_t{0}), make_constant(DType::i64, std::int64_t{0})});
    for (const Dim& d : free_dims(e)) {
        if (d.id() == row.id()) continue;
        const auto extent = d.extent().constant();
        if (!extent || *extent < 1 || *extent > small_extent) return {};
        domain.set(d, {make_constant(DType::i64, std::int64_t{0}), make_constant(DType::i64, *extent - 1)});
    }
    const auto split = split_linear(IndexAnalysis().normal(e), make_dim(row));
    if (!split || !(split->factor == Polynomial(1))) return {};
    const Interval range = bounds(split->rest.expr(), domain);
    if (!range.bounded()) return {};
    const auto low = integer_constant(range.low), high = integer_constant(range.high);
    if (!low || !high) return {};
    return RowStream{*low, *high, 1};
}

std::vector<RowStream> row_streams(const std::vector<Expr>& exprs, const Dim& row) {
    std::map<std::vector<const void*>, RowStream> found;
    for_each_node(exprs, [&](const Expr& n) {
        if (n->op != Op::access) return;
        const AccessTarget& target = n->target();
        std::vector<const void*> place{target.func ? static_cast<const void*>(target.func.get()) : target.input.get()};
        std::optional<RowStream> stream;
        std::int64_t places = 1;
        for (size_t d = 0; d < n->index_count(); ++d) {
            const Expr& index = n->args[d];
            if (contains_dim(free_dims(index), row)) {
                const auto shift = shift_from(index, row);
                if (!shift || stream) return;
                stream = shift;
                place.push_back(nullptr);
                continue;
            }
            place.push_back(index.get());
            std::int64_t positions = 1;
            for (const Dim& free : free_dims(index))
                if (const auto extent = free.extent().constant();
                    extent && *extent <= small_extent && free_dims(index).size() > 1)
                    positions *= std::max<std::int64_t>(*extent, 1);
            places *= positions;
        }
        if (!stream) return;
        stream->places = places;
        const auto [at, is_new] = found.emplace(std::move(place), *stream);
        if (is_new) return;
        at->second.low = std::min(at->second.low, stream->low);
        at->second.high = std::max(at->second.high, stream->high);
    });
    std::vector<RowStream> out;
    for (const auto& entry : found) out.push_back(entry.second);
    return out;
}

std::int64_t rows_together(const std::vector<RowStream>& streams, std::int64_t registers, std::int64_t most) {
    if (std::none_of(streams.begin(), streams.end(), [](const RowStream& s) { return s.span() > 0; })) return 1;
    std::int64_t rows = most;
    for (; rows > 1; rows /= 2) {
        std::int64_t used = 0, widest = 0;
        for (const RowStream& s : streams) {
            used += s.places * (rows + s.span());
            widest = std::max(widest, rows + s.span());
        }
        // Sums over many places hold one place at a time beside the sums.
        if (used <= registers || (rows == few_rows && streams.size() >= side_by_side && widest + rows <= registers)) break;
    }
    return rows;
}

}  // namespace tessera
