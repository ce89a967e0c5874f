#include <tessera/error.h>
#include <tessera/tune_strategy.h>

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace tessera::tune {
namespace {

constexpr size_t max_bytes = size_t{256} << 20;

std::string read_all(const std::string& path) {
    const auto close = [](gzFile_s* f) { gzclose(f); };
    const std::unique_ptr<gzFile_s, decltype(close)> file(gzopen(path.c_str(), "rb"), close);
    if (!file)
        throw Error(E0605_file, {}, fmt::format("{} cannot be read: {}", path, std::strerror(errno)), {fix("check the path")});
    std::string text;
    std::array<char, 1 << 16> part;
    while (true) {
        const int got = gzread(file.get(), part.data(), part.size());
        if (got < 0) throw Error(E0605_file, {}, fmt::format("{} is not a whole gzip file", path), {fix("fetch it again")});
        if (got == 0) return text;
        text.append(part.data(), static_cast<size_t>(got));
        if (text.size() > max_bytes)
            throw Error(E0604_size, {}, fmt::format("{} has more than {} bytes", path, max_bytes), {fix("record fewer points")});
    }
}

std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> cells;
    while (true) {
        const size_t comma = line.find(',');
        cells.push_back(line.substr(0, comma));
        if (comma == std::string_view::npos) return cells;
        line.remove_prefix(comma + 1);
    }
}

struct Row {
    std::vector<std::int32_t> places;  // of each parameter's value in its sorted domain
    double ms = 0;                     // 0: failed
};

}  // namespace

struct RecordedSpace::Table {
    std::vector<std::string> parameters;
    std::vector<std::vector<std::int64_t>> domains;  // sorted
    std::vector<Row> rows;                           // sorted by places
    double best = 0;

    void read(const std::string& path);

    // The rows that agree with `prefix` stand together.
    std::pair<size_t, size_t> narrow(std::pair<size_t, size_t> range, size_t column, std::int32_t place) const {
        const auto first = rows.begin() + static_cast<std::ptrdiff_t>(range.first),
                   last = rows.begin() + static_cast<std::ptrdiff_t>(range.second);
        const auto below = [&](const Row& r, std::int32_t p) { return r.places[column] < p; };
        const auto above = [&](std::int32_t p, const Row& r) { return p < r.places[column]; };
        return {static_cast<size_t>(std::lower_bound(first, last, place, below) - rows.begin()),
                static_cast<size_t>(std::upper_bound(first, last, place, above) - rows.begin())};
    }
    std::vector<std::int32_t> legal(std::pair<size_t, size_t> range, size_t column) const {
        std::vector<std::int32_t> out;
        for (size_t at = range.first; at < range.second; at = narrow(range, column, rows[at].places[column]).second)
            out.push_back(rows[at].places[column]);
        return out;
    }
    // Each decision in order: the nearest value that leaves a row.
    const Row& repaired(const std::vector<std::int32_t>& wanted) const {
        std::pair<size_t, size_t> range{0, rows.size()};
        for (size_t c = 0; c < parameters.size(); ++c) {
            const auto places = legal(range, c);
            const std::int32_t nearest = *std::min_element(places.begin(), places.end(), [&](std::int32_t a, std::int32_t b) {
                return std::abs(a - wanted[c]) < std::abs(b - wanted[c]);
            });
            range = narrow(range, c, nearest);
        }
        return rows[range.first];
    }
    const Row* find(const Point& point) const {
        std::pair<size_t, size_t> range{0, rows.size()};
        for (size_t c = 0; c < parameters.size() && range.first < range.second; ++c) range = narrow(range, c, place_of(point, c));
        return range.first < range.second ? &rows[range.first] : nullptr;
    }
    std::int32_t place_of(const Point& point, size_t column) const {
        const auto& domain = domains[column];
        const auto at = std::lower_bound(domain.begin(), domain.end(), point.choices[column].value);
        return at != domain.end() && *at == point.choices[column].value ? static_cast<std::int32_t>(at - domain.begin()) : -1;
    }
    std::vector<std::int32_t> places(const Point& point) const {
        std::vector<std::int32_t> out;
        for (size_t c = 0; c < parameters.size(); ++c) out.push_back(place_of(point, c));
        return out;
    }
    std::string words(const Row& row) const {
        std::string out;
        for (size_t c = 0; c < parameters.size(); ++c)
            out += fmt::format("{}{}={}", c ? " " : "", parameters[c], domains[c][static_cast<size_t>(row.places[c])]);
        return out;
    }
    static float place(const std::vector<std::int64_t>& domain, size_t at) {
        if (domain.size() < 2) return 0;
        return static_cast<float>(at) / static_cast<float>(domain.size() - 1);
    }
    Point point(const Row& row) const {
        Point out;
        for (size_t c = 0; c < parameters.size(); ++c) {
            out.choices.push_back({static_cast<std::uint32_t>(c), domains[c][static_cast<size_t>(row.places[c])],
                                   place(domains[c], static_cast<size_t>(row.places[c]))});
        }
        return out;
    }
};

