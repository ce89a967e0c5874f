#include "backend/interpreter/program.h"
#include "backend/interpreter/tree_storage.h"
#include "base/check.h"
#include "base/match.h"
#include "schedule/loop_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

namespace tessera::interpreter {
namespace {

/// A statement with its expressions compiled.
struct Step {
    const Statement* statement = nullptr;
    std::uint32_t slot = 0;             // of a Loop's or Let's variable
    std::vector<size_t> first, second;  // nodes: begin, extent · value · condition · place, values
    std::vector<Step> body;
};

/// What one lane of the vector loops around a statement binds, in the order of Executor::lane_slots_.
using Lane = std::vector<Bits>;

class Executor : public Memory {
public:
    Executor(const LoopTree& tree, const BoundArguments& arguments, const ExecuteOptions& options)
        : tree_(tree), arguments_(arguments), options_(options), random_(options.shuffle_seed), program_(arguments, *this),
          storage_(stages().size()) {
        for (size_t i = 0; i < stages().size(); ++i) {
            numbers_.emplace(stages()[i].func.get(), i);
            if (stages()[i].kind == Stage::Kind::scan)
                for (const BoundLoop& l : tree.bound.stages[i].update)
                    if (l.reduction) scanned_loops_.insert(fmt::format("{}.{}", stages()[i].name, l.name));
            if (!stages()[i].output) continue;
            std::vector<std::int64_t> extent;
            for (const Dim& d : stages()[i].dims) extent.push_back(arguments.extent(d).value());
            storage_[i].emplace_back(stages()[i].name, stages()[i].dtypes.size(), std::vector<std::int64_t>(extent.size(), 0),
                                     extent);
        }
    }

    void run() {
        const Step root = compiled(*tree_.root);
        execute(root, {Lane{}});
    }

    void write_outputs() {
        for (size_t i = 0; i < stages().size(); ++i)
            if (stages()[i].output) write_output(i);
    }

    size_t find(const FuncState& func) override {
        const auto found = numbers_.find(&func);
        TESSERA_CHECK(found != numbers_.end(), fmt::format("the loop tree reads {}, which is no stage", func.name));
        return found->second;
    }
    Bits read(size_t stage, int component, std::span<const std::int64_t> index, const ExprNode&) override {
        const TreeStorage& storage = storage_of(stage, "read");
        const auto cell = storage.cell(index);
        if (!cell)
            fail(fmt::format("{} is read at {}, outside its allocation {}", stages()[stage].name, index_text(index),
                             storage.region_text()));
        if (!storage.written(*cell, static_cast<size_t>(component)))
            fail(fmt::format("{} is read at {}, which was not written{}", stages()[stage].name, index_text(index),
                             component == 0 ? "" : fmt::format(" (component {})", component)));
        return storage.value(*cell, static_cast<size_t>(component));
    }
    [[noreturn]] void refuse(const ExprNode& access, size_t dim, std::int64_t index, std::int64_t extent) override {
        const AccessTarget& t = access.target();
        fail(fmt::format("{} is read at {} = {}, outside [0, {})", t.input ? t.input->name : t.func->name,
                         (t.input ? t.input->dims : t.func->dims)[dim].name(), index, extent));
    }

private:
    [[nodiscard]] const std::vector<Stage>& stages() const { return tree_.bound.graph.stages; }

    [[noreturn]] void fail(const std::string& message) const {
        std::string position;
        for (const auto& [name, value] : position_)
            position += fmt::format("{}{} = {}", position.empty() ? "" : ", ", name, value);
        throw Bug(B0951_internal, {}, message, {note(position.empty() ? "outside all loops" : "at " + position)});
    }

    TreeStorage& storage_of(size_t stage, std::string_view use) {
        std::vector<TreeStorage>& allocations = storage_[tree_.bound.memory_of(stage)];
        if (allocations.empty()) fail(fmt::format("{} is {} where it has no allocation", stages()[stage].name, use));
        return allocations.back();
    }

    // ---- compilation

    std::vector<size_t> nodes(const std::vector<Expr>& exprs) {
        std::vector<size_t> out;
        for (const Expr& e : exprs) out.push_back(program_.add(e));
        return out;
    }

    Step compiled(const Statement& statement) {
        Step s;
        s.statement = &statement;
        match(
            statement.node,
            [&](const Block& b) {
                for (const StatementPtr& child : b.statements) s.body.push_back(compiled(*child));
            },
            [&](const Loop& l) {
                s.slot = program_.slot(l.variable);
                s.first = nodes({l.begin});
                s.second = nodes({l.extent});
                s.body.push_back(compiled(*l.body));
            },
            [&](const Let& l) {
                s.slot = program_.slot(l.variable);
                s.first = nodes({l.value});
                s.body.push_back(compiled(*l.body));
            },
            [&](const Guard& g) {
                s.first = nodes({g.condition});
                s.body.push_back(compiled(*g.body));
            },
            [&](const Allocate& a) {
                s.first = nodes(a.begin);
                s.second = nodes(a.extent);
                s.body.push_back(compiled(*a.body));
            },
            [&](const Produce& p) { s.body.push_back(compiled(*p.body)); },
            [&](const Store& w) {
                s.first = nodes(w.place);
                s.second = nodes(w.values);
            },
            [&](const CallRoutine& c) {
                const Stage& stage = stages()[c.stage];
                throw Limit(L0901_not_on_target, stage.where,
                            fmt::format("a loop tree that calls routine {} is not executed", stage.symbol),
                            {fix("evaluate the algorithm: its meaning stands for the routine")});
            });
        return s;
    }

