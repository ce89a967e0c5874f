// Every point of a space compiles: what the CPU backend refuses is not in it.
#include <gtest/gtest.h>
#include <tessera/tune_space.h>

#include "backend/cpu/cpu_backend.h"
#include "unit/compile/scratch_folder.h"
#include "unit/tune/tuned_algorithms.h"

#include <fmt/format.h>

#include <map>

namespace tessera::tune {
namespace {

// Lowers random points; the first schedule of each refusal, by its message.
std::map<std::string, std::string> refusals(const Algorithm& algorithm, const SpaceOptions& options, int points,
                                            std::uint64_t seed) {
    const ScratchFolder folder;
    const ScheduleSpace space(algorithm, Target::host(), options);
    Random random(seed);
    std::map<std::string, std::string> out;
    int count = 0;
    for (int n = 0; n < points; ++n) {
        const Point point = space.sample(random);
        try {
            (void)cpu::emit(bind(algorithm, space.schedule(point)), "host", "kernel", cpu::Artifact::statement,
                            folder.file("stmt"));
        } catch (const Exception& e) {
            ++count;
            std::string text = fmt::format("{}: {}", code_text(e.code()), e.message());
            for (const Hint& h : e.hints()) text += "; " + h.text;
            out.emplace(text, space.text(point));
        }
    }
    if (count > 0) fmt::print("{} of {} points of {} are refused\n", count, points, algorithm.name());
    return out;
}

void expect_none(const Algorithm& algorithm, const SpaceOptions& options, int points, std::uint64_t seed = 5) {
    for (const auto& [text, point] : refusals(algorithm, options, points, seed)) ADD_FAILURE() << text << "\n" << point;
}

TEST(SpaceLowers, Matmul) { expect_none(test::tuned_matmul(256), {.cores = 2}, 40); }
TEST(SpaceLowers, Blur) { expect_none(test::tuned_blur(), {.extents = {{"y", 200}, {"x", 300}}, .cores = 2}, 5); }
TEST(SpaceLowers, Softmax) { expect_none(test::tuned_softmax(), {.extents = {{"b", 64}, {"j", 100}}, .cores = 2}, 15); }
TEST(SpaceLowers, Pipeline) { expect_none(test::tuned_pipeline(), {.extents = {{"y", 200}, {"x", 300}}, .cores = 2}, 8); }

TEST(SpaceLowers, DISABLED_LongAll) {
    expect_none(test::tuned_matmul(256), {.cores = 2}, 300, 1);
    expect_none(test::tuned_matmul(250), {.cores = 2}, 150, 2);
    expect_none(test::tuned_blur(), {.extents = {{"y", 200}, {"x", 300}}, .cores = 2}, 150, 3);
    expect_none(test::tuned_softmax(), {.extents = {{"b", 64}, {"j", 100}}, .cores = 2}, 150, 4);
    expect_none(test::tuned_pipeline(), {.extents = {{"y", 200}, {"x", 300}}, .cores = 2}, 150, 5);
}

}  // namespace
}  // namespace tessera::tune
