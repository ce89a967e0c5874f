#include "compile/staging_folder.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace tessera {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, std::string_view what, int error) {
    throw Error(E0605_file, {}, fmt::format("{} cannot be {}: {}", path.string(), what, std::strerror(error)),
                {fix(error == ENOSPC || error == EFBIG || error == EDQUOT ? "make room, or write to another disk"
                                                                          : "choose a folder that can be written")});
}

}  // namespace

StagingFolder::StagingFolder(const fs::path& parent) : parent_(parent.empty() ? fs::path(".") : parent) {
    std::error_code error;
    fs::create_directories(parent_, error);
    if (error) refuse(parent_, "made", error.value());
    std::string name = (parent_ / ".tessera-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) refuse(parent_, "written to", errno);
    path_ = name;
}

StagingFolder::~StagingFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

void StagingFolder::write(std::string_view name, std::string_view content) const {
    const fs::path path = file(name);
    const int out = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0) refuse(path, "written", errno);
    size_t done = 0;
    int failure = 0;
    while (done < content.size() && failure == 0) {
        const ssize_t n = ::write(out, content.data() + done, content.size() - done);
        if (n >= 0)
            done += static_cast<size_t>(n);
        else if (errno != EINTR)
            failure = errno;
    }
    if (::close(out) != 0 && failure == 0) failure = errno;
    if (failure != 0) refuse(path, "written", failure);
}

void StagingFolder::require_space(std::size_t bytes) const {
    const fs::path probe = file("space");
    const int out = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0) refuse(probe, "written", errno);
    const int failure = ::posix_fallocate(out, 0, static_cast<off_t>(bytes));
    ::close(out);
    ::unlink(probe.c_str());
    // File systems that cannot reserve say EOPNOTSUPP or EINVAL; writing will tell.
    if (failure == ENOSPC || failure == EFBIG || failure == EDQUOT)
        refuse(parent_, fmt::format("written to ({} bytes are needed)", bytes), failure);
}

void StagingFolder::publish(const std::vector<std::string>& names) const {
    std::vector<std::string> placed;
    const auto saved = [&](const std::string& name) { return file("replaced-" + name); };
    const auto undo = [&] {
        for (const std::string& name : placed) {
            std::error_code ignored;
            if (fs::exists(saved(name), ignored))
                fs::rename(saved(name), parent_ / name, ignored);
            else
                fs::remove(parent_ / name, ignored);
        }
    };
    for (const std::string& name : names) {
        std::error_code ignored;
        // A second link keeps what stood there without a moment in which nothing does.
        if (fs::is_regular_file(parent_ / name, ignored)) fs::create_hard_link(parent_ / name, saved(name), ignored);
        if (::rename(file(name).c_str(), (parent_ / name).c_str()) != 0) {
            const int failure = errno;
            undo();
            refuse(parent_ / name, "written", failure);
        }
        placed.push_back(name);
    }
}

std::string read_text_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (in) text << in.rdbuf();
    if (!in) refuse(path, "read", errno == 0 ? EIO : errno);
    return text.str();
}

}  // namespace tessera
