#include "tune/isolated_process.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace tessera::tune {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = sizeof(std::uint64_t);

void limit(int resource, rlim_t value) {
    rlimit current{};
    if (getrlimit(static_cast<__rlimit_resource_t>(resource), &current) != 0) return;
    current.rlim_cur = std::min(value, current.rlim_max);
    setrlimit(static_cast<__rlimit_resource_t>(resource), &current);
}

// The other end may be gone: that is an answer, no signal.
bool write_all(int socket, const char* from, std::size_t count) {
    while (count > 0) {
        const ssize_t sent = send(socket, from, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        from += sent;
        count -= static_cast<std::size_t>(sent);
    }
    return true;
}
bool read_all(int socket, char* to, std::size_t count) {
    while (count > 0) {
        const ssize_t got = read(socket, to, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        count -= static_cast<std::size_t>(got);
    }
    return true;
}

[[noreturn]] void live_isolated(int socket, const MeasureOptions& options, const IsolatedWork& work) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    limit(RLIMIT_CORE, 0);
    if (options.memory_bytes > 0) limit(RLIMIT_AS, static_cast<rlim_t>(options.memory_bytes));
    // What a compiler says about a candidate is no line of ours.
    if (const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); nowhere >= 0) {
        dup2(nowhere, 1);
        dup2(nowhere, 2);
    }
    const auto start = std::chrono::steady_clock::now();
    work.first();
    const double used = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!write_all(socket, reinterpret_cast<const char*>(&used), sizeof used)) _exit(1);
    const auto request = receive_text(socket);
    _exit(request && send_text(socket, to_text(work.second(*request))) ? 0 : 1);
}

}  // namespace

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

IsolatedProcess::IsolatedProcess(const MeasureOptions& options, const IsolatedWork& work) : options_(options) {
    const auto failed = [&](Verdict verdict, const char* what) {
        failed_.emplace();
        failed_->verdict = verdict;
        failed_->error = fmt::format("no {}: {}", what, std::strerror(errno));
        ended_ = true;
    };
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        failed(Verdict::crash, "socket");
        return;
    }
    process_ = fork();
    if (process_ < 0) {
        failed(Verdict::out_of_memory, "process");
        close(ends[0]);
        close(ends[1]);
        return;
    }
    if (process_ == 0) {
        close(ends[0]);
        live_isolated(ends[1], options, work);
    }
    setpgid(process_, process_);
    close(ends[1]);
    socket_ = ends[0];
}

IsolatedProcess::~IsolatedProcess() { end(); }

double IsolatedProcess::seconds_left() const {
    return options_.timeout_seconds - used_ - std::chrono::duration<double>(Clock::now() - start_).count();
}

// Kills it, with what it has started, and says how it ended where it gave no answer.
void IsolatedProcess::end() {
    ended_ = true;
    if (process_ <= 0) return;
    kill(-process_, SIGKILL);
    kill(process_, SIGKILL);
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    close(socket_);
    if (failed_) return;
    failed_.emplace();
    failed_->verdict = Verdict::crash;
    failed_->error = WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                                         : "ended without an answer";
}

void IsolatedProcess::read_some() {
    char part[65536];
    const ssize_t got = read(socket_, part, sizeof part);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) return end();
    received_.append(part, static_cast<std::size_t>(got));
    if (ready_ || received_.size() < sizeof used_) return;
    std::memcpy(&used_, received_.data(), sizeof used_);  // what stands behind the first step
    received_.erase(0, sizeof used_);
    ready_ = true;
}

void IsolatedProcess::wait_for_some(const std::vector<IsolatedProcess*>& busy) {
    double left = 1e3;
    std::vector<pollfd> waiting;
    for (const IsolatedProcess* p : busy) {
        left = std::min(left, std::max(p->seconds_left(), 0.0));
        waiting.push_back({p->socket_, POLLIN, 0});
    }
    const int arrived = poll(waiting.data(), waiting.size(), static_cast<int>(left * 1000 + 1));
    if (arrived < 0 && errno == EINTR) return;
    for (std::size_t i = 0; i < busy.size(); ++i) {
        if (arrived < 0 || waiting[i].revents != 0) {
            busy[i]->read_some();
        } else if (busy[i]->seconds_left() <= 0) {
            busy[i]->failed_.emplace();
            busy[i]->failed_->verdict = Verdict::timeout;
            busy[i]->failed_->error = fmt::format("not done after {} s", busy[i]->options_.timeout_seconds);
            busy[i]->end();
        }
    }
}

Measured IsolatedProcess::finish(const std::string& request) {
    while (is_busy()) wait_for_some({this});
    if (!ended_) {
        start_ = Clock::now();
        if (!send_text(socket_, request)) end();
    }
    while (!ended_) wait_for_some({this});
    if (received_.size() > length_bytes && failed_->verdict != Verdict::timeout) {
        try {
            return measured_from(received_.substr(length_bytes));
        } catch (const std::exception&) {
            // A torn answer: the process ended in the middle of it.
        }
    }
    return *failed_;
}

Measured measure_isolated(const MeasureOptions& options, const std::function<Measured()>& body) {
    return IsolatedProcess(options, {[] {}, [&](const std::string&) { return body(); }}).finish("");
}

}  // namespace tessera::tune
