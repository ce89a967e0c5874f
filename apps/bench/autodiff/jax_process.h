// JAX on the CPU in a process of its own, driven over pipes so that its runs alternate with ours; it times itself, and arrays go
// through files. See jax_kernels.py for what is said on the pipes.
#pragma once

#include <string>
#include <vector>

#include "gradient_cases.h"

namespace bench {

class JaxProcess {
public:
    struct Options {
        std::string script;    // jax_kernels.py
        std::string packages;  // the folder that has jax
        int processors = 1;    // it sees only so many, which decides the threads of XLA
    };
    /// Starts it. When that does not work `problem` says why, and nothing else may be called.
    explicit JaxProcess(const Options& options);
    ~JaxProcess();
    JaxProcess(const JaxProcess&) = delete;
    JaxProcess& operator=(const JaxProcess&) = delete;

    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] const std::string& version() const { return version_; }

    /// Compiles the case and runs it once; the results, the value first, as raw numbers in the dtype of our outputs.
    [[nodiscard]] std::vector<std::vector<char>> load(const GradientCase& c);
    /// Seconds that `calls` calls took.
    [[nodiscard]] double seconds_of_gradient(int calls);
    [[nodiscard]] double seconds_of_value(int calls);

private:
    std::string ask(const std::string& line);
    std::string read_line();

    std::string problem_, version_, folder_;
    int to_ = -1, from_ = -1, child_ = -1;
    std::string unread_;
};

}  // namespace bench
