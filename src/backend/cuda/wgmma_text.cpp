#include "backend/cuda/wgmma_text.h"

#include <fmt/format.h>

namespace tessera::cuda {
namespace {

/// "%first, %first+1, ...", sixteen a line of the string literal.
std::string placeholders(int first, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
        if (i != 0) text += i % 16 == 0 ? ", \"\n        \"" : ", ";
        text += fmt::format("%{}", first + i);
    }
    return text;
}

std::string operands(std::string_view constraint, std::string_view array, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
        if (i != 0) text += i % 8 == 0 ? ",\n          " : ", ";
        text += fmt::format("\"{}\"({}[{}])", constraint, array, i);
    }
    return text;
}

struct Product {
    const WgmmaKind& kind;
    int n;
    bool from_registers;
};

std::string product_text(const Product& p, std::string_view name) {
    const WgmmaKind& kind = p.kind;
    const int d = p.n / 2;
    const int a = p.from_registers ? 4 : 1;
    const int scale = d + a + 1;
    // float kinds have factors of A and B; those of 16 bits also say how their operands in shared memory lie
    std::string tail = kind.integer ? "" : ", 1, 1";
    std::string inputs, header;
    if (kind.transposes) {
        tail += p.from_registers ? fmt::format(", %{}", scale + 1) : fmt::format(", %{}, %{}", scale + 1, scale + 2);
        inputs = p.from_registers ? ", \"n\"(trans_b)" : ", \"n\"(trans_a), \"n\"(trans_b)";
        header = p.from_registers ? "template <int trans_b = 0>\n" : "template <int trans_a = 0, int trans_b = 0>\n";
    }
    return fmt::format(
        "{header}TSR_DEV void {name}({element} (&d)[{d}], {a_type}, u64 b, int scale_d) {{\n"
        "    asm volatile(\n"
        "        \"{{\\n.reg .pred p;\\nsetp.ne.b32 p, %{scale}, 0;\\n\"\n"
        "        \"wgmma.mma_async.sync.aligned.m64n{n}k{k}.{types} {{\"\n"
        "        \"{ds}}}, {as}, %{b}, p{tail};\\n}}\"\n"
        "        : {outputs}\n"
        "        : {a_operands}, \"l\"(b), \"r\"(scale_d){inputs});\n"
        "}}\n",
        fmt::arg("header", header), fmt::arg("name", name), fmt::arg("element", kind.integer ? "i32" : "float"), fmt::arg("d", d),
        fmt::arg("a_type", p.from_registers ? "const u32 (&a)[4]" : "u64 a"), fmt::arg("scale", scale), fmt::arg("n", p.n),
        fmt::arg("k", kind.k), fmt::arg("types", kind.types), fmt::arg("ds", placeholders(0, d)),
        fmt::arg("as", p.from_registers ? "{" + placeholders(d, 4) + "}" : placeholders(d, 1)), fmt::arg("b", d + a),
        fmt::arg("tail", tail), fmt::arg("outputs", operands(kind.integer ? "+r" : "+f", "d", d)),
        fmt::arg("a_operands", p.from_registers ? operands("r", "a", 4) : "\"l\"(a)"), fmt::arg("inputs", inputs));
}

std::string function_name(const Product& p) {
    return fmt::format("wgmma_m64n{}k{}_{}{}", p.n, p.kind.k, p.kind.name, p.from_registers ? "_rs" : "");
}

}  // namespace

const std::vector<WgmmaKind>& wgmma_kinds() {
    static const std::vector<WgmmaKind> kinds{
        {"bf16", "f32.bf16.bf16", 16, false, true},  {"f16", "f32.f16.f16", 16, false, true},
        {"tf32", "f32.tf32.tf32", 8, false, false},  {"e4m3", "f32.e4m3.e4m3", 32, false, false},
        {"e5m2", "f32.e5m2.e5m2", 32, false, false}, {"s8", "s32.s8.s8", 32, true, false}};
    return kinds;
}

std::vector<int> wgmma_sizes(const WgmmaKind& kind) {
    std::vector<int> sizes;
    for (int n = 8; n <= 256; n += 8)
        if (!kind.integer || n <= 24 || n % 16 == 0) sizes.push_back(n);
    return sizes;
}

std::optional<DeviceFunction> wgmma_function(std::string_view name) {
    if (!name.starts_with("wgmma_m64n")) return std::nullopt;
    for (const WgmmaKind& kind : wgmma_kinds())
        for (const int n : wgmma_sizes(kind))
            for (const bool from_registers : {false, true}) {
                const Product p{kind, n, from_registers};
                if (function_name(p) != name) continue;
                DeviceFunction f;
                f.name = name;
                f.names = {f.name};
                f.text = product_text(p, name);
                const std::size_t begin = f.text.find("void ");
                f.signature = f.text.substr(begin, f.text.find(" {") - begin);
                f.arch = "sm_90a";
                f.level = "warpgroup";
                f.instruction = "wgmma.mma_async";
                f.doc = fmt::format("d = a b + d, or a b where scale_d is 0: 64 x {} x {} of {}, complete after wgmma_wait", n,
                                    kind.k, kind.name);
                return f;
            }
    return std::nullopt;
}

}  // namespace tessera::cuda
