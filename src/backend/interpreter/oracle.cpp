#include "algorithm/graph.h"
#include "backend/interpreter/program.h"
#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::interpreter {
namespace {

/// The cells of a Func that were computed, in a box that grows towards what is read.
class Cells {
public:
    enum class State : std::uint8_t { missing, running, done };

    Cells(size_t components, std::vector<std::int64_t> begin, std::vector<std::int64_t> extent)
        : components_(components), begin_(std::move(begin)), extent_(std::move(extent)), states_(volume(extent_), State::missing),
          values_(states_.size() * components) {}

    /// The cell at `index`; the box grows to hold it, so cells move.
    [[nodiscard]] size_t find(std::span<const std::int64_t> index, const std::string& name) {
        while (true) {
            size_t cell = 0;
            size_t d = 0;
            for (; d < index.size(); ++d) {
                const std::int64_t i = index[d] - begin_[d];
                if (i < 0 || i >= extent_[d]) break;
                cell = cell * static_cast<size_t>(extent_[d]) + static_cast<size_t>(i);
            }
            if (d == index.size()) return cell;
            grow(index, name);
        }
    }
    [[nodiscard]] State state(size_t cell) const { return states_[cell]; }
    void set_state(size_t cell, State state) { states_[cell] = state; }
    [[nodiscard]] Bits& value(size_t cell, size_t component) { return values_[cell * components_ + component]; }

private:
    static size_t volume(const std::vector<std::int64_t>& extent) {
        size_t count = 1;
        for (const std::int64_t e : extent) count *= static_cast<size_t>(e);
        return count;
    }

    void grow(std::span<const std::int64_t> index, const std::string& name) {
        constexpr double most = 0x1p30;
        std::vector<std::int64_t> begin = begin_, extent = extent_;
        double count = 1;
        for (size_t d = 0; d < index.size(); ++d) {
            const std::int64_t end = begin[d] + extent[d];
            if (extent[d] == 0) {
                begin[d] = index[d];
                extent[d] = 1;
            } else if (index[d] < begin[d]) {
                begin[d] = std::min(index[d], begin[d] - extent[d] / 2);
                extent[d] = end - begin[d];
            } else if (index[d] >= end) {
                extent[d] = std::max(index[d] + 1 - begin[d], extent[d] + extent[d] / 2);
            }
            count *= static_cast<double>(extent[d]);
        }
        if (count > most)
            throw Limit(L0902_size, {}, fmt::format("the interpreter would keep {:.3g} cells of {}", count, name),
                        {fix("evaluate smaller extents, or compile for another target")});
        Cells larger(components_, begin, extent);
        std::vector<std::int64_t> at = begin_;
        for (size_t cell = 0; cell < states_.size(); ++cell) {
            size_t to = 0;
            for (size_t d = 0; d < at.size(); ++d)
                to = to * static_cast<size_t>(extent[d]) + static_cast<size_t>(at[d] - begin[d]);
            larger.states_[to] = states_[cell];
            std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(cell * components_), components_,
                        larger.values_.begin() + static_cast<std::ptrdiff_t>(to * components_));
            for (size_t d = at.size(); d-- > 0;) {
                if (++at[d] < begin_[d] + extent_[d]) break;
                at[d] = begin_[d];
            }
        }
        *this = std::move(larger);
    }

    size_t components_;
    std::vector<std::int64_t> begin_, extent_;
    std::vector<State> states_;
    std::vector<Bits> values_;
};

/// A Func's definition, compiled, and what is known of its values.
struct Definition {
    const FuncState* func = nullptr;
    std::unique_ptr<Program> program;
    std::vector<std::uint32_t> dims;  // slots
    std::vector<size_t> values;       // nodes, one per component
    std::optional<size_t> init;       // node, of a recurrence's state
    size_t t = 0;                     // position of the time dim
    std::optional<Cells> cells;
    int running = 0;  // computations under way: more than one while a state reads its past
};

class Oracle : public Memory {
public:
    Oracle(const Algorithm& algorithm, const BoundArguments& arguments) : arguments_(arguments) {
        for (const Func& f : algorithm.funcs()) {
            numbers_.emplace(f.state().get(), definitions_.size());
            definitions_.emplace_back();
            definitions_.back().func = f.state().get();
        }
        for (Definition& d : definitions_) compile(d);
    }

