#pragma once

#include "algorithm/graph.h"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tessera {

/// Numbers Exprs so that equal ones share a number whatever lines of the program they come from. A reduction with several
/// components is one class (a bundle) of which its components are parts.
class ExprClasses {
public:
    /// Names a monoid at the dtypes of a reduction; equal monoids get equal names.
    using MonoidNumber = std::function<int(const Reduction&)>;
    explicit ExprClasses(MonoidNumber monoid_number) : monoid_number_(std::move(monoid_number)) {}

    enum class Kind : std::uint8_t { node, bundle, part };
    struct Class {
        Kind kind = Kind::node;
        Expr node;              // one of the equal nodes; of a bundle one of its components
        std::vector<int> args;  // a part has its bundle as the only one
    };
    [[nodiscard]] int number(const Expr& e);
    [[nodiscard]] int monoid(const Reduction& r) const { return monoid_number_(r); }
    [[nodiscard]] const Class& at(int number) const { return classes_[static_cast<size_t>(number)]; }

private:
    int intern(const std::string& key, Kind kind, const Expr& node, std::vector<int> args);
    std::string attribute_key(const ExprNode& n);

    MonoidNumber monoid_number_;
    std::vector<Class> classes_;
    std::unordered_map<std::string, int> by_key_;
    std::unordered_map<const ExprNode*, int> by_node_;
    std::vector<Expr> alive_;  // keeps the addresses in by_node_ from being reused
};

}  // namespace tessera
