#include "jax_process.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bench {
namespace {

const char* numpy_name(tessera_dtype dtype) {
    switch (dtype) {
        case TESSERA_F32: return "float32";
        case TESSERA_F64: return "float64";
        case TESSERA_I32: return "int32";
        default: throw std::invalid_argument("the rival takes f32, f64 and i32");
    }
}

std::size_t bytes_of(const tessera::AnyBuffer& b) {
    return static_cast<std::size_t>(b.size()) * (b.dtype() == TESSERA_F64 ? 8 : 4);
}

nlohmann::json written(const std::string& folder, const std::string& name, const tessera::AnyBuffer& b) {
    std::ofstream file(std::filesystem::path(folder) / name, std::ios::binary);
    file.write(static_cast<const char*>(b.data()), static_cast<std::streamsize>(bytes_of(b)));
    if (!file) throw std::runtime_error(fmt::format("cannot write {} in {}", name, folder));
    return {{"file", name}, {"dtype", numpy_name(b.dtype())}, {"shape", b.extents()}};
}

// The first `count` processors that this process may use, and no other.
void restrict_processors(int count) {
    cpu_set_t allowed, kept;
    CPU_ZERO(&kept);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
    for (int i = 0; i < CPU_SETSIZE && count > 0; ++i)
        if (CPU_ISSET(i, &allowed)) {
            CPU_SET(i, &kept);
            --count;
        }
    sched_setaffinity(0, sizeof(kept), &kept);
}

}  // namespace

JaxProcess::JaxProcess(const Options& options) {
    if (!std::filesystem::exists(std::filesystem::path(options.packages) / "jax")) {
        problem_ = "JAX is not there: scripts/install --bench fetches it";
        return;
    }
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) throw std::runtime_error("no pipes");
    child_ = fork();
    if (child_ == 0) {
        restrict_processors(options.processors);
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (const int f : {in[0], in[1], out[0], out[1]}) close(f);
        setenv("PYTHONPATH", options.packages.c_str(), 1);
        setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
        setenv("JAX_PLATFORMS", "cpu", 1);
        execlp("python3", "python3", options.script.c_str(), static_cast<char*>(nullptr));
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
    std::string folder = (std::filesystem::temp_directory_path() / "tessera-jax-XXXXXX").string();
    if (!mkdtemp(folder.data())) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    version_ = read_line();
    if (version_.rfind("ready ", 0) != 0)
        problem_ = "JAX does not start with python3";
    else
        version_ = "JAX " + version_.substr(6);
}

JaxProcess::~JaxProcess() {
    if (to_ >= 0) close(to_);
    if (from_ >= 0) close(from_);
    if (child_ > 0) waitpid(child_, nullptr, 0);
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string JaxProcess::read_line() {
    char piece[256];
    std::size_t end;
    while ((end = unread_.find('\n')) == std::string::npos) {
        const ssize_t got = read(from_, piece, sizeof(piece));
        if (got <= 0) return "";
        unread_.append(piece, static_cast<std::size_t>(got));
    }
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    return line;
}

std::string JaxProcess::ask(const std::string& line) {
    const std::string text = line + "\n";
    if (write(to_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw std::runtime_error("the process of JAX is gone");
    std::string answer = read_line();
    if (answer.empty()) throw std::runtime_error(fmt::format("JAX does not answer '{}'", line));
    return answer;
}

std::vector<std::vector<char>> JaxProcess::load(const GradientCase& c) {
    nlohmann::json spec{{"kernel", c.jax}, {"by", c.by}, {"arrays", nlohmann::json::array()}};
    for (const std::string& name : c.arguments) spec["arrays"].push_back(written(folder_, name, c.arrays.at(name)));
    if (!c.cotangent.empty()) spec["cotangent"] = written(folder_, c.cotangent, c.arrays.at(c.cotangent));
    std::ofstream(std::filesystem::path(folder_) / "case.json") << spec;
    const std::string answer = ask("load " + folder_);
    if (answer.rfind("ok ", 0) != 0) throw std::runtime_error(fmt::format("JAX says '{}'", answer));
    std::vector<std::vector<char>> results;
    for (int i = 0; i < std::stoi(answer.substr(3)); ++i) {
        std::ifstream file(std::filesystem::path(folder_) / fmt::format("jax.{}", i), std::ios::binary);
        results.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return results;
}

double JaxProcess::seconds_of_gradient(int calls) { return std::stod(ask(fmt::format("gradient {}", calls))); }
double JaxProcess::seconds_of_value(int calls) { return std::stod(ask(fmt::format("value {}", calls))); }

}  // namespace bench
