#include "schedule/default_copies.h"

#include "schedule/default_windows.h"
#include "schedule/derived_stages.h"
#include "schedule/row_window.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace tessera {
namespace {

constexpr size_t many_reads = 4;

struct WrappedReads {
    size_t most = 0;  // by one stage
    size_t row = 0;   // the index that moves with rows
    std::int64_t low = 0, high = 0;
    std::string home;
};

bool is_wrapped(const Expr& n) {
    return n->op == Op::access && n->target().input && n->target().boundary != Boundary::none &&
           n->target().boundary != Boundary::constant;
}

std::optional<WrappedReads> wrapped_reads(const StageGraph& graph, const RowPlaces& places, const InputState* input) {
    WrappedReads out;
    std::optional<Boundary> boundary;
    bool good = true;
    for (size_t i = 0; i < graph.stages.size() && good; ++i) {
        const Stage& s = graph.stages[i];
        size_t count = 0;
        bool plain = false;
        for_each_node(exprs_of(s), [&](const Expr& n) {
            if (n->op != Op::access || n->target().input.get() != input) return;
            if (!is_wrapped(n)) {
                plain = true;
                return;
            }
            const auto step = places.steps.find(s.name);
            const auto home = places.homes.find(s.name);
            const std::string root = home == places.homes.end() ? s.name : home->second.first;
            if (s.update || s.dims.size() < 2 || step == places.steps.end() || (!out.home.empty() && out.home != root) ||
                (boundary && *boundary != n->target().boundary)) {
                good = false;
                return;
            }
            const Dim& row = s.dims[home == places.homes.end() ? s.dims.size() - 2 : home->second.second];
            std::optional<size_t> moving;
            for (size_t d = 0; d < n->index_count(); ++d)
                if (contains_dim(free_dims(n->args[d]), row)) {
                    good = good && !moving;
                    moving = d;
                }
            const auto shift = moving ? shift_from(n->args[*moving], row) : std::nullopt;
            if (!shift || (boundary && *moving != out.row)) {
                good = false;
                return;
            }
            out.low = boundary ? std::min(out.low, shift->low) : shift->low;
            out.high = boundary ? std::max(out.high, shift->high + step->second) : shift->high + step->second;
            boundary = n->target().boundary;
            out.home = root;
            out.row = *moving;
            ++count;
        });
        if (count == 0) continue;
        good = good && !plain;
        out.most = std::max(out.most, count);
    }
    if (!good || out.most < many_reads) return {};
    return out;
}

// The stages that read the Input as the algorithm is written: a copy is made before cheap definitions are inlined.
std::vector<std::string> readers(const StageGraph& written, const InputState& input) {
    std::vector<std::string> out;
    for (const Stage& s : written.stages) {
        bool reads = false;
        for_each_node(exprs_of(s), [&](const Expr& n) { reads |= n->op == Op::access && n->target().input.get() == &input; });
        if (reads) out.push_back(s.name);
    }
    return out;
}

void add_copy(const StageGraph& written, const WrappedReads& reads, const InputState& input, std::int64_t vector_bytes,
              Schedule& schedule) {
    const std::vector<std::string> users = readers(written, input);
    StageEdit copy = schedule.copy(input.name + ".rows", input.name, users);
    copy.at(reads.home, "row");
    for (size_t d = 0; d + 1 < input.dims.size(); ++d) copy.serial(input.dims[d].name());
    const std::int64_t width = std::max<std::int64_t>(vector_bytes / std::max(dtype_bytes(input.dtype), 2), 4);
    const std::string x = input.dims.back().name();
    copy.serial(x, width, "columns").tail(Tail::round_up).vector(x);
    if (!loop_named(schedule.stages.at(reads.home), "task")) return;
    copy.store_at(reads.home, "task");
    copy.fold(input.dims[reads.row].name(),
              static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(reads.high - reads.low))));
}

}  // namespace

void copy_wrapped_inputs(const StageGraph& graph, const StageGraph& written, const RowPlaces& places, std::int64_t vector_bytes,
                         Schedule& schedule) {
    for (const Argument& argument : graph.algorithm.arguments()) {
        const auto& input = argument.state();
        if (input->scalar || input->dims.size() < 2) continue;
        const auto reads = wrapped_reads(graph, places, input.get());
        if (!reads || reads->row + 1 >= input->dims.size()) continue;
        const auto root = schedule.stages.find(reads->home);
        if (root == schedule.stages.end() || !loop_named(root->second, "row") || !loop_named(root->second, "columns")) continue;
        add_copy(written, *reads, *input, vector_bytes, schedule);
    }
}

}  // namespace tessera
