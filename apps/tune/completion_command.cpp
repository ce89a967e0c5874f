#include "subcommands.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace tessera_tune {
namespace {

std::string words_of(const CLI::App& app) {
    std::string out;
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) out += sub->get_name() + " ";
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) out += "--" + name + " ";
        for (const std::string& name : option->get_snames()) out += "-" + name + " ";
    }
    return out;
}

// A line "path) words" for a command and everything below it.
std::string cases_of(const CLI::App& app, const std::string& path) {
    std::string out = fmt::format("    \"{}\") words=\"{}\" ;;\n", path, words_of(app));
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
        out += cases_of(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name());
    return out;
}

std::string bash_text(const CLI::App& app) {
    return "# Completion of tessera-tune. In ~/.bashrc: eval \"$(tessera-tune completion bash)\"\n"
           "_tessera_tune() {\n"
           "  local current=${COMP_WORDS[COMP_CWORD]} path= words= word\n"
           "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "    case $word in\n"
           "      -*|*/*|*.*) ;;\n"
           "      *) case \" $(_tessera_tune_words \"$path\") \" in *\" $word \"*) path=\"${path:+$path }$word\" ;; esac ;;\n"
           "    esac\n"
           "  done\n"
           "  words=$(_tessera_tune_words \"$path\")\n"
           "  [[ $current == -* || -z $path || $path == db || $path == model ]] && COMPREPLY=($(compgen -W \"$words\" -- "
           "\"$current\")) ||\n"
           "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
           "}\n"
           "_tessera_tune_words() {\n"
           "  local words=\n"
           "  case $1 in\n" +
           cases_of(app, "") +
           "  esac\n"
           "  echo \"$words\"\n"
           "}\n"
           "complete -o filenames -F _tessera_tune tessera-tune\n";
}

}  // namespace

void add_completion(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("completion", "prints what completes the words of tessera-tune in a shell");
    auto shell = std::make_shared<std::string>();
    sub->add_option("shell", *shell, "bash (zsh reads it after bashcompinit)")->required()->check(CLI::IsMember({"bash"}));
    sub->callback([shell, &app, &status] {
        fmt::print("{}", bash_text(app));
        status = 0;
    });
}

}  // namespace tessera_tune
