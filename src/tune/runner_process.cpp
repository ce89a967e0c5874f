#include "tune/runner_process.h"

#include "tune/candidate_device.h"
#include "tune/kernel_arguments.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <new>

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

Measured try_candidate(Bench& bench, const RunnerRequest& request) {
    Measured out;
    try {
        const auto start = Clock::now();
        const auto candidate = bench.device.compile(parse_schedule(request.schedule), bench.arguments);
        out.compile_seconds = seconds_since(start);
        out.code_hash = candidate->code_hash();
        out.same_code = std::count(request.known_code.begin(), request.known_code.end(), out.code_hash) > 0;
        if (out.same_code) return out;
        if (request.check) {
            const std::string wrong =
                output_problem(bench.arguments, bench.reference.buffers(), bench.reduced, [&] { candidate->run(); });
            if (!wrong.empty()) {
                out.verdict = Verdict::wrong;
                out.error = wrong;
                return out;
            }
            out.checked = true;
        }
        out.samples = candidate->take_samples(request.samples);
    } catch (const Exception& e) {
        out.error = fmt::format("{}: {}", code_text(e.code()), e.message());
        if (e.code() == E0711_out_of_memory)
            out.verdict = Verdict::out_of_memory;
        else if (e.code() == E0712_kernel_failed)
            out.verdict = bench.device.failed_kernel();
        else if (e.code() == E0804_toolchain)  // also of a variant that is compiled when it is called
            out.verdict = Verdict::compile_error;
        else
            out.verdict = out.compile_seconds == 0 ? Verdict::compile_error : Verdict::crash;
        out.samples.clear();
    } catch (const std::bad_alloc&) {
        out.verdict = Verdict::out_of_memory;
        out.error = "no memory within the limit";
    } catch (const std::exception& e) {
        out.verdict = Verdict::compile_error;
        out.error = e.what();
    }
    return out;
}

void limit(int resource, rlim_t value) {
    rlimit current{};
    if (getrlimit(static_cast<__rlimit_resource_t>(resource), &current) != 0) return;
    current.rlim_cur = std::min(value, current.rlim_max);
    setrlimit(static_cast<__rlimit_resource_t>(resource), &current);
}

bool write_all(int file, const char* from, std::size_t count) {
    while (count > 0) {
        const ssize_t sent = write(file, from, count);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        from += sent;
        count -= static_cast<std::size_t>(sent);
    }
    return true;
}
bool read_all(int file, char* to, std::size_t count) {
    while (count > 0) {
        const ssize_t got = read(file, to, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        count -= static_cast<std::size_t>(got);
    }
    return true;
}

}  // namespace

Measured measure_isolated(const MeasureOptions& options, const std::function<Measured()>& body) {
    Measured out;
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        out.verdict = Verdict::crash;
        out.error = fmt::format("no pipe: {}", std::strerror(errno));
        return out;
    }
    const pid_t child = fork();
    if (child < 0) {
        close(pipes[0]);
        close(pipes[1]);
        out.verdict = Verdict::out_of_memory;
        out.error = fmt::format("no process: {}", std::strerror(errno));
        return out;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        limit(RLIMIT_CORE, 0);
        if (options.memory_bytes > 0) limit(RLIMIT_AS, static_cast<rlim_t>(options.memory_bytes));
        // What a compiler says about a candidate is no line of ours.
        if (const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); nowhere >= 0) {
            dup2(nowhere, 1);
            dup2(nowhere, 2);
        }
        const std::string text = to_text(body());
        _exit(send_text(pipes[1], text) ? 0 : 1);
    }
    setpgid(child, child);
    close(pipes[1]);
    const auto deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout_seconds));
    std::string received;
    bool late = false;
    while (true) {
        const double left = std::chrono::duration<double>(deadline - Clock::now()).count();
        if (left <= 0) {
            late = true;
            break;
        }
        pollfd waiting{pipes[0], POLLIN, 0};
        const int ready = poll(&waiting, 1, static_cast<int>(std::min(left * 1000 + 1, 1e6)));
        if (ready < 0 && errno != EINTR) break;
        if (ready <= 0) continue;
        char part[65536];
        const ssize_t got = read(pipes[0], part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        received.append(part, static_cast<std::size_t>(got));
    }
    close(pipes[0]);
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (late) {
        out.verdict = Verdict::timeout;
        out.error = fmt::format("not done after {} s", options.timeout_seconds);
        return out;
    }
    if (received.size() > sizeof(std::uint64_t)) {
        try {
            return measured_from(received.substr(sizeof(std::uint64_t)));
        } catch (const std::exception&) {
            // A torn answer: the child ended in the middle of it.
        }
    }
    out.verdict = Verdict::crash;
    out.error = WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                                    : "ended without an answer";
    return out;
}

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

bool send_text(int socket, const std::string& text) {
    const std::uint64_t length = text.size();
    std::string whole(reinterpret_cast<const char*>(&length), sizeof length);
    whole += text;
    return write_all(socket, whole.data(), whole.size());
}

std::optional<std::string> receive_text(int socket) {
    std::uint64_t length = 0;
    if (!read_all(socket, reinterpret_cast<char*>(&length), sizeof length) || length > (std::uint64_t{64} << 20))
        return std::nullopt;
    std::string text(length, '\0');
    if (!read_all(socket, text.data(), length)) return std::nullopt;
    return text;
}

std::string to_text(const RunnerRequest& r) {
    return json{{"schedule", r.schedule}, {"samples", r.samples}, {"check", r.check}, {"known_code", r.known_code}}.dump();
}
RunnerRequest request_from(const std::string& text) {
    const json value = json::parse(text);
    return {value.at("schedule"), value.at("samples"), value.at("check"), value.at("known_code")};
}

std::string to_text(const Measured& m) {
    return json{{"status", static_cast<int>(m.verdict)},
                {"checked", m.checked},
                {"error", m.error},
                {"compile_seconds", m.compile_seconds},
                {"code_hash", m.code_hash},
                {"same_code", m.same_code},
                {"samples", m.samples}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}
Measured measured_from(const std::string& text) {
    const json value = json::parse(text);
    Measured out;
    out.verdict = static_cast<Verdict>(value.at("status").get<int>());
    out.checked = value.at("checked");
    out.error = value.at("error");
    out.compile_seconds = value.at("compile_seconds");
    out.samples = value.at("samples").get<std::vector<double>>();
    out.code_hash = value.at("code_hash");
    out.same_code = value.at("same_code");
    return out;
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
        while (const auto text = receive_text(socket)) {
            const RunnerRequest request = request_from(*text);
            Measured out = measure_isolated(limits, [&] { return try_candidate(*bench, request); });
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
