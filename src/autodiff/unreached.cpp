#include "autodiff/unreached.h"

#include <fmt/format.h>

namespace tessera {

std::vector<std::string> warnings_of_unreached(const Reverse& reverse, const DerivativeGraph& graph, const std::vector<Wrt>& wrt,
                                               const std::string& of) {
    std::vector<std::string> warnings;
    for (const Wrt& x : wrt) {
        const void* variable = x.input() ? static_cast<const void*>(x.input().get()) : x.func().get();
        if (reverse.reached(variable)) continue;
        bool read = false;
        for (const Func& f : graph.algorithm.funcs())
            for_each_node(definition_roots(*f.state()), [&](const Expr& n) {
                if (n->op != Op::access) return;
                const AccessTarget& t = n->target();
                read = read || variable == (t.input ? static_cast<const void*>(t.input.get()) : t.func.get());
            });
        const std::string& name = x.input() ? x.input()->name : x.func()->name;
        warnings.push_back(fmt::format("the derivative of {} by {} is zero: {}", of, name,
                                       read ? "on every way from it stands an integer, a comparison or a stopped gradient"
                                            : fmt::format("{} does not read it", of)));
    }
    return warnings;
}

}  // namespace tessera
