#include "compile/kernel_cache.h"

#include "base/hash.h"
#include "compile/staging_folder.h"

#include <tessera/compile.h>
#include <tessera/tessera_kernel.h>

#include <fmt/format.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t sum_bytes = 64;

// Nobody else may have put code there.
bool is_ours(const fs::path& path) {
    struct stat s {};
    return ::stat(path.c_str(), &s) == 0 && s.st_uid == ::geteuid() && (s.st_mode & S_IWOTH) == 0;
}

bool is_whole(const std::string& bytes) {
    return bytes.size() > sum_bytes &&
           sha256(std::string_view(bytes).substr(0, bytes.size() - sum_bytes)) == bytes.substr(bytes.size() - sum_bytes);
}

// Path, size and time of the library that this function is in.
std::string library_identity() {
    Dl_info place{};
    struct stat s {};
    if (::dladdr(reinterpret_cast<void*>(&library_identity), &place) == 0 || ::stat(place.dli_fname, &s) != 0) return "unknown";
    return fmt::format("{} {} {}.{}", place.dli_fname, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

}  // namespace

std::string machine_code_hash(std::string_view object) {
    const auto read = [&](auto& to, std::size_t at) {
        if (at > object.size() || sizeof to > object.size() - at) return false;
        std::memcpy(&to, object.data() + at, sizeof to);
        return true;
    };
    Elf64_Ehdr head{};
    if (!read(head, 0) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64) return "";
    std::string code;
    for (std::size_t s = 0; s < head.e_shnum; ++s) {
        Elf64_Shdr section{};
        if (!read(section, head.e_shoff + s * sizeof section)) return "";
        const bool allocated = (section.sh_flags & SHF_ALLOC) != 0 && section.sh_type == SHT_PROGBITS;
        const bool constant = (section.sh_flags & SHF_WRITE) == 0;
        if (!allocated || !constant) continue;
        if (section.sh_offset > object.size() || section.sh_size > object.size() - section.sh_offset) return "";
        const std::string_view bytes = object.substr(section.sh_offset, section.sh_size);
        code += fmt::format("{} {}\n", section.sh_flags, bytes.size());
        code += bytes;
    }
    return code.empty() ? "" : sha256(code);
}

std::string kernel_cache_folder() {
    const auto variable = [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value == nullptr ? "" : value;
    };
    if (const std::string chosen = variable("TESSERA_CACHE_DIR"); !chosen.empty()) return chosen;
    if (const std::string cache = variable("XDG_CACHE_HOME"); cache.starts_with('/')) return cache + "/tessera";
    if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/tessera";
    return "";
}

std::string cache_key(const Algorithm& algorithm, const Schedule& schedule, const std::string& expanded_target) {
    // The text, with names, and not the hash without: schedules refer to stages by name.
    return sha256(fmt::format("{}\n{}\n{}\n{}\n{}\n{}", algorithm.text(), content_hash(schedule), expanded_target,
                              int{TESSERA_KERNEL_ABI}, TESSERA_VERSION, library_identity()));
}

std::optional<std::string> KernelCache::whole_file(const fs::path& path) const {
    std::error_code error;
    if (folder_.empty() || !fs::is_regular_file(path, error) || !is_ours(folder_) || !is_ours(path)) return {};
    try {
        std::string bytes = read_text_file(path);
        if (is_whole(bytes)) return bytes;
    } catch (const Error&) {
        // As if it were not there.
    }
    return {};
}

std::optional<CachedKernel> KernelCache::load(const std::string& key) const {
    const fs::path path = folder_ / (key + ".so");
    const auto bytes = whole_file(path);
    if (!bytes) return {};
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return {};
    CachedKernel kernel;
    kernel.owner = std::shared_ptr<const void>(handle, [](const void* h) { ::dlclose(const_cast<void*>(h)); });
    kernel.argv = reinterpret_cast<int (*)(void**)>(::dlsym(handle, fmt::format("{}_argv", cached_function).c_str()));
    if (kernel.argv == nullptr) return {};
    kernel.code_hash = machine_code_hash(*bytes);
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    return kernel;
}

std::optional<CachedKernel> KernelCache::store(const std::string& key,
                                               const std::function<void(const fs::path&)>& make_object) const {
    if (folder_.empty()) return {};
    try {
        const StagingFolder staging(folder_);
        staging.require_space(std::size_t{1} << 20);
        const fs::path made = staging.file("made.so");
        make_object(made);
        const std::string bytes = read_text_file(made);
        staging.write(key + ".so", bytes + sha256(bytes));
        staging.publish({key + ".so"});
    } catch (const Error& e) {
        if (e.code() == E0605_file || e.code() == E0804_toolchain) return {};
        throw;
    }
    drop_oldest();
    return load(key);
}

std::optional<std::string> KernelCache::load_bytes(const std::string& key) const {
    const fs::path path = folder_ / (key + ".cubin");
    auto bytes = whole_file(path);
    if (!bytes) return {};
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    bytes->resize(bytes->size() - sum_bytes);
    return bytes;
}

void KernelCache::store_bytes(const std::string& key, const std::string& bytes) const {
    if (folder_.empty()) return;
    try {
        const StagingFolder staging(folder_);
        staging.require_space(bytes.size() + sum_bytes);
        staging.write(key + ".cubin", bytes + sha256(bytes));
        staging.publish({key + ".cubin"});
    } catch (const Error& e) {
        if (e.code() != E0605_file) throw;
    }
    drop_oldest();
}

void KernelCache::drop_oldest() const {
    struct Entry {
        fs::file_time_type used;
        std::uint64_t bytes;
        fs::path path;
    };
    std::vector<Entry> entries;
    std::uint64_t total = 0;
    std::error_code error;
    for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
        std::error_code gone;
        if (it->path().extension() != ".so" && it->path().extension() != ".cubin") continue;
        const Entry entry{fs::last_write_time(it->path(), gone), fs::file_size(it->path(), gone), it->path()};
        if (gone) continue;
        total += entry.bytes;
        entries.push_back(entry);
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
    // The kernel used last stays, however large it is.
    for (size_t e = 0; e + 1 < entries.size() && total > max_bytes_; ++e) {
        fs::remove(entries[e].path, error);
        total -= entries[e].bytes;
    }
}

}  // namespace tessera
