#include "algorithm/called_routine.h"
#include "algorithm/expr_parser.h"
#include "algorithm/graph_text.h"
#include "base/closest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <unordered_map>

namespace tessera {
namespace {

using Kind = Token::Kind;

// `e` with variables replaced.
Expr substituted(const Expr& e, const std::vector<Expr>& variables, const std::vector<Expr>& by) {
    std::unordered_map<const ExprNode*, Expr> done;
    for (size_t i = 0; i < variables.size(); ++i) done[variables[i].get()] = by[i];
    for_each_node({e}, [&](const Expr& n) {
        if (done.count(n.get())) return;
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        done[n.get()] = args.empty() ? n : with_args(n, std::move(args));
    });
    return done.at(e.get());
}

class GraphParser {
    // Runs `read`; an Error of what it builds gets the place in the text.
    template <class Read>
    decltype(auto) placed(const Token& first, Read&& read) {
        try {
            return read();
        } catch (const Error& e) {
            if (e.code() == E0601_syntax || e.code() == E0603_version || e.code() == E0604_size) throw;
            std::vector<Hint> hints = e.hints();
            // In the middle of a line it is the last word read that is wrong, behind it the whole.
            Token at = t_.peek().kind == Kind::newline || t_.last().line != first.line ? first : t_.last();
            if (e.where().known() && e.where().line != first.line) at.line = e.where().line, at.column = 1;
            hints.insert(hints.begin(), note(fmt::format("in the text\n{}", t_.marked(at))));
            throw Error(e.code(), e.where(), e.message(), std::move(hints));
        }
    }

public:
    explicit GraphParser(std::string_view text) : t_(text) {}

    Algorithm parse() {
        header();
        find_definitions();
        t_.skip_newlines();
        while (t_.peek().kind != Kind::end) {
            const Token first = t_.peek();
            placed(first, [&] { statement(); });
            if (t_.peek().kind != Kind::newline && t_.peek().kind != Kind::end) t_.fail(t_.peek(), "the end of the line");
            t_.skip_newlines();
        }
        for (const auto& r : open_)
            throw Error(E0303_undefined, r->states[0].lock()->where,
                        fmt::format("state {} has no step", r->states[0].lock()->name),
                        {fix(fmt::format("write: step {} = ...", r->states[0].lock()->name))});
        if (outputs_.empty()) t_.fail(t_.peek(), "a line of outputs");
        return placed(outputs_at_, [&] { return Algorithm(outputs_, arguments_, options_, text_place(outputs_at_)); });
    }

private:
    void header() {
        t_.skip_newlines();
        t_.expect("tessera");
        t_.expect("graph");
        const Token at = t_.peek();
        const std::int64_t version = t_.expect_integer("the version of the format");
        if (version > graph_text_version || version < 1)
            throw Error(
                E0603_version, {}, fmt::format("graph text of version {} cannot be read", version),
                {note(fmt::format("in the text\n{}", t_.marked(at))), expected(fmt::format("version {}", graph_text_version)),
                 received(std::to_string(version)), fix("use a newer Tessera, or print the graph with this one")});
        if (t_.peek().kind != Kind::newline) t_.fail(t_.peek(), "the end of the line");
    }

    // Names at the start of lines: what is defined somewhere, for better messages.
    void find_definitions() {
        for (size_t i = 0; t_.peek(i).kind != Kind::end; ++i)
            if (t_.peek(i).kind == Kind::newline && t_.peek(i + 2).text == "(") scope_.defined_later.emplace(t_.peek(i + 1).text);
    }

