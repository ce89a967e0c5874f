#include "session_store.h"
#include "subcommands.h"

#include <tessera/tune_journal.h>
#include <tessera/tune_model.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

// The trials of a journal that have a time, with the features of their loop trees.
ModelGroup group_of(const std::string& db, const std::string& path) {
    const Journal journal = read_session(db, path);
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

// Of journals, or of every session of a database.
std::vector<ModelGroup> groups_of(const std::string& db, std::vector<std::string> names) {
    if (names.empty() && !db.empty()) names = sessions_in_database(db);
    std::vector<ModelGroup> out;
    for (const std::string& name : names) {
        out.push_back(group_of(db, name));
        if (out.back().seconds.size() < 2) out.pop_back();
    }
    return out;
}

// Names the trials that a model has learned from.
std::string training_key(const std::vector<ModelGroup>& groups) {
    std::size_t key = 0;
    const auto mix = [&](std::size_t value) { key = (key ^ value) * 0x9e3779b97f4a7c15u; };
    for (const ModelGroup& g : groups)
        for (std::size_t i = 0; i < g.seconds.size(); ++i) {
            mix(std::hash<double>()(g.seconds[i]));
            for (const float f : g.features[i]) mix(std::hash<float>()(f));
        }
    return fmt::format("{:016x}", key);
}

void print_scores(const std::string& what, const ModelScores& s) {
    fmt::print("{}: {} sessions, {} trials: pairwise accuracy {:.3f}, best of the first ten {:.3f} of the best\n", what, s.groups,
               s.trials, s.pairwise, s.best_of_top10);
}

struct ModelLine {
    std::vector<std::string> journals;
    std::string file, db;
};

int run_train(const ModelLine& line) {
    const auto groups = groups_of(line.db, line.journals);
    const LearnedModel model = LearnedModel::train(groups);
    const bool several = groups.size() > 1;
    const ModelScores scores = several ? evaluate_held_out(groups) : model.evaluate(groups);
    print_scores(several ? "each session held out in turn" : "on the trials that it has seen", scores);
    if (line.file.empty() && line.db.empty())
        throw Error(E0805_usage, {}, "where the model goes is not said",
                    {fix("name a file with --out, or a database with --db")});
    if (!line.db.empty()) {
        store_model_in_database(line.db, model.json(), training_key(groups), scores.pairwise, scores.best_of_top10, scores.trials,
                                groups.size());
        fmt::print("{} has the model; tessera-tune run --db starts with the one that was trained on most\n", line.db);
    }
    if (line.file.empty()) return 0;
    std::ofstream file(line.file);
    file << model.json();
    if (!file.flush())
        throw Error(E0605_file, {}, fmt::format("{} cannot be written", line.file), {fix("name another file with --out")});
    return 0;
}

std::string model_text(const ModelLine& line) {
    if (line.file.empty()) {
        std::string stored = line.db.empty() ? "" : model_in_database(line.db).json;
        if (stored.empty())
            throw Error(E0805_usage, {}, "there is no model", {fix("name one with --model"), fix("tessera-tune model train")});
        return stored;
    }
    std::ifstream in(line.file);
    if (!in) throw Error(E0605_file, {}, fmt::format("{} cannot be read", line.file), {fix("check the path")});
    return {std::istreambuf_iterator<char>(in), {}};
}

int run_eval(const ModelLine& line) {
    print_scores(line.file.empty() ? line.db : line.file,
                 LearnedModel::read(model_text(line)).evaluate(groups_of(line.db, line.journals)));
    return 0;
}

}  // namespace

void add_model(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("model", "the cost model: learns which schedules are fast from the trials of sessions");
    sub->require_subcommand(1);
    auto line = std::make_shared<ModelLine>();
    auto* train = sub->add_subcommand("train", "trains on sessions, and scores training with each held out in turn");
    auto* eval = sub->add_subcommand("eval", "scores a model on sessions");
    for (auto* each : {train, eval}) {
        each->add_option("sessions", line->journals, "journals; with --db beginnings of ids, initially all of them");
        each->add_option("--db", line->db, "a database with sessions, which keeps the model");
    }
    train->add_option("-o,--out", line->file, "a file for the model");
    eval->add_option("--model", line->file, "a model as train writes it; initially the database's");
    sub->footer(
        "Labels are a kernel's least time over a trial's time, so that kernels and machines mix. Chance is a pairwise accuracy "
        "of .5.");
    train->callback([line, &status] { status = run_train(*line); });
    eval->callback([line, &status] { status = run_eval(*line); });
}

}  // namespace tessera_tune
