#include "digit_images.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <numeric>

#include "expect.h"

namespace apps {

DigitImages::DigitImages(const std::string& path, std::size_t tested, RandomNumbers& random) : tested_(0) {
    std::ifstream file(path);
    std::string image;
    for (int label; file >> image >> label;) {
        images_.push_back(image);
        labels_.push_back(label);
    }
    expect(images_.size() == 1797, "the file has all digits");
    order_.resize(images_.size());
    std::iota(order_.begin(), order_.end(), 0);
    shuffle(random);
    tested_ = tested;
}

void DigitImages::shuffle(RandomNumbers& random) {
    for (std::size_t k = order_.size() - 1; k > tested_; --k)
        std::swap(order_[k], order_[tested_ + static_cast<std::size_t>(random.uniform() * double(k - tested_ + 1))]);
}

void DigitImages::fill(const CompiledProgram& program, std::size_t first, std::int64_t count, bool labels) const {
    const auto x = program.array("x");
    for (std::int64_t e = 0; e < count; ++e) {
        const auto which = static_cast<std::size_t>(order_[first + static_cast<std::size_t>(e)]);
        for (std::int64_t i = 0; i < digit_pixels; ++i)
            x(e, i) = static_cast<float>(images_[which][static_cast<std::size_t>(i)] - 'a') / 16;
        if (labels) program.array<std::int32_t>("label")(e) = labels_[which];
    }
}

double DigitImages::read_tests(const CompiledProgram& program) const {
    fill(program, 0, static_cast<std::int64_t>(tested_), false);
    program.run();
    int right = 0;
    for (std::size_t e = 0; e < tested_; ++e) {
        const float* scores = program.array("logits").data() + static_cast<std::int64_t>(e) * digit_classes;
        right += std::max_element(scores, scores + digit_classes) - scores == labels_[static_cast<std::size_t>(order_[e])];
    }
    const double share = 100.0 * right / static_cast<double>(tested_);
    std::cout << "test digits read right: " << right << " of " << tested_ << ", " << share << " %\n";
    return share;
}

}  // namespace apps
