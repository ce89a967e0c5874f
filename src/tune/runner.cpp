#include <tessera/tessera_runtime.h>
#include <tessera/tune_measure.h>

#include "tune/candidate_device.h"
#include "tune/isolated_process.h"
#include "tune/runner_process.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

namespace tessera::tune {
namespace {

// Held while something is measured: one measurer per machine.
class MachineLock {
public:
    explicit MachineLock(const std::string& path) : file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
        if (file_ < 0)
            throw Error(E0605_file, {}, fmt::format("the lock file {} cannot be opened: {}", path, std::strerror(errno)),
                        {fix("name another one")});
        while (flock(file_, LOCK_EX) != 0 && errno == EINTR) {
        }
    }
    ~MachineLock() { close(file_); }
    MachineLock(const MachineLock&) = delete;
    MachineLock& operator=(const MachineLock&) = delete;

private:
    int file_;
};

}  // namespace

struct Runner::State {
    Algorithm algorithm;
    Target target;
    MeasureOptions options;
    Schedule reference;
    int socket = -1;
    pid_t process = -1;
    std::set<std::string> right;              // schedules whose outputs were compared
    std::map<std::string, Measured> by_code;  // the first answer of each machine code

    void start();
    void stop();
};

void Runner::State::start() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw Error(E0605_file, {}, fmt::format("no socket for the runner: {}", std::strerror(errno)), {fix("close files")});
    process = fork();
    if (process < 0) {
        close(ends[0]);
        close(ends[1]);
        throw Error(E0605_file, {}, fmt::format("no process for the runner: {}", std::strerror(errno)),
                    {fix("end other processes")});
    }
    if (process == 0) {
        close(ends[0]);
        run_requests(ends[1], algorithm, target, options, reference);
        _exit(0);
    }
    close(ends[1]);
    socket = ends[0];
    const auto ready = receive_text(socket);
    if (ready && ready->empty()) return;
    stop();
    throw Error(E0712_kernel_failed, {},
                fmt::format("the reference of {} does not run: {}", algorithm.name(), ready.value_or("its process ended")),
                {fix("check the extents and the algorithm")});
}

void Runner::State::stop() {
    if (socket >= 0) close(std::exchange(socket, -1));
    if (process > 0) {
        int status = 0;
        while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
        }
        process = -1;
    }
}

Runner::Runner(const Algorithm& algorithm, const Target& target, const MeasureOptions& options, const Schedule& reference)
    : state_(std::make_unique<State>(State{algorithm, target, options, reference, -1, -1, {}, {}})) {
    if (state_->options.lock_file.empty())
        state_->options.lock_file = (std::filesystem::temp_directory_path() / "tessera-measure.lock").string();
    require_measurable(algorithm, target);
    state_->start();
}

// Whatever a GPU's driver starts in a process is lost in its children: this one asks nothing itself.
void require_measurable(const Algorithm& algorithm, const Target& target) {
    if (target.kind == Target::Kind::interpreter)
        throw Error(E0803_target_unavailable, {}, "kernels of the interpreter are not measured", {fix("tune for host")});
    const MeasureOptions options;
    const auto device = candidate_device(algorithm, target, options);
    if (target.kind == Target::Kind::cpu) return device->require();
    const auto problem = problem_of(device->limits(), [&] { device->require(); });
    if (!problem) return;
    std::vector<Hint> hints{note(fmt::format("candidates for {} run where the tuner runs", to_text(target)))};
    for (const std::string& text : problem->fixes) hints.push_back(fix(text));
    throw Error(problem->code, {}, problem->message, std::move(hints));
}

Runner::~Runner() { state_->stop(); }

int Runner::threads() const { return state_->options.threads > 0 ? state_->options.threads : tessera_num_threads(); }

Measured Runner::measure(const Schedule& schedule, int samples) {
    State& s = *state_;
    const std::string text = to_json(schedule, JsonStyle::compact);
    RunnerRequest request{.schedule = text, .samples = samples, .check = s.right.count(text) == 0};
    if (request.check)
        for (const auto& known : s.by_code) request.known_code.push_back(known.first);
    for (int attempt = 0; attempt < 2; ++attempt) {
        // A runner that is forked under the lock would keep it.
        if (s.socket < 0) s.start();
        const MachineLock lock(s.options.lock_file);
        if (send_text(s.socket, to_text(request)))
            if (const auto answer = receive_text(s.socket)) {
                Measured out = measured_from(*answer);
                if (out.same_code) {
                    const double compile_seconds = out.compile_seconds;
                    out = s.by_code.at(out.code_hash);
                    out.compile_seconds = compile_seconds;
                    out.same_code = true;
                } else if (!out.code_hash.empty() && request.check)
                    s.by_code.emplace(out.code_hash, out);
                if (out.checked)
                    s.right.insert(text);
                else
                    out.checked = s.right.count(text) > 0;
                return out;
            }
        // The runner itself is gone: another one takes its place.
        s.stop();
    }
    Measured out;
    out.verdict = Verdict::crash;
    out.error = "the runner process ended twice";
    return out;
}

void Runner::prepare(const std::vector<Schedule>& schedules) {
    if (schedules.empty()) return;
    State& s = *state_;
    RunnerRequest request;
    for (const Schedule& schedule : schedules) request.compile.push_back(to_json(schedule, JsonStyle::compact));
    if (s.socket < 0) s.start();
    const MachineLock lock(s.options.lock_file);
    // Where the runner ends, measure() starts another one, and compiles.
    if (!send_text(s.socket, to_text(request)) || !receive_text(s.socket)) s.stop();
}

std::vector<std::vector<double>> interleaved(Measurer& measurer, const std::vector<Schedule>& schedules, int rounds) {
    std::vector<std::vector<double>> times(schedules.size());
    std::vector<bool> failed(schedules.size(), false);
    for (int r = 0; r < rounds; ++r)
        for (size_t k = 0; k < schedules.size(); ++k) {
            // Every schedule stands at every place of a round.
            const size_t i = (k + static_cast<size_t>(r)) % schedules.size();
            if (failed[i]) continue;
            const Measured m = measurer.measure(schedules[i], 3);
            failed[i] = m.verdict != Verdict::ok || m.samples.empty();
            if (failed[i])
                times[i].clear();
            else
                times[i].push_back(*std::min_element(m.samples.begin(), m.samples.end()));
        }
    return times;
}

}  // namespace tessera::tune
