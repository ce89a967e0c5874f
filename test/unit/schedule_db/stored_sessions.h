#pragma once

#include <tessera/schedule_db.h>
#include <tessera/tessera.h>

#include <string>
#include <vector>

namespace tessera::test {

/// C(m, n) = sum over k of A(m, k) B(k, n), with the names given; extent 0 leaves a dim open.
inline Algorithm named_matmul(std::int64_t size = 0, const std::vector<std::string>& names = {"m", "n", "k", "A", "B", "C"}) {
    const auto dim = [&](const std::string& name) { return size == 0 ? Dim(name) : Dim(name, size); };
    Dim m = dim(names[0]), n = dim(names[1]), k = dim(names[2]);
    Input A(names[3], f32, {m, k}), B(names[4], f32, {k, n});
    Func C(names[5]);
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)));
    return Algorithm({C}, {A, B});
}

/// A schedule of named_matmul() with rows in blocks of `tile`.
inline Schedule rows_of(std::int64_t tile) {
    Schedule s;
    s.stage("C").root().parallel("m", tile, "mo").serial("m", 0, "mi").serial("n");
    s.stage("C.sum").root().serial("m").serial("n").serial("k");
    return s;
}

inline BuildContext context_of(const std::string& machine = "a", int abi = 1, const std::string& toolchain = "one",
                               const std::string& micro = "x86 6.1") {
    return {R"({"machine":")" + machine + "\"}", micro, R"({"version":")" + toolchain + "\"}", abi, "x86-64-linux-avx2"};
}

struct SessionPlan {
    Algorithm algorithm = named_matmul();
    Schedule schedule = rows_of(8);
    BuildContext context = context_of();
    double seconds = 1e-3;
    std::map<std::string, std::int64_t> extents = {};
    std::int64_t started = 1000;
    std::string status = "ok";
    bool checked = true, decided = true, cold = false;
    int threads = 1;
};

inline std::vector<double> times_near(double seconds) {
    std::vector<double> out;
    for (int i = 0; i < 15; ++i) out.push_back(seconds * (1 + 0.001 * i));
    return out;
}

/// A session of two trials, the default and a better one; returns its id.
inline std::string add_session(ScheduleDb& db, const SessionPlan& plan) {
    static int token = 0;
    const std::string id = db.begin_session({plan.algorithm, R"({"generator":"test"})", std::to_string(token++), plan.started});
    TrialFact trial;
    trial.context = plan.context;
    trial.extents = plan.extents;
    trial.threads = plan.threads;
    trial.cold = plan.cold;
    trial.origin = "default";
    trial.status = "ok";
    trial.checked = true;
    trial.samples = {2 * plan.seconds, 3 * plan.seconds};
    db.record(id, trial);
    trial.ordinal = 1;
    trial.schedule = plan.schedule;
    trial.origin = "hybrid";
    trial.status = plan.status;
    trial.checked = plan.checked;
    if (plan.status != "ok") trial.error = "planned";
    trial.samples = {plan.seconds};
    db.record(id, trial);
    if (!plan.decided) return id;
    db.record_rounds(id, 0, times_near(2 * plan.seconds));
    db.record_rounds(id, 1, times_near(plan.seconds));
    db.decide(id, {1, 1.9, 2.0, 2.1});
    return id;
}

}  // namespace tessera::test
