#include "tile/tile_ir.h"

#include "base/match.h"
#include "schedule/loop_tree_expr.h"

#include <fmt/format.h>

namespace tessera::tile {
namespace {

class ProgramWriter {
public:
    explicit ProgramWriter(const Program& program) : program_(program) {}

    std::string run() {
        for (const Scratch& s : program_.scratch) {
            std::vector<Expr> exprs = s.begin;
            exprs.insert(exprs.end(), s.extent.begin(), s.extent.end());
            const TreeExprText text = tree_expr_text(exprs);
            std::string head = fmt::format("scratch {}", tree_name(stage(s.stage).name));
            for (size_t d = 0; d < s.begin.size(); ++d)
                head += fmt::format("{}{} [{}, +{})", d ? ", " : " ", tree_name(stage(s.stage).dims[d].name()), text.texts[d],
                                    text.texts[s.begin.size() + d]);
            line("", text, head);
        }
        for (const Kernel& k : program_.kernels) {
            const auto [grid, text] = axes_text(k.grid);
            const std::string cluster = k.cluster.empty() ? "" : " cluster " + axes_text(k.cluster).first;
            line("", text,
                 fmt::format("kernel {} blocks {}{} threads {}{} ctas {}{}{}{}", tree_name(k.name), grid, cluster, k.threads,
                             k.consumers > 1 ? fmt::format(" consumers {}", k.consumers) : "", k.min_ctas,
                             k.producers ? fmt::format(" producers {}", k.producers) : "", k.persistent ? " persistent" : "",
                             k.fast_math ? " fast_math" : ""));
            write(*k.body, "  ");
        }
        return std::move(out_);
    }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }

    void line(const std::string& indent, const TreeExprText& exprs, const std::string& text) {
        for (const std::string& s : exprs.shared) out_ += indent + s + "\n";
        out_ += indent + text + "\n";
    }
    void line(const std::string& indent, const std::string& text) { out_ += indent + text + "\n"; }

    static std::pair<std::string, TreeExprText> axes_text(const std::vector<Axis>& axes) {
        std::vector<Expr> extents;
        for (const Axis& a : axes) extents.push_back(a.extent);
        TreeExprText text = tree_expr_text(extents);
        std::string out = "(";
        for (size_t i = 0; i < axes.size(); ++i)
            out += fmt::format("{}{} in [0, {})", i ? ", " : "", tree_name(name_of(axes[i].variable)), text.texts[i]);
        return {out + ")", std::move(text)};
    }

    void write(const Statement& s, const std::string& indent) {
        const std::string deeper = indent + "  ";
        match(
            s.node,
            [&](const Sequence& q) {
                for (const StatementPtr& child : q.statements) write(*child, indent);
            },
            [&](const For& f) {
                const TreeExprText text = tree_expr_text({f.extent});
                line(indent, text,
                     fmt::format("{} {} in [0, {})", f.unrolled ? "unroll" : "for", tree_name(name_of(f.variable)),
                                 text.texts[0]));
                write(*f.body, deeper);
            },
            [&](const Let& l) {
                const TreeExprText text = tree_expr_text({l.value});
                line(indent, text, fmt::format("let {} = {}", tree_name(name_of(l.variable)), text.texts[0]));
                write(*l.body, indent);
            },
            [&](const If& i) {
                const TreeExprText text = tree_expr_text({i.condition});
                line(indent, text, fmt::format("if {}", text.texts[0]));
                write(*i.body, deeper);
            },
            [&](const Spread& p) {
                const auto [axes, text] = axes_text(p.axes);
                line(indent, text, fmt::format("spread {} {}", word(p.over), axes));
                write(*p.body, deeper);
            },
            [&](const Alloc& a) { write_alloc(a, indent); }, [&](const Assign& a) { write_assign(a, indent); },
            [&](const Combine& c) {
                line(indent, fmt::format("{} {} {}{}", c.before ? "prefix" : "combine", word(c.over),
                                         tree_name(stage(c.stage).name), c.lanes != 32 ? fmt::format(" lanes {}", c.lanes) : ""));
            },
            [&](const Mma& m) { write_mma(m, indent); }, [&](const AsyncCopy& c) { write_copy(c, indent); },
            [&](const InBuffer& b) { write_buffer(b, indent); },
            [&](const Commit& c) {
                const TreeExprText text = tree_expr_text({c.token});
                line(indent, text,
                     fmt::format("commit {} {}{}", names(c.stages), text.texts[0],
                                 c.bytes ? fmt::format(" bytes {}", c.bytes) : ""));
            },
            [&](const Await& a) {
                const TreeExprText text = tree_expr_text({a.token});
                line(indent, text,
                     fmt::format("await {} {}{}", names(a.stages), text.texts[0],
                                 a.ring        ? fmt::format(" ring {}", a.ring)
                                 : a.in_flight ? fmt::format(" in_flight {}", *a.in_flight)
                                               : ""));
            },
            [&](const Roles& r) {
                line(indent, r.consumer_registers
                                 ? fmt::format("roles registers {} {}", r.producer_registers, r.consumer_registers)
                                 : "roles");
                line(deeper, "role");
                write(*r.copies, deeper + "  ");
                line(deeper, "role");
                write(*r.rest, deeper + "  ");
            },
            [&](const Tiles& t) {
                line(indent, fmt::format("tiles {}", tree_name(name_of(t.round))));
                write(*t.body, deeper);
            },
            [&](const Acquire& a) { write_ring("acquire", a.stages, a.token, a.ring, indent); },
            [&](const Release& r) { write_ring("release", r.stages, r.token, r.ring, indent); },
            [&](const BoxCopy& c) { write_box("box", c, c.parts > 1 ? fmt::format(" parts {}", c.parts) : "", indent); },
            [&](const BoxStore& b) { write_box("put", b, "", indent); },
            [&](const Reclaim& r) { line(indent, "reclaim " + tree_name(stage(r.stage).name)); },
            [&](const Fence&) { line(indent, "fence"); },
            [&](const Settle& w) { line(indent, "settle " + tree_name(stage(w.stage).name)); },
            [&](const TakeTurn&) { line(indent, "take_turn"); }, [&](const PassTurn&) { line(indent, "pass_turn"); },
            [&](const Barrier& b) { line(indent, fmt::format("barrier {}", word(b.over))); });
    }

