#include "algorithm/graph.h"

namespace tessera {

void prove_accesses(const AlgorithmState&) {}

}  // namespace tessera
