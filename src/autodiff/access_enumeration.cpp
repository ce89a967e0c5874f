#include "autodiff/access_enumeration.h"

#include "algorithm/extent_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera {
namespace {

using Point = std::vector<std::int64_t>;
using Places = std::map<const void*, std::int64_t>;  // values of dims, by id

constexpr double most_points = 40000;

// Nothing for what is no integer arithmetic on dims and extents.
std::optional<std::int64_t> value_of(const Expr& e, const Places& places, ExtentValues& extents) {
    if (e->op == Op::constant) return is_float(e.dtype()) ? std::nullopt : std::optional(e->integer());
    if (e->op == Op::extent) return extents.of(e->dim());
    if (e->op == Op::dim) {
        const auto found = places.find(e->dim().id());
        return found == places.end() ? std::nullopt : std::optional(found->second);
    }
    if (e->op == Op::access && e->args.empty() && e->target().input && is_integer(e.dtype())) return extents.value(e);
    if (e->args.empty() || e->op == Op::access || e->args.size() > 3) return std::nullopt;
    const auto a = value_of(e->args[0], places, extents);
    if (!a) return std::nullopt;
    if (e->op == Op::select) return value_of(e->args[*a != 0 ? 1 : 2], places, extents);
    if (e->op == Op::cast) return is_integer(e.dtype()) ? a : std::nullopt;
    if (e->op == Op::not_) return *a == 0;
    if (e->op == Op::neg) return -*a;
    if (e->args.size() != 2) return std::nullopt;
    const auto b = value_of(e->args[1], places, extents);
    return b ? integer_result(e->op, *a, *b) : std::nullopt;
}

struct Range {
    const void* id;
    std::int64_t low, high;
};

class Enumerator {
public:
    Enumerator(const AccessSystem& system, const InvertedAccess& inverse, std::int64_t smallest)
        : system_(system), inverse_(inverse), extents_({}, ExtentValues::Missing::chosen, smallest) {}

    Enumeration run() {
        const auto outer = ranges_of_outer(), loops = ranges_of_loops();
        if (!outer || !loops || size_of(*outer) * size_of(*loops) > most_points) return {};
        std::vector<Range> remaining;
        for (const Dim& d : inverse_.remaining) remaining.push_back({d.id(), 0, extents_.of(d) - 1});
        if (!inverse_.read_guards.empty() || size_of(*outer) * size_of(remaining) > most_points) return {};
        Enumeration out{true, ""};
        each(*outer, [&](const Places& at) {
            if (!out.decided || !out.problem.empty()) return;
            const auto read = readers(at, *loops);
            const auto given = gathered(at, remaining);
            if (!read || !given)
                out.decided = false;
            else
                compare(at, *read, *given, out);
        });
        return out;
    }

private:
    static double size_of(const std::vector<Range>& ranges) {
        double size = 1;
        for (const Range& r : ranges) size *= static_cast<double>(std::max<std::int64_t>(r.high - r.low + 1, 0));
        return size;
    }
    std::optional<std::vector<Range>> ranges_of_outer() {
        std::vector<Range> out;
        for (const auto& [atom, range] : system_.outer.ranges) {
            if (atom->op != Op::dim || !range.bounded()) return std::nullopt;
            const auto low = value_of(range.low, {}, extents_), high = value_of(range.high, {}, extents_);
            if (!low || !high) return std::nullopt;
            out.push_back({atom->dim().id(), *low, *high});
        }
        return out;
    }
    std::optional<std::vector<Range>> ranges_of_loops() {
        std::vector<Range> out;
        for (const LoopDim& loop : system_.loops) {
            if (!loop.range.bounded()) return std::nullopt;
            const auto low = value_of(loop.range.low, {}, extents_), high = value_of(loop.range.high, {}, extents_);
            if (!low || !high) return std::nullopt;
            out.push_back({loop.dim.id(), *low, *high});
        }
        return out;
    }

    template <class Visit>
    static void each(const std::vector<Range>& ranges, Visit&& visit, size_t from = 0, Places places = {}) {
        if (from == ranges.size()) return visit(static_cast<const Places&>(places));
        for (std::int64_t v = ranges[from].low; v <= ranges[from].high; ++v) {
            places[ranges[from].id] = v;
            each(ranges, visit, from + 1, places);
        }
    }
    Point point_of(const Places& places) const {
        Point p;
        for (const LoopDim& loop : system_.loops) p.push_back(places.at(loop.dim.id()));
        return p;
    }
    bool is_solved(size_t equation) const {
        return std::find(inverse_.scattered.begin(), inverse_.scattered.end(), equation) == inverse_.scattered.end();
    }

    std::optional<std::multiset<Point>> readers(const Places& at, const std::vector<Range>& loops) {
        std::multiset<Point> out;
        bool decided = true;
        each(loops, [&](const Places& point) {
            bool reads = decided;
            Places inside = at;
            for (const auto& [id, v] : point) inside[id] = v;
            for (size_t k = 0; reads && k < system_.left.size(); ++k) {
                if (!is_solved(k)) continue;
                const auto left = value_of(system_.left[k], at, extents_), right = value_of(system_.right[k], inside, extents_);
                decided = decided && left && right;
                reads = decided && *left == *right;
            }
            if (reads) out.insert(point_of(point));
        });
        if (!decided) return std::nullopt;
        return out;
    }
    std::optional<std::multiset<Point>> gathered(const Places& at, const std::vector<Range>& remaining) {
        std::multiset<Point> out;
        bool decided = true;
        each(remaining, [&](const Places& rest) {
            Places places = at;
            for (const auto& [id, v] : rest) places[id] = v;
            bool taken = decided;
            for (const Expr& g : inverse_.guards) {
                if (!taken) break;
                const auto holds = value_of(g, places, extents_);
                decided = decided && holds;
                taken = decided && *holds != 0;
            }
            Point p;
            for (const LoopDim& loop : system_.loops) {
                if (!taken) break;
                const auto v = value_of(inverse_.values.at(loop.dim.id()), places, extents_);
                decided = decided && v;
                taken = decided;
                if (taken) p.push_back(*v);
            }
            if (taken) out.insert(p);
        });
        if (!decided) return std::nullopt;
        return out;
    }

    void compare(const Places& at, const std::multiset<Point>& read, const std::multiset<Point>& given, Enumeration& out) const {
        if (read == given) return;
        const auto text = [](const std::multiset<Point>& points) {
            std::string t;
            for (const Point& p : points) t += fmt::format("{}({})", t.empty() ? "" : " ", fmt::join(p, ", "));
            return t.empty() ? std::string("nothing") : t;
        };
        std::string place;
        for (const auto& [atom, range] : system_.outer.ranges)
            place += fmt::format("{}{} = {}", place.empty() ? "" : ", ", atom->dim().name(), at.at(atom->dim().id()));
        std::string names;
        for (const LoopDim& loop : system_.loops) names += (names.empty() ? "" : ", ") + loop.dim.name();
        out.problem = fmt::format("at {} the readers ({}) are {}, the inverse gives {}", place, names, text(read), text(given));
    }

    const AccessSystem& system_;
    const InvertedAccess& inverse_;
    ExtentValues extents_;
};

}  // namespace

Enumeration enumerate_inverse(const AccessSystem& system, const InvertedAccess& inverse) {
    Enumeration all;
    for (const std::int64_t smallest : {1, 2, 4}) {
        const Enumeration one = Enumerator(system, inverse, smallest).run();
        all.decided = all.decided || one.decided;
        if (!one.problem.empty()) return one;
    }
    return all;
}

}  // namespace tessera
