#include "nist_problem.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace apps {

NistProblem read_nist_problem(const std::string& path) {
    std::ifstream file(path);
    NistProblem p;
    p.starts.resize(2);
    bool of_points = false;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word, equals;
        if (line.rfind("Dataset Name:", 0) == 0) {
            words >> word >> word >> p.name;
        } else if (line.rfind("Residual Sum of Squares:", 0) == 0) {
            p.residual_sum = std::stod(line.substr(24));
        } else if (line.rfind("Data:", 0) == 0 && line.find_first_of('y') != std::string::npos &&
                   line.find("Response") == std::string::npos) {
            of_points = true;
        } else if (of_points) {
            double y = 0, x = 0;
            if (words >> y >> x) {
                p.y.push_back(y);
                p.x.push_back(x);
            }
        } else if (words >> word >> equals && word[0] == 'b' && equals == "=") {
            double first = 0, second = 0, value = 0, deviation = 0;
            if (!(words >> first >> second >> value >> deviation)) continue;
            p.starts[0].push_back(first);
            p.starts[1].push_back(second);
            p.certified.push_back(value);
            p.deviations.push_back(deviation);
        }
    }
    if (p.certified.empty() || p.y.size() <= p.certified.size()) throw std::runtime_error(path + " is no problem of the StRD");
    return p;
}

}  // namespace apps
