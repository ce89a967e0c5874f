#include <tessera/schedule_source.h>
#ifdef TESSERA_HAVE_SQLITE
#include <tessera/schedule_db.h>
#endif

#include "base/closest_name.h"

#include <fmt/format.h>

#include <array>

namespace tessera {

std::string_view word(LookupTier tier) {
    static constexpr std::array<std::string_view, 5> words{"exact", "toolchain", "shape", "micro_architecture", "none"};
    return words[static_cast<std::size_t>(tier)];
}

Require parse_require(std::string_view text) {
    if (text == "exact") return Require::exact;
    if (text == "nearest") return Require::nearest;
    if (text == "default") return Require::default_;
    throw Error(E0805_usage, {}, fmt::format("--require {} is not known", text),
                {fix_spelling(text, {"exact", "nearest", "default"})});
}

std::unique_ptr<ScheduleSource> open_schedule_source(const std::string& path) {
#ifdef TESSERA_HAVE_SQLITE
    return std::make_unique<ScheduleDb>(ScheduleDb::open(path, {.read_only = true}));
#else
    throw Error(E0804_toolchain, {}, fmt::format("the schedule database {} cannot be read: this build has no SQLite", path),
                {fix("build Tessera where libsqlite3-dev is installed"), fix("name a schedule with --schedule")});
#endif
}

std::optional<FoundSchedule> accepted(const FoundSchedule& found, Require require, const ScheduleSource& source,
                                      const std::string& kernel) {
    const bool fits = found.tier == LookupTier::exact || (require != Require::exact && found.tier != LookupTier::none);
    if (fits) return found;
    if (require == Require::default_) return std::nullopt;
    throw Error(E0805_usage, {},
                fmt::format("{} has no {} schedule of {}", source.name(), require == Require::exact ? "exact" : "near", kernel),
                {note(found.explanation), fix("tune it: tessera-tune run --db"),
                 fix(require == Require::exact ? "accept a near one with --require nearest"
                                               : "accept the default schedule with --require default")});
}

}  // namespace tessera
