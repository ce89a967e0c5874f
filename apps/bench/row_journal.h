// A run that survives its end: finished cases are kept in a file, and a run that finds them there goes on behind them.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "harness.h"

namespace bench {

/// The names and values of a row in JSON.
[[nodiscard]] nlohmann::ordered_json row_fields(const Row&);
/// One line of JSON for a row and back; NaN is null. Throws std::invalid_argument for a line that is no row.
[[nodiscard]] std::string row_line(const Row&);
[[nodiscard]] Row parse_row_line(const std::string& line);

/// The rows of finished cases in a file, one a line. A case counts as finished when its last line says so: a run that was cut off
/// in the middle of one measures it again.
class Journal {
public:
    /// `file` need not be there. "": nothing is kept.
    explicit Journal(std::string file);
    /// The rows of a case measured before with these options, nothing when there are none.
    [[nodiscard]] std::vector<Row> rows_of(const std::string& case_name) const;
    /// Appends the rows of one case. Throws std::runtime_error when the file cannot be written.
    void add(const std::string& case_name, const std::vector<Row>& rows);

private:
    std::string file_;
    std::vector<std::pair<std::string, std::vector<Row>>> finished_;
};

}  // namespace bench
