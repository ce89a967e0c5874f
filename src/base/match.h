#pragma once

#include <utility>
#include <variant>

namespace tessera {

template <class... Fs>
struct Overloaded : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

/// Exhaustive visit of a variant: one callable per alternative.
template <class Variant, class... Fs>
decltype(auto) match(Variant&& variant, Fs&&... fs) {
    return std::visit(Overloaded<std::decay_t<Fs>...>{std::forward<Fs>(fs)...}, std::forward<Variant>(variant));
}

}  // namespace tessera
