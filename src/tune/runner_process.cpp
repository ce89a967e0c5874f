#include "tune/runner_process.h"

#include <tessera/tessera_runtime.h>

#include "tune/candidate_device.h"
#include "tune/isolated_process.h"
#include "tune/kernel_arguments.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <utility>

namespace tessera::tune {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr double shortest_timeout = 5;  // seconds; of one that is a ratio

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Outputs of the reference, in memory that the process which computed them shares.
class SharedOutputs {
public:
    explicit SharedOutputs(const KernelArguments& arguments) {
        for (const auto& [name, guarded] : arguments.outputs) {
            const std::size_t bytes = std::max<std::size_t>(guarded.bytes(), 1);
            void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED)
                throw Error(E0711_out_of_memory, {}, fmt::format("no {} bytes for the reference of output {}", bytes, name),
                            {fix("tune for smaller extents")});
            buffers_.emplace(name, AnyBuffer(guarded.buffer().dtype(), memory, guarded.buffer().extents()));
        }
    }
    [[nodiscard]] const std::map<std::string, AnyBuffer>& buffers() const { return buffers_; }

private:
    std::map<std::string, AnyBuffer> buffers_;
};

// What every candidate process needs.
struct Bench {
    const CandidateDevice& device;
    KernelArguments arguments;
    SharedOutputs reference;
    double reduced = 1;
};

// A candidate in its process: compiled first, then checked and timed.
class CandidateRun {
public:
    CandidateRun(Bench& bench, std::string schedule) : bench_(bench), schedule_(std::move(schedule)) {}

    void compile() {
        catching([&] {
            const auto start = Clock::now();
            candidate_ = bench_.device.compile(parse_schedule(schedule_), bench_.arguments);
            out_.compile_seconds = seconds_since(start);
            out_.code_hash = candidate_->code_hash();
        });
    }
    [[nodiscard]] Measured measure(const RunnerRequest& request) {
        if (candidate_) catching([&] { check_and_time(request); });
        return std::move(out_);
    }

private:
    void check_and_time(const RunnerRequest& request) {
        out_.same_code = std::count(request.known_code.begin(), request.known_code.end(), out_.code_hash) > 0;
        if (out_.same_code) return;
        if (request.check) {
            const std::string wrong =
                output_problem(bench_.arguments, bench_.reference.buffers(), bench_.reduced, [&] { candidate_->run(); });
            if (!wrong.empty()) {
                out_.verdict = Verdict::wrong;
                out_.error = wrong;
                return;
            }
            out_.checked = true;
        }
        out_.samples = candidate_->take_samples(request.samples);
    }
    void catching(const std::function<void()>& step) {
        try {
            step();
            return;
        } catch (const Exception& e) {
            out_.error = fmt::format("{}: {}", code_text(e.code()), e.message());
            if (e.code() == E0711_out_of_memory)
                out_.verdict = Verdict::out_of_memory;
            else if (e.code() == E0712_kernel_failed)
                out_.verdict = bench_.device.failed_kernel();
            else if (e.code() == E0804_toolchain)  // also of a variant that is compiled when it is called
                out_.verdict = Verdict::compile_error;
            else
                out_.verdict = candidate_ ? Verdict::crash : Verdict::compile_error;
        } catch (const std::bad_alloc&) {
            out_.verdict = Verdict::out_of_memory;
            out_.error = "no memory within the limit";
        } catch (const std::exception& e) {
            out_.verdict = Verdict::compile_error;
            out_.error = e.what();
        }
        out_.samples.clear();
    }

    Bench& bench_;
    std::string schedule_;
    std::unique_ptr<Candidate> candidate_;
    Measured out_;
};

// Candidates that were compiled before they are asked for, each in a process that waits.
class CandidateProcesses {
public:
    CandidateProcesses(Bench& bench, const MeasureOptions& limits) : bench_(bench), limits_(limits) {}

    // Returns when all are compiled, or have failed to. Those of earlier calls end.
    void compile(const std::vector<std::string>& schedules) {
        waiting_.clear();
        const auto at_once = static_cast<std::size_t>(std::max(tessera_num_threads(), 1));
        std::vector<IsolatedProcess*> busy;
        for (const std::string& schedule : schedules) {
            while (busy.size() >= at_once) wait(busy);
            const auto [at, is_new] = waiting_.emplace(schedule, nullptr);
            if (!is_new) continue;
            at->second = start(schedule);
            busy.push_back(at->second.get());
        }
        while (!busy.empty()) wait(busy);
    }
    [[nodiscard]] Measured measure(const RunnerRequest& request) {
        auto known = waiting_.extract(request.schedule);
        const auto process = known ? std::move(known.mapped()) : start(request.schedule);
        return process->finish(to_text(request));
    }

private:
    [[nodiscard]] std::unique_ptr<IsolatedProcess> start(const std::string& schedule) {
        const auto run = std::make_shared<CandidateRun>(bench_, schedule);
        return std::make_unique<IsolatedProcess>(
            limits_, IsolatedWork{[run] { run->compile(); },
                                  [run](const std::string& request) { return run->measure(request_from(request)); }});
    }
    static void wait(std::vector<IsolatedProcess*>& busy) {
        std::erase_if(busy, [](const IsolatedProcess* p) { return !p->is_busy(); });
        if (!busy.empty()) IsolatedProcess::wait_for_some(busy);
        std::erase_if(busy, [](const IsolatedProcess* p) { return !p->is_busy(); });
    }

