#include "cold_start.h"
#include "session_store.h"
#include "shipped_model.h"
#include "subcommands.h"

#include <tessera/schedule_source.h>
#include <tessera/tune_journal.h>
#include <tessera/tune_model.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <memory>
#include <set>

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
    ModelGroup group{path, kernel_hash(algorithm), {}, {}};
    // Models are of kernels on CPUs.
    if (parse_target(header.value("target", "host")).kind == Target::Kind::cuda) return group;
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

void print_scores(const std::string& what, const ModelScores& s) {
    fmt::print("{}: {} sessions, {} trials: {}\n", what, s.groups, s.trials, score_text(s));
}

struct ModelLine {
    std::vector<std::string> journals;
    std::string file, db;
};

int run_train(const ModelLine& line) {
    const auto groups = groups_of(line.db, line.journals);
    LearnedModel model = LearnedModel::train(groups);
    std::set<std::string> kernels;
    for (const ModelGroup& g : groups) kernels.insert(g.kernel);
    const bool several = kernels.size() > 1;
    const ModelScores scores = several ? evaluate_held_out(groups) : model.evaluate(groups);
    const std::string set = training_set_hash(groups);
    model.set_origin({set, kernels.size(), scores});
    print_scores(
        several ? fmt::format("{} kernels, an eighth held out at a time", kernels.size()) : "on the trials that it has seen",
        scores);
    fmt::print("training set {}\n", set);
    if (line.file.empty() && line.db.empty())
        throw Error(E0805_usage, {}, "where the model goes is not said",
                    {fix("name a file with --out, or a database with --db")});
    if (!line.db.empty()) {
        store_model_in_database(line.db, model.json(), set, scores.pairwise, scores.best_of_top10, scores.trials, groups.size());
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
            if (const auto shipped = shipped_model()) stored = shipped->json;
        if (stored.empty())
            throw Error(E0805_usage, {}, "there is no model", {fix("name one with --model"), fix("tessera-tune model train")});
        return stored;
    }
    std::ifstream in(line.file);
    if (!in) throw Error(E0605_file, {}, fmt::format("{} cannot be read", line.file), {fix("check the path")});
    return {std::istreambuf_iterator<char>(in), {}};
}

int run_show(const ModelLine& line) {
    if (line.file.empty() && line.db.empty())
        if (const auto shipped = shipped_model()) fmt::print("{}\n", shipped->path);
    fmt::print("{}\n", origin_text(LearnedModel::read(model_text(line)).origin()));
    return 0;
}

int run_eval(const ModelLine& line) {
    const LearnedModel model = LearnedModel::read(model_text(line));
    const auto groups = groups_of(line.db, line.journals);
    print_scores(line.file.empty() ? line.db : line.file, model.evaluate(groups));
    fmt::print("{}", cold_start_text(model, groups));
    return 0;
}

}  // namespace

void add_model(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("model", "the cost model: learns which schedules are fast from the trials of sessions");
    sub->require_subcommand(1);
    auto line = std::make_shared<ModelLine>();
    auto* train = sub->add_subcommand("train", "trains on sessions, and scores training with each held out in turn");
    auto* eval = sub->add_subcommand("eval", "scores a model on sessions");
    auto* show = sub->add_subcommand("show", "says what a model was trained on; initially the one that comes with Tessera");
    show->add_option("--model", line->file, "a model as train writes it");
    show->add_option("--db", line->db, "a database that keeps one");
    for (auto* each : {train, eval}) {
        each->add_option("sessions", line->journals, "journals; with --db beginnings of ids, initially all of them");
        each->add_option("--db", line->db, "a database with sessions, which keeps the model");
    }
    train->add_option("-o,--out", line->file, "a file for the model");
    eval->add_option("--model", line->file,
                     "a model as train writes it; initially the database's, or the one that comes with Tessera");
    sub->footer(
        "Trees correct the analytic model, within each session, so that kernels and machines mix. Chance is a pairwise accuracy\n"
        "of .5.");
    show->callback([line, &status] { status = run_show(*line); });
    train->callback([line, &status] { status = run_train(*line); });
    eval->callback([line, &status] { status = run_eval(*line); });
}

}  // namespace tessera_tune
