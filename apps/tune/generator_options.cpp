#include "generator_options.h"

namespace tessera_tune {

void declare(CLI::App& app, GeneratorChoice& choice) {
    app.add_option("generator", choice.program, "a generator program")->required();
    app.add_option("-g", choice.generator, "which generator, where the program has several");
    app.add_option("--param", choice.params, "a parameter: dtype=bf16")->expected(1)->take_all();
    app.add_option("--dim", choice.dims, "an extent that the kernel is compiled for: m=1024")->expected(1)->take_all();
}

void declare_extents(CLI::App& app, std::vector<std::string>& extents) {
    app.add_option("--extent", extents, "an extent that is measured, of a dim that stays open: m=1024")->expected(1)->take_all();
}

void declare_database(CLI::App& app, std::string& path) {
    app.add_option("--db", path, "the schedule database: a file on a local disk")->required();
}

}  // namespace tessera_tune
