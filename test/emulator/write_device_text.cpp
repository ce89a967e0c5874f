// write_device_text FOLDER: writes the device functions as files that hand-written kernels include:
// tessera_device_sm_80.cuh and tessera_device_sm_90a.cuh with all that these have (the products of warpgroups: the sizes below).
#include <fmt/format.h>

#include <set>
#include <string>

#include "backend/cuda/device_functions.h"
#include "backend/cuda/math_text.h"
#include "backend/cuda/wgmma_text.h"
#include "changed_file.h"

namespace {

using namespace tessera::cuda;

std::set<std::string> names_of(const std::string& arch) {
    std::set<std::string> names;
    for (const DeviceFunction& f : device_functions())
        if (on_arch(f, arch)) names.insert(f.name);
    for (const std::string& name : math_function_names()) names.insert(name);
    if (arch == "sm_90a")
        for (const WgmmaKind& kind : wgmma_kinds())
            for (const int n : {8, 64, 128, 256})
                for (const char* suffix : {"", "_rs"})
                    names.insert(fmt::format("wgmma_m64n{}k{}_{}{}", n, kind.k, kind.name, suffix));
    return names;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 1;
    for (const std::string arch : {"sm_80", "sm_90a"}) {
        const std::string text = "#pragma once\n" + device_prelude(names_of(arch), arch);
        if (!tessera::write_changed(std::string(argv[1]) + "/tessera_device_" + arch + ".cuh", text)) return 1;
    }
}
