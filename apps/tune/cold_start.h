#pragma once

#include <tessera/tune_model.h>

#include <string>
#include <vector>

namespace tessera_tune {

/// Two lines about sessions: what the first trials reach when they are chosen in the order of the model, of the analytic model,
/// or at random; and how well a model that learns from some of a session's trials orders the others. "" where no session is long
/// enough.
[[nodiscard]] std::string cold_start_text(const tessera::tune::LearnedModel& model,
                                          const std::vector<tessera::tune::ModelGroup>& groups);

}  // namespace tessera_tune