    // ---- execution, for the lanes that are active

    void execute(const Step& s, const std::vector<Lane>& lanes) {
        match(
            s.statement->node,
            [&](const Block&) {
                for (const Step& child : s.body) execute(child, lanes);
            },
            [&](const Loop& l) { l.kind == LoopKind::vector ? execute_vector(s, l, lanes) : execute_loop(s, l, lanes); },
            [&](const Let&) {
                const std::vector<Bits> values = lane_values(s.first[0], lanes);
                with_variable(s, lanes, values);
            },
            [&](const Guard&) {
                std::vector<Lane> active;
                for (const Lane& lane : lanes) {
                    enter(lane);
                    if (program_.value(s.first[0]) != 0) active.push_back(lane);
                }
                if (!active.empty()) execute(s.body[0], active);
            },
            [&](const Allocate& a) { execute_allocate(s, a, lanes); }, [&](const Produce&) { execute(s.body[0], lanes); },
            [&](const Store& w) { execute_store(s, w, lanes); }, [](const CallRoutine&) {});
    }

    void enter(const Lane& lane) {
        for (size_t i = 0; i < lane.size(); ++i) program_.set(lane_slots_[i], lane[i]);
    }
    std::vector<Bits> lane_values(size_t node, const std::vector<Lane>& lanes) {
        std::vector<Bits> values;
        for (const Lane& lane : lanes) {
            enter(lane);
            values.push_back(program_.value(node));
        }
        return values;
    }

    /// The body with the step's variable bound, to a value per lane inside vector loops.
    void with_variable(const Step& s, const std::vector<Lane>& lanes, const std::vector<Bits>& values) {
        if (lane_slots_.empty()) {
            program_.set(s.slot, values[0]);
            execute(s.body[0], lanes);
            return;
        }
        std::vector<Lane> bound = lanes;
        for (size_t i = 0; i < bound.size(); ++i) bound[i].push_back(values[i]);
        lane_slots_.push_back(s.slot);
        execute(s.body[0], bound);
        lane_slots_.pop_back();
    }

    void execute_loop(const Step& s, const Loop& l, const std::vector<Lane>& lanes) {
        const std::vector<Bits> begins = lane_values(s.first[0], lanes), extents = lane_values(s.second[0], lanes);
        std::int64_t count = 0;
        for (const Bits e : extents) count = std::max(count, static_cast<std::int64_t>(e));
        std::vector<std::int64_t> order;
        const bool any_order = (l.kind == LoopKind::parallel || l.kind >= LoopKind::block) && scanned_loops_.count(l.name) == 0;
        if (any_order && options_.shuffle_seed != 0) {
            order.resize(static_cast<size_t>(count));
            std::iota(order.begin(), order.end(), 0);
            std::shuffle(order.begin(), order.end(), random_);
        }
        position_.emplace_back(l.name, 0);
        for (std::int64_t step = 0; step < count; ++step) {
            const std::int64_t i = order.empty() ? step : order[static_cast<size_t>(step)];
            if (lane_slots_.empty()) {
                const Bits value = begins[0] + static_cast<Bits>(i);
                position_.back().second = static_cast<std::int64_t>(value);
                program_.set(s.slot, value);
                execute(s.body[0], lanes);
                continue;
            }
            std::vector<Lane> active;
            std::vector<Bits> values;
            for (size_t lane = 0; lane < lanes.size(); ++lane)
                if (i < static_cast<std::int64_t>(extents[lane])) {
                    active.push_back(lanes[lane]);
                    values.push_back(begins[lane] + static_cast<Bits>(i));
                }
            position_.back().second = static_cast<std::int64_t>(values[0]);
            with_variable(s, active, values);
        }
        position_.pop_back();
    }

    /// Every lane becomes as many as the loop has iterations.
    void execute_vector(const Step& s, const Loop&, const std::vector<Lane>& lanes) {
        const std::vector<Bits> begins = lane_values(s.first[0], lanes), extents = lane_values(s.second[0], lanes);
        std::vector<Lane> wider;
        for (size_t lane = 0; lane < lanes.size(); ++lane)
            for (std::int64_t i = 0; i < static_cast<std::int64_t>(extents[lane]); ++i) {
                wider.push_back(lanes[lane]);
                wider.back().push_back(begins[lane] + static_cast<Bits>(i));
            }
        if (wider.empty()) return;
        lane_slots_.push_back(s.slot);
        execute(s.body[0], wider);
        lane_slots_.pop_back();
    }

