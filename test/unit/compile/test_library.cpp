#include <gtest/gtest.h>
#include <tessera/library.h>
#include <tessera/routine.h>
#include <tessera/tessera.h>

#include "base/json_text.h"
#include "compile/staging_folder.h"
#include "schedule/canonical_stages.h"
#include "unit/compile/scratch_folder.h"

#include <fmt/format.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>
#include <fstream>

#include "tessera_paths.h"

namespace tessera {
namespace {

Algorithm scaled(const std::string& name, float factor) {
    Dim y("y"), x("x");
    Input in("in", f32, {y, x});
    Scalar gain("gain", f32);
    Func out(name);
    out(y, x) = in(y, x) * factor * gain;
    return Algorithm({out}, {in, gain});
}

Algorithm row_sums() {
    Dim i("i"), k("k");
    Input A("A", f64, {i, k});
    Func sums("sums");
    sums(i) = sum({k}, A(i, k));
    return Algorithm({sums}, {A});
}

Algorithm differences() {
    Dim x("x");
    Input in("in", f32, {x});
    Func squares("squares"), slopes("slopes");
    squares(x) = clamp(in)(x) * clamp(in)(x);
    slopes(x) = squares(x + 1) - squares(x);
    return Algorithm({slopes}, {in});
}

Schedule two_passes() {
    Schedule s;
    s.stage("squares").root().serial("x");
    s.stage("slopes").root().serial("x");
    return s;
}

Schedule rows_in_vectors(std::int64_t lanes) {
    Schedule s;
    s.stage("out").root().serial("y").serial("x", lanes).vector("x");
    return s;
}

template <class F>
ErrorCode code_of(F&& f) {
    try {
        f();
    } catch (const Exception& e) {
        return e.code();
    }
    return B0951_internal;
}

int shell(const std::string& command) { return std::system((command + " 2>&1").c_str()); }

// Both from one variable, so that what is compiled is what is linked.
std::string link_command(const ScratchFolder& folder, const std::string& source, const std::vector<std::string>& libraries) {
    std::string command =
        fmt::format("cc -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pedantic -Werror -I{} -I{}/include {}", folder.path(),
                    TESSERA_SOURCE_DIR, source);
    for (const std::string& library : libraries) command += " " + library;
    return command + fmt::format(" {} -lstdc++ -lm -lpthread -o {}", TESSERA_RUNTIME_FILE, folder.file("program"));
}

TEST(Library, ThreeKernelsOfTwoLibrariesInOneProgram) {
    const ScratchFolder folder;
    Schedule scheduled = rows_in_vectors(8);
    scheduled.variant("x < 8", rows_in_vectors(4));
    const auto first =
        compile_library({LibraryKernel{"doubled", scaled("out", 2), scheduled}, LibraryKernel{"sums", row_sums(), {}},
                         LibraryKernel{"slopes", differences(), two_passes()}},
                        {}, "project_one", folder.path());
    const auto second = compile_library(scaled("out", 3), rows_in_vectors(8), {}, "tripled", folder.path());
    ASSERT_EQ(shell(link_command(folder, std::string(TESSERA_SOURCE_DIR) + "/test/unit/compile/library_program.c",
                                 {first.archive, second.archive})),
              0);
    EXPECT_EQ(shell(folder.file("program")), 0);
    EXPECT_EQ(folder.names().size(), 7u);
    // The header is C++ too.
    EXPECT_EQ(shell(fmt::format("c++ -fsyntax-only -Wall -Werror -I{}/include -x c++ {}", TESSERA_SOURCE_DIR, first.header)), 0);
}

TEST(Library, MetadataSaysWhatItIs) {
    const ScratchFolder folder;
    const auto files = compile_library(scaled("out", 3), rows_in_vectors(8), {}, "tripled", folder.path(),
                                       {.emit = {IrLevel::target, IrLevel::tile}});
    EXPECT_EQ(files.texts.size(), 2u);
    const auto json = parse_json(read_text_file(files.metadata), "metadata");
    EXPECT_EQ(json["tessera_library"], 1);
    const auto& function = json["functions"][0];
    EXPECT_EQ(function["name"], "tripled");
    EXPECT_EQ(function["schedule"]["hash"], schedule_hash(scaled("out", 3), rows_in_vectors(8)));
    EXPECT_EQ(parse_schedule(function["schedule"]["content"].dump()), rows_in_vectors(8));
    EXPECT_EQ(function["algorithm_hash"], scaled("out", 3).hash());
    EXPECT_EQ(function["signature"]["dims"][1]["bound_by"]["argument"], "in");
    EXPECT_NE(read_text_file(files.texts[0]).find(".text"), std::string::npos);
}

TEST(Library, ScratchBytesStandInHeaderAndMetadata) {
    const ScratchFolder folder;
    const auto files = compile_library(differences(), two_passes(), {}, "slopes", folder.path());
    const std::string formula =
        parse_json(read_text_file(files.metadata), "metadata")["functions"][0]["variants"][0]["scratch_bytes"];
    EXPECT_EQ(formula, "(((max((x + 1), 0)/16)*64) + 128)");
    const std::string header = read_text_file(files.header);
    EXPECT_NE(header.find(" *   " + formula + "\n"), std::string::npos) << header;
    EXPECT_NE(header.find("int slopes_scratch_bytes(const tessera_buffer* in, tessera_buffer* slopes, size_t* bytes);"),
              std::string::npos)
        << header;
}

TEST(Library, ProfiledKernelsTellTheirTimes) {
    const ScratchFolder folder;
    const auto files = compile_library(differences(), two_passes(), {}, "slopes", folder.path(), {.profile = true});
    ASSERT_EQ(
        shell(link_command(folder, std::string(TESSERA_SOURCE_DIR) + "/test/unit/compile/profiled_program.c", {files.archive})),
        0);
    EXPECT_EQ(shell(folder.file("program")), 0);
}

TEST(Library, SaysWhichFunctionsOfRoutinesItNeeds) {
    const ScratchFolder folder;
    Dim r("r"), t("t");
    Input x("x", f64, {r, t});
    Func h("h"), out("out");
    recurrence(t, {{h(r, t), cast(f64, 0)}}, [&](const Self& s) -> Tuple { return {x(r, t) + 0.5 * s[0](r, t - 1)}; });
    const Func called = routine("smooth", h);
    out(r, t) = called(r, t) * 2.0;
    const auto files = compile_library(Algorithm({out}, {x}), {}, {}, "smoothed", folder.path());
    EXPECT_EQ(parse_json(read_text_file(files.metadata), "metadata")["functions"][0]["routines"].dump(), "[\"smooth\"]");
    EXPECT_NE(read_text_file(files.header).find("int smooth(const tessera_buffer* operands, const tessera_buffer* results);\n"),
              std::string::npos);
    ASSERT_EQ(
        shell(link_command(folder, std::string(TESSERA_SOURCE_DIR) + "/test/unit/compile/routine_program.c", {files.archive})),
        0);
    EXPECT_EQ(shell(folder.file("program")), 0);
}

TEST(Library, UnwritablePlacesAreRefusedWhole) {
    const ScratchFolder folder;
    std::ofstream(folder.file("a_file")) << "x";
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, {}, "tripled", folder.file("a_file/out")); }), E0605_file);
    // What stands in the way of one file keeps all of them out.
    std::filesystem::create_directories(folder.file("out/tripled.a/x"));
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, {}, "tripled", folder.file("out")); }), E0605_file);
    int left = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.file("out"))) ++left;
    EXPECT_EQ(left, 1);
}

