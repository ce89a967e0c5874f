#include "schedule/loop_tree.h"

#include "schedule/loop_tree_expr.h"
#include "schedule/stage_region.h"

#include <fmt/format.h>

#include <optional>
#include <set>

namespace tessera {
namespace {

struct TextLine {
    size_t indent;
    std::string_view text;
    int number;
};

class TreeReader {
public:
    TreeReader(std::string_view text, const BoundSchedule& bound) : bound_(bound), scope_(tree_scope(bound)) {
        int number = 0;
        while (!text.empty()) {
            const size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            ++number;
            const size_t indent = line.find_first_not_of(' ');
            if (indent != std::string_view::npos) lines_.push_back({indent, line.substr(indent), number});
        }
    }

    StatementPtr run() {
        StatementPtr root = block(0);
        if (at_ < lines_.size())
            TreeLine(lines_[at_].text, lines_[at_].number).fail("the line stands further out than the first one");
        return root;
    }

private:
    static constexpr size_t deepest = 2000;

    template <class Node>
    static StatementPtr statement(Node node) {
        return std::make_shared<const Statement>(Statement{std::move(node)});
    }

    // The statements of one indentation; a let has the rest of them as its body.
    StatementPtr block(size_t depth) {
        if (depth > deepest)
            throw Error(E0604_size, {}, "a loop tree is nested too deeply",
                        {expected(fmt::format("at most {} levels", deepest))});
        std::vector<StatementPtr> statements;
        if (at_ < lines_.size()) {
            const size_t indent = lines_[at_].indent;
            while (at_ < lines_.size() && lines_[at_].indent == indent) statements.push_back(one(indent, depth));
            if (at_ < lines_.size() && lines_[at_].indent > indent)
                TreeLine(lines_[at_].text, lines_[at_].number).fail("the line is indented below nothing");
        }
        return statements.size() == 1 ? statements[0] : statement(Block{std::move(statements)});
    }

    StatementPtr body(size_t indent, size_t depth) {
        if (at_ >= lines_.size() || lines_[at_].indent <= indent) return statement(Block{});
        return block(depth + 1);
    }

    StatementPtr one(size_t indent, size_t depth) {
        TreeLine line(lines_[at_].text, lines_[at_].number);
        ++at_;
        const std::string first = line.peek();
        if (first[0] == '%') {
            line.take();
            line.expect("=");
            const Expr value = expression(line);
            scope_.shared[first] = value;
            if (at_ >= lines_.size() || lines_[at_].indent != indent) line.fail("nothing uses the shared expression");
            return one(indent, depth);
        }
        if (first == "let") return let(line, indent, depth);
        if (first == "if") {
            line.take();
            Guard g;
            g.condition = expression(line);
            finish(line);
            g.body = body(indent, depth);
            return statement(std::move(g));
        }
        if (first == "allocate") return allocate(line, indent, depth);
        if (first == "call") {
            line.take();
            CallRoutine c;
            c.stage = stage(line);
            line.expect("=");
            if (line.name() != bound_.graph.stages[c.stage].symbol)
                line.fail(
                    fmt::format("{} is computed by {}", bound_.graph.stages[c.stage].name, bound_.graph.stages[c.stage].symbol));
            finish(line);
            return statement(c);
        }
        if (first == "produce") {
            line.take();
            Produce p;
            p.stage = stage(line);
            region(line, p.stage, p.begin, p.extent);
            p.body = body(indent, depth);
            return statement(std::move(p));
        }
        if (const auto kind = loop_kind(first)) return loop(line, *kind, indent, depth);
        return store(line);
    }

    void finish(TreeLine& line) {
        if (!line.at_end()) line.fail(fmt::format("'{}' is left over", line.peek()));
        scope_.shared.clear();
    }
    Expr expression(TreeLine& line) { return parse_tree_expr(line, scope_); }

    size_t stage(TreeLine& line) {
        const std::string name = line.name();
        const auto found = bound_.graph.find(name);
        if (!found) line.fail(fmt::format("{} is no stage", name));
        return *found;
    }

