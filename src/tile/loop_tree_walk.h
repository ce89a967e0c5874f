#pragma once

#include "base/match.h"
#include "schedule/loop_tree.h"

namespace tessera::tile {

/// Every statement of a loop tree, outermost first.
template <class Visit>
void visit_tree(const tessera::Statement& s, Visit&& each) {
    each(s);
    match(
        s.node,
        [&](const tessera::Block& b) {
            for (const tessera::StatementPtr& child : b.statements) visit_tree(*child, each);
        },
        [&](const tessera::Loop& l) { visit_tree(*l.body, each); }, [&](const tessera::Let& l) { visit_tree(*l.body, each); },
        [&](const tessera::Guard& g) { visit_tree(*g.body, each); },
        [&](const tessera::Allocate& a) { visit_tree(*a.body, each); },
        [&](const tessera::Produce& p) { visit_tree(*p.body, each); }, [&](const tessera::Store&) {}, [](const CallRoutine&) {});
}

}  // namespace tessera::tile
