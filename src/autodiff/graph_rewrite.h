#pragma once

#include "autodiff/activity.h"
#include "autodiff/names.h"

#include <functional>
#include <mutex>
#include <unordered_map>

namespace tessera {

/// The Funcs in the places of others.
using FuncMap = std::map<const FuncState*, Func>;

/// Copies of Funcs in which reads are replaced; what reads nothing that is replaced stays itself. Copies keep their names, and
/// one definition has one copy as long as that lives: rules of copies, called later, read the same copies.
class GraphRewrite {
public:
    /// What stands for a read of a Func (its args replaced already); undefined keeps it.
    using Replace = std::function<Expr(const Expr& access)>;
    explicit GraphRewrite(Replace replace) : replace_(std::move(replace)) {}
    /// Reads of Funcs of the map are those of the Funcs there.
    explicit GraphRewrite(std::shared_ptr<const FuncMap> map);

    [[nodiscard]] std::vector<Func> operator()(const std::vector<Func>& outputs);

private:
    // Copies are not kept alive: what reads them does that.
    struct Copies {
        struct Copy {
            std::weak_ptr<FuncState> of, copy;
        };
        std::mutex mutex;
        std::unordered_map<const FuncState*, Copy> made;
    };

    [[nodiscard]] Func shell(const std::shared_ptr<FuncState>& f);
    [[nodiscard]] Func copy_of(const FuncState* f) const;
    void note_copy(const std::shared_ptr<FuncState>& of, const Func& copy);
    void rewrite(const std::shared_ptr<FuncState>& f);
    [[nodiscard]] std::shared_ptr<const RoutineCall> routine_of(const FuncState& f);
    void move_rules(const std::vector<Func>& funcs, const std::vector<Func>& rewritten);
    [[nodiscard]] std::vector<const void*> rule_key(const FuncState& f) const;
    [[nodiscard]] bool changes(const FuncState& f) const;
    [[nodiscard]] Func moved(const Func& operand) const;

    Replace replace_;
    std::shared_ptr<const FuncMap> map_;
    std::shared_ptr<Copies> copies_ = std::make_shared<Copies>();
    std::unordered_set<const FuncState*> changed_;  // of one call
    std::vector<Func> alive_;                       // copies of one call
};

/// The Funcs that `outputs` reach, operands of rules included, producers first (the states of a recurrence and what stands
/// between them in any order).
[[nodiscard]] std::vector<Func> reachable_funcs(const std::vector<Func>& outputs);
/// Those that the definition of `f` reads, itself included, without operands of rules.
[[nodiscard]] std::vector<Func> funcs_below(const Func& f);

}  // namespace tessera
