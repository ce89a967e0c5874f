#include "compile/generator_command.h"

#include <tessera/schedule_source.h>

#include "base/closest_name.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>

namespace tessera {
namespace {

constexpr std::string_view starts_kernel = "--kernel";

// "k=v" pairs; a key may stand once.
std::map<std::string, std::string> pairs(const std::vector<std::string>& given, std::string_view option) {
    std::map<std::string, std::string> out;
    for (const std::string& text : given) {
        const size_t at = text.find('=');
        if (at == std::string::npos || at == 0)
            refuse_usage(fmt::format("{} {} is malformed", option, text), {expected("name=value")});
        if (!out.emplace(text.substr(0, at), text.substr(at + 1)).second)
            refuse_usage(fmt::format("{} {} stands twice", option, text.substr(0, at)), {fix("give one value")});
    }
    return out;
}

// The options of one kernel, as they were written.
struct KernelOptions {
    std::vector<std::string> params, dims, variants;
};

void declare_kernel(CLI::App& app, KernelCommand& kernel, KernelOptions& options) {
    app.add_option("-g,--generator", kernel.generator, "which generator, where the program has several");
    app.add_option("--param", options.params, "a parameter: dtype=bf16")->expected(1)->take_all();
    app.add_option("--dim", options.dims, "an extent: m=? (any), n=1024 (fixed), k=*8 (a multiple)")->expected(1)->take_all();
    app.add_option("--schedule", kernel.schedule_file, "a schedule as JSON");
    app.add_option("--variant", options.variants, "a condition and the schedule that runs where it holds: 'm <= 64' small.json")
        ->expected(2)
        ->take_all();
    app.add_option("--grad", kernel.grad.wrt, "inputs A,B: a second function NAME_backward has the derivatives by them")
        ->delimiter(',');
    app.add_option("--value-and-grad", kernel.grad.value_and_grad, "inputs A,B: the function gives their gradients too")
        ->delimiter(',');
    app.add_option("--save", kernel.grad.save, "what --grad keeps: automatic, save, recompute, every=8, as=bf16, keep=name")
        ->delimiter(',');
    app.add_option("--backward-schedule", kernel.backward_schedule_file, "a schedule of the second function as JSON");
    app.add_option("--schedule-db", kernel.schedule_db, "a database of tuned schedules (tessera-tune run --db)");
    app.add_option("--lock", kernel.lock, "a lock file (tessera-tune lock): kernels in it take the schedules that it pins");
    app.add_flag("--frozen", kernel.frozen, "refuse a kernel that the lock file does not pin");
    app.add_option(
        "--require", kernel.require,
        "exact: a schedule tuned for this very kernel, shape, machine and toolchain, or the build fails; nearest: one that "
        "the database has for something near; default: or else the default schedule");
    app.allow_extras();
}

void declare_library(CLI::App& app, GeneratorCommand& command) {
    app.add_flag("--list", command.list, "print the names of the generators");
    app.add_flag("--describe", command.describe, "print parameters, arguments, dims and stages as JSON");
    app.add_option("-o,--out", command.out_dir, "folder of the library");
    app.add_option("-n,--name", command.name,
                   "name of the library, and of its function when there is one; initially the generator's");
    app.add_option("--target", command.target, "host, x86-64-linux-avx2-fma, arm-64-linux");
    app.add_option("--emit", command.emit, "texts to write beside the library: graph,schedule,stmt,asm")->delimiter(',');
    app.add_flag("--profile", command.profile, "kernels time their stages, see tessera/tessera_profile.h");
}

std::string footer() {
    return fmt::format(
        "{} NAME starts one function of a library of several: the options after it, and those before the first "
        "one, are its own.\n",
        starts_kernel);
}

void refuse_extras(const CLI::App& app) {
    const std::vector<std::string> extras = app.remaining();
    if (extras.empty()) return;
    std::vector<std::string> known{std::string(starts_kernel)};
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    refuse_usage(fmt::format("{} is not understood", extras[0]), {fix_spelling(extras[0].substr(0, extras[0].find('=')), known)});
}

// Reads `words`; returns whether they ask for help.
bool parse(CLI::App& app, std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    try {
        app.parse(words);
    } catch (const CLI::CallForHelp&) {
        return true;
    } catch (const CLI::ParseError& e) {
        refuse_usage(e.what(), {fix("see --help")});
    }
    refuse_extras(app);
    return false;
}

void take(KernelCommand& kernel, const KernelOptions& options) {
    for (const auto& [name, value] : pairs(options.params, "--param")) kernel.params[name] = value;
    for (const auto& [name, value] : pairs(options.dims, "--dim")) kernel.dims[name] = value;
    if (options.variants.size() % 2 != 0)
        refuse_usage(fmt::format("--variant {} has no schedule", options.variants.back()), {expected("a condition and a file")});
    for (size_t i = 0; i + 1 < options.variants.size(); i += 2)
        kernel.variants.emplace_back(options.variants[i], options.variants[i + 1]);
    static_cast<void>(parse_require(kernel.require));
}

KernelCommand parse_kernel(const KernelCommand& shared, const std::vector<std::string>& words) {
    if (words.empty()) refuse_usage("--kernel has no name", {fix("write --kernel and the name of the C function")});
    KernelCommand kernel = shared;
    kernel.name = words[0];
    KernelOptions options;
    CLI::App app;
    declare_kernel(app, kernel, options);
    if (parse(app, {words.begin() + 1, words.end()}))
        refuse_usage(fmt::format("--help stands among the options of {}", kernel.name), {fix("ask for help alone")});
    take(kernel, options);
    return kernel;
}

}  // namespace

GeneratorCommand parse_generator_command(int argc, const char* const* argv) {
    std::vector<std::vector<std::string>> parts(1);
    for (int i = 1; i < argc; ++i) {
        if (argv[i] == starts_kernel)
            parts.emplace_back();
        else
            parts.back().emplace_back(argv[i]);
    }
    GeneratorCommand command;
    KernelOptions options;
    CLI::App app;
    declare_library(app, command);
    declare_kernel(app, command.shared, options);
    command.help = parse(app, parts[0]);
    take(command.shared, options);
    for (size_t i = 1; i < parts.size(); ++i) command.kernels.push_back(parse_kernel(command.shared, parts[i]));
    return command;
}

std::string generator_help() {
    GeneratorCommand command;
    KernelOptions options;
    CLI::App app("compiles algorithms ahead of time into static libraries with C headers");
    declare_library(app, command);
    declare_kernel(app, command.shared, options);
    app.footer(footer());
    return app.help();
}

}  // namespace tessera
