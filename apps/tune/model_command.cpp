#include "subcommands.h"

#include <tessera/tune_journal.h>
#include <tessera/tune_model.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

// The trials of a journal that have a time, with the features of their loop trees.
ModelGroup group_of(const std::string& path) {
    const Journal journal = read_journal(path);
    const auto header = nlohmann::json::parse(journal.header);
    const Algorithm algorithm = parse_algorithm(header.at("algorithm").get<std::string>());
    const auto extents = header.at("extents").get<std::map<std::string, std::int64_t>>();
    ModelGroup group{path, {}, {}};
    for (const TrialRow& row : journal.rows) {
        if (!row.seconds) continue;
        group.features.push_back(loop_features(algorithm, row.schedule, extents));
        group.seconds.push_back(*row.seconds);
    }
    return group;
}

std::vector<ModelGroup> groups_of(const std::vector<std::string>& paths) {
    std::vector<ModelGroup> out;
    for (const std::string& path : paths) out.push_back(group_of(path));
    return out;
}

void print_scores(const std::string& what, const ModelScores& s) {
    fmt::print("{}: {} journals, {} trials: pairwise accuracy {:.3f}, best of the first ten {:.3f} of the best\n", what, s.groups,
               s.trials, s.pairwise, s.best_of_top10);
}

int run_train(const std::vector<std::string>& journals, const std::string& out) {
    const auto groups = groups_of(journals);
    const LearnedModel model = LearnedModel::train(groups);
    if (groups.size() > 1)
        print_scores("each journal held out in turn", evaluate_held_out(groups));
    else
        print_scores("on the trials that it has seen", model.evaluate(groups));
    std::ofstream file(out);
    file << model.json();
    if (!file.flush())
        throw Error(E0605_file, {}, fmt::format("{} cannot be written", out), {fix("name another file with --out")});
    return 0;
}

int run_eval(const std::vector<std::string>& journals, const std::string& model) {
    std::ifstream in(model);
    if (!in) throw Error(E0605_file, {}, fmt::format("{} cannot be read", model), {fix("check the path")});
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    print_scores(model, LearnedModel::read(text).evaluate(groups_of(journals)));
    return 0;
}

}  // namespace

void add_model(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("model", "the cost model: learns which schedules are fast from the trials of sessions");
    sub->require_subcommand(1);
    struct Line {
        std::vector<std::string> journals;
        std::string file;
    };
    auto line = std::make_shared<Line>();
    auto* train = sub->add_subcommand("train", "trains on journals, and scores training with each held out in turn");
    auto* eval = sub->add_subcommand("eval", "scores a model on journals");
    for (auto* each : {train, eval}) each->add_option("journals", line->journals, "journals of sessions")->required();
    train->add_option("-o,--out", line->file, "the model's file")->required();
    eval->add_option("--model", line->file, "a model as train writes it")->required();
    train->callback([line, &status] { status = run_train(line->journals, line->file); });
    eval->callback([line, &status] { status = run_eval(line->journals, line->file); });
}

}  // namespace tessera_tune