    void statement() {
        const Token t = t_.peek();
        if (t.kind == Kind::word && t_.peek(1).text != "(") {
            if (t_.accept("algorithm")) {
                options_.name = t_.expect_name("the name of the algorithm");
                return;
            }
            if (t_.accept("dim")) return dim();
            if (t_.accept("input")) return input(false);
            if (t_.accept("scalar")) return input(true);
            if (t_.accept("monoid")) return monoid();
            if (t_.accept("recurrence")) return recurrence();
            if (t_.accept("step")) return step();
            if (t_.accept("routine")) return routine();
            if (t_.accept("arguments")) return arguments();
            if (t_.accept("outputs")) return outputs();
        }
        if (t_.accept("require")) {
            const std::vector<Expr> pair = extents(2);
            options_.require.emplace_back(Extent(pair[0].node()), Extent(pair[1].node()));
            return;
        }
        if (t_.accept("in_place")) {
            t_.expect("(");
            const std::string in = t_.expect_name("an input");
            t_.expect(",");
            std::string out = t_.expect_name("an output");
            if (t_.accept(",")) out += "." + std::to_string(t_.expect_integer("a component"));
            t_.expect(")");
            options_.in_place.emplace_back(in, out);
            return;
        }
        if (!t_.at_name()) t_.fail(t, "a declaration or a definition");
        definition();
    }

    std::vector<Expr> extents(size_t count) { return ExprParser(t_, scope_, ExprParser::Mode::extents).body(count); }

    void unused_name(const Token& t, bool used) const {
        if (used)
            throw Error(E0101_duplicate_name, text_place(t), fmt::format("{} is declared twice", t.text),
                        {fix("give one of them another name")});
    }

    // ---- declarations

    void dim() {
        const Token at = t_.peek();
        const std::string name = t_.expect_name("the name of a dim");
        unused_name(at, scope_.dims.count(name) != 0);
        // x.1 is the second dim called x.
        const size_t dot = name.rfind('.');
        const bool numbered = dot != std::string::npos && dot + 1 < name.size() &&
                              std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(),
                                          [](unsigned char c) { return std::isdigit(c) != 0; });
        const std::string base = numbered ? name.substr(0, dot) : name;
        const bool dynamic = t_.accept("dynamic");
        std::int64_t factor = 1;
        std::optional<std::int64_t> bound;
        if (t_.accept("multiple_of")) factor = t_.expect_integer("a factor");
        if (t_.accept("at_most")) bound = t_.expect_integer("a bound");
        const SourceLoc where = text_place(at);
        Dim d = dynamic          ? Dim::dynamic(base, where)
                : t_.accept("=") ? Dim(base, Extent(extents(1)[0].node()), where)
                                 : Dim(base, where);
        if (factor != 1) d.multiple_of(factor);
        if (bound) d.at_most(*bound);
        scope_.dims.emplace(name, d);
    }

    void input(bool scalar) {
        const Token at = t_.peek();
        const std::string name = t_.expect_name("the name of an input");
        unused_name(at, scope_.inputs.count(name) != 0 || scope_.funcs.count(name) != 0);
        t_.expect(":");
        ExprParser types(t_, scope_);
        const DType dtype = types.dtype();
        std::vector<Dim> dims;
        if (!scalar) {
            t_.expect("[");
            while (!t_.at("]")) {
                dims.push_back(types.dim());
                if (!t_.accept(",")) break;
            }
            t_.expect("]");
        }
        auto state = scalar ? Scalar(name, dtype, text_place(at)).state() : Input(name, dtype, dims, text_place(at)).state();
        if (t_.accept("values_in")) {
            const std::vector<Expr> range = extents(2);
            const Extent low(range[0].node()), high(range[1].node());
            if (scalar)
                Scalar(state).values_in(low, high);
            else
                Input(state).values_in(low, high);
        }
        if (t_.accept("increasing")) Input(state).increasing();
        scope_.inputs.emplace(name, std::move(state));
    }

