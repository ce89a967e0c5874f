// The images of digits.txt, in an order that changes, and the arrays of programs that read them.
#pragma once

#include "compiled_program.h"

#include <string>
#include <vector>

namespace apps {

constexpr std::int64_t digit_pixels = 64, digit_classes = 10;

class DigitImages {
public:
    /// The first `tested` of the shuffled images are for the test.
    DigitImages(const std::string& path, std::size_t tested, RandomNumbers& random);

    [[nodiscard]] std::size_t size() const { return order_.size(); }
    /// Another order of the images that are not for the test.
    void shuffle(RandomNumbers& random);
    /// `count` images from the one at `first` into x(n, i), and where `labels` is set their digits into label(n).
    void fill(const CompiledProgram& program, std::size_t first, std::int64_t count, bool labels) const;
    /// Runs the program on the images for the test, and says what share of them its logits(n, c) read right, in %.
    [[nodiscard]] double read_tests(const CompiledProgram& program) const;

private:
    std::vector<std::string> images_;  // 'a' is 0 and 'q' is 16
    std::vector<int> labels_, order_;
    std::size_t tested_;
};

}  // namespace apps
