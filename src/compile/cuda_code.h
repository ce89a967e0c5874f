#pragma once

#include <tessera/tessera_cuda.h>

#include "compile/c_text.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tessera {

/// Kernels for a GPU in this process. NVRTC makes the machine code of a variant when a call first takes it; it is kept on disk
/// under its text, the architecture and the compiler.
class CudaCode {
public:
    /// Of cuda_texts().
    CudaCode(CFunction function, bool disk_cache);
    ~CudaCode();
    CudaCode(const CudaCode&) = delete;
    CudaCode& operator=(const CudaCode&) = delete;

    /// Makes the code that most calls take: the first variant of every schedule. Throws E0804.
    void prepare();
    [[nodiscard]] const tessera_kernel_descriptor& descriptor() const { return storage_->descriptor(); }
    /// Checks the arguments and puts the kernel into the stream; a tessera_status. Throws E0804.
    int call(const tessera_value* args, tessera_cuda_stream stream);
    /// Of what prepare() made, in the order of schedules.
    [[nodiscard]] std::vector<std::string> code_hashes() const;
    /// Whether all code so far came from the disk.
    [[nodiscard]] bool from_disk_cache() const;

private:
    struct Tables;
    void make(std::size_t variant);

    CFunction function_;
    bool disk_cache_;
    std::unique_ptr<DescriptorStorage> storage_;
    std::vector<Tables> tables_;  // one a variant
    std::vector<tessera_cuda_variant> variants_;
    tessera_cuda_kernel kernel_{};
    mutable std::mutex mutex_;  // of what make() changes
    std::size_t made_ = 0, found_ = 0;
};

}  // namespace tessera
