#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "algorithm/required_region.h"
#include "autodiff/access_enumeration.h"

// Every kind of access that is inverted, compared with its readers point by point; and inverses that are wrong, found out.
namespace tessera {
namespace {

Expr index(const Expr& e) { return index_expr(Index(e)); }

struct Case {
    std::string name;
    std::vector<Dim> loops;
    std::vector<Expr> indices;
    std::vector<Dim> target;
    bool scattered = false;  // not inverted
};

AccessSystem system_of(const Case& c) {
    AccessSystem system;
    for (const Dim& d : c.loops) system.loops.push_back({d, whole_dim(d), false});
    for (size_t k = 0; k < c.target.size(); ++k) {
        system.outer.set(c.target[k], whole_dim(c.target[k]));
        system.left.push_back(make_dim(c.target[k]));
        system.right.push_back(simplify_index(index(c.indices[k])));
    }
    return system;
}
NameSupply names_for() {
    Dim q("unrelated", 1);
    const Input x("unrelated_input", f32, {q});
    Func f("unrelated_func");
    f(q) = x(q);
    return NameSupply(Algorithm({f}, {x}).state());
}

std::vector<Case> cases() {
    const Dim x("x"), y("y"), r("r", 3), s("s", 2), i("i"), j("j"), a("a", 4);
    const auto of = [](const char* name, const Extent& e) { return Dim(name, e); };
    const Dim u = of("u", x.extent() + 2), v = of("v", 3 * x.extent() + 4), w = of("w", 2 * x.extent() + 3);
    const Dim plain("plain", x.extent()), half("half", x.extent() / 2 + 1), sum("sum", x.extent() + y.extent());
    const Dim rows("rows", 5), flat("flat", 4 * x.extent()), square("square", x.extent() + 7);
    return {
        {"a shift", {x}, {x + 1}, {u}},
        {"a stencil", {x, r}, {x + r}, {u}},
        {"a stencil that runs back", {x, r}, {x - r + 2}, {u}},
        {"a dilated stencil", {x, r}, {x + r * 2}, {square}},
        {"a stride", {x}, {x * 3 + 1}, {v}},
        {"a strided convolution", {x, r}, {x * 2 + r}, {w}},
        {"blocks", {x, a}, {x * 4 + a}, {flat}},
        {"a reversal", {x}, {x.extent() - 1 - x}, {plain}},
        {"a shear", {x, y}, {x + y, y}, {sum, y}},
        {"two dims in one index", {x, y}, {x + y}, {sum}},
        {"a diagonal", {x}, {x, x}, {plain, u}},
        {"a shifted diagonal", {x, r}, {x, x + r}, {plain, u}},
        {"a broadcast", {x, y}, {x}, {plain}},
        {"upsampling", {x}, {x / 2}, {half}},
        {"upsampling beside a shift", {x}, {(x + 1) / 2}, {half}},
        {"a remainder", {x}, {x % 5}, {rows}},
        {"quotient and remainder", {x}, {x / 5, x % 5}, {square, rows}},
        {"quotient of a strided index", {x, s}, {(x * 2 + s) / 3}, {square}},
        {"a remainder of a sum", {x, r}, {(x + r) % 5}, {rows}},
        {"negative factors", {x, r}, {(x.extent() - 1 - x) * 2 + r}, {w}},
        {"a product of dims", {i, j}, {i * j}, {Dim("product", i.extent() * j.extent() + 1)}, true},
        {"a constant place", {x}, {Expr(literal(std::int64_t{2}))}, {rows}},
    };
}

TEST(AccessInverse, GathersWhatScattersPutThere) {
    for (const Case& c : cases()) {
        SCOPED_TRACE(c.name);
        NameSupply names = names_for();
        const AccessSystem system = system_of(c);
        const InvertedAccess inverse = inverted(system, names);
        EXPECT_EQ(!inverse.scattered.empty(), c.scattered);
        const Enumeration found = enumerate_inverse(system, inverse);
        EXPECT_TRUE(found.decided);
        EXPECT_EQ(found.problem, "");
    }
}

TEST(AccessInverse, WrongInversesAreFoundOut) {
    int guards = 0, values = 0;
    for (const Case& c : cases()) {
        SCOPED_TRACE(c.name);
        NameSupply names = names_for();
        const AccessSystem system = system_of(c);
        const InvertedAccess inverse = inverted(system, names);
        // Without one of its guards an inverse gives points that do not read the element, unless another guard says the same.
        for (size_t g = 0; g < inverse.guards.size(); ++g) {
            InvertedAccess open = inverse;
            open.guards.erase(open.guards.begin() + static_cast<std::ptrdiff_t>(g));
            guards += enumerate_inverse(system, open).problem.empty() ? 0 : 1;
        }
        if (inverse.values.empty() || c.scattered) continue;
        InvertedAccess moved = inverse;
        Expr& first = moved.values.begin()->second;
        first = make_op(Op::add, DType::i64, {first, make_constant(DType::i64, std::int64_t{1})});
        values += enumerate_inverse(system, moved).problem.empty() ? 0 : 1;
    }
    EXPECT_GE(guards, 15);
    EXPECT_GE(values, 18);
}

TEST(AccessInverse, TheProblemNamesThePoints) {
    const Dim x("x"), u("u", x.extent() + 2);
    const Case c{"", {x}, {x + 1}, {u}};
    const AccessSystem system = system_of(c);
    InvertedAccess wrong;
    wrong.values[x.id()] = make_dim(u);
    const std::string problem = enumerate_inverse(system, wrong).problem;
    EXPECT_EQ(problem, "at u = 0 the readers (x) are nothing, the inverse gives (0)");
}

TEST(AccessInverse, IndicesThatReadTensorsAreNotDecided) {
    const Dim x("x"), u("u");
    const Input at = Input("at", i32, {x}).values_in(0, u.extent());
    NameSupply names = names_for();
    AccessSystem system;
    system.loops.push_back({x, whole_dim(x), false});
    system.outer.set(u, whole_dim(u));
    system.left.push_back(make_dim(u));
    system.right.push_back(cast(DType::i64, at(x)));
    const InvertedAccess inverse = inverted(system, names);
    EXPECT_EQ(inverse.scattered.size(), 1u);
    EXPECT_EQ(enumerate_inverse(system, inverse).problem, "");
}

}  // namespace
}  // namespace tessera
