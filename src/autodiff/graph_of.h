#pragma once

#include <tessera/autodiff.h>

#include "autodiff/graph_rewrite.h"
#include "autodiff/normal_form.h"

#include <memory>

namespace tessera {

/// The graph of some outputs, all that a transform needs to know of it.
struct DerivativeGraph {
    Algorithm algorithm;
    FuncMap normal;  // by the Func it is made from
    Variables variables;
    Activity activity;
    NameSupply names;
};

[[nodiscard]] inline const std::vector<Dim>& dims_of(const Wrt& x) { return x.input() ? x.input()->dims : x.func()->dims; }
[[nodiscard]] inline const std::string& name_of(const Wrt& x) { return x.input() ? x.input()->name : x.func()->name; }
[[nodiscard]] inline DType wrt_dtype(const Wrt& x) { return x.input() ? x.input()->dtype : Func(x.func()).dtype(); }

[[nodiscard]] Variables variables_of(const std::vector<Wrt>& wrt);
/// `outputs` in normal form: the graph, and the outputs in it.
struct NormalGraph {
    std::vector<Func> outputs;
    std::unique_ptr<DerivativeGraph> graph;
};
[[nodiscard]] NormalGraph normal_graph(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt);
/// The same for what replaces an algorithm with these arguments: Funcs keep their names. `in_two_calls`: what the outputs read is
/// kept for a later call, or computed again there.
[[nodiscard]] NormalGraph normal_graph(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt,
                                       const std::vector<Argument>& arguments, bool in_two_calls);

/// E1003 unless y has all dims of `per`.
void check_per(const Func& y, const GradOptions& options);

/// E1003 unless y has the dims of `per` and no others.
void check_scalar(const Func& y, const GradOptions& options);

/// E1002 unless float.
void check_differentiable(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt);

}  // namespace tessera
