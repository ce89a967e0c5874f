#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// A fresh folder inside `parent` in which files are written before all of them move to their place; gone with the object.
class StagingFolder {
public:
    /// Makes `parent` when it is not there. Throws E0605 when the folder cannot be made.
    explicit StagingFolder(const std::filesystem::path& parent);
    StagingFolder(const StagingFolder&) = delete;
    StagingFolder& operator=(const StagingFolder&) = delete;
    ~StagingFolder();

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::filesystem::path file(std::string_view name) const { return path_ / name; }
    /// Throws E0605, as when the disk is full.
    void write(std::string_view name, std::string_view content) const;
    /// Throws E0605 unless `bytes` more fit on the disk. Writers that stop the process on a full disk run after this.
    void require_space(std::size_t bytes) const;
    /// Moves the files named into `parent`, over those of the same names: all of them, or none and E0605.
    void publish(const std::vector<std::string>& names) const;

private:
    std::filesystem::path parent_;
    std::filesystem::path path_;
};

/// Throws E0605.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path);

}  // namespace tessera