    void write_ring(std::string_view head, const std::vector<size_t>& stages, const Expr& token, std::int64_t ring,
                    const std::string& indent) {
        const TreeExprText text = tree_expr_text({token});
        line(indent, text, fmt::format("{} {} {} ring {}", head, names(stages), text.texts[0], ring));
    }

    void write_alloc(const Alloc& a, const std::string& indent) {
        const TreeExprText text = tree_expr_text(a.begin);
        std::string head = fmt::format("alloc {} {}", word(a.space), tree_name(stage(a.stage).name));
        for (size_t d = 0; d < a.begin.size(); ++d) {
            head += fmt::format("{}{} [{}, +{})", d ? ", " : " ", tree_name(stage(a.stage).dims[d].name()), text.texts[d],
                                a.extent[d]);
            if (!a.shares.empty())
                for (const Share& share : a.shares[d])
                    head += fmt::format(" by {} of {} threads {}", share.tile, share.count, share.stride);
        }
        if (a.buffers > 1) head += fmt::format(" buffers {}", a.buffers);
        if (a.swizzled) head += " swizzled";
        if (a.grouped) head += " grouped";
        if (a.boxed) head += " boxed";
        line(indent, text, head);
        write(*a.body, indent + "  ");
    }

    // "(A.s, B.s)"
    std::string names(const std::vector<size_t>& stages) const {
        std::string out;
        for (const size_t i : stages) out += (out.empty() ? "(" : ", ") + tree_name(stage(i).name);
        return out + ")";
    }

    void write_buffer(const InBuffer& b, const std::string& indent) {
        std::vector<Expr> all = b.begin;
        all.push_back(b.index);
        const TreeExprText text = tree_expr_text(all);
        std::string head = fmt::format("buffer {} {} from", tree_name(stage(b.stage).name), text.texts.back());
        for (size_t d = 0; d < b.begin.size(); ++d)
            head += fmt::format("{}{} [{})", d ? ", " : " ", tree_name(stage(b.stage).dims[d].name()), text.texts[d]);
        line(indent, text, head);
        write(*b.body, indent + "  ");
    }

    template <class Node>
    void write_box(std::string_view head, const Node& c, const std::string& end, const std::string& indent) {
        std::vector<Expr> all = c.place;
        all.push_back(c.source);
        const TreeExprText text = tree_expr_text(all);
        std::string place;
        for (size_t d = 0; d < c.place.size(); ++d) place += (d ? ", " : "") + text.texts[d];
        line(indent, text,
             fmt::format("{} {}({}) from {}{}", head, tree_name(stage(c.stage).name), place, text.texts.back(), end));
    }

    void write_copy(const AsyncCopy& c, const std::string& indent) {
        std::vector<Expr> all = c.place;
        all.push_back(c.source);
        if (c.whole.defined()) all.push_back(c.whole);
        const TreeExprText text = tree_expr_text(all);
        std::string place;
        for (size_t d = 0; d < c.place.size(); ++d) place += (d ? ", " : "") + text.texts[d];
        line(indent, text,
             fmt::format("copy {}({}) from {} cells {}{}", tree_name(stage(c.stage).name), place, text.texts[c.place.size()],
                         c.cells, c.whole.defined() ? " if " + text.texts.back() : ""));
        write(*c.otherwise, indent + "  ");
    }

    void write_mma(const Mma& m, const std::string& indent) {
        std::vector<Expr> all = m.place;
        all.push_back(m.left);
        all.push_back(m.right);
        if (m.fresh.defined()) all.push_back(m.fresh);
        const TreeExprText exprs = tree_expr_text(all);
        std::string place;
        for (size_t i = 0; i < m.place.size(); ++i) place += (i ? ", " : "") + exprs.texts[i];
        line(indent, exprs,
             fmt::format("{} {}({}) by {}{} {}{} over {} {} {}{}{}", m.grouped ? "wgmma" : "mma", tree_name(stage(m.stage).name),
                         place, exprs.texts[m.place.size()], m.left_turned ? " turned" : "", exprs.texts[m.place.size() + 1],
                         m.right_turned ? " turned" : "", m.m, m.n, m.k, m.in_flight ? " in_flight" : "",
                         m.fresh.defined() ? " fresh " + exprs.texts.back() : ""));
    }

    void write_assign(const Assign& a, const std::string& indent) {
        std::vector<Expr> all = a.place;
        all.insert(all.end(), a.values.begin(), a.values.end());
        const TreeExprText exprs = tree_expr_text(all);
        std::string text = fmt::format("{} {}(", a.atomic ? "atomic" : "store", tree_name(stage(a.stage).name));
        for (size_t i = 0; i < a.place.size(); ++i) text += (i ? ", " : "") + exprs.texts[i];
        text += a.values.size() > 1 ? ") = {" : ") = ";
        for (size_t i = 0; i < a.values.size(); ++i) text += (i ? ", " : "") + exprs.texts[a.place.size() + i];
        line(indent, exprs, text + (a.values.size() > 1 ? "}" : ""));
    }

    const Program& program_;
    std::string out_;
};

}  // namespace

std::string to_text(const Program& program) { return ProgramWriter(program).run(); }

}  // namespace tessera::tile
