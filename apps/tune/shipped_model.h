#pragma once

#include <tessera/tune_model.h>

#include <optional>
#include <string>

namespace tessera_tune {

/// The cost model that comes with Tessera: models/cost_model.json of the sources, share/tessera/cost_model.json where it is
/// installed.
struct ShippedModel {
    std::string path, json;
};
/// Found beside the program that runs, or from there in ../share/tessera; nothing where it is not.
[[nodiscard]] std::optional<ShippedModel> shipped_model();

/// "pairwise accuracy .812, best of the first ten .993 of the best, of the first three .951".
[[nodiscard]] std::string score_text(const tessera::tune::ModelScores& scores);
/// One line: what a model was trained on, and how well that does.
[[nodiscard]] std::string origin_text(const tessera::tune::ModelOrigin& origin);

}  // namespace tessera_tune
