// What a generator of this project ships.
#pragma once

#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/schedule.h>

#include "base/json_text.h"
#include "compile/staging_folder.h"
#include "tessera_paths.h"
#include "unit/compile/scratch_folder.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace tessera {

// The algorithm of a generator, and the schedule that it chooses.
inline std::pair<Algorithm, Schedule> shipped(const std::string& generator, const std::string& params) {
    const ScratchFolder folder;
    EXPECT_EQ(std::system(fmt::format("{}/{}.generator -o {} -n kernel --emit graph {}", TESSERA_GENERATOR_DIR, generator,
                                      folder.path(), params)
                              .c_str()),
              0);
    const auto metadata = parse_json(read_text_file(folder.file("kernel.json")), "metadata");
    return {parse_algorithm(read_text_file(folder.file("kernel.graph"))),
            parse_schedule(metadata["functions"][0]["schedule"]["content"].dump())};
}

}  // namespace tessera
