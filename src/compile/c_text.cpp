#include "compile/c_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

namespace tessera {
namespace {

bool is_keyword(const std::string& name) {
    static const std::set<std::string> words{
        "auto",     "break",     "case",     "char",     "const",   "continue",  "default", "do",       "double",    "else",
        "enum",     "extern",    "float",    "for",      "goto",    "if",        "inline",  "int",      "long",      "register",
        "restrict", "return",    "short",    "signed",   "sizeof",  "static",    "struct",  "switch",   "typedef",   "union",
        "unsigned", "void",      "volatile", "while",    "alignas", "alignof",   "and",     "asm",      "bool",      "catch",
        "class",    "constexpr", "delete",   "explicit", "export",  "false",     "friend",  "mutable",  "namespace", "new",
        "not",      "nullptr",   "operator", "or",       "private", "protected", "public",  "template", "this",      "throw",
        "true",     "try",       "typename", "using",    "virtual", "xor"};
    return words.count(name) != 0;
}

// Names of arguments as C takes them: "f.0" -> "f_0".
std::vector<std::string> parameter_names(const KernelSignature& signature) {
    std::set<std::string> taken{"values", "stream", "scratch", "scratch_bytes", "bytes"};
    std::vector<std::string> names;
    for (const auto& arg : signature.args) {
        std::string name;
        for (const char c : arg.name) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
        if (is_keyword(name) || std::isdigit(static_cast<unsigned char>(name[0])) != 0) name += "_";
        while (!taken.insert(name).second) name += "_";
        names.push_back(name);
    }
    return names;
}

std::string scalar_type(DType dtype) {
    if (dtype == DType::f64) return "double";
    if (is_float(dtype)) return "float";
    if (dtype == DType::bool_) return "int";
    return fmt::format("{}int{}_t", is_unsigned(dtype) ? "u" : "", dtype_bits(dtype));
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + "\"";
}

std::string prototype(const CFunction& function, std::string_view suffix, const std::vector<std::string>& more) {
    const std::vector<std::string> names = parameter_names(function.signature);
    std::vector<std::string> params;
    for (size_t a = 0; a < names.size(); ++a) {
        const auto& arg = function.signature.args[a];
        if (arg.kind == TESSERA_ARG_SCALAR)
            params.push_back(fmt::format("{} {}", scalar_type(arg.dtype), names[a]));
        else
            params.push_back(fmt::format("{}tessera_buffer* {}", arg.kind == TESSERA_ARG_OUTPUT ? "" : "const ", names[a]));
    }
    params.insert(params.end(), more.begin(), more.end());
    return fmt::format("int {}{}({})", function.symbol, suffix, fmt::join(params, ", "));
}

std::string scratch_bytes_prototype(const CFunction& function) {
    return prototype(function, "_scratch_bytes", {"size_t* bytes"});
}
std::string with_scratch_prototype(const CFunction& function) {
    return prototype(function, "_with_scratch", {"void* scratch", "size_t scratch_bytes"});
}

class SourceWriter {
public:
    explicit SourceWriter(const CFunction& f) : f_(f) {}

