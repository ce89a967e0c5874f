#pragma once

#include "autodiff/activity.h"
#include "autodiff/names.h"

#include <unordered_map>

namespace tessera {

struct NormalFormOptions {
    bool keep_names = false;         // what is rewritten replaces the Func it is made from
    bool pairs_of_extremes = false;  // what is computed in another call, or kept narrower, equals nothing
};

/// Definitions that transforms of derivatives read: a Func that varies is either scalar operations of reads, or one reduction,
/// scan or scatter of such, all of its components in order.
///
///   y(m) = relu(sum({k}, A(m, k) * x(k)) + b(m))
///   -> y/sum(m) = sum({k}, A(m, k) * x(k));  y(m) = relu(y/sum(m) + b(m))
///
/// A maximum or minimum that varies becomes the pair of value and place of the first one, unless its derivative can find the
/// place by itself (extreme_place.h). Funcs that have the form, and all that they read, stay what they are; a Func made here that
/// equals one of the graph is that one.
class NormalForm {
public:
    NormalForm(const std::vector<Func>& funcs, const Activity& activity, NameSupply& names, NormalFormOptions options = {});
    [[nodiscard]] Func of(const Func& f) const;

private:
    void find_changed(const std::vector<Func>& funcs);
    void rewrite(const Func& f);
    void move_rules(const std::vector<Func>& funcs);
    std::vector<Expr> flattened(const Func& f, const std::vector<Expr>& roots, bool keep_root);
    Expr lifted(const Func& f, const Expr& node);
    Expr selected_place(const Expr& node, const std::vector<Expr>& args);
    [[nodiscard]] bool becomes_pair(const Expr& node) const;
    [[nodiscard]] bool is_normal(const FuncState& f) const;
    Func shell(const FuncState& f);
    [[nodiscard]] std::shared_ptr<const RoutineCall> routine_of(const FuncState& f);

    const Activity& activity_;
    NameSupply& names_;
    NormalFormOptions options_;
    std::unordered_set<const FuncState*> changed_;
    std::unordered_map<const FuncState*, Func> map_;
    std::map<const Recurrence*, std::shared_ptr<Recurrence>> recurrences_;
    std::map<std::vector<const void*>, Func> known_;  // by dims and values
};

/// The reduction, scan or scatter that a Func in normal form is; undefined for scalar operations.
[[nodiscard]] Expr structured_root(const FuncState& f);

}  // namespace tessera
