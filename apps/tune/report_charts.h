#pragma once

#include <tessera/tune_journal.h>

#include <optional>
#include <string>
#include <vector>

/// The charts of a report: SVG text.
namespace tessera_tune {

[[nodiscard]] std::string escaped(const std::string& text);

/// Times by trial: dots, the best so far, failures, and the band in which the best so far would be if the same trials had come in
/// random order.
[[nodiscard]] std::string convergence_chart(const std::vector<tessera::tune::TrialRow>& rows);

/// What one trial decided, by name.
struct DecidedTrial {
    double seconds = 0;
    std::vector<std::pair<std::string, std::string>> values;
};
/// A line for each trial across axes of decisions, those whose values tell most about the time; the fastest tenth stands out.
[[nodiscard]] std::string parallel_coordinates(const std::vector<DecidedTrial>& trials);

/// What a machine can do at most.
struct Roof {
    double operations_per_second = 0, bytes_per_second = 0;
};
/// Measured by kernels of its own: a polynomial in registers, and a copy of arrays larger than the caches.
[[nodiscard]] Roof measure_roof(int threads);
/// Operations a second over operations a byte, of every trial under the roof.
[[nodiscard]] std::string roofline_chart(const Roof& roof, double operations, double bytes,
                                         const std::vector<tessera::tune::TrialRow>& rows);

}  // namespace tessera_tune