    /// Calls store(component, index, value) for every cell of an output.
    template <class Store>
    void compute_output(const Func& output, Store&& store) {
        Definition& d = definitions_[numbers_.at(output.state().get())];
        for_each_index(extents_of(*d.func), [&](std::span<const std::int64_t> index) {
            const size_t cell = computed(d, index);
            for (size_t c = 0; c < d.values.size(); ++c) store(c, index, d.cells->value(cell, c));
        });
    }

    size_t find(const FuncState& func) override { return numbers_.at(&func); }
    Bits read(size_t func, int component, std::span<const std::int64_t> index, const ExprNode&) override {
        Definition& d = definitions_[func];
        const size_t cell = computed(d, index);
        return d.cells->value(cell, static_cast<size_t>(component));
    }
    [[noreturn]] void refuse(const ExprNode& access, size_t dim, std::int64_t index, std::int64_t extent) override {
        const AccessTarget& target = access.target();
        const std::string& name = target.input ? target.input->name : target.func->name;
        const Dim& d = target.input ? target.input->dims[dim] : target.func->dims[dim];
        throw Error(E0401_out_of_bounds, access.where,
                    fmt::format("{} is read at {} = {}, outside [0, {})", name, d.name(), index, extent),
                    {token(name), expected(fmt::format("0 <= {} < {}", d.name(), extent)), received(std::to_string(index)),
                     fix(fmt::format("wrap it in a boundary condition: clamp({})", name)),
                     fix("read it under a select that excludes such indices")});
    }

private:
    void compile(Definition& d) {
        const FuncState& f = *d.func;
        d.program = std::make_unique<Program>(arguments_, *this);
        for (const Dim& dim : f.dims) d.dims.push_back(d.program->slot(dim));
        d.program->set_scope(d.dims);
        for (const Expr& v : f.values) d.values.push_back(d.program->add(v));
        if (f.recurrence) {
            d.init = d.program->add(f.init);
            while (f.dims[d.t].id() != f.recurrence->t.id()) ++d.t;
        }
        // The extents are a good guess of what will be read; more is added as it comes.
        constexpr double most = 0x1p24;
        std::vector<std::int64_t> extent;
        double count = 1;
        for (const Dim& dim : f.dims) {
            extent.push_back(arguments_.extent(dim).value_or(0));
            count *= static_cast<double>(extent.back());
        }
        if (count > most) std::fill(extent.begin(), extent.end(), 0);
        const std::vector<std::int64_t> begin(extent.size(), 0);
        d.cells.emplace(f.values.size(), begin, extent);
    }

    std::vector<std::int64_t> extents_of(const FuncState& f) const {
        std::vector<std::int64_t> extents;
        for (const Dim& dim : f.dims) extents.push_back(arguments_.extent(dim).value());
        return extents;
    }

    template <class Visit>
    static void for_each_index(const std::vector<std::int64_t>& extents, Visit&& visit) {
        for (const std::int64_t e : extents)
            if (e <= 0) return;
        std::vector<std::int64_t> index(extents.size(), 0);
        while (true) {
            visit(std::span<const std::int64_t>(index));
            size_t d = extents.size();
            for (; d > 0; --d) {
                if (++index[d - 1] < extents[d - 1]) break;
                index[d - 1] = 0;
            }
            if (d == 0) return;
        }
    }

    /// The cell at `index`, computed.
    size_t computed(Definition& d, std::span<const std::int64_t> index) {
        size_t cell = d.cells->find(index, d.func->name);
        if (d.cells->state(cell) == Cells::State::done) return cell;
        if (d.init) {
            run_up_to(d, index);
            cell = d.cells->find(index, d.func->name);
            if (d.cells->state(cell) == Cells::State::done) return cell;
        }
        if (d.cells->state(cell) == Cells::State::running)
            throw Error(E0311_recurrence, d.func->where,
                        fmt::format("the value of {} at {} needs itself", d.func->name, index_text(index)),
                        {token(d.func->name), fix("read states at times before the step's only")});
        constexpr int deepest = 2000;
        if (d.running > deepest)
            throw Error(E0311_recurrence, d.func->where,
                        fmt::format("the value of {} at {} is more than {} reads of itself deep", d.func->name, index_text(index),
                                    deepest),
                        {token(d.func->name), fix("read states at times before the step's only")});
        d.cells->set_state(cell, Cells::State::running);
        try {
            evaluate_cell(d, index);
        } catch (...) {
            d.cells->set_state(d.cells->find(index, d.func->name), Cells::State::missing);
            throw;
        }
        return d.cells->find(index, d.func->name);
    }

