#include "tile/box_copy.h"

#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"

#include <fmt/format.h>

namespace tessera::tile {
namespace {

class Box {
public:
    Box(const Stage& stage, const tessera::Produce& produce, const Alloc& memory, const Environment& environment)
        : stage_(stage), produce_(produce), memory_(memory), environment_(environment) {}

    BoxCopy run() {
        check_size();
        BoxCopy out{produce_.stage, memory_.begin, source()};
        check_zeros(*produce_.body);
        return out;
    }

private:
    [[noreturn]] void refuse(std::string_view why, std::string instead) const {
        throw Limit(L0903_schedule, stage_.where, fmt::format("the copy engine does not move {}: {}", stage_.name, why),
                    {fix(std::move(instead)), fix("use engine cp_async, or auto")});
    }

    void check_size() const {
        const size_t rank = memory_.extent.size();
        if (stage_.dtypes.size() != 1 || rank < 2 || rank > 4)
            refuse("it has not one component and two to four dims", "use engine auto");
        const std::int64_t inner = memory_.extent.back() * dtype_bytes(stage_.dtypes[0]);
        if (inner % 16 != 0 || inner > 128)
            refuse(fmt::format("rows of its box take {} bytes, not a multiple of 16 up to 128", inner),
                   "use another tile of its last dim");
        const std::int64_t whole = 16 / dtype_bytes(stage_.dtypes[0]);  // cells
        if (!is_multiple(IndexAnalysis().normal(environment_.resolved(memory_.begin.back())), whole))
            refuse(fmt::format("its box begins where is not known to be a multiple of {} cells", whole),
                   "use a tile of its last dim that is one, or engine cp_async");
        for (size_t d = 0; d < rank; ++d) {
            if (memory_.extent[d] > 256)
                refuse(fmt::format("its box has {} rows, more than 256", memory_.extent[d]), "use a smaller tile");
            if (!environment_.resolved(produce_.begin[d]).same_as(environment_.resolved(memory_.begin[d])))
                refuse("its memory begins elsewhere than what is computed", "store it where it is computed");
        }
    }

    // X(y, x) at the first cell, for a stage whose value is X(y, x) with indices held at the ends, or zeros around X.
    Expr source() const {
        const Expr& value = stage_.values[0];
        const bool read = stage_.kind == Stage::Kind::copy && value->op == Op::access && value->target().input &&
                          value->index_count() == stage_.dims.size();
        if (!read) refuse("it is no copy of an input in its order of dims", "copy an input, without a layout");
        const Boundary boundary = value->target().boundary;
        const bool zeros = boundary == Boundary::constant && is_constant(value->args.back()) && value->args.back()->bits == 0;
        if (boundary != Boundary::none && !zeros)
            refuse("its input continues beyond its ends, which the engine fills with zeros", "use engine auto");
        for (size_t d = 0; d < stage_.dims.size(); ++d) {
            Expr index = value->args[d];
            // Cells that are held at an end are not read.
            while (index->op == Op::min || index->op == Op::max) index = index->args[free_dims(index->args[0]).empty() ? 1 : 0];
            if (!index.same_as(make_dim(stage_.dims[d])))
                refuse("it reads its input at other places than its own", "copy an input, without a layout");
        }
        return make_access({value->target().input, nullptr}, memory_.begin, value->dtype, value->component(), value->where);
    }

    // Where the copy is padded with zeros, its input ends or the box does.
    void check_zeros(const tessera::Statement& s) const {
        if (const auto* l = std::get_if<tessera::Loop>(&s.node)) return check_zeros(*l->body);
        if (const auto* l = std::get_if<tessera::Let>(&s.node)) return check_zeros(*l->body);
        if (const auto* g = std::get_if<tessera::Guard>(&s.node)) return check_zeros(*g->body);
        const auto* store = std::get_if<tessera::Store>(&s.node);
        if (!store) refuse("its nest is no plain copy", "use engine auto");
        for (Expr value = store->values[0]; value->op == Op::select; value = value->args[1]) check_end(*store, value->args[0]);
    }
    void check_end(const tessera::Store& store, const Expr& condition) const {
        if (condition->op == Op::and_) {
            for (const Expr& c : condition->args) check_end(store, c);
            return;
        }
        for (size_t d = 0; d < store.place.size(); ++d) {
            if (condition->op != Op::le || !condition->args[0].same_as(store.place[d])) continue;
            const Dim& dim = stage_.values[0]->target().input->dims[d];
            const Expr extent = resolve_weak(Expr(dim.extent()), DType::i64, {});
            const Expr end = index_sum(environment_.resolved(memory_.begin[d]), index_number(memory_.extent[d]));
            const Expr behind = index_sum(environment_.resolved(condition->args[1]), index_number(1));
            if (proves_nonnegative(index_difference(behind, lesser(extent, end)))) return;
        }
        refuse("it is padded before its input ends", "sum over all of the input's dim");
    }

    const Stage& stage_;
    const tessera::Produce& produce_;
    const Alloc& memory_;
    const Environment& environment_;
};

}  // namespace

BoxCopy box_copy(const BoundSchedule& bound, const tessera::Produce& produce, const Alloc& memory,
                 const Environment& environment) {
    return Box(bound.graph.stages[produce.stage], produce, memory, environment).run();
}

}  // namespace tessera::tile
