#pragma once

#include <gtest/gtest.h>
#include <tessera/schedule.h>
#include <tessera/tessera.h>

#include "schedule/loop_tree.h"
#include "tile/lower.h"

#include <string>

namespace tessera {

/// What a schedule for a GPU is refused with; "accepted" where it is not.
inline std::string refusal(const Algorithm& algorithm, const Schedule& schedule, const std::string& target = "cuda-sm_80") {
    try {
        const Target t = parse_target(target);
        (void)tile::lower(build_loop_tree(bind(algorithm, schedule, t)), t);
    } catch (const Exception& e) {
        return e.what();
    }
    return "accepted";
}
inline void expect_refused(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

}  // namespace tessera