    // [begin, end)
    std::pair<Expr, Expr> range(TreeLine& line) {
        line.expect("[");
        const Expr begin = expression(line);
        line.expect(",");
        const Expr end = expression(line);
        line.expect(")");
        return {begin, extent_of_range(begin, end)};
    }

    void region(TreeLine& line, size_t i, std::vector<Expr>& begin, std::vector<Expr>& extent) {
        const Stage& s = bound_.graph.stages[i];
        for (size_t d = 0; d < s.dims.size(); ++d) {
            if (d) line.expect(",");
            const std::string name = line.name();
            if (name != s.dims[d].name())
                line.fail(fmt::format("{} stands where dim {} of {} belongs", name, s.dims[d].name(), s.name));
            const auto [b, e] = range(line);
            begin.push_back(b);
            extent.push_back(e);
        }
        finish(line);
    }

    StatementPtr allocate(TreeLine& line, size_t indent, size_t depth) {
        line.take();
        Allocate a;
        for (const Space space : {Space::heap, Space::stack, Space::register_, Space::shared, Space::global})
            if (line.peek() == word(space) && !bound_.graph.find(line.peek())) {
                a.space = space;
                line.take();
                break;
            }
        a.stage = stage(line);
        region(line, a.stage, a.begin, a.extent);
        a.body = body(indent, depth);
        return statement(std::move(a));
    }

    StatementPtr let(TreeLine& line, size_t indent, size_t depth) {
        line.take();
        Let l;
        const std::string name = line.name();
        line.expect("=");
        l.value = expression(line);
        finish(line);
        l.variable = make_variable(name, DType::i64);
        scope_.variables.emplace_back(name, l.variable);
        if (at_ < lines_.size() && lines_[at_].indent == indent)
            l.body = block(depth + 1);
        else
            l.body = statement(Block{});
        scope_.variables.pop_back();
        return statement(std::move(l));
    }

    static std::optional<LoopKind> loop_kind(const std::string& token) {
        if (token == "for") return LoopKind::serial;
        for (const LoopKind k :
             {LoopKind::parallel, LoopKind::unroll, LoopKind::vector, LoopKind::block, LoopKind::cluster, LoopKind::warpgroup,
              LoopKind::warp, LoopKind::lane, LoopKind::thread, LoopKind::frag, LoopKind::mesh})
            if (token == word(k)) return k;
        return std::nullopt;
    }

    StatementPtr loop(TreeLine& line, LoopKind kind, size_t indent, size_t depth) {
        line.take();
        Loop l;
        l.kind = kind;
        l.name = line.name();
        line.expect("in");
        std::tie(l.begin, l.extent) = range(line);
        finish(line);
        l.variable = make_variable(l.name, DType::i64);
        scope_.variables.emplace_back(l.name, l.variable);
        l.body = body(indent, depth);
        scope_.variables.pop_back();
        return statement(std::move(l));
    }

    StatementPtr store(TreeLine& line) {
        Store w;
        w.stage = stage(line);
        const Stage& s = bound_.graph.stages[w.stage];
        line.expect("(");
        for (size_t d = 0; d < s.dims.size(); ++d) {
            if (d) line.expect(",");
            w.place.push_back(expression(line));
        }
        line.expect(")");
        line.expect("=");
        const bool tuple = s.dtypes.size() > 1;
        if (tuple) line.expect("{");
        for (size_t c = 0; c < s.dtypes.size(); ++c) {
            if (c) line.expect(",");
            w.values.push_back(expression(line));
            if (w.values.back()->dtype != s.dtypes[c])
                line.fail(fmt::format("the value is {}, but {} keeps {}", dtype_name(w.values.back()->dtype), s.name,
                                      dtype_name(s.dtypes[c])));
        }
        if (tuple) line.expect("}");
        finish(line);
        return statement(std::move(w));
    }

    const BoundSchedule& bound_;
    std::vector<TextLine> lines_;
    size_t at_ = 0;
    TreeScope scope_;
};

}  // namespace

LoopTree parse_loop_tree(std::string_view text, const BoundSchedule& bound) { return {bound, TreeReader(text, bound).run()}; }

}  // namespace tessera