    void monoid() {
        const Token at = t_.peek();
        const std::string name = t_.expect_name("the name of a monoid");
        unused_name(at, scope_.monoids.count(name) != 0);
        GraphScope inside;
        std::vector<Expr> left, right;
        std::vector<DType> dtypes;
        t_.expect("(");
        do {
            const DType t = ExprParser(t_, inside).dtype();
            left.push_back(make_variable(fmt::format("a{}", dtypes.size()), t));
            right.push_back(make_variable(fmt::format("b{}", dtypes.size()), t));
            dtypes.push_back(t);
        } while (t_.accept(","));
        t_.expect(")");
        MonoidTraits traits;
        traits.commutative = !t_.accept("not_commutative");
        traits.associative = !t_.accept("not_associative");
        t_.expect("{");
        t_.skip_newlines();
        t_.expect("identity");
        t_.expect("=");
        const std::vector<Expr> identity = ExprParser(t_, inside).body(dtypes.size());
        t_.skip_newlines();
        for (const Expr& v : left) inside.variables.emplace(std::get<std::shared_ptr<const Variable>>(v->attribute)->name, v);
        for (const Expr& v : right) inside.variables.emplace(std::get<std::shared_ptr<const Variable>>(v->attribute)->name, v);
        t_.expect("combine");
        t_.expect("=");
        const std::vector<Expr> combine = ExprParser(t_, inside).body(dtypes.size());
        t_.skip_newlines();
        t_.expect("}");
        std::vector<Expr> variables = left;
        variables.insert(variables.end(), right.begin(), right.end());
        const SourceLoc where = text_place(at);
        const auto check = [name, dtypes, where](const std::vector<DType>& operands) {
            if (operands != dtypes)
                throw Error(E0310_monoid, where, fmt::format("monoid {} is for operands of other dtypes", name),
                            {fix("declare a monoid for these dtypes")});
        };
        scope_.monoids.emplace(name, tessera::monoid(
                                         name,
                                         [check, identity](const std::vector<DType>& operands) {
                                             check(operands);
                                             return Tuple(identity);
                                         },
                                         [variables, combine](const Tuple& a, const Tuple& b) {
                                             std::vector<Expr> by, out;
                                             for (size_t i = 0; i < a.size(); ++i) by.push_back(a[i]);
                                             for (size_t i = 0; i < b.size(); ++i) by.push_back(b[i]);
                                             for (const Expr& e : combine) out.push_back(substituted(e, variables, by));
                                             return Tuple(out);
                                         },
                                         traits));
    }

    // ---- definitions

    struct LeftHand {
        Func func;
        std::vector<Index> indices;
        std::vector<DType> dtypes;
        SourceLoc where;
    };

    LeftHand left_hand() {
        const Token at = t_.peek();
        const std::string name = t_.expect_name("the name of a Func");
        unused_name(at, scope_.inputs.count(name) != 0);
        std::vector<Index> indices;
        t_.expect("(");
        while (!t_.at(")")) {
            const Token index = t_.peek();
            indices.emplace_back(ExprParser(t_, scope_).expression(), text_place(index));
            if (!t_.accept(",")) break;
        }
        t_.expect(")");
        t_.expect(":");
        std::vector<DType> dtypes;
        ExprParser types(t_, scope_);
        if (t_.accept("(")) {
            do dtypes.push_back(types.dtype());
            while (t_.accept(","));
            t_.expect(")");
        } else {
            dtypes.push_back(types.dtype());
        }
        t_.expect("=");
        const auto known = scope_.funcs.find(name);
        Func f = known != scope_.funcs.end() ? known->second
                 : dtypes.size() == 1        ? Func(name, dtypes[0], text_place(at))
                                             : Func(name, text_place(at));
        return {f, indices, dtypes, text_place(at)};
    }

    void definition() {
        scope_.defining = std::string(t_.peek().text);
        const LeftHand left = left_hand();
        const std::vector<Expr> values = ExprParser(t_, scope_).body(left.dtypes.size());
        for (size_t i = 0; i < values.size() && values.size() > 1; ++i)
            if (values[i].dtype() != left.dtypes[i])
                throw Error(E0205_narrowing, left.where,
                            fmt::format("component {} of {} is declared {} but is {}", i, left.func.name(),
                                        dtype_name(left.dtypes[i]), dtype_name(values[i].dtype())),
                            {fix("write a cast, or declare the other dtype")});
        std::vector<Operand> operands;
        for (const Expr& e : values) operands.emplace_back(e, left.where);
        if (operands.size() == 1)
            left.func.at(left.indices, left.where) = operands[0];
        else
            left.func.at(left.indices, left.where) = Tuple(values);
        scope_.defining.clear();
        scope_.funcs.emplace(left.func.name(), left.func);
    }

