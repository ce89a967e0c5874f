#include <gtest/gtest.h>
#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include "algorithm/graph.h"
#include "schedule/loop_split.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"
#include "tile/whole_nest.h"

// Which guards of a nest may be asked once for all of its rounds.
namespace tessera {
namespace {

using tile::statement;
using tile::StatementPtr;

// for i in [0, 4): if row < r: if <inner>: out(row, i) = 1
class WholeNestOf : public testing::Test {
protected:
    WholeNestOf() : program_(lowered()) {}

    tile::Program lowered() {
        out_(r_, c_) = start_(r_) + 1;
        Schedule s;
        s.stage("out").root().loop({.dim = "r", .as = LoopKind::block}).loop({.dim = "c", .as = LoopKind::thread});
        const Target target = parse_target("cuda-sm_80");
        return tile::lower(build_loop_tree(bind(Algorithm({out_}, {start_}), s, target)), target);
    }
    Expr start_of_row() const { return make_access({start_.state(), nullptr}, {row_}, DType::i64, 0, {}); }
    std::optional<tile::WholeNest> scan(const Expr& inner, bool in_registers = false) {
        const Expr rows = resolve_weak(Expr(r_.extent()), DType::i64, {});
        inner_ = statement(
            tile::If{inner, statement(tile::Assign{0, {row_, i_}, {make_constant(DType::i64, std::int64_t{1})}, false})});
        outer_ = statement(tile::If{make_op(Op::lt, DType::bool_, {row_, rows}), inner_});
        nest_ = statement(tile::For{i_, index_number(4), true, outer_});
        tile::Environment environment;
        environment.add_range(row_, index_number(64));
        return whole_nest(
            program_, *nest_, environment,
            {[=](size_t) { return !in_registers; }, [](size_t) { return false; }, [=](size_t) { return in_registers; }});
    }

    Dim r_{"r"}, c_{"c", 4};
    Input start_{"start", i64, {r_}};
    Func out_{"out"};
    Expr row_ = make_variable("row", DType::i64), i_ = make_variable("i", DType::i64);
    tile::Program program_;
    StatementPtr inner_, outer_, nest_;
};

TEST_F(WholeNestOf, GuardsOfIndicesAreAskedOnce) {
    const auto whole = scan(make_op(Op::le, DType::bool_, {index_sum(row_, i_), index_number(40)}));
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->guards.count(outer_.get()) + whole->guards.count(inner_.get()), 2u);
}

// In registers a guard around all rounds is a test, and a copy of them without it is as long again.
TEST_F(WholeNestOf, RegistersGainWhereRoundsAreGuarded) {
    const Expr of_rows = make_op(Op::le, DType::bool_, {row_, index_number(40)});
    const Expr of_rounds = make_op(Op::le, DType::bool_, {index_sum(row_, i_), index_number(40)});
    EXPECT_TRUE(scan(of_rows));
    EXPECT_FALSE(scan(of_rows, true));
    EXPECT_TRUE(scan(of_rounds, true));
}

// The start of a row that is not there must not be read.
TEST_F(WholeNestOf, GuardsThatReadMemoryStayBehindThoseAroundThem) {
    const auto whole = scan(make_op(Op::le, DType::bool_, {start_of_row(), i_}));
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->guards.count(outer_.get()), 1u);
    EXPECT_EQ(whole->guards.count(inner_.get()), 0u);
    for_each_node({whole->condition}, [](const Expr& n) { EXPECT_NE(n->op, Op::access); });
}

}  // namespace
}  // namespace tessera
