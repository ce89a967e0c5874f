#include "compile/c_text.h"

#include <tessera/tessera_cuda.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tessera {
namespace {

std::string image_bytes(const std::string& image) {
    std::string out;
    for (size_t i = 0; i < image.size(); ++i)
        out += fmt::format("{}{},", i % 24 == 0 ? "\n    " : "", static_cast<unsigned>(static_cast<unsigned char>(image[i])));
    return out;
}

class TableWriter {
public:
    TableWriter(const CFunction& function, const std::function<std::string(const Bytecode&)>& code) : f_(function), code_(code) {}

    std::string write() {
        std::string variants;
        for (size_t v = 0; v < f_.cuda.size(); ++v) variants += variant(f_.cuda[v], v);
        return out_ + table("tessera_cuda_variant", "cuda_variants", variants) +
               fmt::format("static const tessera_cuda_kernel {0}_cuda = {{&{0}_kernel, {1}, cuda_variants}};\n\n", f_.symbol,
                           f_.cuda.size());
    }

private:
    static std::string table(std::string_view type, const std::string& name, const std::string& rows) {
        return rows.empty() ? "" : fmt::format("static const {} {}[] = {{\n{}}};\n", type, name, rows);
    }
    static std::string name_or_null(const std::string& name, bool there) { return there ? name : "0"; }

    std::string variant(const CudaVariant& v, size_t number) {
        const std::string image = fmt::format("image_{}", number), scratch = fmt::format("scratch_{}", number),
                          launches = fmt::format("launches_{}", number);
        out_ += fmt::format("static const unsigned char {}_bytes[] = {{{}}};\n", image, image_bytes(v.image));
        out_ +=
            table("tessera_cuda_image", image, fmt::format("    {{\"{}\", {}_bytes, sizeof {}_bytes}},\n", v.arch, image, image));
        std::string rows;
        for (const Bytecode& bytes : v.scratch_bytes) rows += fmt::format("    {},\n", code_(bytes));
        out_ += table("tessera_code", scratch, rows);
        rows.clear();
        for (size_t l = 0; l < v.launches.size(); ++l) {
            const CudaLaunch& launch = v.launches[l];
            const std::string params = fmt::format("params_{}_{}", number, l);
            std::string param_rows;
            for (const CudaParam& p : launch.params)
                param_rows += fmt::format("    {{{}, {}, {}, {}}},\n", p.kind, p.index, p.axis, code_(p.code));
            out_ += table("tessera_cuda_param", params, param_rows);
            rows += fmt::format("    {{\"{}\", {{{}, {{0, 0}}, {{0, 0}}}}, {}, {}, {}, {}, {}, {}}},\n", launch.function,
                                code_(launch.grid), launch.threads, launch.shared_bytes, launch.resident, launch.params.size(),
                                name_or_null(params, !launch.params.empty()), launch.cluster);
        }
        out_ += table("tessera_cuda_launch", launches, rows);
        const std::string maps = map_table(v, number);
        rows.clear();
        const std::string alignments = fmt::format("alignments_{}", number);
        for (const auto& [argument, bytes] : v.alignments) rows += fmt::format("    {{{}, {}, {}}},\n", argument, bytes, bytes);
        out_ += table("tessera_cuda_alignment", alignments, rows);
        rows.clear();
        const std::string reaches = fmt::format("reaches_{}", number);
        for (const CudaReach& r : v.reaches) rows += fmt::format("    {{{}, {}, {}}},\n", r.argument, r.axis, code_(r.most));
        out_ += table("tessera_cuda_reach", reaches, rows);
        return fmt::format("    {{\"{}\", {}, {}, {}, {}, {}, 1, {}, {}, {}, {}, {}, {}, {}}},\n", v.name, code_(v.code),
                           v.alignments.size(), name_or_null(alignments, !v.alignments.empty()), v.reaches.size(),
                           name_or_null(reaches, !v.reaches.empty()), image, v.scratch_bytes.size(),
                           name_or_null(scratch, !v.scratch_bytes.empty()), v.maps.size(), name_or_null(maps, !v.maps.empty()),
                           v.launches.size(), name_or_null(launches, !v.launches.empty()));
    }

    std::string map_table(const CudaVariant& v, size_t number) {
        const std::string name = fmt::format("maps_{}", number);
        std::string rows;
        for (const CudaMap& m : v.maps) {
            std::string extents, strides, box;
            for (size_t d = 0; d < TESSERA_CUDA_MAP_RANK; ++d) {
                extents += (d ? ", " : "") + (d < m.extents.size() ? code_(m.extents[d]) : "{0, 0}");
                strides += fmt::format("{}{{0, 0}}", d ? ", " : "");
                box += fmt::format("{}{}", d ? ", " : "", d < m.box.size() ? m.box[d] : 0);
            }
            rows += fmt::format("    {{0, {}, {}, {}, {{{}}}, {{{}}}, {{{}}}, {}}},\n", m.argument, m.dtype, m.box.size(),
                                extents, strides, box, m.swizzle_bytes);
        }
        out_ += table("tessera_cuda_tensor_map", name, rows);
        return name;
    }

    const CFunction& f_;
    const std::function<std::string(const Bytecode&)>& code_;
    std::string out_;
};

}  // namespace

std::string cuda_tables(const CFunction& function, const std::function<std::string(const Bytecode&)>& code) {
    return TableWriter(function, code).write();
}

}  // namespace tessera
