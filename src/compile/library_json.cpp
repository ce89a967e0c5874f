#include "compile/library_json.h"

namespace tessera {

using Json = nlohmann::ordered_json;

Json signature_json(const KernelSignature& signature) {
    Json args = Json::array(), dims = Json::array(), requirements = Json::array();
    for (const auto& arg : signature.args) {
        Json row{{"name", arg.name},
                 {"kind", arg.kind == TESSERA_ARG_OUTPUT   ? "output"
                          : arg.kind == TESSERA_ARG_SCALAR ? "scalar"
                                                           : "input"},
                 {"dtype", dtype_name(arg.dtype)}};
        if (arg.kind != TESSERA_ARG_SCALAR) {
            row["dims"] = Json::array();
            for (const std::int32_t d : arg.dims) row["dims"].push_back(signature.dims[static_cast<size_t>(d)].name);
        }
        if ((arg.flags & TESSERA_ARG_LAST_DIM_DENSE) != 0) row["last_stride"] = 1;
        if ((arg.flags & TESSERA_ARG_VALUE_RANGE) != 0)
            row["values"] = {bytecode_text(signature, arg.value_low), bytecode_text(signature, arg.value_high)};
        if ((arg.flags & TESSERA_ARG_NONDECREASING) != 0) row["nondecreasing"] = true;
        if ((arg.flags & TESSERA_ARG_IN_PLACE) != 0)
            row["in_place_of"] = signature.args[static_cast<size_t>(arg.in_place_of)].name;
        args.push_back(std::move(row));
    }
    for (const auto& dim : signature.dims) {
        Json row{{"name", dim.name}};
        if (dim.kind == TESSERA_DIM_STATIC)
            row["extent"] = dim.value;
        else if (dim.kind == TESSERA_DIM_DERIVED)
            row["extent"] = bytecode_text(signature, dim.code);
        else
            row["bound_by"] = {{"argument", signature.args[static_cast<size_t>(dim.arg)].name}, {"axis", dim.axis}};
        if (dim.multiple_of > 1) row["multiple_of"] = dim.multiple_of;
        if (dim.at_most >= 0) row["at_most"] = dim.at_most;
        dims.push_back(std::move(row));
    }
    for (const auto& r : signature.requirements) requirements.push_back(r.text);
    return {{"arguments", std::move(args)}, {"dims", std::move(dims)}, {"requires", std::move(requirements)}};
}

Json function_json(const CFunction& function, const std::string& algorithm_hash, const Schedule& schedule) {
    Json variants = Json::array();
    for (const auto& v : function.variants) {
        Json row{{"name", v.name}};
        if (!v.when.empty()) row["when"] = v.when;
        row["scratch_bytes"] = v.scratch_bytes;
        variants.push_back(std::move(row));
    }
    for (const auto& v : function.cuda) {
        Json row{{"name", v.name}, {"arch", v.arch}, {"launches", v.launches.size()}};
        if (!v.when.empty()) row["when"] = v.when;
        variants.push_back(std::move(row));
    }
    Json chosen{{"origin", function.origin.text}};
    if (!function.origin.tier.empty()) chosen["tier"] = function.origin.tier;
    if (!function.origin.explanation.empty()) chosen["explanation"] = function.origin.explanation;
    chosen["hash"] = function.schedule_hash;
    chosen["content"] = Json::parse(to_json(schedule, JsonStyle::compact));
    Json out{{"name", function.symbol},
             {"prototype", c_prototype(function)},
             {"algorithm", function.signature.name},
             {"algorithm_hash", algorithm_hash},
             {"signature", signature_json(function.signature)},
             {"variants", std::move(variants)},
             {"schedule", std::move(chosen)}};
    if (!function.routines.empty()) out["routines"] = function.routines;
    return out;
}

}  // namespace tessera
