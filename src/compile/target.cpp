#include <tessera/target.h>

#include "base/closest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace tessera {
namespace {

struct Architecture {
    std::vector<std::string> bits;
    std::vector<std::string> features;
};

// The words of a CPU target, as the CPU backend spells them.
const std::map<std::string, Architecture>& architectures() {
    static const std::map<std::string, Architecture> all{
        {"x86",
         {{"64"},
          {"avx", "avx2", "avx512", "avx512_cannonlake", "avx512_sapphirerapids", "avx512_skylake", "avx512_zen4", "avx512_zen5",
           "avxvnni", "f16c", "fma", "sse41"}}},
        {"arm", {{"64"}, {"arm_dot_prod", "arm_fp16", "sve", "sve2"}}},
    };
    return all;
}

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
        if (c == '-')
            words.emplace_back();
        else
            words.back() += c;
    }
    return words;
}

[[noreturn]] void refuse(std::string_view text, std::string_view what, const std::string& word,
                         const std::vector<std::string>& candidates) {
    throw Error(E0802_unknown_target, {},
                fmt::format("target '{}': {} '{}' is not known", text.substr(0, 200), what, word.substr(0, 80)),
                {fix_spelling(word, candidates),
                 note("targets look like host, x86-64-linux-avx2-fma, arm-64-linux, interpreter, cuda-sm_80")});
}

void require_word(std::string_view text, std::string_view what, const std::string& word, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), word) == known.end()) refuse(text, what, word, known);
}

Target parse_cuda(std::string_view text, const std::vector<std::string>& words) {
    static const std::vector<std::string> models{"sm_70", "sm_75",  "sm_80",   "sm_86",  "sm_89",
                                                 "sm_90", "sm_90a", "sm_100a", "sm_120a"};
    const std::string model = words.size() > 1 ? words[1] : "";
    require_word(text, "the GPU", model, models);
    if (words.size() > 2) refuse(text, "the feature", words[2], {});
    return {.kind = Target::Kind::cuda, .native = false, .arch = model};
}

}  // namespace

Target parse_target(std::string_view text) {
    const std::vector<std::string> words = split_words(text);
    if (text == "host") return {};
    if (text == "interpreter") return {.kind = Target::Kind::interpreter, .native = false};
    if (words[0] == "cuda") return parse_cuda(text, words);
    const auto found = architectures().find(words[0]);
    if (found == architectures().end()) {
        // A misspelt whole ("hsot") is likelier than a misspelt part.
        const std::string near = closest_name(text, {"host", "interpreter", "cuda-sm_80", "x86-64-linux", "arm-64-linux"});
        if (!near.empty()) refuse(text, "the word", std::string(text), {near});
        refuse(text, "the architecture", words[0], {"host", "interpreter", "cuda", "x86", "arm"});
    }
    const std::string bits = words.size() > 1 ? words[1] : "", os = words.size() > 2 ? words[2] : "";
    require_word(text, "the width", bits, found->second.bits);
    require_word(text, "the operating system", os, {"linux"});
    Target target{.native = false, .arch = words[0], .bits = std::stoi(bits), .os = os};
    for (size_t w = 3; w < words.size(); ++w) {
        require_word(text, "the feature", words[w], found->second.features);
        target.features.push_back(words[w]);
    }
    std::sort(target.features.begin(), target.features.end());
    target.features.erase(std::unique(target.features.begin(), target.features.end()), target.features.end());
    return target;
}

std::string to_text(const Target& target) {
    if (target.kind == Target::Kind::interpreter) return "interpreter";
    if (target.kind == Target::Kind::cuda) return "cuda-" + target.arch;
    if (target.native) return "host";
    std::string out = fmt::format("{}-{}-{}", target.arch, target.bits, target.os);
    for (const std::string& feature : target.features) out += "-" + feature;
    return out;
}

void require_available(const Target& target) {
    if (target.kind == Target::Kind::cuda && (target.arch == "sm_70" || target.arch == "sm_75"))
        throw Error(E0803_target_unavailable, {},
                    fmt::format("target {} cannot be used: kernels are made for GPUs from sm_80 on", to_text(target)),
                    {fix("compile for cuda-sm_80 or later"), fix("compile for host")});
#ifndef TESSERA_HAVE_HALIDE
    if (target.kind == Target::Kind::cpu)
        throw Error(E0803_target_unavailable, {},
                    fmt::format("target {} cannot be used: this build has no CPU backend", to_text(target)),
                    {fix("build Tessera with Halide"), fix("evaluate with the target interpreter")});
#endif
}

}  // namespace tessera
