#pragma once

#include <tessera/tune_measure.h>
#include <tessera/tune_space.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace tessera::test {

/// Answers by a plan instead of a machine: times and faults follow from the hash of the schedule, so that they repeat.
class PlannedMeasurer : public tune::Measurer {
public:
    double fault_share = 0;  // of candidates; the default never fails
    double noise = 0.001;
    double pause_seconds = 0;
    bool flat = false;  // every schedule takes the same time
    std::function<void(const std::string& hash)> seen = {};
    int calls = 0;
    std::vector<std::string> prepared = {};  // hashes

    /// Which of the faults a schedule has; ok for none.
    [[nodiscard]] tune::Verdict plan(const std::string& hash) const {
        if (first_.empty() || hash == first_ || share(hash, 0) >= fault_share) return tune::Verdict::ok;
        static constexpr tune::Verdict faults[] = {tune::Verdict::crash, tune::Verdict::timeout, tune::Verdict::out_of_memory,
                                                   tune::Verdict::wrong, tune::Verdict::compile_error};
        return faults[static_cast<int>(share(hash, 8) * 5)];
    }
    /// Wrong candidates are the fastest of all: nothing but their verdict keeps them from winning.
    [[nodiscard]] double seconds(const std::string& hash) const {
        if (flat || hash == first_) return 1e-2;
        return 1e-3 * (1 + 20 * share(hash, 16)) * (plan(hash) == tune::Verdict::wrong ? 0.01 : 1);
    }

    void prepare(const std::vector<Schedule>& schedules) override {
        for (const Schedule& s : schedules) prepared.push_back(content_hash(s));
    }
    [[nodiscard]] tune::Measured measure(const Schedule& schedule, int samples) override {
        const std::string hash = content_hash(schedule);
        if (first_.empty()) first_ = hash;
        ++calls;
        if (seen) seen(hash);
        if (pause_seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(pause_seconds));
        tune::Measured out;
        out.verdict = plan(hash);
        out.compile_seconds = 0.1;
        if (out.verdict != tune::Verdict::ok) {
            out.error = "planned";
            return out;
        }
        out.checked = true;
        for (int i = 0; i < samples; ++i) out.samples.push_back(seconds(hash) * (1 + noise * random_.uniform()));
        return out;
    }

private:
    // In [0, 1), of eight digits of the hash.
    [[nodiscard]] static double share(const std::string& hash, std::size_t from) {
        return static_cast<double>(std::stoul(hash.substr(from, 8), nullptr, 16)) / 4294967296.0;
    }
    std::string first_;
    tune::Random random_{3};
};

}  // namespace tessera::test
