#include "photo_planes.h"

#include <algorithm>
#include <cmath>

namespace demo {

Planes planes_of(const apps::Image& image) {
    const std::int64_t height = image.extent(0), width = image.extent(1), last = image.extent(2) - 1;
    const Planes planes{3, height, width};
    for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x)
                planes(c, y, x) = static_cast<float>(image(y, x, std::min(c, last))) / 255.0f;
    return planes;
}

apps::Image image_of(const Planes& planes) {
    const std::int64_t height = planes.extent(1), width = planes.extent(2);
    const apps::Image image{height, width, 3};
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
            for (std::int64_t c = 0; c < 3; ++c) {
                const float value = planes(c, y, x);  // 0/0 of a black pixel gives NaN: black
                image(y, x, c) = static_cast<std::uint8_t>(value > 0 ? std::lround(std::min(value, 1.0f) * 255.0f) : 0);
            }
    return image;
}

Planes enlarged(const Planes& planes, int factor) {
    const std::int64_t height = planes.extent(1), width = planes.extent(2);
    const Planes out{3, height * factor, width * factor};
    const auto place = [&](std::int64_t i, std::int64_t extent, std::int64_t& first, std::int64_t& second) {
        const float at = std::max(0.0f, (static_cast<float>(i) + 0.5f) / static_cast<float>(factor) - 0.5f);
        first = std::min(static_cast<std::int64_t>(at), extent - 1);
        second = std::min(first + 1, extent - 1);
        return at - static_cast<float>(first);
    };
    std::int64_t top = 0, bottom = 0, left = 0, right = 0;
    for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t y = 0; y < out.extent(1); ++y) {
            const float down = place(y, height, top, bottom);
            for (std::int64_t x = 0; x < out.extent(2); ++x) {
                const float across = place(x, width, left, right);
                const float above = std::lerp(planes(c, top, left), planes(c, top, right), across);
                out(c, y, x) = std::lerp(above, std::lerp(planes(c, bottom, left), planes(c, bottom, right), across), down);
            }
        }
    return out;
}

Planes padded(const Planes& planes, int margin) {
    const std::int64_t height = planes.extent(1), width = planes.extent(2);
    const Planes out{3, height + 2 * margin, width + 2 * margin};
    for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t y = 0; y < out.extent(1); ++y)
            for (std::int64_t x = 0; x < out.extent(2); ++x)
                out(c, y, x) = planes(c, std::clamp<std::int64_t>(y - margin, 0, height - 1),
                                      std::clamp<std::int64_t>(x - margin, 0, width - 1));
    return out;
}

apps::Image marked_corners(const Planes& photo, const Planes& corner, int& count) {
    constexpr std::int64_t apart = 4, arm = 3;
    const std::int64_t height = corner.extent(0), width = corner.extent(1);
    const apps::Image image = image_of(photo);
    image.for_each([](std::uint8_t& value) { value = static_cast<std::uint8_t>(value / 2); });
    float largest = 0;
    corner.for_each([&](float value) { largest = std::max(largest, value); });
    const auto is_corner = [&](std::int64_t y, std::int64_t x) {
        if (!(corner(y, x) > 0.01f * largest)) return false;
        for (std::int64_t v = std::max<std::int64_t>(0, y - apart); v <= std::min(height - 1, y + apart); ++v)
            for (std::int64_t u = std::max<std::int64_t>(0, x - apart); u <= std::min(width - 1, x + apart); ++u)
                if (corner(v, u) > corner(y, x)) return false;
        return true;
    };
    const auto mark = [&](std::int64_t y, std::int64_t x) {
        if (y < 0 || y >= height || x < 0 || x >= width) return;
        image(y, x, 0) = 255;
        image(y, x, 1) = 210;
        image(y, x, 2) = 0;
    };
    count = 0;
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
            if (!is_corner(y, x)) continue;
            ++count;
            for (std::int64_t i = -arm; i <= arm; ++i) mark(y + i, x), mark(y, x + i);
        }
    return image;
}

}  // namespace demo
