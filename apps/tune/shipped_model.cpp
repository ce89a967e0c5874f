#include "shipped_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace tessera_tune {

namespace fs = std::filesystem;

std::optional<ShippedModel> shipped_model() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (error) return std::nullopt;
    for (const fs::path& path : {program.parent_path() / "cost_model.json",
                                 program.parent_path().parent_path() / "share" / "tessera" / "cost_model.json"}) {
        std::ifstream in(path);
        if (in) return ShippedModel{path.string(), {std::istreambuf_iterator<char>(in), {}}};
    }
    return std::nullopt;
}

std::string score_text(const tessera::tune::ModelScores& s) {
    return fmt::format("pairwise accuracy {:.3f}, best of the first ten {:.3f} of the best, of the first three {:.3f}",
                       s.pairwise, s.best_of_top10, s.best_of_top3);
}

std::string origin_text(const tessera::tune::ModelOrigin& o) {
    if (o.trained_on.empty()) return "the model does not say what it was trained on";
    return fmt::format("trained on {} trials in {} sessions of {} kernels, set {:.12}; kernels held out: {}", o.held_out.trials,
                       o.held_out.groups, o.kernels, o.trained_on, score_text(o.held_out));
}

}  // namespace tessera_tune