    std::string write() {
        const KernelSignature& s = f_.signature;
        std::string args, dims, requirements, params, variants, externs;
        for (const auto& a : s.args) {
            std::string numbers = "0";
            if (!a.dims.empty()) {
                numbers = fmt::format("dims_of_{}", arrays_++);
                tables_ += fmt::format("static const int32_t {}[] = {{{}}};\n", numbers, fmt::join(a.dims, ", "));
            }
            args += fmt::format("    {{{}, {}, {}, {}, {}, {}u, {}, 0, {}, {}}},\n", quoted(a.name), int{a.kind},
                                int{runtime_dtype(a.dtype)}, a.dims.size(), numbers, a.flags, a.in_place_of, code(a.value_low),
                                code(a.value_high));
        }
        for (const auto& d : s.dims)
            dims += fmt::format("    {{{}, {}, {}, {}, {}, {}, {}, 0, {}}},\n", quoted(d.name), int{d.kind}, d.arg, d.axis,
                                number(d.value), code(d.code), d.multiple_of, d.at_most);
        for (const auto& r : s.requirements)
            requirements += fmt::format("    {{{}, {}, {}}},\n", code(r.left), code(r.right), quoted(r.text));
        for (const auto& p : s.params) params += fmt::format("    {{{}, {}}},\n", p.kind, p.index);
        for (const auto& v : f_.variants) {
            externs += fmt::format("extern int {}_argv(void** params);\n", v.function);
            variants +=
                fmt::format("    {{{}, {}, {}u, {}_argv, 0, 0}},\n", quoted(v.name), code(v.code), v.cpu_features, v.function);
        }
        const bool gpu = !f_.cuda.empty();
        const std::string launches = gpu ? cuda_tables(f_, [&](const Bytecode& c) { return code(c); }) : "";
        std::string out = fmt::format("#include <tessera/tessera_{}.h>\n\n{}\n{}", gpu ? "cuda" : "kernel", externs, tables_);
        out += table("tessera_arg_descriptor", "args", args) + table("tessera_dim_descriptor", "dims", dims) +
               table("tessera_requirement", "requirements", requirements) + table("tessera_kernel_param", "params", params) +
               table("tessera_kernel_variant", "variants", variants);
        out += fmt::format("extern const tessera_kernel_descriptor {}_kernel;\n", f_.symbol);
        out += fmt::format(
            "const tessera_kernel_descriptor {}_kernel = {{TESSERA_KERNEL_ABI, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, "
            "{}}};\n\n",
            f_.symbol, quoted(s.name), s.args.size(), args.empty() ? "0" : "args", s.dims.size(), dims.empty() ? "0" : "dims",
            s.requirements.size(), requirements.empty() ? "0" : "requirements", s.params.size(), params.empty() ? "0" : "params",
            f_.variants.size(), variants.empty() ? "0" : "variants");
        return out + launches + entry();
    }

private:
    static std::string table(std::string_view type, std::string_view name, const std::string& rows) {
        return rows.empty() ? "" : fmt::format("static const {} {}[] = {{\n{}}};\n", type, name, rows);
    }

    // INT64_MIN has no literal in C.
    static std::string number(std::int64_t value) {
        return value == INT64_MIN ? "(-INT64_C(9223372036854775807) - 1)" : fmt::format("INT64_C({})", value);
    }

    std::string code(const Bytecode& words) {
        if (words.empty()) return "{0, 0}";
        std::vector<std::string> numbers;
        for (const std::int64_t w : words) numbers.push_back(number(w));
        const std::string name = fmt::format("code_{}", arrays_++);
        tables_ += fmt::format("static const int64_t {}[] = {{{}}};\n", name, fmt::join(numbers, ", "));
        return fmt::format("{{{}, {}}}", name, words.size());
    }

    // A function that packs its arguments and returns `call`.
    std::string function(const std::string& prototype, const std::string& call) const {
        const std::vector<std::string> names = parameter_names(f_.signature);
        std::string out = prototype + ";\n" + prototype + " {\n";
        out += fmt::format("    tessera_value values[{}];\n", std::max<size_t>(f_.signature.args.size(), 1));
        for (size_t a = 0; a < names.size(); ++a) {
            const auto& arg = f_.signature.args[a];
            const char* member = arg.kind != TESSERA_ARG_SCALAR ? "buffer"
                                 : is_float(arg.dtype)          ? "f"
                                 : is_unsigned(arg.dtype)       ? "u"
                                                                : "i";
            out += fmt::format("    values[{}].{} = {}{};\n", a, member, names[a],
                               arg.dtype == DType::bool_ && arg.kind == TESSERA_ARG_SCALAR ? " != 0" : "");
        }
        return out + fmt::format("    return {};\n}}\n", call);
    }