    void execute_allocate(const Step& s, const Allocate& a, const std::vector<Lane>& lanes) {
        if (lanes.size() != 1) fail(fmt::format("{} is allocated inside a vector loop", stages()[a.stage].name));
        enter(lanes[0]);
        std::vector<std::int64_t> begin, extent;
        for (const size_t n : s.first) begin.push_back(program_.integer(n));
        for (const size_t n : s.second) extent.push_back(program_.integer(n));
        const Stage& stage = stages()[a.stage];
        storage_[a.stage].emplace_back(stage.name, stage.dtypes.size(), std::move(begin), std::move(extent));
        program_.memory_changed();
        execute(s.body[0], lanes);
        if (stage.output) keep_output(a.stage);
        storage_[a.stage].pop_back();
        program_.memory_changed();
    }

    /// What an allocation of an output holds of the output goes there when it ends.
    void keep_output(size_t stage) {
        const TreeStorage& from = storage_[stage].back();
        TreeStorage& to = storage_[stage][storage_[stage].size() - 2];
        for_each_index(from.begin(), from.extent(), [&](std::span<const std::int64_t> index) {
            const auto source = from.cell(index), target = to.cell(index);
            if (!source || !target) return;
            for (size_t c = 0; c < stages()[stage].dtypes.size(); ++c)
                if (from.written(*source, c)) to.write(*target, c, from.value(*source, c));
        });
    }

    void execute_store(const Step& s, const Store& w, const std::vector<Lane>& lanes) {
        TreeStorage& storage = storage_of(w.stage, "stored");
        const size_t components = s.second.size();
        std::vector<size_t> cells;
        std::vector<Bits> values;
        std::vector<std::int64_t> index(s.first.size());
        for (const Lane& lane : lanes) {
            enter(lane);
            for (size_t d = 0; d < index.size(); ++d) index[d] = program_.integer(s.first[d]);
            const auto cell = storage.cell(index);
            if (!cell)
                fail(fmt::format("{} is stored at {}, outside its allocation {}", stages()[w.stage].name, index_text(index),
                                 storage.region_text()));
            cells.push_back(*cell);
            for (const size_t n : s.second) values.push_back(program_.value(n));
        }
        for (size_t lane = 0; lane < cells.size(); ++lane)
            for (size_t c = 0; c < components; ++c) storage.write(cells[lane], c, values[lane * components + c]);
        program_.memory_changed();
    }

    void write_output(size_t stage) {
        const TreeStorage& storage = storage_[stage].back();
        const std::vector<BoundBuffer>& buffers = arguments_.outputs[*stages()[stage].output];
        for_each_index(storage.begin(), storage.extent(), [&](std::span<const std::int64_t> index) {
            const size_t cell = *storage.cell(index);
            for (size_t c = 0; c < buffers.size(); ++c) {
                if (!storage.written(cell, c))
                    fail(fmt::format("output {} was not written at {}", stages()[stage].name, index_text(index)));
                std::int64_t element = 0;
                for (size_t d = 0; d < index.size(); ++d) element += index[d] * buffers[c].buffer.strides()[d];
                buffers[c].store(buffers[c].buffer.data(), element, storage.value(cell, c));
            }
        });
    }

    template <class Visit>
    static void for_each_index(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& extent, Visit&& visit) {
        if (std::find(extent.begin(), extent.end(), 0) != extent.end()) return;
        std::vector<std::int64_t> index = begin;
        while (true) {
            visit(std::span<const std::int64_t>(index));
            size_t d = index.size();
            for (; d > 0; --d) {
                if (++index[d - 1] < begin[d - 1] + extent[d - 1]) break;
                index[d - 1] = begin[d - 1];
            }
            if (d == 0) return;
        }
    }

    static std::string index_text(std::span<const std::int64_t> index) { return fmt::format("({})", fmt::join(index, ", ")); }

    const LoopTree& tree_;
    const BoundArguments& arguments_;
    const ExecuteOptions& options_;
    std::mt19937_64 random_;
    std::unordered_map<const FuncState*, size_t> numbers_;
    Program program_;
    std::vector<std::vector<TreeStorage>> storage_;  // per stage, the innermost allocation last
    std::set<std::string> scanned_loops_;            // threads that run them scan together: the meaning is that of the order
    std::vector<std::uint32_t> lane_slots_;          // variables bound since the outermost vector loop
    std::vector<std::pair<std::string, std::int64_t>> position_;
};

}  // namespace

void execute(const LoopTree& tree, const Inputs& inputs, const Outputs& outputs, const ExecuteOptions& options) {
    const BoundArguments arguments = bind_arguments(tree.bound.graph.algorithm, inputs, outputs);
    Executor executor(tree, arguments, options);
    executor.run();
    executor.write_outputs();
}

}  // namespace tessera::interpreter
