#include <tessera/tessera_runtime.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>

// Scratch memory of kernels. A freed block of 64 KB or more is kept for the next request of its size class: the system would hand
// large blocks back to the kernel and fault every page in again. Such blocks start at different lines of their pages: arrays that
// a loop walks through together, as the components of a tuple, would otherwise meet in one set of the cache, of 8 lines or so.
namespace tessera::runtime {
namespace {

constexpr size_t block_alignment = 64;
constexpr size_t least_cached_bytes = size_t{64} << 10;
constexpr size_t cache_limit_bytes = size_t{256} << 20;
constexpr size_t page_lines = 64;  // of 64 bytes, in 4096

/// Stands in the 64 bytes before every block.
struct BlockHeader {
    size_t class_bytes;   // 0: not from a size class
    size_t offset_bytes;  // from what was allocated to here
};

void release(BlockHeader* block) { std::free(reinterpret_cast<char*>(block) - block->offset_bytes); }

// The next of the lines in a page at which a block may start, all of them before one is taken again.
size_t next_line() {
    constexpr size_t step = 5;  // apart from the neighbours, whose next lines a loop reads soon
    static std::atomic<size_t> taken{0};
    return taken.fetch_add(step, std::memory_order_relaxed) % page_lines;
}

/// The block's size with the two bits after the leading one kept: at most a quarter is unused.
size_t class_bytes_of(size_t bytes) {
    const int shift = std::bit_width(bytes) - 3;
    const size_t step = size_t{1} << shift;
    return (bytes + step - 1) & ~(step - 1);
}

class MemoryCache {
public:
    BlockHeader* take(size_t class_bytes) {
        const std::lock_guard lock(mutex_);
        for (size_t i = count_; i-- > 0;) {
            if (blocks_[i]->class_bytes != class_bytes) continue;
            BlockHeader* block = blocks_[i];
            remove(i);
            return block;
        }
        return nullptr;
    }

    /// Keeps the block and frees the oldest ones beyond the limits.
    void keep(BlockHeader* block) {
        std::array<BlockHeader*, slots> dropped;
        size_t dropped_count = 0;
        {
            const std::lock_guard lock(mutex_);
            while (count_ == slots || (count_ > 0 && bytes_ + block->class_bytes > cache_limit_bytes)) {
                dropped[dropped_count++] = blocks_[0];
                remove(0);
            }
            blocks_[count_++] = block;
            bytes_ += block->class_bytes;
        }
        for (size_t i = 0; i < dropped_count; ++i) release(dropped[i]);
    }

private:
    static constexpr size_t slots = 512;

    void remove(size_t at) {
        bytes_ -= blocks_[at]->class_bytes;
        for (size_t i = at + 1; i < count_; ++i) blocks_[i - 1] = blocks_[i];
        --count_;
    }

    std::mutex mutex_;
    std::array<BlockHeader*, slots> blocks_{};  // oldest first
    size_t count_ = 0;
    size_t bytes_ = 0;
};

MemoryCache& cache() {
    // Never destroyed: threads may still free memory while the program ends.
    static MemoryCache* const instance = new MemoryCache;
    return *instance;
}

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" void* tessera_malloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return nullptr;
    size_t class_bytes = 0;
    size_t wanted = bytes + block_alignment;
    if (wanted >= least_cached_bytes && wanted <= cache_limit_bytes / 2) {
        class_bytes = class_bytes_of(wanted + (page_lines - 1) * block_alignment);
        if (BlockHeader* const kept = cache().take(class_bytes)) return reinterpret_cast<char*>(kept) + block_alignment;
        wanted = class_bytes;
    }
    wanted = (wanted + block_alignment - 1) / block_alignment * block_alignment;
    auto* const start = static_cast<char*>(std::aligned_alloc(block_alignment, wanted));
    if (start == nullptr) return nullptr;
    constexpr size_t page_bytes = page_lines * block_alignment;
    const size_t offset_bytes =
        class_bytes == 0 ? 0 : (next_line() * block_alignment - reinterpret_cast<uintptr_t>(start)) % page_bytes;
    auto* const block = reinterpret_cast<BlockHeader*>(start + offset_bytes);
    block->class_bytes = class_bytes;
    block->offset_bytes = offset_bytes;
    return start + offset_bytes + block_alignment;
}

extern "C" void tessera_free(void* memory) {
    if (memory == nullptr) return;
    auto* const block = static_cast<BlockHeader*>(static_cast<void*>(static_cast<char*>(memory) - block_alignment));
    if (block->class_bytes != 0)
        cache().keep(block);
    else
        release(block);
}