void RecordedSpace::Table::read(const std::string& path) {
    const std::string text = read_all(path);
    const auto refuse = [&](size_t line, const std::string& what) {
        throw Error(E0601_syntax, {}, fmt::format("{}:{}: {}", path, line, what),
                    {note("a table has a column for each parameter, then median_ms and any others")});
    };
    std::vector<std::vector<std::int64_t>> values;
    std::vector<double> times;
    size_t line_number = 0, columns = 0, time_column = 0;
    for (std::string_view rest = text; !rest.empty();) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        ++line_number;
        if (line.empty()) continue;
        const auto cells = split(line);
        if (parameters.empty()) {
            columns = cells.size();
            time_column = static_cast<size_t>(std::find(cells.begin(), cells.end(), "median_ms") - cells.begin());
            if (time_column == cells.size() || time_column == 0)
                refuse(line_number, "the first line names no parameter and median_ms");
            parameters.assign(cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(time_column));
            continue;
        }
        if (cells.size() != columns) refuse(line_number, fmt::format("{} values for {} columns", cells.size(), columns));
        std::vector<std::int64_t> row;
        for (size_t c = 0; c < time_column; ++c) {
            std::int64_t value = 0;
            const auto [stop, error] = std::from_chars(cells[c].data(), cells[c].data() + cells[c].size(), value);
            if (error != std::errc() || stop != cells[c].data() + cells[c].size())
                refuse(line_number, fmt::format("{} is \"{}\", not an integer", parameters[c], cells[c]));
            row.push_back(value);
        }
        double ms = 0;
        if (const std::string_view cell = cells[time_column]; !cell.empty()) {
            const auto [stop, error] = std::from_chars(cell.data(), cell.data() + cell.size(), ms);
            if (error != std::errc() || stop != cell.data() + cell.size() || !(ms > 0) || !std::isfinite(ms))
                refuse(line_number, fmt::format("median_ms is \"{}\", not a time", cell));
        }
        values.push_back(std::move(row));
        times.push_back(ms);
    }
    if (values.empty()) refuse(line_number, "no rows");
    domains.resize(parameters.size());
    for (size_t c = 0; c < parameters.size(); ++c) {
        for (const auto& row : values) domains[c].push_back(row[c]);
        std::sort(domains[c].begin(), domains[c].end());
        domains[c].erase(std::unique(domains[c].begin(), domains[c].end()), domains[c].end());
    }
    for (size_t r = 0; r < values.size(); ++r) {
        Row row;
        for (size_t c = 0; c < parameters.size(); ++c)
            row.places.push_back(static_cast<std::int32_t>(std::lower_bound(domains[c].begin(), domains[c].end(), values[r][c]) -
                                                           domains[c].begin()));
        row.ms = times[r];
        if (row.ms > 0 && (best == 0 || row.ms < best)) best = row.ms;
        rows.push_back(std::move(row));
    }
    if (best == 0) refuse(line_number, "every row failed");
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.places < b.places; });
    for (size_t r = 1; r < rows.size(); ++r)
        if (rows[r].places == rows[r - 1].places)
            throw Error(E0601_syntax, {}, fmt::format("{}: {} stands twice", path, words(rows[r])), {fix("keep one row")});
}