    void recurrence() {
        const Dim t = ExprParser(t_, scope_).dim();
        const bool reverse = t_.accept("reverse");
        const Token at = t_.peek();
        t_.expect("{");
        t_.skip_newlines();
        std::vector<StateVar> states;
        std::vector<Func> funcs;
        while (!t_.at("}")) {
            const LeftHand left = left_hand();
            const Expr init = ExprParser(t_, scope_).body(1)[0];
            states.push_back({left.func.at(left.indices, left.where), Operand(init, left.where)});
            funcs.push_back(left.func);
            t_.skip_newlines();
        }
        t_.expect("}");
        open_.push_back(begin_recurrence(t, states, reverse, text_place(at)));
        for (const Func& f : funcs) scope_.funcs.emplace(f.name(), f);
    }

    void step() {
        const Token at = t_.peek();
        std::vector<std::string> names;
        do names.push_back(t_.expect_name("a state"));
        while (t_.accept(","));
        t_.expect("=");
        for (size_t i = 0; i < open_.size(); ++i) {
            std::vector<std::string> states;
            for (const auto& weak : open_[i]->states) states.push_back(weak.lock()->name);
            if (states != names) continue;
            finish_recurrence(*open_[i], Tuple(ExprParser(t_, scope_).body(names.size())), text_place(at));
            open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
            return;
        }
        throw Error(E0311_recurrence, text_place(at),
                    fmt::format("no recurrence without a step has the states {}", join_names(names)),
                    {fix("declare them above: recurrence t { ... }"), fix("list them in the order of their declaration")});
    }

    void routine() {
        const Token at = t_.peek();
        const Func f = defined_func();
        t_.expect("=");
        const std::string symbol = t_.expect_name("the name of a C function");
        std::vector<Wrt> operands;
        t_.expect("(");
        while (!t_.at(")")) {
            const auto input = scope_.inputs.find(std::string(t_.peek().text));
            if (input != scope_.inputs.end() && !t_.expect_name("an operand").empty())
                operands.emplace_back(Input(input->second), text_place(at));
            else
                operands.emplace_back(defined_func(), text_place(at));
            if (!t_.accept(",")) break;
        }
        t_.expect(")");
        call_routine(*f.state(), symbol, operands, text_place(at));
    }

    Func defined_func() {
        const Token at = t_.peek();
        const std::string name = t_.expect_name("a Func");
        if (const auto found = scope_.funcs.find(name); found != scope_.funcs.end()) return found->second;
        std::vector<std::string> names;
        for (const auto& [key, value] : scope_.funcs) names.push_back(key);
        throw Error(E0303_undefined, text_place(at), fmt::format("there is no Func {}", name), {fix_spelling(name, names)});
    }

    void arguments() {
        while (t_.at_name()) {
            const Token at = t_.peek();
            const std::string name = t_.expect_name("an input");
            const auto found = scope_.inputs.find(name);
            if (found == scope_.inputs.end()) {
                std::vector<std::string> names;
                for (const auto& [key, value] : scope_.inputs) names.push_back(key);
                throw Error(E0303_undefined, text_place(at), fmt::format("there is no input {}", name),
                            {fix_spelling(name, names)});
            }
            if (found->second->scalar)
                arguments_.emplace_back(Scalar(found->second));
            else
                arguments_.emplace_back(Input(found->second));
            if (!t_.accept(",")) return;
        }
    }

    void outputs() {
        outputs_at_ = t_.peek();
        do {
            outputs_.push_back(defined_func());
        } while (t_.accept(","));
    }

    TokenStream t_;
    GraphScope scope_;
    AlgorithmOptions options_;
    std::vector<Argument> arguments_;
    std::vector<Func> outputs_;
    Token outputs_at_;
    std::vector<std::shared_ptr<Recurrence>> open_;
};

}  // namespace

Algorithm parse_algorithm(std::string_view text) { return GraphParser(text).parse(); }

}  // namespace tessera
