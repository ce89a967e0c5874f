#pragma once

#include <tessera/error.h>

/// An invariant of ours; never reached by user input.
#define TESSERA_CHECK(condition, text)                                                                            \
    do {                                                                                                          \
        if (!(condition)) throw ::tessera::Bug(::tessera::B0951_internal, ::tessera::SourceLoc::current(), text); \
    } while (false)
