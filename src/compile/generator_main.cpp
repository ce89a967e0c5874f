#include <tessera/generator.h>
#include <tessera/library.h>
#include <tessera/schedule_default.h>

#include "base/check.h"
#include "base/closest_name.h"
#include "compile/inspect.h"
#include "compile/library_json.h"
#include "schedule/stages.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace tessera {
namespace {

struct CommandLine {
    std::string generator, out_dir, name, target = "host", schedule_file, require = "default";
    std::vector<std::string> params, dims, emit;
    bool describe = false, list = false;
};

[[noreturn]] void refuse_usage(const std::string& message, std::vector<Hint> hints) {
    throw Error(E0805_usage, {}, message, std::move(hints));
}

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

const Generator& choose(const std::vector<Generator>& generators, const std::string& name) {
    std::vector<std::string> names;
    for (const Generator& g : generators) names.push_back(g.name);
    if (name.empty() && generators.size() == 1) return generators[0];
    if (name.empty()) refuse_usage("which generator is not said", {fix(fmt::format("add -g and one of {}", join_names(names)))});
    for (const Generator& g : generators)
        if (g.name == name) return g;
    refuse_usage(fmt::format("there is no generator {}", name), {fix_spelling(name, names)});
}

std::string_view kind_name(ParamValue::Kind kind) {
    switch (kind) {
        case ParamValue::Kind::dtype: return "dtype";
        case ParamValue::Kind::text: return "text";
        case ParamValue::Kind::integer: return "integer";
        case ParamValue::Kind::flag: return "flag";
    }
    return "";
}

nlohmann::ordered_json description(const Generator& g, const Params& params, const Algorithm& algorithm) {
    nlohmann::ordered_json out{{"name", g.name}, {"doc", g.doc}, {"params", nlohmann::ordered_json::array()}};
    for (const GeneratorParam& p : g.params) {
        nlohmann::ordered_json row{{"name", p.name},
                                   {"kind", kind_name(p.initial.kind())},
                                   {"initial", p.initial.text()},
                                   {"value", params.text(p.name)},
                                   {"choices", nlohmann::ordered_json::array()}};
        for (const ParamValue& c : p.choices) row["choices"].push_back(c.text());
        out["params"].push_back(std::move(row));
    }
    out["algorithm"] = {{"name", algorithm.name()},
                        {"hash", algorithm.hash()},
                        {"text", algorithm.text()},
                        {"signature", signature_json(kernel_signature(algorithm, true))},
                        {"stages", make_stages(algorithm).names()}};
    return out;
}

std::vector<IrLevel> emitted_levels(const std::vector<std::string>& words) {
    static const std::map<std::string, IrLevel> levels{
        {"graph", IrLevel::graph}, {"schedule", IrLevel::schedule}, {"stmt", IrLevel::tile}, {"asm", IrLevel::target}};
    std::vector<IrLevel> out;
    for (const std::string& word : words) {
        const auto found = levels.find(word);
        if (found == levels.end())
            refuse_usage(fmt::format("--emit {} is not known", word), {fix_spelling(word, {"graph", "schedule", "stmt", "asm"})});
        out.push_back(found->second);
    }
    return out;
}

struct ChosenSchedule {
    Schedule schedule;
    std::string origin;
};

ChosenSchedule choose_schedule(const CommandLine& line, const Generator& g, const Algorithm& algorithm, const Target& target) {
    if (!line.schedule_file.empty())
        return {read_schedule(line.schedule_file), "file " + line.schedule_file.substr(line.schedule_file.find_last_of('/') + 1)};
    if (g.schedule)
        if (auto own = g.schedule(algorithm, target)) return {std::move(*own), "generator"};
    if (line.require == "exact")
        refuse_usage(fmt::format("--require exact, but {} has no schedule of its own", g.name),
                     {fix("name one with --schedule"), fix("allow the default schedule with --require default")});
    return {default_schedule(algorithm, target), "default"};
}

void declare_options(CLI::App& app, CommandLine& line) {
    app.add_flag("--list", line.list, "print the names of the generators");
    app.add_flag("--describe", line.describe, "print parameters, arguments, dims and stages as JSON");
    app.add_option("-g,--generator", line.generator, "which generator, where the program has several");
    app.add_option("-o,--out", line.out_dir, "folder of the library");
    app.add_option("-n,--name", line.name, "name of the library and its function; initially that of the generator");
    app.add_option("--target", line.target, "host, x86-64-linux-avx2-fma, arm-64-linux");
    app.add_option("--param", line.params, "a parameter: dtype=bf16")->expected(1)->take_all();
    app.add_option("--dim", line.dims, "an extent: m=? (any), n=1024 (fixed), k=*8 (a multiple)")->expected(1)->take_all();
    app.add_option("--schedule", line.schedule_file, "a schedule as JSON");
    app.add_option("--require", line.require, "exact: refuse to fall back to the default schedule; default");
    app.add_option("--emit", line.emit, "texts to write beside the library: graph,schedule,stmt,asm")->delimiter(',');
    app.allow_extras();
}

void refuse_extras(const CLI::App& app) {
    const std::vector<std::string> extras = app.remaining();
    if (extras.empty()) return;
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    refuse_usage(fmt::format("{} is not understood", extras[0]), {fix_spelling(extras[0].substr(0, extras[0].find('=')), known)});
}

int run(const CommandLine& line, const std::vector<Generator>& generators) {
    if (line.list) {
        for (const Generator& g : generators) fmt::print("{}: {}\n", g.name, g.doc);
        return 0;
    }
    if (line.require != "exact" && line.require != "default")
        refuse_usage(fmt::format("--require {} is not known", line.require), {fix_spelling(line.require, {"exact", "default"})});
    const Target target = parse_target(line.target);
    const auto given = pairs(line.params, "--param"), dims = pairs(line.dims, "--dim");
    if (line.describe) {
        nlohmann::ordered_json out{{"tessera_generator", library_protocol},
                                   {"version", tessera_version},
                                   {"generators", nlohmann::ordered_json::array()}};
        for (const Generator& g : generators) {
            if (!line.generator.empty() && choose(generators, line.generator).name != g.name) continue;
            const Params params = make_params(g, given);
            out["generators"].push_back(description(g, params, bind_dims(g.build(params), dims)));
        }
        fmt::print("{}\n", out.dump(2));
        return 0;
    }
    const Generator& g = choose(generators, line.generator);
    if (line.out_dir.empty()) refuse_usage("where to write is not said", {fix("add -o and a folder")});
    const Algorithm algorithm = bind_dims(g.build(make_params(g, given)), dims);
    const std::string name = line.name.empty() ? g.name : line.name;
    ChosenSchedule chosen = choose_schedule(line, g, algorithm, target);
    compile_library({LibraryKernel{name, algorithm, std::move(chosen.schedule), chosen.origin}}, target, name, line.out_dir,
                    {.emit = emitted_levels(line.emit)});
    return 0;
}

}  // namespace

int generator_main(int argc, const char* const* argv, const std::vector<Generator>& generators) {
    CommandLine line;
    CLI::App app("compiles algorithms ahead of time into static libraries with C headers");
    declare_options(app, line);
    try {
        TESSERA_CHECK(!generators.empty(), "a generator program without generators");
        try {
            app.parse(argc, argv);
        } catch (const CLI::CallForHelp&) {
            fmt::print("{}", app.help());
            return 0;
        } catch (const CLI::ParseError& e) {
            refuse_usage(e.what(), {fix("see --help")});
        }
        refuse_extras(app);
        return run(line, generators);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
}

}  // namespace tessera
