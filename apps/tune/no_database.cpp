// A build without SQLite: what needs a database says so.
#include "session_store.h"
#include "subcommands.h"

namespace tessera_tune {
namespace {

using namespace tessera;

[[noreturn]] void refuse() {
    throw Error(E0804_toolchain, {}, "this build has no schedule database: it was made without SQLite",
                {fix("build Tessera where libsqlite3-dev is installed"), fix("keep sessions in journals")});
}

void add_refused(CLI::App& app, const char* name) {
    auto* sub = app.add_subcommand(name, "needs SQLite, which this build has not got");
    sub->allow_extras();
    sub->callback(refuse);
}

}  // namespace

void add_db(CLI::App& app, int&) { add_refused(app, "db"); }
void add_best(CLI::App& app, int&) { add_refused(app, "best"); }
void add_show(CLI::App& app, int&) { add_refused(app, "show"); }
void add_explain(CLI::App& app, int&) { add_refused(app, "explain"); }
void add_lock(CLI::App& app, int&) { add_refused(app, "lock"); }
void add_record(CLI::App& app, int&) { add_refused(app, "record"); }
void add_revalidate(CLI::App& app, int&) { add_refused(app, "revalidate"); }

std::unique_ptr<tune::SessionLog> begin_in_database(const std::string&, const Algorithm&, const std::string&) { refuse(); }
std::unique_ptr<tune::SessionLog> resume_in_database(const std::string&, const std::string&) { refuse(); }
tune::Journal read_in_database(const std::string&, const std::string&) { refuse(); }
std::vector<std::string> sessions_in_database(const std::string&) { refuse(); }
std::vector<Schedule> relatives_in_database(const std::string&, const Algorithm&, const Target&, const SpaceOptions&) {
    refuse();
}
DatabaseModel model_in_database(const std::string&, const std::string&) { refuse(); }
void store_model_in_database(const std::string&, const std::string&, const std::string&, double, double, std::size_t,
                             std::size_t) {
    refuse();
}

}  // namespace tessera_tune
