#include <tessera/generator.h>
#include <tessera/tessera.h>

#include <bit>

using namespace tessera;

namespace {

/// Half the height of a disc's column `dx` away from its centre: the rows with dx^2 + dy^2 < (radius + 1/4)^2.
std::int64_t half_height(std::int64_t radius, std::int64_t dx) {
    const double reach = static_cast<double>(radius) + 0.25;
    std::int64_t dy = 0;
    while (static_cast<double>(dx * dx + dy * dy) < reach * reach) ++dy;
    return dy - 1;
}

/// Integers in the order of the floats that they stand for; NaN is above all.
Expr key_of(const Expr& value) {
    const Expr bits = bitcast(i32, value);
    const Expr ordered = bits ^ ((bits >> constant(i32, std::int64_t{31})) & constant(i32, std::int64_t{0x7fffffff}));
    return select(value == value, ordered, constant(i32, std::int64_t{0x7fc00000}));
}
Expr value_of(const Expr& key) {
    return bitcast(f32, key ^ ((key >> constant(i32, std::int64_t{31})) & constant(i32, std::int64_t{0x7fffffff})));
}

/// The largest value in a disc around each pixel of an f32 photo of 3 planes whose edge is repeated. Column maxima over 1, 2, 4,
/// ... rows are shared: two overlapping ones cover a column of the disc. Maxima are taken of integer keys, one instruction each,
/// where the maximum of floats has NaN to look after.
Algorithm max_filter(std::int64_t radius) {
    Dim c("c", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    const Bounded edged = clamp(photo);
    // tall[s] is the maximum of rows y .. y + 2^s - 1.
    std::vector<Func> tall;
    const auto longest = static_cast<size_t>(std::bit_width(static_cast<std::uint64_t>(2 * radius + 1)));
    for (size_t s = 0; s < longest; ++s) {
        Func level("tall_" + std::to_string(1 << s));
        if (s == 0)
            level(c, y, x) = key_of(edged(c, y, x));
        else
            level(c, y, x) = max(tall[s - 1](c, y, x), tall[s - 1](c, y + (1 << (s - 1)), x));
        tall.push_back(level);
    }
    std::vector<Func> columns;  // by half height, the ones that the disc has
    columns.reserve(static_cast<size_t>(radius) + 1);
    Expr largest;
    for (std::int64_t h = 0; h <= radius; ++h) {
        Func column("column_" + std::to_string(h));
        const auto s = static_cast<size_t>(std::bit_width(static_cast<std::uint64_t>(2 * h + 1)) - 1);
        column(c, y, x) = max(tall[s](c, y - h, x), tall[s](c, y + h + 1 - (std::int64_t{1} << s), x));
        columns.push_back(column);
    }
    for (std::int64_t dx = -radius; dx <= radius; ++dx) {
        const Expr value = columns[static_cast<size_t>(half_height(radius, dx))](c, y, x + dx);
        largest = largest.defined() ? max(largest, value) : value;
    }
    Func filtered("filtered");
    filtered(c, y, x) = value_of(largest);
    return Algorithm({filtered}, {photo}, {.name = "max_filter"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("max_filter", "maximum over a disc in a photo with 3 planes", {param("radius", 26).at_least(0)},
                   [](const Params& p) { return max_filter(p.integer("radius")); })});
}
