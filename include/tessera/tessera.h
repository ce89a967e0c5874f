#pragma once

/// Everything a program that defines algorithms needs. `using namespace std` beside `using namespace tessera` breaks plus, any
/// and max({j}, e): write std:: instead.
#include <tessera/algorithm.h>
#include <tessera/dim.h>
#include <tessera/dtype.h>
#include <tessera/error.h>
#include <tessera/expr.h>
#include <tessera/func.h>
#include <tessera/ops.h>
#include <tessera/reduce.h>
#include <tessera/tensor.h>
