#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

/// 64-bit FNV-1a stream, the same on every machine; `mix` folds a finished word in (splitmix64 finaliser).
class Hasher {
public:
    Hasher& text(std::string_view bytes);
    Hasher& word(std::uint64_t value);
    [[nodiscard]] std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0xcbf29ce484222325ull;
};

/// SHA-256 of the bytes as 64 lower-case hex digits (FIPS 180-4): content hashes that files and databases keep.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace tessera