RecordedSpace::RecordedSpace(const std::string& path) : table_(std::make_unique<Table>()) { table_->read(path); }
RecordedSpace::~RecordedSpace() = default;

SpaceSize RecordedSpace::size() const { return {static_cast<double>(table_->rows.size()), true}; }

Point RecordedSpace::sample(Random& random) const {
    return table_->point(table_->rows[static_cast<size_t>(random.below(static_cast<std::int64_t>(table_->rows.size())))]);
}

Point RecordedSpace::mutate(const Point& point, double rate, Random& random) const {
    const Table& t = *table_;
    const std::vector<std::int32_t> here = t.places(point);
    for (int attempt = 0; attempt < 16; ++attempt) {
        std::vector<std::int32_t> wanted = here;
        const auto forced = static_cast<size_t>(random.below(static_cast<std::int64_t>(here.size())));
        for (size_t c = 0; c < here.size(); ++c)
            if (c == forced || random.chance(rate))
                wanted[c] = static_cast<std::int32_t>(random.below(static_cast<std::int64_t>(t.domains[c].size())));
        const Row& row = t.repaired(wanted);
        if (row.places != here) return t.point(row);
    }
    return sample(random);
}

Point RecordedSpace::neighbour(const Point& point, Random& random) const {
    const Table& t = *table_;
    const std::vector<std::int32_t> here = t.places(point);
    for (int attempt = 0; attempt < 16; ++attempt) {
        std::vector<std::int32_t> wanted = here;
        const auto c = static_cast<size_t>(random.below(static_cast<std::int64_t>(here.size())));
        wanted[c] = std::clamp<std::int32_t>(wanted[c] + (random.chance(0.5) ? 1 : -1), 0,
                                             static_cast<std::int32_t>(t.domains[c].size()) - 1);
        const Row& row = t.repaired(wanted);
        if (row.places != here) return t.point(row);
    }
    return mutate(point, 0, random);
}

Point RecordedSpace::crossover(const Point& a, const Point& b, Random& random) const {
    std::vector<std::int32_t> wanted = table_->places(a);
    const std::vector<std::int32_t> other = table_->places(b);
    for (size_t c = 0; c < wanted.size(); ++c)
        if (random.chance(0.5)) wanted[c] = other[c];
    return table_->point(table_->repaired(wanted));
}

std::optional<Point> RecordedSpace::after(const Point* point) const {
    if (!point) return table_->point(table_->rows.front());
    const Row* row = table_->find(*point);
    if (!row || row == &table_->rows.back()) return std::nullopt;
    return table_->point(row[1]);
}

std::string RecordedSpace::key(const Point& point) const {
    std::string out;
    for (const Choice& c : point.choices) out += fmt::format("{},", c.value);
    return out;
}

std::vector<float> RecordedSpace::features(const Point& point) const {
    std::vector<float> out;
    for (const Choice& c : point.choices) {
        out.push_back(static_cast<float>(std::log2(1.0 + std::abs(static_cast<double>(c.value)))));
        std::int64_t odd = std::max<std::int64_t>(std::abs(c.value), 1);
        while (odd % 2 == 0) odd /= 2;
        out.push_back(static_cast<float>(std::log2(static_cast<double>(odd))));
    }
    return out;
}

std::optional<double> RecordedSpace::estimate(const Point&) const { return std::nullopt; }

std::string RecordedSpace::text(const Point& point) const {
    const Row* row = table_->find(point);
    return row ? table_->words(*row) : "";
}

std::optional<double> RecordedSpace::time(const Point& point) const {
    const Row* row = table_->find(point);
    if (!row || row->ms == 0) return std::nullopt;
    return row->ms;
}

double RecordedSpace::best() const { return table_->best; }
const std::vector<std::string>& RecordedSpace::parameters() const { return table_->parameters; }

std::optional<Point> RecordedSpace::find(const Point& point) const {
    if (point.choices.size() != parameters().size()) return std::nullopt;
    const Row* row = table_->find(point);
    return row ? std::optional(table_->point(*row)) : std::nullopt;
}

}  // namespace tessera::tune
