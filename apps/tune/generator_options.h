#pragma once

#include "generator_program.h"

#include <CLI/CLI.hpp>

namespace tessera_tune {

/// The generator, and what it is asked for: -g, --param, --dim.
void declare(CLI::App& app, GeneratorChoice& choice);
/// --extent, of dims that stay open.
void declare_extents(CLI::App& app, std::vector<std::string>& extents);
/// --db, which is required.
void declare_database(CLI::App& app, std::string& path);

}  // namespace tessera_tune
