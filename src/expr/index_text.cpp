#include "expr/index_text.h"

#include "expr/tensor_state.h"

#include <fmt/format.h>

namespace tessera {
namespace {

enum Precedence { or_level, and_level, compare_level, sum_level, product_level, unary_level, primary_level };

struct Symbol {
    Op op;
    const char* text;
    Precedence level;
};
constexpr Symbol symbols[] = {
    {Op::or_, " || ", or_level},     {Op::and_, " && ", and_level},  {Op::eq, " == ", compare_level},
    {Op::ne, " != ", compare_level}, {Op::lt, " < ", compare_level}, {Op::le, " <= ", compare_level},
    {Op::add, " + ", sum_level},     {Op::sub, " - ", sum_level},    {Op::mul, "*", product_level},
    {Op::div, "/", product_level},   {Op::mod, "%", product_level},
};

// What one text shows of an expression. Shared nodes are written at every use, so a small graph can have an enormous text.
constexpr int longest_text = 160;  // nodes

class Writer {
public:
    std::string text(const Expr& e, int level) {
        if (++written_ > longest_text) return "...";
        for (const Symbol& s : symbols)
            if (e->op == s.op) {
                std::string out = text(e->args[0], s.level);
                out += s.text + text(e->args[1], s.level + 1);
                return s.level < level ? "(" + out + ")" : out;
            }
        switch (e->op) {
            case Op::constant: return constant(e, level);
            case Op::dim: return e->dim().name();
            case Op::extent: return e->dim().name() + ".extent";
            case Op::variable: return std::get<std::shared_ptr<const Variable>>(e->attribute)->name;
            case Op::neg:
                return (level > sum_level ? "(-" : "-") + text(e->args[0], unary_level) + (level > sum_level ? ")" : "");
            case Op::not_: return "!" + text(e->args[0], unary_level);
            case Op::access: {
                const std::string& name = e->target().input ? e->target().input->name : e->target().func->name;
                if (e->target().input && e->target().input->scalar) return name;
                return call(name, e);
            }
            case Op::cast:
                // The 64-bit view of an index is the index.
                if (e->dtype == DType::i64 && is_integer(e->args[0]->dtype)) return text(e->args[0], level);
                return fmt::format("{}({})", dtype_name(e->dtype), text(e->args[0], or_level));
            case Op::reduce: {
                std::string dims;
                for (const Dim& d : e->reduction().dims) dims += (dims.empty() ? "" : ", ") + d.name();
                return fmt::format("{}({{{}}}, {})", e->reduction().monoid->name, dims, text(e->args[0], or_level));
            }
            case Op::scan:
            case Op::scatter: return call(e->reduction().monoid->name, e);
            default: return call(op_row(e->op).name, e);
        }
    }

private:
    static std::string constant(const Expr& e, int level) {
        if (e->dtype == DType::bool_) return e->integer() ? "true" : "false";
        if (is_float(e->dtype)) return fmt::format("{}", e->floating());
        return e->integer() < 0 && level > sum_level ? fmt::format("({})", e->integer()) : std::to_string(e->integer());
    }

    std::string call(std::string_view name, const Expr& e) {
        std::string out(name);
        out += "(";
        for (size_t i = 0; i < e->args.size(); ++i) {
            if (i) out += ", ";
            out += text(e->args[i], or_level);
        }
        return out + ")";
    }

    int written_ = 0;
};

}  // namespace

std::string index_text(const Expr& e) { return Writer().text(e, or_level); }

}  // namespace tessera
