#pragma once

#include <tessera/tune_measure.h>

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera::tune {

/// Texts that travel over a socket with their length in front. False at the end of the stream.
[[nodiscard]] bool send_text(int socket, const std::string& text);
[[nodiscard]] std::optional<std::string> receive_text(int socket);

[[nodiscard]] std::string to_text(const Measured& measured);
[[nodiscard]] Measured measured_from(const std::string& text);

/// What a forked process does: the first step at once, the second one with the text that it is given.
struct IsolatedWork {
    std::function<void()> first;
    std::function<Measured(const std::string& request)> second;
};

/// A process of its own, within the limits on time (waiting for the request is free) and memory; one that ends without an answer
/// has crashed. It ends with this object.
class IsolatedProcess {
public:
    IsolatedProcess(const MeasureOptions& options, const IsolatedWork& work);
    ~IsolatedProcess();
    IsolatedProcess(const IsolatedProcess&) = delete;
    IsolatedProcess& operator=(const IsolatedProcess&) = delete;

    /// Whether the first step is under way.
    [[nodiscard]] bool is_busy() const { return !ready_ && !ended_; }
    /// Takes what has arrived, waiting for one of the processes at most until the time of one is over.
    static void wait_for_some(const std::vector<IsolatedProcess*>& busy);
    /// What the second step answers, after the first.
    [[nodiscard]] Measured finish(const std::string& request);

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] double seconds_left() const;
    void read_some();
    void end();

    MeasureOptions options_;
    int socket_ = -1;
    pid_t process_ = -1;
    Clock::time_point start_ = Clock::now();
    double used_ = 0;  // seconds, by the first step
    std::string received_;
    bool ready_ = false, ended_ = false;
    std::optional<Measured> failed_;  // not an answer of its own
};

/// Runs `body` in a process of its own.
[[nodiscard]] Measured measure_isolated(const MeasureOptions& options, const std::function<Measured()>& body);

}  // namespace tessera::tune
