// Schedules for a GPU as a search space.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tune_space.h>

#include "backend/interpreter/interpreter.h"
#include "schedule/loop_tree.h"
#include "tune/kernel_arguments.h"
#include "unit/tune/tuned_algorithms.h"

#include <algorithm>
#include <set>

namespace tessera::tune {
namespace {

Algorithm product(DType dtype) {
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {n, k});
    Func C("C");
    C(m, n) = cast(bf16, relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k)))));
    return Algorithm({C}, {A, B});
}

const std::map<std::string, std::int64_t> sizes{{"m", 4096}, {"n", 4096}, {"k", 4096}};

// The point with these words, as near as its space has it.
Point with(const ScheduleSpace& space, std::map<std::string, std::string> words, Random& random) {
    for (int attempt = 0; attempt < 4000; ++attempt) {
        const Point p = space.sample(random);
        bool fits = true;
        for (const auto& d : space.decisions(p))
            if (const auto wanted = words.find(d.name); wanted != words.end()) fits = fits && d.value == wanted->second;
        if (fits && space.legal(p)) return p;
    }
    ADD_FAILURE() << "no legal point";
    return {};
}

TEST(CudaSpace, SumsOfProductsAreMultipliedByWhateverTheTargetHas) {
    const auto kinds = [](DType dtype, const char* target) {
        const ScheduleSpace space(product(dtype), parse_target(target), {.extents = sizes});
        Random random(1);
        for (const auto& d : space.decisions(space.sample(random)))
            if (d.name == "C.product") return d.domain;
        return std::vector<std::string>{};
    };
    EXPECT_EQ(kinds(bf16, "cuda-sm_90a"), (std::vector<std::string>{"default", "threads", "warps", "warpgroups"}));
    EXPECT_EQ(kinds(bf16, "cuda-sm_80"), (std::vector<std::string>{"default", "threads", "warps"}));
    EXPECT_EQ(kinds(f32, "cuda-sm_90a"), (std::vector<std::string>{"default", "threads"}));
    EXPECT_EQ(kinds(f8e4m3, "cuda-sm_90a"), (std::vector<std::string>{"default", "threads", "warpgroups"}));
}

TEST(CudaSpace, EveryKindOfProductHasLegalPoints) {
    const Algorithm algorithm = product(bf16);
    const Target target = parse_target("cuda-sm_90a");
    const ScheduleSpace space(algorithm, target, {.extents = sizes});
    Random random(5);
    for (const char* kind : {"default", "threads", "warps", "warpgroups"}) {
        SCOPED_TRACE(kind);
        const Point p = with(space, {{"C.product", kind}}, random);
        EXPECT_FALSE(lowered_hash(algorithm, space.schedule(p), target).empty());
        EXPECT_EQ(space.features(p).size(), feature_names().size() + 4);
    }
    const Schedule roles = space.schedule(
        with(space, {{"C.product", "warpgroups"}, {"C.roles", "2"}, {"C.cluster", "2"}, {"C.boxes", "1"}}, random));
    EXPECT_EQ(roles.kernels.at("C").persistent, true);
    EXPECT_EQ(roles.stages.at("C").engine, Engine::tma);
}

// Most of what is drawn can be tried: little time goes to what is refused.
TEST(CudaSpace, MostPointsAreLegal) {
    for (const auto& [algorithm, target] :
         {std::pair{product(bf16), "cuda-sm_90a"}, std::pair{test::tuned_matmul(512), "cuda-sm_80"},
          std::pair{test::tuned_softmax(), "cuda-sm_80"}}) {
        const ScheduleSpace space(algorithm, parse_target(target),
                                  {.extents = {{"m", 512}, {"n", 512}, {"k", 512}, {"b", 512}, {"j", 512}}});
        Random random(9);
        int legal = 0;
        for (int i = 0; i < 40; ++i) legal += space.legal(space.sample(random));
        EXPECT_GE(legal, 32) << algorithm.text();
    }
}

TEST(CudaSpace, TheDefaultIsAPointAndSizesOfWrittenSchedulesGoTogether) {
    const Algorithm algorithm = product(bf16);
    const Target target = parse_target("cuda-sm_90a");
    const Schedule initial = default_schedule(algorithm, target);
    const ScheduleSpace free(algorithm, target, {.extents = sizes});
    EXPECT_EQ(free.schedule(free.point(initial)), initial);
    Random random(3);
    const Schedule written = free.schedule(with(free, {{"C.product", "warps"}}, random));
    const ScheduleSpace space(algorithm, target, {.extents = sizes, .forms = {initial, written}});
    EXPECT_EQ(space.schedule(space.point(written)), written);
    int legal = 0, drawn = 0;
    for (int i = 0; i < 400 && drawn < 20; ++i) {
        const Point p = space.sample(random);
        if (space.text(p).find("form=written 2") == std::string::npos) continue;
        ++drawn;
        legal += space.legal(p);
    }
    EXPECT_EQ(drawn, 20);
    EXPECT_EQ(legal, 20);
}

// Schedules that are drawn mean the algorithm.
TEST(CudaSpace, PointsMeanTheAlgorithm) {
    const Target target = parse_target("cuda-sm_90a");
    Random random(11);
    for (const auto& [algorithm, extents] :
         {std::pair{product(bf16), std::map<std::string, std::int64_t>{{"m", 70}, {"n", 9}, {"k", 67}}},
          std::pair{test::tuned_softmax(), std::map<std::string, std::int64_t>{{"b", 5}, {"j", 70}}},
          std::pair{test::tuned_blur(), std::map<std::string, std::int64_t>{{"y", 9}, {"x", 70}}}}) {
        const ScheduleSpace space(algorithm, target, {.extents = extents});
        KernelArguments arguments = make_arguments(algorithm, extents, 1);
        interpreter::Inputs inputs;
        for (const auto& [name, value] : arguments.inputs) inputs.emplace(name, value.value());
        interpreter::Outputs want;
        for (const auto& [name, guarded] : arguments.outputs)
            want.emplace(name, AnyBuffer(guarded.buffer().dtype(), guarded.buffer().extents()));
        interpreter::evaluate(algorithm, inputs, want);
        int run = 0;
        for (int i = 0; i < 60 && run < 6; ++i) {
            const Point p = space.sample(random);
            if (!space.legal(p)) continue;
            ++run;
            const LoopTree tree = build_loop_tree(bind(algorithm, space.schedule(p), target));
            interpreter::Outputs got = arguments.named_outputs();
            interpreter::execute(tree, inputs, got, {.shuffle_seed = 7});
            for (const auto& [name, buffer] : want)
                EXPECT_EQ(difference(got.at(name), buffer, reduction_length(algorithm, extents)), "") << space.text(p);
        }
        EXPECT_EQ(run, 6) << algorithm.text();
    }
}

}  // namespace
}  // namespace tessera::tune