    Bench& bench_;
    MeasureOptions limits_;
    std::map<std::string, std::unique_ptr<IsolatedProcess>> waiting_;  // by schedule
};

}  // namespace

double candidate_timeout(const MeasureOptions& options, double reference_seconds) {
    if (options.timeout_ratio <= 0) return options.timeout_seconds;
    return std::min(options.timeout_seconds, std::max(shortest_timeout, std::ceil(options.timeout_ratio * reference_seconds)));
}

std::optional<Problem> problem_of(const MeasureOptions& options, const std::function<void()>& body) {
    const Measured answer = measure_isolated(options, [&] {
        Measured out;
        try {
            body();
        } catch (const Exception& e) {
            json fixes = json::array();
            for (const Hint& h : e.hints())
                if (h.kind == Hint::Kind::fix) fixes.push_back(h.text);
            out.verdict = Verdict::invalid;
            out.error = json{{"code", static_cast<int>(e.code())}, {"message", e.message()}, {"fixes", fixes}}.dump(
                -1, ' ', false, json::error_handler_t::replace);
        }
        return out;
    });
    if (answer.verdict == Verdict::ok) return std::nullopt;
    if (answer.verdict != Verdict::invalid) return Problem{E0712_kernel_failed, answer.error, {}};
    const json value = json::parse(answer.error);
    return Problem{static_cast<ErrorCode>(value.at("code").get<int>()), value.at("message"), value.at("fixes")};
}

std::string to_text(const RunnerRequest& r) {
    return json{{"compile", r.compile},
                {"schedule", r.schedule},
                {"samples", r.samples},
                {"check", r.check},
                {"known_code", r.known_code}}
        .dump();
}
RunnerRequest request_from(const std::string& text) {
    const json value = json::parse(text);
    return {value.at("compile"), value.at("schedule"), value.at("samples"), value.at("check"), value.at("known_code")};
}

void run_requests(int socket, const Algorithm& algorithm, const Target& target, const MeasureOptions& options,
                  const Schedule& reference) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGINT, SIG_IGN);  // the tuner decides what Ctrl-C means
    // Machine code of candidates is kept between rounds; unless it has a folder, it goes with this process. The reference is
    // compiled in any case: its time limits that of candidates.
    std::string folder = (std::filesystem::temp_directory_path() / "tessera-tune-XXXXXX").string();
    if (!mkdtemp(folder.data())) folder.clear();
    if (!folder.empty()) setenv("TESSERA_CACHE_DIR", folder.c_str(), 1);
    std::string problem;
    std::optional<Bench> bench;
    const auto device = candidate_device(algorithm, target, options);
    MeasureOptions limits = device->limits();
    try {
        KernelArguments arguments = make_arguments(algorithm, options.extents, options.seed);
        SharedOutputs outputs(arguments);
        bench.emplace(Bench{*device, std::move(arguments), std::move(outputs), reduction_length(algorithm, options.extents)});
        const auto start = Clock::now();
        const Measured first = measure_isolated(device->reference_limits(), [&] {
            Measured out;
            try {
                device->compute_reference(reference, bench->arguments, bench->reference.buffers());
            } catch (const std::exception& e) {
                out.verdict = Verdict::crash;
                out.error = e.what();
            }
            return out;
        });
        if (first.verdict != Verdict::ok) problem = first.error;
        limits.timeout_seconds = candidate_timeout(limits, seconds_since(start));
    } catch (const std::exception& e) {
        problem = e.what();
    }
    if (!options.code_folder.empty()) setenv("TESSERA_CACHE_DIR", options.code_folder.c_str(), 1);
    if (send_text(socket, problem) && problem.empty()) {
        CandidateProcesses candidates(*bench, limits);
        while (const auto text = receive_text(socket)) {
            const RunnerRequest request = request_from(*text);
            if (!request.compile.empty()) {
                candidates.compile(request.compile);
                if (!send_text(socket, "")) break;
                continue;
            }
            Measured out = candidates.measure(request);
            if (out.verdict == Verdict::timeout && limits.timeout_seconds < options.timeout_seconds)
                out.error += fmt::format("; the limit is {:g} times what the default schedule takes to compile and run",
                                         options.timeout_ratio);
            if (!send_text(socket, to_text(out))) break;
        }
    }
    std::error_code ignored;
    if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
}

}  // namespace tessera::tune
