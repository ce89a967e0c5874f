#include "backend/cpu/loop_nest.h"

#include "base/check.h"

#include <fmt/format.h>

#include <optional>

namespace tessera::cpu {
namespace {

// Lines like
//   produce f_C_s1:
//     parallel d1_m.l0 in [0, 31]:
//       f_C_s1(...) = ...
class NestParser {
public:
    NestParser(std::string_view text, const std::map<std::string, size_t>& stages, const BoundSchedule& bound)
        : stages_(stages), bound_(bound) {
        for (size_t at = 0; at < text.size();) {
            const size_t end = std::min(text.find('\n', at), text.size());
            if (text.find_first_not_of(' ', at) < end) lines_.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    }

    std::vector<NestNode> run() { return block(0, {}); }

private:
    static size_t indent(std::string_view line) { return line.find_first_not_of(' '); }

    std::vector<NestNode> block(size_t depth, std::optional<size_t> stage) {
        std::vector<NestNode> out;
        while (next_ < lines_.size() && indent(lines_[next_]) >= depth) {
            const size_t at = indent(lines_[next_]);
            const std::string_view line = lines_[next_++].substr(at);
            std::optional<size_t> inner = stage;
            NestNode node = read_line(line, inner);
            if (node.kind != NestNode::Kind::compute) node.body = block(at + 1, inner);
            out.push_back(std::move(node));
        }
        return out;
    }

    NestNode read_line(std::string_view line, std::optional<size_t>& stage) const {
        const std::string_view word = line.substr(0, line.find(' '));
        const std::string_view rest = line.substr(std::min(word.size() + 1, line.size()));
        if (word == "produce" || word == "consume" || word == "store") {
            const std::string name = trimmed(rest.substr(0, rest.find(':')));
            if (word == "produce") stage = find(name);
            return {word == "produce"   ? NestNode::Kind::produce
                    : word == "consume" ? NestNode::Kind::consume
                                        : NestNode::Kind::store,
                    our_name(name),
                    LoopKind::serial,
                    {}};
        }
        static const std::map<std::string_view, LoopKind> kinds{{"for", LoopKind::serial},
                                                                {"parallel", LoopKind::parallel},
                                                                {"vectorized", LoopKind::vector},
                                                                {"unrolled", LoopKind::unroll}};
        if (const auto kind = kinds.find(word); kind != kinds.end()) {
            std::string variable = trimmed(rest.substr(0, rest.find_first_of(" :")));
            while (!variable.empty() && variable.back() == '.') variable.pop_back();
            return {NestNode::Kind::loop, loop_name(variable, stage), kind->second, {}};
        }
        return {NestNode::Kind::compute, our_name(trimmed(line.substr(0, line.find('(')))), LoopKind::serial, {}};
    }

    static std::string trimmed(std::string_view text) {
        const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
        return first == std::string_view::npos ? std::string() : std::string(text.substr(first, last - first + 1));
    }

    std::optional<size_t> find(const std::string& name) const {
        const auto found = stages_.find(name.substr(0, name.find('$')));
        return found == stages_.end() ? std::nullopt : std::optional(found->second);
    }
    std::string our_name(const std::string& name) const {
        const auto stage = find(name);
        return stage ? bound_.graph.stages[*stage].name : name;
    }

    // "d1_m.l0" is loop 0 of the stage's main nest, "d1_m.p0" of its init, "d1_m.q0" of the stage that replaces its values; a
    // fused loop ends in f.
    std::string loop_name(const std::string& variable, std::optional<size_t> stage) const {
        const size_t at = variable.rfind('.');
        const std::string own = at == std::string::npos ? variable : variable.substr(at + 1);
        if (!stage || own.size() < 2 || (own[0] != 'l' && own[0] != 'p' && own[0] != 'q')) return variable;
        size_t number = 0;
        for (const char c : own.substr(1))
            if (c >= '0' && c <= '9') number = number * 10 + static_cast<size_t>(c - '0');
        if (own[0] == 'q') stage = bound_.memory_of(*stage);
        const auto& nest = own[0] != 'p' ? bound_.main_nest(*stage) : bound_.stages[*stage].pure;
        return number < nest.size() ? nest[number].name : variable;
    }

    const std::map<std::string, size_t>& stages_;
    const BoundSchedule& bound_;
    std::vector<std::string_view> lines_;
    size_t next_ = 0;
};

void print(const std::vector<NestNode>& nest, int depth, std::string& out) {
    for (const NestNode& n : nest) {
        std::string_view what;
        switch (n.kind) {
            case NestNode::Kind::produce: what = "produce"; break;
            case NestNode::Kind::consume: what = "consume"; break;
            case NestNode::Kind::store: what = "store"; break;
            case NestNode::Kind::compute: what = "compute"; break;
            case NestNode::Kind::loop: what = word(n.loop); break;
        }
        out += fmt::format("{:{}}{} {}\n", "", 2 * depth, what, n.name);
        print(n.body, depth + 1, out);
    }
}

}  // namespace

std::vector<NestNode> parse_loop_nest(std::string_view text, const std::map<std::string, size_t>& stages,
                                      const BoundSchedule& bound) {
    return NestParser(text, stages, bound).run();
}

std::string to_text(const std::vector<NestNode>& nest) {
    std::string out;
    print(nest, 0, out);
    return out;
}

}  // namespace tessera::cpu
