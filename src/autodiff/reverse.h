#pragma once

#include "algorithm/required_region.h"
#include "autodiff/graph_of.h"
#include "autodiff/transposed_access.h"

namespace tessera {

struct ReverseOptions {
    Order order;
    std::string prefix = "d";
    std::vector<Dim> parameters = {};  // dims that are not summed over
    bool force_scatter = false;
    bool check_inverses = false;
};

/// The reverse transform of a graph in normal form: definitions of cotangents, made in reverse topological order. Contributions
/// to one cotangent are added in the order of (consumer, access).
class Reverse {
public:
    Reverse(DerivativeGraph& graph, ReverseOptions options);

    /// The cotangent of a component of an output, over its dims (and the parameters).
    void seed(const Func& output, int component, const Expr& given);
    void run();
    /// The cotangent of an Input or a cut Func, over the parameters and its dims, in its dtype. Zero where nothing reaches it.
    [[nodiscard]] Func result(const std::shared_ptr<const InputState>& input);
    [[nodiscard]] Func result(const Func& cut);
    [[nodiscard]] bool reached(const void* variable) const;
    /// Of the Funcs of the graph.
    [[nodiscard]] const RequiredRegions& regions() const { return regions_; }

private:
    using Key = std::pair<const void*, int>;
    struct Terms {
        std::vector<std::pair<Expr, std::string>> values;  // and the consumer's name
    };

    // reverse.cpp
    void spread(const Func& f);
    [[nodiscard]] const void* key_of_operand(const Wrt& x) const;
    void spread_rule(const Func& f, const std::vector<Expr>& given);
    struct RulePer {
        std::vector<Dim> apart;  // dims that the rule may add up, but does not mix
        std::vector<Dim> mixed;  // of an equation that couples their points
    };
    [[nodiscard]] RulePer rule_per(const Func& f, const std::vector<Wrt>& operands) const;
    [[noreturn]] static void throw_mixed(const Func& f, const Dim& d, const std::string& operand);
    [[nodiscard]] std::vector<Dim> parameters_without(const std::vector<Dim>& dims) const;
    [[nodiscard]] std::vector<Expr> cotangents(const Func& f);
    [[nodiscard]] Expr cotangent(const Func& f, int component);
    [[nodiscard]] Expr combined(const Key& key, const std::string& name, const std::vector<Dim>& dims, SourceLoc where);
    [[nodiscard]] Func finished(const Key& key, const std::string& name, const std::vector<Dim>& dims, DType dtype,
                                SourceLoc where);
    void transpose_all(const Func& f, const std::vector<Expr>& roots, const std::vector<Guarded>& seeds,
                       const std::vector<LoopDim>& loops, const std::vector<Expr>& conditions, const SweepContext& context);
    void transpose_each(const Func& f, const std::vector<Contribution>& contributions, const std::vector<LoopDim>& loops,
                        const std::vector<Expr>& conditions);
    [[nodiscard]] std::vector<Contribution> stored_terms(const Func& f, std::vector<Contribution> contributions);
    void check_on_diagonal(const Func& f, const Expr& access, const AccessPlace& place) const;
    [[nodiscard]] SweepContext context_of(const Func& f);
    [[nodiscard]] std::vector<LoopDim> loops_of(const Func& f) const;
    [[nodiscard]] std::vector<Interval> region_of(const AccessTarget& target) const;
    [[nodiscard]] std::vector<Dim> with_parameters(const std::vector<Dim>& dims) const;
    [[noreturn]] void throw_missing(const Func& f, const Expr& node) const;
    [[nodiscard]] std::string path_through(const FuncState& f) const;

    // reverse_recurrence.cpp
    void spread_group(const Recurrence& recurrence);
    [[nodiscard]] std::vector<std::vector<Func>> of_equal_dims(const std::vector<Func>& states) const;
    void spread_steps(const std::vector<Func>& group, const std::unordered_set<const FuncState*>& inside,
                      const std::vector<LoopDim>& loops);
    [[nodiscard]] std::vector<Contribution> with_held_values(const Func& f, const std::vector<Expr>& roots,
                                                             const SweepContext& context,
                                                             std::vector<Contribution> contributions);
    void spread_init(const Func& f, const Func& reversed, const Dim& t, bool reverse);
    [[nodiscard]] std::vector<Func> stages_of(const Recurrence& recurrence) const;

    // reverse_reductions.cpp
    void check_apart(const Func& f, const Expr& root) const;
    void spread_reduce(const Func& f, const Expr& root, const std::vector<Expr>& given);
    void spread_scan(const Func& f, const Expr& root, const std::vector<Expr>& given);
    void spread_scatter(const Func& f, const Expr& root, const std::vector<Expr>& given);
    [[nodiscard]] std::vector<Guarded> general_seeds(const Func& f, const Expr& root, const std::vector<Expr>& given);
    [[nodiscard]] std::vector<Expr> prefix_suffix(const Reduction& r, const std::vector<Dim>& outer,
                                                  const std::vector<Dim>& reduced, const Func& operands,
                                                  const std::vector<Expr>& given, const std::string& name, SourceLoc where);
    [[noreturn]] void throw_no_rule(const Func& f, const Expr& root, const std::string& what) const;

    const AlgorithmState& algorithm_;
    const FuncMap& normal_;
    GraphRewrite in_normal_form_;  // of what rules make
    const Activity& activity_;
    NameSupply& names_;
    ReverseOptions options_;
    RequiredRegions regions_;
    std::map<Key, Terms> terms_;
    std::map<Key, Expr> states_;                             // cotangents of a recurrence's states while it is processed
    std::map<const FuncState*, const FuncState*> consumer_;  // towards the output
    std::unordered_set<const FuncState*> done_;
};

}  // namespace tessera
