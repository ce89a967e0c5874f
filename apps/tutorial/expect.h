#pragma once

#include <cstdio>
#include <cstdlib>

/// Ends the lesson with an error when `holds` is false: every lesson is a test too.
inline void expect(bool holds, const char* what) {
    if (holds) return;
    std::fflush(stdout);
    std::fprintf(stderr, "lesson: this does not hold: %s\n", what);
    std::exit(1);
}
