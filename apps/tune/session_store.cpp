#include "session_store.h"

namespace tessera_tune {

using namespace tessera::tune;

std::unique_ptr<SessionLog> begin_session(const TuningLine& line, const tessera::Algorithm& algorithm,
                                          const std::string& header) {
    if (!line.db.empty()) return begin_in_database(line.db, algorithm, header);
    return std::make_unique<JournalLog>(JournalLog::begin(line.journal, header));
}

std::unique_ptr<SessionLog> resume_session(const TuningLine& line) {
    if (!line.db.empty()) return resume_in_database(line.db, line.session);
    return std::make_unique<JournalLog>(JournalLog::resume(line.session));
}

Journal read_session(const std::string& db, const std::string& name) {
    return db.empty() ? read_journal(name) : read_in_database(db, name);
}

}  // namespace tessera_tune
