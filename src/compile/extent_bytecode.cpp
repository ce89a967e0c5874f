#include "compile/extent_bytecode.h"

#include <tessera/tessera_kernel.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tessera {
namespace {

void append(Bytecode& to, const Bytecode& from) { to.insert(to.end(), from.begin(), from.end()); }

// The deepest stack that the code needs.
int stack_depth(const Bytecode& code) {
    int depth = 0, deepest = 0;
    for (size_t at = 0; at < code.size();) {
        const std::int64_t word = code[at];
        if (word <= TESSERA_OP_SCALAR) {
            at += 2;
            deepest = std::max(deepest, ++depth);
        } else {
            at += 1;
            if (word != TESSERA_OP_NOT) --depth;
        }
    }
    return deepest;
}

Bytecode checked(Bytecode code, std::string_view what) {
    if (stack_depth(code) <= TESSERA_CODE_DEPTH && code.size() < 4096) return code;
    throw Limit(L0902_size, {},
                fmt::format("{} is too large: it takes {} words and a stack of {}, the runtime has {}", what, code.size(),
                            stack_depth(code), int{TESSERA_CODE_DEPTH}),
                {fix("write it with fewer nested operations")});
}

const std::map<Op, std::int64_t>& ops() {
    static const std::map<Op, std::int64_t> all{
        {Op::add, TESSERA_OP_ADD},      {Op::sub, TESSERA_OP_SUB}, {Op::mul, TESSERA_OP_MUL}, {Op::div, TESSERA_OP_FLOORDIV},
        {Op::mod, TESSERA_OP_FLOORMOD}, {Op::min, TESSERA_OP_MIN}, {Op::max, TESSERA_OP_MAX}};
    return all;
}

}  // namespace

Bytecode extent_bytecode(const Expr& extent, const BytecodeNames& names) {
    std::map<const ExprNode*, Bytecode> done;
    for_each_node({extent}, [&](const Expr& n) {
        Bytecode& code = done[n.get()];
        if (n->op == Op::constant)
            code = {TESSERA_OP_CONST, n->integer()};
        else if (n->op == Op::extent)
            code = {TESSERA_OP_DIM, names.dim(n->dim())};
        else if (n->op == Op::access && n->target().input && n->args.empty())
            code = {TESSERA_OP_SCALAR, names.scalar(*n->target().input)};
        else if (n->op == Op::cast && n.dtype() == DType::i64)
            code = done.at(n->args[0].get());
        else if (ops().count(n->op)) {
            for (const Expr& a : n->args) append(code, done.at(a.get()));
            code.push_back(ops().at(n->op));
        } else {
            throw Limit(L0901_not_on_target, n->where, fmt::format("{} cannot stand in an extent", op_row(n->op).name),
                        {fix("write extents with + - * / % over extents and integer Scalars")});
        }
        if (code.size() > 4096) code = checked(std::move(code), "an extent");
    });
    return checked(done.at(extent.get()), "an extent");
}

Bytecode condition_bytecode(const Condition& condition, const std::function<Bytecode(const std::string&)>& name) {
    using Kind = Condition::Kind;
    static const std::map<Kind, std::vector<std::int64_t>> binary{{Kind::mul, {TESSERA_OP_MUL}},
                                                                  {Kind::div, {TESSERA_OP_FLOORDIV}},
                                                                  {Kind::mod, {TESSERA_OP_FLOORMOD}},
                                                                  {Kind::add, {TESSERA_OP_ADD}},
                                                                  {Kind::sub, {TESSERA_OP_SUB}},
                                                                  {Kind::lt, {TESSERA_OP_LT}},
                                                                  {Kind::le, {TESSERA_OP_LE}},
                                                                  {Kind::gt, {TESSERA_OP_LE, TESSERA_OP_NOT}},
                                                                  {Kind::ge, {TESSERA_OP_LT, TESSERA_OP_NOT}},
                                                                  {Kind::eq, {TESSERA_OP_EQ}},
                                                                  {Kind::ne, {TESSERA_OP_NE}},
                                                                  {Kind::and_, {TESSERA_OP_AND}},
                                                                  {Kind::or_, {TESSERA_OP_OR}}};
    const std::function<Bytecode(const Condition&)> emit = [&](const Condition& c) -> Bytecode {
        if (c.kind == Kind::number) return {TESSERA_OP_CONST, c.value};
        if (c.kind == Kind::name) return name(c.spelling);
        Bytecode code;
        if (c.kind == Kind::negate) code = {TESSERA_OP_CONST, 0};
        for (const Condition& a : c.args) append(code, emit(a));
        if (c.kind == Kind::negate)
            code.push_back(TESSERA_OP_SUB);
        else if (c.kind == Kind::not_)
            code.push_back(TESSERA_OP_NOT);
        else
            append(code, binary.at(c.kind));
        return code;
    };
    return checked(emit(condition), "a variant's condition");
}

}  // namespace tessera
