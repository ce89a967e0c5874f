#include "schedule/loop_tree.h"

#include "base/match.h"
#include "schedule/loop_tree_expr.h"
#include "schedule/stage_region.h"

#include <fmt/format.h>

namespace tessera {
namespace {

class TreeWriter {
public:
    explicit TreeWriter(const LoopTree& tree) : tree_(tree) {}

    std::string run() {
        write(*tree_.root, "");
        return std::move(out_);
    }

private:
    void line(const std::string& indent, const TreeExprText& exprs, const std::string& text) {
        for (const std::string& s : exprs.shared) out_ += indent + s + "\n";
        out_ += indent + text + "\n";
    }

    const Stage& stage(size_t i) const { return tree_.bound.graph.stages[i]; }

    void write_region(const std::string& indent, std::string head, size_t i, const std::vector<Expr>& begin,
                      const std::vector<Expr>& extent) {
        std::vector<Expr> ends;
        for (size_t d = 0; d < begin.size(); ++d) {
            ends.push_back(begin[d]);
            ends.push_back(end_of_range(begin[d], extent[d]));
        }
        const TreeExprText exprs = tree_expr_text(ends);
        for (size_t d = 0; d < begin.size(); ++d)
            head += fmt::format("{}{} [{}, {})", d ? ", " : " ", tree_name(stage(i).dims[d].name()), exprs.texts[2 * d],
                                exprs.texts[2 * d + 1]);
        line(indent, exprs, head);
    }

    void write(const Statement& s, const std::string& indent) {
        const std::string deeper = indent + "  ";
        match(
            s.node,
            [&](const Block& b) {
                for (const StatementPtr& child : b.statements) write(*child, indent);
            },
            [&](const Loop& l) {
                const TreeExprText exprs = tree_expr_text({l.begin, end_of_range(l.begin, l.extent)});
                const std::string kind(l.kind == LoopKind::serial ? "for" : word(l.kind));
                line(indent, exprs, fmt::format("{} {} in [{}, {})", kind, tree_name(l.name), exprs.texts[0], exprs.texts[1]));
                write(*l.body, deeper);
            },
            [&](const Let& l) {
                const TreeExprText exprs = tree_expr_text({l.value});
                line(indent, exprs,
                     fmt::format("let {} = {}", tree_name(std::get<std::shared_ptr<const Variable>>(l.variable->attribute)->name),
                                 exprs.texts[0]));
                write(*l.body, indent);
            },
            [&](const Guard& g) {
                const TreeExprText exprs = tree_expr_text({g.condition});
                line(indent, exprs, fmt::format("if {}", exprs.texts[0]));
                write(*g.body, deeper);
            },
            [&](const Allocate& a) {
                const std::string space = a.space == Space::auto_ ? "" : fmt::format("{} ", word(a.space));
                write_region(indent, fmt::format("allocate {}{}", space, tree_name(stage(a.stage).name)), a.stage, a.begin,
                             a.extent);
                write(*a.body, deeper);
            },
            [&](const Produce& p) {
                write_region(indent, fmt::format("produce {}", tree_name(stage(p.stage).name)), p.stage, p.begin, p.extent);
                write(*p.body, deeper);
            },
            [&](const Store& w) {
                std::vector<Expr> all = w.place;
                all.insert(all.end(), w.values.begin(), w.values.end());
                const TreeExprText exprs = tree_expr_text(all);
                std::string text = tree_name(stage(w.stage).name) + "(";
                for (size_t i = 0; i < w.place.size(); ++i) text += (i ? ", " : "") + exprs.texts[i];
                text += w.values.size() > 1 ? ") = {" : ") = ";
                for (size_t i = 0; i < w.values.size(); ++i) text += (i ? ", " : "") + exprs.texts[w.place.size() + i];
                line(indent, exprs, text + (w.values.size() > 1 ? "}" : ""));
            },
            [&](const CallRoutine& c) {
                out_ += fmt::format("{}call {} = {}\n", indent, tree_name(stage(c.stage).name), stage(c.stage).symbol);
            });
    }

    const LoopTree& tree_;
    std::string out_;
};

}  // namespace

std::string to_text(const LoopTree& tree) { return TreeWriter(tree).run(); }

}  // namespace tessera