TEST(Library, FullDiskLeavesNothing) {
    const ScratchFolder folder;
    const Algorithm algorithm = scaled("out", 3);
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        ::_exit(code_of([&] { compile_library(algorithm, {}, {}, "tripled", folder.path()); }) == E0605_file ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(folder.names().empty());
}

TEST(Library, MissingCompilerLeavesNothing) {
    const ScratchFolder folder;
    ::setenv("CC", "/no/such/compiler", 1);
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, {}, "tripled", folder.path()); }), E0804_toolchain);
    ::setenv("CC", "false", 1);
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, {}, "tripled", folder.path()); }), E0804_toolchain);
    ::unsetenv("CC");
    EXPECT_TRUE(folder.names().empty());
}

TEST(Library, NamesAreChecked) {
    const ScratchFolder folder;
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, {}, "a-b", folder.path()); }), E0102_bad_name);
    EXPECT_EQ(code_of([&] {
                  compile_library({LibraryKernel{"f", scaled("out", 3), {}}, LibraryKernel{"f", row_sums(), {}}}, {}, "lib",
                                  folder.path());
              }),
              E0101_duplicate_name);
    EXPECT_EQ(code_of([&] { compile_library(scaled("out", 3), {}, parse_target("interpreter"), "lib", folder.path()); }),
              E0803_target_unavailable);
    EXPECT_TRUE(folder.names().empty());
}

TEST(Library, ArmObjectsAreCompiledWhereClangIs) {
    if (shell("clang --version > /dev/null") != 0) GTEST_SKIP() << "[SKIP] clang is not installed";
    const ScratchFolder folder;
    const auto files =
        compile_library(scaled("out", 3), rows_in_vectors(4), parse_target("arm-64-linux"), "tripled", folder.path());
    const std::string archive = read_text_file(files.archive);
    int objects = 0;
    for (size_t at = archive.find("\x7f"
                                  "ELF");
         at != std::string::npos; at = archive.find("\x7f"
                                                    "ELF",
                                                    at + 1)) {
        EXPECT_EQ(static_cast<unsigned char>(archive[at + 18]), 183);  // e_machine of aarch64
        ++objects;
    }
    EXPECT_EQ(objects, 2);
}

}  // namespace
}  // namespace tessera
