#pragma once

#include <tessera/algorithm.h>

#include "algorithm/called_routine.h"
#include "algorithm/derivative_rule.h"
#include "algorithm/graph.h"

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tessera {

/// What stands for reads of a tensor: index k of a read of `to` is index position[k] of the read, or the added dim where that is
/// empty.
struct Replacement {
    AccessTarget to;
    std::vector<std::optional<size_t>> position;
};

struct CopyChanges {
    std::map<const void*, Dim> dims = {};             // by Dim::id(): what stands for a dim, everywhere
    std::optional<Dim> added = {};                    // in front of the dims of what is copied
    std::map<const void*, Replacement> tensors = {};  // by InputState or FuncState
    std::map<const void*, Expr> constants = {};       // by InputState: weak literals for all its elements
    std::map<const FuncState*, std::string> names = {};
    std::unordered_set<const ExprNode*> fused = {};  // sums and differences with a product, which become fma
    std::string suffix = {};                         // of the names of the other copies
};

/// Copies of definitions with dims, tensors and names replaced. What none of it touches stays itself.
class GraphCopy : public std::enable_shared_from_this<GraphCopy> {
public:
    explicit GraphCopy(CopyChanges changes) : changes_(std::move(changes)) {}

    [[nodiscard]] std::vector<Func> operator()(const std::vector<Func>& outputs);
    /// The copies of outputs over the added dim too where nothing of them depends on it.
    [[nodiscard]] std::vector<Func> over_added(const std::vector<Func>& outputs);
    [[nodiscard]] Dim dim(const Dim& d);
    [[nodiscard]] Extent extent(const Extent& e);
    [[nodiscard]] std::shared_ptr<const InputState> input(const std::shared_ptr<const InputState>& input);
    /// The whole of `a`; `literals`: arguments for which literals stand, which the copy does not have.
    [[nodiscard]] Algorithm algorithm(const AlgorithmState& a, const std::string& name,
                                      const std::set<const InputState*>& literals);

private:
    [[nodiscard]] std::vector<std::shared_ptr<FuncState>> reachable(const std::vector<Func>& outputs);
    void find_changed(const std::vector<std::shared_ptr<FuncState>>& funcs);
    [[nodiscard]] bool touches(const FuncState& f);
    [[nodiscard]] bool touches(const AccessTarget& target);
    void check_added(const FuncState& f) const;
    [[nodiscard]] std::shared_ptr<FuncState> shell(const std::shared_ptr<FuncState>& f);
    void define(const std::shared_ptr<FuncState>& f);
    [[nodiscard]] Expr copied(const Expr& n, std::vector<Expr> args);
    [[nodiscard]] Expr copied_access(const Expr& n, std::vector<Expr> args);
    [[nodiscard]] std::vector<Dim> dims(const std::vector<Dim>& all);
    [[nodiscard]] std::shared_ptr<const Reduction> reduction(const std::shared_ptr<const Reduction>& r);
    [[nodiscard]] std::shared_ptr<const DerivativeRule> rule(const FuncState& f);
    [[nodiscard]] std::optional<Wrt> operand(const Wrt& x);
    [[nodiscard]] Func as_operand(const Func& result, const Wrt& operand, const Replacement& place, const std::string& name);
    [[nodiscard]] Func stand_in(const std::string& name, const std::vector<Dim>& over, const Func& direction,
                                const std::vector<std::optional<size_t>>& position);
    [[nodiscard]] Replacement place_of(const AccessTarget& operand);

    CopyChanges changes_;
    std::unordered_set<const FuncState*> changed_, known_;
    std::unordered_map<const FuncState*, std::weak_ptr<FuncState>> copies_;
    std::vector<std::shared_ptr<FuncState>> sources_;  // keys of the maps above
    std::vector<std::shared_ptr<FuncState>> alive_;    // copies under way
    std::map<const InputState*, std::shared_ptr<const InputState>> inputs_;
    std::map<const void*, Dim> dims_;
    std::vector<Dim> dims_alive_;
    std::map<std::shared_ptr<const Reduction>, std::shared_ptr<const Reduction>> reductions_;
};

}  // namespace tessera
