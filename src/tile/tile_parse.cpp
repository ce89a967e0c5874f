#include "schedule/loop_tree_expr.h"
#include "tile/tile_ir.h"

#include <fmt/format.h>

#include <optional>

namespace tessera::tile {
namespace {

struct TextLine {
    size_t indent;
    std::string_view text;
    int number;
};

class ProgramReader {
public:
    ProgramReader(std::string_view text, const BoundSchedule& bound) : bound_(bound), scope_(tree_scope(bound)) {
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

    Program run() {
        Program out{bound_, {}, {}};
        while (at_ < lines_.size()) {
            TreeLine line = next(0);
            if (line.accept("scratch"))
                out.scratch.push_back(scratch(line));
            else
                out.kernels.push_back(kernel(line));
        }
        return out;
    }

private:
    static constexpr size_t deepest = 2000;

    // The next line with the shared expressions before it read.
    TreeLine next(size_t indent) {
        while (true) {
            if (at_ >= lines_.size() || lines_[at_].indent != indent) {
                const TextLine& near = lines_[std::min(at_, lines_.size() - 1)];
                TreeLine(near.text, near.number).fail("the line stands at another indentation than those around it");
            }
            TreeLine line(lines_[at_].text, lines_[at_].number);
            ++at_;
            const std::string first = line.peek();
            if (first[0] != '%') return line;
            line.take();
            line.expect("=");
            scope_.shared[first] = expression(line);
        }
    }
    void finish(TreeLine& line) {
        if (!line.at_end()) line.fail(fmt::format("'{}' is left over", line.peek()));
        scope_.shared.clear();
    }
    Expr expression(TreeLine& line) { return parse_tree_expr(line, scope_); }
    std::int64_t number(TreeLine& line) {
        const auto value = integer_constant(expression(line));
        if (!value) line.fail("a number is missing");
        return *value;
    }
    size_t stage(TreeLine& line) {
        const std::string name = line.name();
        const auto found = bound_.graph.find(name);
        if (!found) line.fail(fmt::format("{} is no stage", name));
        return *found;
    }
    void dim(TreeLine& line, const Stage& s, size_t d) {
        if (d) line.expect(",");
        const std::string name = line.name();
        if (name != s.dims[d].name())
            line.fail(fmt::format("{} stands where dim {} of {} belongs", name, s.dims[d].name(), s.name));
        line.expect("[");
    }

    Scratch scratch(TreeLine& line) {
        Scratch s;
        s.stage = stage(line);
        const Stage& of = bound_.graph.stages[s.stage];
        for (size_t d = 0; d < of.dims.size(); ++d) {
            dim(line, of, d);
            s.begin.push_back(expression(line));
            line.expect(",");
            line.expect("+");
            s.extent.push_back(expression(line));
            line.expect(")");
        }
        finish(line);
        return s;
    }

    // "(a in [0, 4), b in [0, n))"; the variables stay bound.
    std::vector<Axis> axes(TreeLine& line) {
        std::vector<Axis> out;
        line.expect("(");
        while (!line.accept(")")) {
            if (!out.empty()) line.expect(",");
            const std::string name = line.name();
            out.push_back({make_variable(name, DType::i64), range(line)});
        }
        for (const Axis& a : out) scope_.variables.emplace_back(name_of(a.variable), a.variable);
        return out;
    }
    Expr range(TreeLine& line) {
        line.expect("in");
        line.expect("[");
        if (number(line) != 0) line.fail("a range starts at 0");
        line.expect(",");
        const Expr extent = expression(line);
        line.expect(")");
        return extent;
    }

    Kernel kernel(TreeLine& line) {
        Kernel k;
        line.expect("kernel");
        k.name = line.name();
        line.expect("blocks");
        k.grid = axes(line);
        if (line.accept("cluster")) k.cluster = axes(line);
        line.expect("threads");
        k.threads = number(line);
        if (line.accept("consumers")) k.consumers = number(line);
        line.expect("ctas");
        k.min_ctas = number(line);
        if (line.accept("producers")) k.producers = number(line);
        k.persistent = line.accept("persistent");
        k.fast_math = line.accept("fast_math");
        finish(line);
        k.body = body(0, 0);
        scope_.variables.clear();
        return k;
    }

    StatementPtr body(size_t indent, size_t depth) {
        if (at_ >= lines_.size() || lines_[at_].indent <= indent) return statement(Sequence{});
        return block(depth + 1);
    }
    // The statements of one indentation; a let has the rest of them as its body.
    StatementPtr block(size_t depth) {
        if (depth > deepest)
            throw Error(E0604_size, {}, "a tile program is nested too deeply",
                        {expected(fmt::format("at most {} levels", deepest))});
        std::vector<StatementPtr> statements;
        if (at_ < lines_.size()) {
            const size_t indent = lines_[at_].indent;
            while (at_ < lines_.size() && lines_[at_].indent == indent) statements.push_back(one(indent, depth));
        }
        return sequence(std::move(statements));
    }

    StatementPtr one(size_t indent, size_t depth) {
        TreeLine line = next(indent);
        const std::string head = line.name();
        if (head == "for" || head == "unroll") {
            For f;
            const std::string name = line.name();
            f.extent = range(line);
            f.unrolled = head == "unroll";
            finish(line);
            f.variable = make_variable(name, DType::i64);
            scope_.variables.emplace_back(name, f.variable);
            f.body = body(indent, depth);
            scope_.variables.pop_back();
            return statement(std::move(f));
        }
        if (head == "let") return let(line, indent, depth);
        if (head == "if") {
            If i;
            i.condition = expression(line);
            finish(line);
            i.body = body(indent, depth);
            return statement(std::move(i));
        }
        if (head == "spread") {
            Spread p;
            p.over = scope(line);
            p.axes = axes(line);
            finish(line);
            p.body = body(indent, depth);
            scope_.variables.resize(scope_.variables.size() - p.axes.size());
            return statement(std::move(p));
        }
        if (head == "alloc") return alloc(line, indent, depth);
        if (head == "store" || head == "atomic") return assign(line, head == "atomic");
        if (head == "mma" || head == "wgmma") return mma(line, head == "wgmma");
        if (head == "box") return box<BoxCopy>(line);
        if (head == "put") return box<BoxStore>(line);
        if (head == "reclaim") {
            const Reclaim r{stage(line)};
            finish(line);
            return statement(r);
        }
        if (head == "fence") {
            finish(line);
            return statement(Fence{});
        }
        if (head == "take_turn" || head == "pass_turn") {
            finish(line);
            return head == "take_turn" ? statement(TakeTurn{}) : statement(PassTurn{});
        }
        if (head == "settle") {
            const Settle w{stage(line)};
            finish(line);
            return statement(w);
        }
        if (head == "copy") return copy(line, indent, depth);
        if (head == "buffer") return buffer(line, indent, depth);
        if (head == "commit") {
            Commit c;
            c.stages = stages(line);
            c.token = expression(line);
            if (line.accept("bytes")) c.bytes = number(line);
            finish(line);
            return statement(std::move(c));
        }
        if (head == "await") {
            Await a;
            a.stages = stages(line);
            a.token = expression(line);
            if (line.accept("in_flight")) a.in_flight = number(line);
            if (line.accept("ring")) a.ring = number(line);
            finish(line);
            return statement(std::move(a));
        }
        if (head == "acquire") return statement(ring<Acquire>(line));
        if (head == "release") return statement(ring<Release>(line));
        if (head == "tiles") {
            Tiles t;
            const std::string name = line.name();
            finish(line);
            t.round = make_variable(name, DType::i64);
            scope_.variables.emplace_back(name, t.round);
            t.body = body(indent, depth);
            scope_.variables.pop_back();
            return statement(std::move(t));
        }
        if (head == "roles") return roles(line, indent, depth);
        if (head == "combine" || head == "prefix") {
            Combine c;
            c.before = head == "prefix";
            c.over = scope(line);
            c.stage = stage(line);
            if (line.accept("lanes")) c.lanes = number(line);
            finish(line);
            return statement(c);
        }
        if (head != "barrier") line.fail(fmt::format("{} starts no statement", head));
        const Barrier b{scope(line)};
        finish(line);
        return statement(b);
    }

    template <class Node>
    Node ring(TreeLine& line) {
        Node node;
        node.stages = stages(line);
        node.token = expression(line);
        line.expect("ring");
        node.ring = number(line);
        finish(line);
        return node;
    }

    StatementPtr roles(TreeLine& line, size_t indent, size_t depth) {
        Roles r;
        if (line.accept("registers")) {
            r.producer_registers = number(line);
            r.consumer_registers = number(line);
        }
        finish(line);
        for (StatementPtr* role : {&r.copies, &r.rest}) {
            if (at_ >= lines_.size() || lines_[at_].indent <= indent) line.fail("roles are two");
            const size_t inside = lines_[at_].indent;
            TreeLine head = next(inside);
            head.expect("role");
            finish(head);
            *role = body(inside, depth + 1);
        }
        return statement(std::move(r));
    }

    StatementPtr let(TreeLine& line, size_t indent, size_t depth) {
        Let l;
        const std::string name = line.name();
        line.expect("=");
        l.value = expression(line);
        finish(line);
        l.variable = make_variable(name, DType::i64);
        scope_.variables.emplace_back(name, l.variable);
        l.body = at_ < lines_.size() && lines_[at_].indent == indent ? block(depth + 1) : statement(Sequence{});
        scope_.variables.pop_back();
        return statement(std::move(l));
    }

    static Scope scope(TreeLine& line) {
        const std::string token = line.take();
        for (const Scope s : {Scope::thread, Scope::warp, Scope::lane, Scope::warpgroup, Scope::member})
            if (token == word(s)) return s;
        line.fail(fmt::format("{} is no scope", token));
    }

    StatementPtr alloc(TreeLine& line, size_t indent, size_t depth) {
        Alloc a;
        const std::string space = line.take();
        if (space != word(Space::shared) && space != word(Space::register_)) line.fail(fmt::format("{} is no memory", space));
        a.space = space == word(Space::shared) ? Space::shared : Space::register_;
        a.stage = stage(line);
        const Stage& of = bound_.graph.stages[a.stage];
        for (size_t d = 0; d < of.dims.size(); ++d) {
            dim(line, of, d);
            a.begin.push_back(expression(line));
            line.expect(",");
            line.expect("+");
            a.extent.push_back(number(line));
            line.expect(")");
            if (a.space == Space::register_) a.shares.emplace_back();
            while (line.accept("by")) {
                Share share;
                share.tile = number(line);
                line.expect("of");
                share.count = number(line);
                line.expect("threads");
                share.stride = number(line);
                if (a.shares.empty()) line.fail("only registers are dealt out");
                a.shares.back().push_back(share);
            }
        }
        if (line.accept("buffers")) a.buffers = number(line);
        a.swizzled = line.accept("swizzled");
        a.grouped = line.accept("grouped");
        a.boxed = line.accept("boxed");
        finish(line);
        a.body = body(indent, depth);
        return statement(std::move(a));
    }

    std::vector<size_t> stages(TreeLine& line) {
        std::vector<size_t> out;
        line.expect("(");
        do out.push_back(stage(line));
        while (line.accept(","));
        line.expect(")");
        return out;
    }

    StatementPtr buffer(TreeLine& line, size_t indent, size_t depth) {
        InBuffer b;
        b.stage = stage(line);
        const Stage& of = bound_.graph.stages[b.stage];
        b.index = expression(line);
        line.expect("from");
        for (size_t d = 0; d < of.dims.size(); ++d) {
            dim(line, of, d);
            b.begin.push_back(expression(line));
            line.expect(")");
        }
        finish(line);
        b.body = body(indent, depth);
        return statement(std::move(b));
    }

    StatementPtr copy(TreeLine& line, size_t indent, size_t depth) {
        AsyncCopy c;
        c.stage = stage(line);
        c.place = place(line, c.stage);
        line.expect("from");
        c.source = expression(line);
        if (c.source->op != Op::access) line.fail("the source of a copy is no read");
        line.expect("cells");
        c.cells = number(line);
        if (line.accept("if")) c.whole = expression(line);
        finish(line);
        c.otherwise = body(indent, depth);
        return statement(std::move(c));
    }

    template <class Node>
    StatementPtr box(TreeLine& line) {
        Node c;
        c.stage = stage(line);
        c.place = place(line, c.stage);
        line.expect("from");
        c.source = expression(line);
        if (c.source->op != Op::access) line.fail("the source of a copy is no read");
        if constexpr (std::is_same_v<Node, BoxCopy>)
            if (line.accept("parts")) c.parts = number(line);
        finish(line);
        return statement(std::move(c));
    }

    std::vector<Expr> place(TreeLine& line, size_t of) {
        std::vector<Expr> out;
        line.expect("(");
        for (size_t d = 0; d < bound_.graph.stages[of].dims.size(); ++d) {
            if (d) line.expect(",");
            out.push_back(expression(line));
        }
        line.expect(")");
        return out;
    }

    StatementPtr mma(TreeLine& line, bool grouped) {
        Mma m;
        m.grouped = grouped;
        m.stage = stage(line);
        m.place = place(line, m.stage);
        line.expect("by");
        m.left = expression(line);
        m.left_turned = line.accept("turned");
        m.right = expression(line);
        m.right_turned = line.accept("turned");
        line.expect("over");
        m.m = number(line);
        m.n = number(line);
        m.k = number(line);
        m.in_flight = grouped && line.accept("in_flight");
        if (grouped && line.accept("fresh")) m.fresh = expression(line);
        finish(line);
        return statement(std::move(m));
    }

    StatementPtr assign(TreeLine& line, bool atomic) {
        Assign w;
        w.atomic = atomic;
        w.stage = stage(line);
        const Stage& s = bound_.graph.stages[w.stage];
        w.place = place(line, w.stage);
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
    TreeScope scope_;
    std::vector<TextLine> lines_;
    size_t at_ = 0;
};

}  // namespace

Program parse_program(std::string_view text, const BoundSchedule& bound) { return ProgramReader(text, bound).run(); }

}  // namespace tessera::tile
