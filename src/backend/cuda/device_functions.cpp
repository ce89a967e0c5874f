#include "backend/cuda/device_functions.h"

#include "backend/cuda/math_text.h"
#include "backend/cuda/wgmma_text.h"
#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

namespace tessera::cuda {
namespace {

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0;;) {
        const std::size_t end = text.find(separator, at);
        parts.push_back(text.substr(at, end == std::string_view::npos ? end : end - at));
        if (end == std::string_view::npos) return parts;
        at = end + separator.size();
    }
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::vector<std::string_view> identifiers(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text.size();) {
        if (!is_word(text[at])) {
            ++at;
            continue;
        }
        std::size_t end = at;
        while (end < text.size() && is_word(text[end])) ++end;
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

/// The identifier that ends right before `end`.
std::string word_before(std::string_view line, std::size_t end) {
    std::size_t begin = end;
    while (begin > 0 && is_word(line[begin - 1])) --begin;
    return std::string(line.substr(begin, end - begin));
}

constexpr std::string_view device_mark = "TSR_DEV ";

/// What a line at the top of a block defines: `TSR_DEV type name(`, `struct name`, `using name =`.
std::string defined_name(std::string_view line) {
    if (line.starts_with(device_mark)) return word_before(line, line.find('('));
    for (const std::string_view key : {"struct alignas", "struct ", "using "}) {
        if (!line.starts_with(key)) continue;
        const std::size_t after_alignment = key.back() == 's' ? line.rfind(") ") + 2 : key.size();
        const std::string_view rest = line.substr(after_alignment);
        return std::string(rest.substr(0, rest.find_first_of(" <:;")));
    }
    return {};
}

std::string signature_of(const std::vector<std::string_view>& lines) {
    std::string signature;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string_view line = lines[i];
        if (line.starts_with("template")) signature = std::string(line) + " ";
        if (!line.starts_with(device_mark)) continue;
        std::string rest(line.substr(device_mark.size()));
        for (std::size_t j = i + 1; rest.find_first_of("{;") == std::string::npos && j < lines.size(); ++j)
            rest += (rest.back() == '(' ? "" : " ") + std::string(lines[j].substr(lines[j].find_first_not_of(' ')));
        rest.resize(std::min(rest.find_first_of("{;"), rest.size()));
        while (!rest.empty() && rest.back() == ' ') rest.pop_back();
        return signature + rest;
    }
    return {};
}

DeviceFunction parse_block(std::string_view block) {
    std::vector<std::string_view> lines = split(block, "\n");
    const std::vector<std::string_view> columns = split(lines[0].substr(4), " | ");
    TESSERA_CHECK(columns.size() == 4, fmt::format("a device function's line has {} columns: {}", columns.size(), lines[0]));
    lines.erase(lines.begin());
    DeviceFunction f;
    f.arch = columns[0];
    f.level = columns[1];
    f.instruction = columns[2];
    f.doc = columns[3];
    f.signature = signature_of(lines);
    for (const std::string_view line : lines) {
        const std::string name = defined_name(line);
        if (!name.empty() && std::find(f.names.begin(), f.names.end(), name) == f.names.end()) f.names.push_back(name);
        f.text += std::string(line) + "\n";
    }
    TESSERA_CHECK(!f.names.empty(), fmt::format("a block of device text defines nothing: {}", f.text));
    f.name = f.names[0];
    return f;
}

void find_uses(std::vector<DeviceFunction>& functions) {
    std::map<std::string_view, std::string_view> owner;
    for (const DeviceFunction& f : functions)
        for (const std::string& name : f.names) owner.emplace(name, f.name);
    for (DeviceFunction& f : functions) {
        std::set<std::string> uses;
        for (const std::string_view word : identifiers(f.text)) {
            const auto it = owner.find(word);
            if (it != owner.end() && it->second != f.name) uses.insert(std::string(it->second));
        }
        f.uses.assign(uses.begin(), uses.end());
    }
}

/// The names of blocks that a text written on demand refers to.
std::vector<std::string> uses_of(std::string_view text) {
    std::set<std::string> uses;
    for (const std::string_view word : identifiers(text))
        for (const DeviceFunction& f : device_functions())
            if (std::find(f.names.begin(), f.names.end(), word) != f.names.end()) uses.insert(f.name);
    return {uses.begin(), uses.end()};
}

const DeviceFunction* table_function(std::string_view name) {
    for (const DeviceFunction& f : device_functions())
        if (std::find(f.names.begin(), f.names.end(), name) != f.names.end()) return &f;
    return nullptr;
}

int arch_number(std::string_view arch) {
    int number = 0;
    for (const char c : arch)
        if (std::isdigit(static_cast<unsigned char>(c)) != 0) number = 10 * number + (c - '0');
    return number;
}

void add_with_uses(const DeviceFunction& function, std::set<std::string>& wanted) {
    for (const std::string& used : function.uses)
        if (wanted.insert(used).second) add_with_uses(*table_function(used), wanted);
}

}  // namespace

