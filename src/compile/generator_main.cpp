#include <tessera/generator.h>
#include <tessera/library.h>
#include <tessera/schedule_default.h>
#include <tessera/schedule_source.h>

#include "algorithm/called_routine.h"
#include "base/check.h"
#include "base/closest_name.h"
#include "compile/generator_command.h"
#include "compile/inspect.h"
#include "compile/library_json.h"
#include "schedule/stages.h"

#include <fmt/format.h>

#include <cstdio>

namespace tessera {
namespace {

[[noreturn]] void refuse_usage(const std::string& message, std::vector<Hint> hints) {
    throw Error(E0805_usage, {}, message, std::move(hints));
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

nlohmann::ordered_json algorithm_json(const Algorithm& algorithm) {
    nlohmann::ordered_json out{{"name", algorithm.name()},
                               {"hash", algorithm.hash()},
                               {"text", algorithm.text()},
                               {"signature", signature_json(kernel_signature(algorithm, true))},
                               {"stages", make_stages(algorithm).names()}};
    if (const auto routines = routine_symbols(algorithm.state()); !routines.empty()) out["routines"] = routines;
    return out;
}

// With derivatives "algorithm" is that of the first function, and "functions" lists all of them.
nlohmann::ordered_json description(const Generator& g, const Params& params, const Algorithm& algorithm,
                                   const GradRequest& grad) {
    nlohmann::ordered_json out{{"name", g.name}, {"doc", g.doc}, {"params", nlohmann::ordered_json::array()}};
    for (const GeneratorParam& p : g.params) {
        nlohmann::ordered_json row{{"name", p.name},
                                   {"kind", kind_name(p.initial.kind())},
                                   {"initial", p.initial.text()},
                                   {"value", params.text(p.name)},
                                   {"choices", nlohmann::ordered_json::array()}};
        for (const ParamValue& c : p.choices) row["choices"].push_back(c.text());
        if (p.least) row["at_least"] = *p.least;
        out["params"].push_back(std::move(row));
    }
    if (grad.empty()) {
        out["algorithm"] = algorithm_json(algorithm);
        return out;
    }
    const std::vector<GradFunction> functions = grad_functions(algorithm, grad);
    out["algorithm"] = algorithm_json(functions[0].algorithm);
    for (const GradFunction& f : functions) {
        nlohmann::ordered_json row{{"function", g.name + f.suffix}};
        row.update(algorithm_json(f.algorithm));
        out["functions"].push_back(std::move(row));
    }
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
    ScheduleOrigin from;
};

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

ChosenSchedule answered(const std::string& kind, const std::string& path, const FoundSchedule& found) {
    return {
        found.schedule,
        {fmt::format("{} {}, {}", kind, file_name(path), word(found.tier)), std::string(word(found.tier)), found.explanation}};
}

// What the lock file pins; nothing where it pins nothing and the build need not be frozen.
std::optional<ChosenSchedule> locked(const KernelCommand& kernel, const Generator& g, const Algorithm& algorithm,
                                     const Target& target) {
    if (kernel.lock.empty()) {
        if (kernel.frozen) refuse_usage("--frozen without a lock file", {fix("name one with --lock")});
        return {};
    }
    const ScheduleLock lock = ScheduleLock::read(kernel.lock);
    const FoundSchedule found = lock.find(algorithm, target);
    if (found.tier != LookupTier::none) return answered("lock", kernel.lock, found);
    if (kernel.frozen)
        refuse_usage(fmt::format("--frozen, but {} does not pin {}", kernel.lock, g.name),
                     {note(found.explanation), fix("pin it with tessera-tune lock")});
    return {};
}

// The schedule of a kernel and where it is from: what the command line names, a lock, a database, the generator's own one.
ChosenSchedule choose_base(const KernelCommand& kernel, const Generator& g, const Algorithm& algorithm, const Target& target) {
    const Require require = parse_require(kernel.require);
    if (!kernel.schedule_file.empty())
        return {read_schedule(kernel.schedule_file), {"file " + file_name(kernel.schedule_file), "", ""}};
    if (auto pinned = locked(kernel, g, algorithm, target)) return std::move(*pinned);
    const bool asked = !kernel.schedule_db.empty();
    std::string why;
    if (asked) {
        const auto source = open_schedule_source(kernel.schedule_db);
        const FoundSchedule found = source->find(algorithm, target);
        if (const auto answer = accepted(found, require, *source, g.name))
            return answered("database", kernel.schedule_db, *answer);
        why = found.explanation;
    }
    if (g.schedule)
        if (auto own = g.schedule(algorithm, target)) return {std::move(*own), {"generator", "", why}};
    if (require != Require::default_)
        refuse_usage(fmt::format("--require {}, but {} has no schedule of its own", kernel.require, g.name),
                     {fix("name one with --schedule, or a database with --schedule-db"),
                      fix("allow the default schedule with --require default")});
    return {default_schedule(algorithm, target), {"default", asked ? std::string(word(LookupTier::none)) : "", why}};
}

// A variant runs the whole schedule of its file, whatever the base is.
ChosenSchedule choose_schedule(const KernelCommand& kernel, const Generator& g, const Algorithm& algorithm,
                               const Target& target) {
    ChosenSchedule chosen = choose_base(kernel, g, algorithm, target);
    const Schedule base = chosen.schedule;
    for (const auto& [when, file] : kernel.variants) {
        const Schedule own = read_schedule(file);
        if (!own.variants.empty())
            refuse_usage(fmt::format("the schedule of --variant '{}' has variants of its own", when),
                         {fix(fmt::format("remove them from {}", file_name(file)))});
        chosen.schedule.variant(when, diff(base, own).deltas);
        chosen.from.text += fmt::format("; where {}: file {}", when, file_name(file));
    }
    return chosen;
}

// The function of a kernel, and the one with its derivatives.
void add_kernels(const KernelCommand& kernel, const Generator& g, const Algorithm& algorithm, const std::string& name,
                 const Target& target, std::vector<LibraryKernel>& kernels) {
    if (kernel.grad.wrt.empty() && !kernel.backward_schedule_file.empty())
        refuse_usage("--backward-schedule is given, and there is no function with derivatives",
                     {fix("add --grad and the inputs")});
    if (kernel.grad.empty() && kernel.grad.save.empty()) {
        ChosenSchedule chosen = choose_schedule(kernel, g, algorithm, target);
        kernels.push_back({name, algorithm, std::move(chosen.schedule), std::move(chosen.from)});
        return;
    }
    // The generator's own schedule is that of its own algorithm.
    Generator without = g;
    without.schedule = {};
    for (const GradFunction& f : grad_functions(algorithm, kernel.grad)) {
        KernelCommand of_function = kernel;
        if (!f.suffix.empty()) {
            of_function.schedule_file = kernel.backward_schedule_file;
            of_function.variants.clear();
        }
        ChosenSchedule chosen = choose_schedule(of_function, without, f.algorithm, target);
        kernels.push_back({name + f.suffix, f.algorithm, std::move(chosen.schedule), std::move(chosen.from)});
    }
}

void describe(const GeneratorCommand& command, const std::vector<Generator>& generators) {
    nlohmann::ordered_json out{
        {"tessera_generator", library_protocol}, {"version", tessera_version}, {"generators", nlohmann::ordered_json::array()}};
    const KernelCommand& asked = command.shared;
    for (const Generator& g : generators) {
        if (!asked.generator.empty() && choose(generators, asked.generator).name != g.name) continue;
        const Params params = make_params(g, asked.params);
        out["generators"].push_back(description(g, params, bind_dims(g.build(params), asked.dims), asked.grad));
    }
    fmt::print("{}\n", out.dump(2));
}

void write_library(const GeneratorCommand& command, const std::vector<Generator>& generators, const Target& target) {
    const bool bundle = !command.kernels.empty();
    if (bundle && command.name.empty()) refuse_usage("how the library is called is not said", {fix("add -n and a name")});
    if (command.out_dir.empty()) refuse_usage("where to write is not said", {fix("add -o and a folder")});
    std::vector<LibraryKernel> kernels;
    std::string name = command.name;
    for (const KernelCommand& kernel : bundle ? command.kernels : std::vector<KernelCommand>{command.shared}) {
        const Generator& g = choose(generators, kernel.generator);
        if (name.empty()) name = g.name;
        const Algorithm algorithm = bind_dims(g.build(make_params(g, kernel.params)), kernel.dims);
        add_kernels(kernel, g, algorithm, bundle ? kernel.name : name, target, kernels);
    }
    compile_library(kernels, target, name, command.out_dir, {.emit = emitted_levels(command.emit), .profile = command.profile});
}

int run(const GeneratorCommand& command, const std::vector<Generator>& generators) {
    if (command.help) {
        fmt::print("{}", generator_help());
        return 0;
    }
    if (command.list) {
        for (const Generator& g : generators) fmt::print("{}: {}\n", g.name, g.doc);
        return 0;
    }
    const Target target = parse_target(command.target);
    if (command.describe)
        describe(command, generators);
    else
        write_library(command, generators, target);
    return 0;
}

}  // namespace

int generator_main(int argc, const char* const* argv, const std::vector<Generator>& generators) {
    try {
        TESSERA_CHECK(!generators.empty(), "a generator program without generators");
        return run(parse_generator_command(argc, argv), generators);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
}

}  // namespace tessera
