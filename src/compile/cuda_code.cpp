#include "compile/cuda_code.h"

#include "backend/cuda/kernel_report.h"
#include "backend/cuda/runtime_compiler.h"
#include "base/hash.h"
#include "compile/kernel_cache.h"

#include <tessera/compile.h>

#include <fmt/format.h>

namespace tessera {
namespace {

template <class Row>
const Row* rows_of(const std::vector<Row>& rows) {
    return rows.empty() ? nullptr : rows.data();
}
template <class Row>
std::int32_t count_of(const std::vector<Row>& rows) {
    return static_cast<std::int32_t>(rows.size());
}

tessera_cuda_tensor_map c_map(const CudaMap& m) {
    tessera_cuda_tensor_map out{};
    out.index = static_cast<std::int32_t>(m.argument);
    out.dtype = m.dtype;
    out.rank = count_of(m.box);
    for (size_t d = 0; d < m.box.size(); ++d) {
        out.extents[d] = c_code(m.extents[d]);
        out.box[d] = static_cast<std::int32_t>(m.box[d]);
    }
    out.swizzle_bytes = m.swizzle_bytes;
    return out;
}

}  // namespace

/// What a tessera_cuda_variant points to.
struct CudaCode::Tables {
    std::vector<tessera_code> scratch;
    std::vector<std::vector<tessera_cuda_param>> params;  // one list a launch
    std::vector<tessera_cuda_launch> launches;
    std::vector<tessera_cuda_tensor_map> maps;
    std::vector<tessera_cuda_alignment> alignments;
    std::vector<tessera_cuda_reach> reaches;
    tessera_cuda_image image{};

    explicit Tables(const CudaVariant& v) : image{v.arch.c_str(), nullptr, 0} {
        for (const Bytecode& bytes : v.scratch_bytes) scratch.push_back(c_code(bytes));
        for (const CudaLaunch& l : v.launches) {
            params.emplace_back();
            for (const CudaParam& p : l.params)
                params.back().push_back(
                    {p.kind, static_cast<std::int32_t>(p.index), static_cast<std::int32_t>(p.axis), c_code(p.code)});
            launches.push_back({l.function.c_str(),
                                {c_code(l.grid), {}, {}},
                                static_cast<std::int32_t>(l.threads),
                                static_cast<std::int32_t>(l.shared_bytes),
                                static_cast<std::int32_t>(l.resident),
                                count_of(params.back()),
                                rows_of(params.back()),
                                static_cast<std::int32_t>(l.cluster)});
        }
        for (const CudaMap& m : v.maps) maps.push_back(c_map(m));
        for (const auto& [argument, bytes] : v.alignments)
            alignments.push_back(
                {static_cast<std::int32_t>(argument), static_cast<std::int32_t>(bytes), static_cast<std::int32_t>(bytes)});
        for (const CudaReach& r : v.reaches)
            reaches.push_back({static_cast<std::int32_t>(r.argument), static_cast<std::int32_t>(r.axis), c_code(r.most)});
    }
    [[nodiscard]] tessera_cuda_variant variant(const CudaVariant& v) const {
        return {v.name.c_str(),
                c_code(v.code),
                count_of(alignments),
                rows_of(alignments),
                count_of(reaches),
                rows_of(reaches),
                1,
                &image,
                count_of(scratch),
                rows_of(scratch),
                count_of(maps),
                rows_of(maps),
                count_of(launches),
                rows_of(launches)};
    }
};

CudaCode::CudaCode(CFunction function, bool disk_cache) : function_(std::move(function)), disk_cache_(disk_cache) {
    storage_ = std::make_unique<DescriptorStorage>(function_.signature, std::vector<KernelVariant>{});
    tables_.reserve(function_.cuda.size());
    for (const CudaVariant& v : function_.cuda) {
        tables_.emplace_back(v);
        variants_.push_back(tables_.back().variant(v));
    }
    kernel_ = {&storage_->descriptor(), count_of(variants_), rows_of(variants_)};
    // The runtime's list of what is loaded then outlives this object.
    for (const Tables& t : tables_) (void)tessera_cuda_unload(&t.image);
}

CudaCode::~CudaCode() {
    for (const Tables& t : tables_)
        if (t.image.bytes != nullptr) (void)tessera_cuda_unload(&t.image);
}

void CudaCode::prepare() {
    const std::lock_guard lock(mutex_);
    std::string schedule;
    for (std::size_t v = 0; v < function_.cuda.size(); ++v) {
        // "base_wide" is another variant of "base".
        const std::string own = function_.cuda[v].name.substr(0, function_.cuda[v].name.find('_'));
        if (v == 0 || own != schedule) make(v);
        schedule = own;
    }
}

int CudaCode::call(const tessera_value* args, tessera_cuda_stream stream) {
    bool all = false;
    {
        const std::lock_guard lock(mutex_);
        all = made_ == tables_.size();
    }
    if (!all) {
        std::int32_t chosen = 0;
        if (const int status = tessera_cuda_choose(&kernel_, args, &chosen)) return status;
        const std::lock_guard lock(mutex_);
        make(static_cast<std::size_t>(chosen));
    }
    return tessera_cuda_call(&kernel_, args, stream);
}

void CudaCode::make(std::size_t v) {
    CudaVariant& variant = function_.cuda[v];
    if (!variant.image.empty()) return;
    const KernelCache cache(disk_cache_ ? kernel_cache_folder() : "");
    const std::string compiler = cuda::runtime_compiler_version(),
                      key = sha256(fmt::format("cubin\n{}\n{}\n{}", variant.arch, compiler, variant.source));
    std::optional<std::string> cubin;
    if (!compiler.empty()) cubin = cache.load_bytes(key);
    found_ += cubin.has_value();
    if (!cubin) {
        cuda::CompiledText made =
            cuda::compile_at_run_time(variant.source, variant.arch, fmt::format("{}_{}.cu", function_.symbol, variant.name));
        (void)cuda::require_clean_report(cuda::parse_ptxas_report(made.words));
        cache.store_bytes(key, made.cubin);
        cubin = std::move(made.cubin);
    }
    variant.image = std::move(*cubin);
    tables_[v].image.size = variant.image.size();
    tables_[v].image.bytes = variant.image.data();
    ++made_;
}

std::vector<std::string> CudaCode::code_hashes() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const CudaVariant& v : function_.cuda)
        if (!v.image.empty()) out.push_back(machine_code_hash(v.image));
    return out;
}

bool CudaCode::from_disk_cache() const {
    const std::lock_guard lock(mutex_);
    return made_ > 0 && found_ == made_;
}

}  // namespace tessera