    void evaluate_cell(Definition& d, std::span<const std::int64_t> index) {
        struct Count {
            int& count;
            explicit Count(int& c) : count(c) { ++count; }
            ~Count() { --count; }
        } const running(d.running);
        std::optional<Program::Kept> kept;
        if (d.running > 1) kept.emplace(*d.program, d.dims);
        for (size_t i = 0; i < index.size(); ++i) d.program->set(d.dims[i], static_cast<Bits>(index[i]));
        std::vector<Bits> values;
        const bool starts = d.init && time_of(d, index) < 0;
        if (starts)
            values.push_back(d.program->value(*d.init));
        else
            for (const size_t v : d.values) values.push_back(d.program->value(v));
        // Reads may have moved the cells.
        const size_t cell = d.cells->find(index, d.func->name);
        for (size_t c = 0; c < values.size(); ++c) d.cells->value(cell, c) = values[c];
        d.cells->set_state(cell, Cells::State::done);
    }

    /// Steps since the start: t, or from the end when the recurrence runs in reverse.
    std::int64_t time_of(const Definition& d, std::span<const std::int64_t> index) const {
        const Recurrence& r = *d.func->recurrence;
        return r.reverse ? arguments_.extent(r.t).value() - 1 - index[d.t] : index[d.t];
    }

    /// Computes all states at all earlier times first, so that a state that reads its past does not recurse through all of it.
    /// What cannot be computed there may not be needed: a read of it will tell.
    void run_up_to(const Definition& d, std::span<const std::int64_t> index) {
        const Recurrence& r = *d.func->recurrence;
        const std::int64_t time = time_of(d, index);
        std::int64_t& next = times_[&r];
        while (next < time) {
            const std::int64_t now = next++;
            for (const auto& weak : r.states) {
                Definition& state = definitions_[numbers_.at(weak.lock().get())];
                std::vector<std::int64_t> extents;
                for (const Dim& dim : state.func->dims) extents.push_back(arguments_.extent(dim).value_or(0));
                extents[state.t] = 1;
                std::vector<std::int64_t> at;
                for_each_index(extents, [&](std::span<const std::int64_t> place) {
                    at.assign(place.begin(), place.end());
                    at[state.t] = r.reverse ? arguments_.extent(r.t).value() - 1 - now : now;
                    try {
                        static_cast<void>(computed(state, at));
                    } catch (const Error&) {
                    }
                });
            }
        }
    }

    static std::string index_text(std::span<const std::int64_t> index) { return fmt::format("({})", fmt::join(index, ", ")); }

    const BoundArguments& arguments_;
    std::unordered_map<const FuncState*, size_t> numbers_;
    std::vector<Definition> definitions_;
    std::unordered_map<const Recurrence*, std::int64_t> times_;
};

}  // namespace

void evaluate(const Algorithm& algorithm, const Inputs& inputs, const Outputs& outputs) {
    const BoundArguments arguments = bind_arguments(algorithm, inputs, outputs);
    Oracle oracle(algorithm, arguments);
    const std::vector<Func>& funcs = algorithm.outputs();
    for (const Func& f : funcs) oracle.compute_output(f, [](size_t, std::span<const std::int64_t>, Bits) {});
    for (size_t i = 0; i < funcs.size(); ++i)
        oracle.compute_output(funcs[i], [&](size_t component, std::span<const std::int64_t> index, Bits value) {
            const BoundBuffer& to = arguments.outputs[i][component];
            std::int64_t element = 0;
            for (size_t d = 0; d < index.size(); ++d) element += index[d] * to.buffer.strides()[d];
            to.store(to.buffer.data(), element, value);
        });
}

}  // namespace tessera::interpreter
