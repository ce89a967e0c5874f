#pragma once

#include <tessera/tune.h>

#include <string>

namespace tessera_tune {

/// Shows a search: one live line on a terminal, a line per improvement elsewhere, or a JSON event per trial.
class ProgressPrinter {
public:
    enum class Style { live, lines, json };
    ProgressPrinter(Style style, bool colours) : style_(style), colours_(colours) {}
    void show(const tessera::tune::TuneProgress& progress);
    /// Ends the live line.
    void finish();
    [[nodiscard]] Style style() const { return style_; }

private:
    Style style_;
    bool colours_;
    bool open_ = false;
};

/// live on a terminal, else lines.
[[nodiscard]] ProgressPrinter make_printer(bool json);

}  // namespace tessera_tune
