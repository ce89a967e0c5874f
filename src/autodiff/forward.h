#pragma once

#include "autodiff/graph_of.h"
#include "autodiff/sweep.h"

namespace tessera {

struct ForwardOptions {
    std::string prefix = {};  // the user's; else names tell by what is differentiated
    std::string by = {};
    std::vector<Dim> parameters = {};  // dims that tangents have besides those of what they belong to
};

/// The forward transform of a graph in normal form: per Func that varies one of tangents, over the parameters and its dims, with
/// a component per float component.
class Forward {
public:
    Forward(DerivativeGraph& graph, ForwardOptions options);

    /// The tangent of a variable over the parameters and its dims.
    void set(const std::shared_ptr<const InputState>& input, const Expr& tangent);
    void set(const Func& cut, const Expr& tangent);
    /// The tangents of a Func, in its dtypes; zero where it does not vary.
    [[nodiscard]] Func result(const Func& f);

private:
    struct Tangents {
        Func func;
        std::vector<int> component;  // of `func`, by the component it is the tangent of; -1 for integers
    };
    [[nodiscard]] const Tangents& tangents(const Func& f);
    void define(const Func& f, const std::vector<Guarded>& values);
    void define_reduction(const Func& f, const Expr& root);
    [[nodiscard]] Expr at_extreme(const Func& f, const Expr& root, const Expr& tangent);
    [[nodiscard]] Expr solved_sum(const Func& f, const Expr& root, const Guarded& value);
    void define_by_rule(const Func& f);
    void define_recurrence(const Recurrence& recurrence);
    [[nodiscard]] Guarded tangent_of(const Expr& access);
    [[nodiscard]] std::vector<Guarded> swept(const Func& f, const std::vector<Expr>& roots);
    [[nodiscard]] std::string name_of(const std::string& func) const;
    [[nodiscard]] std::vector<Dim> with_parameters(const std::vector<Dim>& dims) const;
    void set_variable(const void* key, const std::string& name, const std::vector<Dim>& dims, const Expr& tangent,
                      SourceLoc where);

    const FuncMap& normal_;
    GraphRewrite in_normal_form_;  // of what rules make
    const Activity& activity_;
    NameSupply& names_;
    ForwardOptions options_;
    std::map<const void*, Func> variables_;
    std::map<const FuncState*, Tangents> tangents_;
};

/// Several Funcs, split, and their derivatives along the same tangents: what they have in common is made once.
struct ValuesAlong {
    std::vector<Func> values, tangents;
};
[[nodiscard]] ValuesAlong derivatives_along(const std::vector<Func>& ys, const std::vector<Tangent>& tangents,
                                            const GradOptions& options);

}  // namespace tessera
