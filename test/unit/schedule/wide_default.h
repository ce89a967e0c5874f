#pragma once

#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"
#include "schedule/default_schedule.h"

namespace tessera::test {

/// The default schedule for vectors of 512 bits and 32 registers, whatever this machine has; it must be legal.
inline Schedule wide_default(const Algorithm& a) {
    Schedule s = default_schedule(a, {.vector_bytes = 64, .vector_registers = 32});
    EXPECT_NO_THROW((void)bind(a, s)) << to_json(s);
    return s;
}

}  // namespace tessera::test
