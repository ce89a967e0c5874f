// Lesson 2: schedules. How it is computed, as a value of its own: it changes time, never results.
#include "expect.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <chrono>
#include <cstring>
#include <iostream>

using namespace tessera;

int main() {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    const Algorithm algorithm({blur}, {photo});

    // A schedule speaks about stages: a Func, or a reduction inside one. Here: rows.sum, rows, blur.sum, blur.
    // A stage that is not listed is computed where it is used, again for each use.
    const Schedule nothing;

    // Strips of 32 rows run in parallel, 32 columns at a time. `rows` is computed row by row inside a strip and kept in it: each
    // of its rows is computed once and read three times.
    Schedule sliding;
    sliding.stage("blur").root().parallel("y", 32, "strip").serial("y", 0, "row").serial("x", 32, "xo").vector("x", 0, "lane");
    sliding.stage("rows").at("blur", "row").store_at("blur", "strip").serial("y").serial("x", 32, "xo").vector("x", 0, "lane");
    std::cout << to_json(sliding);

    // It is plain data: JSON and C++ are two ways to write one value, and a schedule can be derived from another.
    expect(parse_schedule(to_json(sliding)) == sliding, "JSON says everything");
    Schedule deltas;
    deltas.stage("rows").root();
    const Schedule two_passes = sliding.derive(deltas);
    std::cout << diff(sliding, two_passes).text;

    // Whatever the schedule, the values are the same, bit for bit.
    const std::int64_t height = 1080, width = 1920;
    const Buffer<std::uint8_t> in{height, width};
    std::uint32_t state = 1;
    in.for_each([&](std::uint8_t& value) { value = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24); });
    const Buffer<std::uint8_t> first{height, width};
    const std::pair<const char*, Schedule> schedules[] = {
        {"nothing said", nothing}, {"the default", default_schedule(algorithm)}, {"a sliding window", sliding}};
    for (const auto& [name, schedule] : schedules) {
        const Module kernel = compile(algorithm, schedule);
        const Buffer<std::uint8_t> out = schedule == nothing ? first : Buffer<std::uint8_t>{height, width};
        kernel({{"photo", in}}, {{"blur", out}});
        const auto start = std::chrono::steady_clock::now();
        kernel({{"photo", in}}, {{"blur", out}});
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::cerr << name << ": " << seconds * 1e3 << " ms\n";
        expect(std::memcmp(first.data(), out.data(), static_cast<std::size_t>(out.size())) == 0, "a schedule keeps every bit");
    }

    // What a schedule became: the tree of loops.
    std::cout << compile(algorithm, sliding).inspect_ir(IrLevel::schedule);

    // A schedule that cannot be is refused with the stage, the loop, the reason and what would be legal.
    Schedule wrong = sliding;
    wrong.stage("rows").at("blur", "lane");
    try {
        (void)compile(algorithm, wrong);
        expect(false, "a stage is not computed inside a vector");
    } catch (const Error& error) {
        std::cout << error.message() << "\n";
        expect(error.code() == E0504_placement, "the code says which mistake it is");
    }
}