std::vector<DeviceFunction> parse_device_text(std::string_view text) {
    std::vector<DeviceFunction> functions;
    for (std::string_view block : split(text, "\n\n")) {
        while (block.starts_with('\n')) block.remove_prefix(1);
        while (block.ends_with('\n')) block.remove_suffix(1);
        if (block.starts_with("/// ")) functions.push_back(parse_block(block));
    }
    find_uses(functions);
    return functions;
}

const std::vector<DeviceFunction>& device_functions() {
    static const std::vector<DeviceFunction> functions = parse_device_text(device_blocks_text);
    return functions;
}

std::optional<DeviceFunction> device_function(std::string_view name) {
    if (const DeviceFunction* f = table_function(name)) return *f;
    std::optional<DeviceFunction> written = math_function(name);
    if (!written) written = wgmma_function(name);
    if (written) written->uses = uses_of(written->text);
    return written;
}

std::set<std::string> device_names_in(std::string_view text) {
    std::set<std::string> names;
    const std::vector<std::string_view> words = identifiers(text);
    for (const std::string_view word : std::set<std::string_view>(words.begin(), words.end()))
        if (device_function(word)) names.insert(std::string(word));
    return names;
}

bool on_arch(const DeviceFunction& function, std::string_view arch) {
    if (function.arch == "any") return true;
    const bool one_arch_only = std::isalpha(static_cast<unsigned char>(function.arch.back())) != 0;
    return one_arch_only ? function.arch == arch : arch_number(function.arch) <= arch_number(arch);
}

std::string device_prelude(const std::set<std::string>& names, std::string_view arch) {
    std::set<std::string> wanted{"u8"};
    std::string written_on_demand, products;
    for (const std::string& name : names) {
        const std::optional<DeviceFunction> f = device_function(name);
        TESSERA_CHECK(f.has_value(), fmt::format("there is no device function {}", name));
        TESSERA_CHECK(on_arch(*f, arch), fmt::format("the device function {} needs {}, not {}", name, f->arch, arch));
        add_with_uses(*f, wanted);
        const std::string text = fmt::format("\n// {}\n{}", f->doc, f->text);
        if (table_function(name) != nullptr)
            wanted.insert(f->name);
        else
            (f->arch == "any" ? written_on_demand : products) += text;
    }
    std::string text = fmt::format("#ifdef __CUDACC__\n{}namespace tsr {{\n", device_words_text);
    for (const DeviceFunction& f : device_functions())
        if (wanted.count(f.name) != 0) text += fmt::format("\n// {}\n{}", f.doc, f.text);
    text += products + "\n}  // namespace tsr\n#endif\n";
    if (!written_on_demand.empty()) text += "namespace tsr {\n" + written_on_demand + "\n}  // namespace tsr\n";
    return text;
}

}  // namespace tessera::cuda