    std::string entry() const {
        if (!f_.cuda.empty())
            return function(c_prototype(f_), fmt::format("tessera_cuda_call(&{}_cuda, values, stream)", f_.symbol));
        return function(c_prototype(f_), fmt::format("tessera_call(&{}_kernel, values)", f_.symbol)) +
               function(scratch_bytes_prototype(f_), fmt::format("tessera_scratch_bytes(&{}_kernel, values, bytes)", f_.symbol)) +
               function(with_scratch_prototype(f_),
                        fmt::format("tessera_call_with_scratch(&{}_kernel, values, scratch, scratch_bytes)", f_.symbol));
    }

    const CFunction& f_;
    std::string tables_;
    int arrays_ = 0;
};

std::string argument_line(const CFunction& function, const KernelSignature::Arg& arg, const std::string& name) {
    const KernelSignature& s = function.signature;
    const char* kind = arg.kind == TESSERA_ARG_OUTPUT ? "output" : arg.kind == TESSERA_ARG_SCALAR ? "scalar" : "input";
    std::string out = fmt::format(" *   {}: {} {} {}", name, kind, dtype_name(arg.dtype), shape_text(s, arg));
    if ((arg.flags & TESSERA_ARG_LAST_DIM_DENSE) != 0) out += ", last stride 1";
    if ((arg.flags & TESSERA_ARG_VALUE_RANGE) != 0)
        out += fmt::format(", {} <= value < {}", bytecode_text(s, arg.value_low), bytecode_text(s, arg.value_high));
    if ((arg.flags & TESSERA_ARG_NONDECREASING) != 0) out += ", not decreasing along its last dim";
    if ((arg.flags & TESSERA_ARG_IN_PLACE) != 0)
        out += fmt::format(", may be the memory of {}", s.args[static_cast<size_t>(arg.in_place_of)].name);
    return out + "\n";
}

// The declarations of a function with its caller's scratch memory.
std::string scratch_text(const CFunction& f) {
    std::string out = "/** The bytes that a call takes for its buffers outside loops, with up to 64 for their header:\n";
    for (const auto& v : f.variants)
        out += fmt::format(" *   {}{}\n", f.variants.size() > 1 ? v.name + ": " : "", v.scratch_bytes);
    out += fmt::format(" * Computes nothing. */\n{};\n", scratch_bytes_prototype(f));
    out +=
        fmt::format("/** {} with those bytes given by the caller, aligned to 64. */\n{};\n", f.symbol, with_scratch_prototype(f));
    return out;
}

}  // namespace

void require_c_name(const std::string& name) {
    bool good = !name.empty() && name.size() < 200 && std::isdigit(static_cast<unsigned char>(name[0])) == 0 && !is_keyword(name);
    for (const char c : name) good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_');
    if (!good)
        throw Error(E0102_bad_name, {}, fmt::format("'{}' is no name for a C function", name.substr(0, 80)),
                    {expected("letters, digits and _, not starting with a digit, no keyword")});
}

std::string shape_text(const KernelSignature& signature, const KernelSignature::Arg& arg) {
    if (arg.kind == TESSERA_ARG_SCALAR) return "by value";
    std::vector<std::string> names;
    for (const std::int32_t d : arg.dims) {
        const auto& dim = signature.dims[static_cast<size_t>(d)];
        names.push_back(dim.kind == TESSERA_DIM_STATIC ? fmt::format("{} = {}", dim.name, dim.value) : dim.name);
    }
    return fmt::format("[{}]", fmt::join(names, ", "));
}

std::string dim_text(const KernelSignature& signature, const KernelSignature::Dimension& dim) {
    std::string out;
    if (dim.kind == TESSERA_DIM_STATIC)
        out = fmt::to_string(dim.value);
    else if (dim.kind == TESSERA_DIM_DERIVED)
        out = bytecode_text(signature, dim.code);
    else
        out = fmt::format("extent {} of {}", dim.axis, signature.args[static_cast<size_t>(dim.arg)].name);
    if (dim.multiple_of > 1) out += fmt::format(", a multiple of {}", dim.multiple_of);
    if (dim.at_most >= 0) out += fmt::format(", at most {}", dim.at_most);
    return out;
}

std::string c_prototype(const CFunction& function) {
    return prototype(function, "",
                     function.cuda.empty() ? std::vector<std::string>{} : std::vector<std::string>{"tessera_cuda_stream stream"});
}

std::string c_source(const CFunction& function) { return SourceWriter(function).write(); }

std::string c_header(const std::string& library, const std::string& target, const std::vector<CFunction>& functions) {
    std::string guard;
    for (const char c : library) guard += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string out = fmt::format(
        "#ifndef TESSERA_LIBRARY_{0}_H\n#define TESSERA_LIBRARY_{0}_H\n/* {1}: kernels compiled by Tessera for {2}. Link with "
        "Tessera::Runtime.\n",
        guard, library, target);
    out +=
        " * Buffers are row-major; extents and strides count elements; a null strides pointer means dense. Strides must not be "
        "negative, outputs must\n"
        " * not overlap other buffers. Every call checks its arguments first: an error writes nothing, returns the status and "
        "leaves a message in\n"
        " * tessera_last_error(). Statuses: 701 missing or null, 702 dtype, 703 rank, 704 extent, 705 stride, 706 alignment, 707 "
        "overlap, 708 read-only,\n"
        " * 709 value, 710 device, 711 out of memory, 712 the kernel stopped, 713 a solve did not converge, 803 this machine "
        "lacks instructions, 902 too "
        "large. */\n";
    const bool gpu = !functions.empty() && !functions[0].cuda.empty();
    if (gpu)
        out +=
            "/* Buffers lie on one GPU (device_type 2). A call puts its work into the stream and returns; see tessera_cuda.h. "
            "*/\n";
    out += fmt::format("#include <tessera/tessera_{}.h>\n", gpu ? "cuda" : "runtime");
    out += "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
    std::set<std::string> routines;
    for (const CFunction& f : functions) routines.insert(f.routines.begin(), f.routines.end());
    if (!routines.empty())
        out +=
            "\n/* Functions that the kernels call; the program defines them. They return 0, or what ends the call with 712. */\n";
    for (const std::string& symbol : routines)
        out += fmt::format("int {}(const tessera_buffer* operands, const tessera_buffer* results);\n", symbol);
    for (const CFunction& f : functions) {
        const std::vector<std::string> names = parameter_names(f.signature);
        out += fmt::format("\n/** {}\n", f.signature.name);
        for (size_t a = 0; a < names.size(); ++a) out += argument_line(f, f.signature.args[a], names[a]);
        if (!f.signature.dims.empty()) out += " * Dims:\n";
        for (const auto& d : f.signature.dims) out += fmt::format(" *   {} = {}\n", d.name, dim_text(f.signature, d));
        for (const auto& r : f.signature.requirements) out += fmt::format(" * Requires {}.\n", r.text);
        for (const auto& v : f.variants)
            if (!v.when.empty()) out += fmt::format(" * Variant {} runs when {}.\n", v.name, v.when);
        for (const auto& v : f.cuda)
            if (!v.when.empty()) out += fmt::format(" * Variant {} runs when {}.\n", v.name, v.when);
        out += fmt::format(" * Schedule: {}, {:.12}.\n", f.origin.text, f.schedule_hash);
        if (!f.origin.explanation.empty()) out += fmt::format(" * {}.\n", f.origin.explanation);
        out += fmt::format(" * Returns TESSERA_OK or a tessera_status. */\n{};\n", c_prototype(f));
        if (f.cuda.empty()) out += scratch_text(f);
    }
    return out + "\n#ifdef __cplusplus\n}\n#endif\n#endif\n";
}

}  // namespace tessera
