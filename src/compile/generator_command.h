#pragma once

#include "compile/generator_grad.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// What one function of a library is compiled from.
struct KernelCommand {
    std::string name, generator, schedule_file, backward_schedule_file, schedule_db, lock, require = "default";
    bool frozen = false;  // nothing but what the lock pins
    std::map<std::string, std::string> params, dims;
    GradRequest grad;
    std::vector<std::pair<std::string, std::string>> variants;  // condition and file, the first that holds is taken
};

/// The command line of a generator program. Options before the first --kernel hold for every kernel, those after one for it.
struct GeneratorCommand {
    std::string out_dir, name, target = "host";
    std::vector<std::string> emit;
    bool describe = false, list = false, help = false, profile = false;
    KernelCommand shared;
    std::vector<KernelCommand> kernels;  // empty without --kernel: `shared` is the only one
};

/// Throws E0805 naming the option, with the closest one for an option that does not exist.
[[nodiscard]] GeneratorCommand parse_generator_command(int argc, const char* const* argv);
/// The text of --help.
[[nodiscard]] std::string generator_help();

}  // namespace tessera
