// A compiled algorithm of static extents with an array for every argument and output.
#pragma once

#include <tessera/algorithm.h>
#include <tessera/buffer.h>
#include <tessera/compile.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace apps {

class CompiledProgram {
public:
    /// Under the default schedule. `in_place`: arguments, and outputs that have their arrays.
    explicit CompiledProgram(const tessera::Algorithm& algorithm,
                             const std::vector<std::pair<std::string, std::string>>& in_place = {});

    /// The array of an argument or output, zero at the start.
    template <class T = float>
    [[nodiscard]] tessera::Buffer<T> array(const std::string& name) const {
        const auto found = outputs_.find(name);
        return tessera::Buffer<T>(found != outputs_.end() ? found->second : inputs_.at(name));
    }
    void run() const;

private:
    tessera::Module module_;
    std::map<std::string, tessera::AnyBuffer> inputs_, outputs_;
};

/// The same sequence of numbers everywhere: uniform in [0, 1), and normally distributed.
class RandomNumbers {
public:
    explicit RandomNumbers(std::uint64_t start) : state_(start) {}
    double uniform();
    double normal();
    /// Normally distributed numbers times `scale`.
    template <class T>
    void fill(const tessera::Buffer<T>& array, double scale = 1) {
        array.for_each([&](T& v) { v = static_cast<T>(scale * normal()); });
    }

private:
    std::uint64_t state_;
};

}  // namespace apps
