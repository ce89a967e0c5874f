#include "generator_program.h"

#include <tessera/error.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tessera_tune {
namespace {

using namespace tessera;
constexpr std::size_t longest_description = std::size_t{16} << 20;

// What a program prints; E0804 when it cannot be started, is killed or fails.
std::string output_of(const std::vector<std::string>& command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        throw Error(E0804_toolchain, {}, fmt::format("no pipe: {}", std::strerror(errno)), {fix("close files")});
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    close(ends[1]);
    std::string text;
    char part[65536];
    for (ssize_t got; (got = read(ends[0], part, sizeof part)) != 0;) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 || text.size() > longest_description) break;
        text.append(part, static_cast<std::size_t>(got));
    }
    close(ends[0]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string& program = command[0];
    if (text.size() > longest_description)
        throw Error(E0604_size, {}, fmt::format("{} --describe prints more than {} MiB", program, longest_description >> 20),
                    {fix("name a program made with generator_main()")});
    if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
        throw Error(E0804_toolchain, {}, fmt::format("{} cannot be run", program), {fix("name a generator program")});
    if (WIFSIGNALED(status))
        throw Error(E0804_toolchain, {}, fmt::format("{} --describe was killed by signal {}", program, WTERMSIG(status)),
                    {fix("run it by hand")});
    if (WEXITSTATUS(status) != 0)
        throw Error(E0804_toolchain, {}, fmt::format("{} --describe ended with status {}", program, WEXITSTATUS(status)),
                    {note("what it said stands above")});
    return text;
}

}  // namespace

DescribedGenerator describe(const GeneratorChoice& choice) {
    const bool local = choice.program.find('/') == std::string::npos && access(choice.program.c_str(), X_OK) == 0;
    std::vector<std::string> command{local ? "./" + choice.program : choice.program, "--describe"};
    if (!choice.generator.empty()) command.insert(command.end(), {"-g", choice.generator});
    for (const std::string& p : choice.params) command.insert(command.end(), {"--param", p});
    for (const std::string& d : choice.dims) command.insert(command.end(), {"--dim", d});
    const std::string text = output_of(command);
    const auto no_description = [&](const std::string& why) {
        return Error(E0601_syntax, {}, fmt::format("{} --describe prints no description: {}", choice.program, why),
                     {fix("name a program made with generator_main()")});
    };
    try {
        const nlohmann::json value = nlohmann::json::parse(text);
        if (!value.is_object() || !value.contains("tessera_generator")) throw no_description("tessera_generator is missing");
        const auto& generators = value.at("generators");
        if (generators.size() != 1) {
            std::string names;
            for (const auto& g : generators) names += (names.empty() ? "" : ", ") + g.at("name").get<std::string>();
            throw Error(E0805_usage, {}, fmt::format("{} has {} generators", choice.program, generators.size()),
                        {fix("choose one with -g: " + names)});
        }
        const auto& g = generators.at(0);
        nlohmann::json params = nlohmann::json::object();
        for (const auto& p : g.at("params")) params[p.at("name").get<std::string>()] = p.at("value");
        if (!g.at("algorithm").contains("text"))
            throw no_description("it was built with a version that does not print its algorithm");
        return {g.at("name"), params.dump(), parse_algorithm(g.at("algorithm").at("text").get<std::string>())};
    } catch (const nlohmann::json::exception& e) {
        throw no_description(e.what());
    }
}

std::map<std::string, std::int64_t> integer_pairs(const std::vector<std::string>& given, const std::string& option) {
    std::map<std::string, std::int64_t> out;
    for (const std::string& text : given) {
        const std::size_t at = text.find('=');
        std::int64_t value = 0;
        std::size_t used = 0;
        try {
            if (at != std::string::npos && at > 0) value = std::stoll(text.substr(at + 1), &used);
        } catch (const std::exception&) {
            used = 0;
        }
        if (used == 0 || at + 1 + used != text.size() || value < 1)
            throw Error(E0805_usage, {}, fmt::format("{} {} is malformed", option, text), {expected("name=number")});
        out[text.substr(0, at)] = value;
    }
    return out;
}

}  // namespace tessera_tune
