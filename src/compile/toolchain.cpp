#include "compile/toolchain.h"

#include "backend/cuda/kernel_report.h"

#include <tessera/error.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

extern char** environ;

namespace tessera {
namespace {

const std::string cc_fix = "install a C compiler (on Debian: build-essential), or set CC to one that works";

struct ToolResult {
    int error = 0;  // errno of the start
    int status = 0;
    std::string output;
};

ToolResult run_tool(const std::vector<std::string>& words) {
    ToolResult result;
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {.error = errno};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 2);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t child = 0;
    result.error = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    if (result.error == 0) {
        std::array<char, 4096> chunk{};
        for (ssize_t n = 0; (n = ::read(pipe[0], chunk.data(), chunk.size())) > 0 || (n < 0 && errno == EINTR);)
            if (n > 0 && result.output.size() < 100000) result.output.append(chunk.data(), static_cast<size_t>(n));
        while (::waitpid(child, &result.status, 0) < 0 && errno == EINTR) {
        }
    }
    ::close(pipe[0]);
    return result;
}

// What the tool says.
std::string require_success(const std::vector<std::string>& words, std::string_view purpose, const std::string& repair_text) {
    const ToolResult result = run_tool(words);
    const Hint repair = fix(repair_text);
    if (result.error != 0 || (WIFEXITED(result.status) && WEXITSTATUS(result.status) == 127))
        throw Error(E0804_toolchain, {},
                    fmt::format("{} needs {}, which cannot be started: {}", purpose, words[0],
                                std::strerror(result.error == 0 ? ENOENT : result.error)),
                    {repair});
    if (result.status == 0) return result.output;
    if (result.output.find("No space left on device") != std::string::npos)
        throw Error(E0605_file, {}, fmt::format("{} found the disk full", words[0]),
                    {fix("make room, or write to another disk")});
    throw Error(
        E0804_toolchain, {},
        fmt::format("{} failed: {} returned {}", purpose, words[0], WIFEXITED(result.status) ? WEXITSTATUS(result.status) : -1),
        {note(fmt::format("{}", fmt::join(words, " "))), note(result.output.substr(0, 2000)), repair});
}

std::vector<std::string> words_of(const char* variable, std::string_view otherwise) {
    const char* value = std::getenv(variable);
    std::istringstream text(value != nullptr && *value != '\0' ? value : std::string(otherwise));
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    if (words.empty()) words.emplace_back(otherwise);
    return words;
}

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

}  // namespace

bool is_foreign(const Target& target) {
#if defined(__aarch64__)
    return !target.native && target.arch != "arm";
#else
    return !target.native && target.arch != "x86";
#endif
}

std::vector<std::string> c_compiler(const Target& target) {
    if (!is_foreign(target)) return words_of("CC", "cc");
    return {"clang", target.arch == "arm" ? "--target=aarch64-linux-gnu" : "--target=x86_64-linux-gnu"};
}

std::string compiler_version(const std::vector<std::string>& compiler) {
    const ToolResult result = run_tool(with(compiler, {"--version"}));
    if (result.error != 0 || result.status != 0) return "";
    return result.output.substr(0, result.output.find('\n'));
}

void compile_c(const Target& target, const std::filesystem::path& source, const std::filesystem::path& include,
               const std::filesystem::path& object) {
    require_success(with(c_compiler(target), {"-std=c99", "-O2", "-fPIC", "-ffreestanding", "-fno-ident", "-I", include.string(),
                                              "-c", source.string(), "-o", object.string()}),
                    "compiling the entry of a kernel", is_foreign(target) ? "install clang" : cc_fix);
}

std::string compile_cuda(const Target& target, const std::filesystem::path& source, const std::filesystem::path& cubin) {
    const std::string found = cuda::find_cuda_tool("nvcc");
    const std::vector<std::string> words = words_of("NVCC", found.empty() ? "nvcc" : found);
    const std::string model = target.arch.substr(3);
    return require_success(
        with(words, {"-std=c++17", "-O3", "-fmad=false", "-gencode", fmt::format("arch=compute_{0},code=sm_{0}", model),
                     "-Xptxas", "-v", "-cubin", "-o", cubin.string(), source.string()}),
        "compiling kernels for a GPU", "install the CUDA toolkit, or set NVCC to its compiler");
}

void make_archive(const std::vector<std::filesystem::path>& objects, const std::filesystem::path& archive) {
    std::vector<std::string> words = with(words_of("AR", "ar"), {"rcsD", archive.string()});
    for (const auto& object : objects) words.push_back(object.string());
    require_success(words, "archiving a library", "install binutils, or set AR to an archiver that works");
}

void link_shared(const Target& target, const std::vector<std::filesystem::path>& objects, const std::filesystem::path& library) {
    std::vector<std::string> words = with(c_compiler(target), {"-shared", "-o", library.string()});
    for (const auto& object : objects) words.push_back(object.string());
    words.emplace_back("-lm");
    require_success(words, "linking a shared object", cc_fix);
}

}  // namespace tessera
