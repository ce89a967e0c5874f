#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

/// Machine code of a kernel from a shared object that stays mapped while `owner` lives.
struct CachedKernel {
    std::shared_ptr<const void> owner;
    int (*argv)(void** params) = nullptr;
    std::string code_hash;  // machine_code_hash()
};

/// Machine code of compiled kernels in one folder, <key>.so or <key>.cubin, each followed by the SHA-256 of its bytes. Any number
/// of processes may use the folder: files are written aside and renamed, read without locks, and rebuilt when the sum does not
/// fit.
class KernelCache {
public:
    explicit KernelCache(std::filesystem::path folder, std::uint64_t max_bytes = std::uint64_t{256} << 20)
        : folder_(std::move(folder)), max_bytes_(max_bytes) {}

    /// The kernel under `key`, or nothing.
    [[nodiscard]] std::optional<CachedKernel> load(const std::string& key) const;
    /// Stores what `make_object` writes to the path of a shared object that it is given, and loads it; then drops the kernels
    /// used longest ago until the folder has at most the size given. Nothing when the folder cannot be used.
    [[nodiscard]] std::optional<CachedKernel> store(const std::string& key,
                                                    const std::function<void(const std::filesystem::path&)>& make_object) const;

    /// Machine code that is no shared object: the bytes under `key`, in <key>.cubin, or nothing.
    [[nodiscard]] std::optional<std::string> load_bytes(const std::string& key) const;
    /// Keeps them, where the folder can be used.
    void store_bytes(const std::string& key, const std::string& bytes) const;

private:
    [[nodiscard]] std::optional<std::string> whole_file(const std::filesystem::path& path) const;
    void drop_oldest() const;

    std::filesystem::path folder_;
    std::uint64_t max_bytes_;
};

/// Hash of the instructions and constants of an ELF object, whatever its symbols are called; "" for what is none.
[[nodiscard]] std::string machine_code_hash(std::string_view object);

/// The function that shared objects in the cache have.
inline constexpr const char* cached_function = "tessera_cached";

/// Depends on all that the code depends on: definitions, the schedule (in canonical form, without variants), every feature of the
/// target, and the very libtessera that compiles.
[[nodiscard]] std::string cache_key(const Algorithm& algorithm, const Schedule& schedule, const std::string& expanded_target);

}  // namespace tessera
