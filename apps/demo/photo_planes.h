#pragma once

#include "image_io.h"
#include "kernels.h"

/// Between pictures (bytes, channels last) and what the pipelines take (floats from 0 to 1, a plane for each channel).
namespace demo {

/// {3, y, x}; a gray picture becomes three equal planes.
[[nodiscard]] Planes planes_of(const apps::Image& image);
/// Values outside [0, 1] become black and white.
[[nodiscard]] apps::Image image_of(const Planes& planes);
/// `factor` times as wide and high, by bilinear interpolation.
[[nodiscard]] Planes enlarged(const Planes& planes, int factor);
/// With `margin` more rows and columns on each side, equal to the nearest of the picture.
[[nodiscard]] Planes padded(const Planes& planes, int margin);
/// The photo at half brightness, with a cross at each local maximum of a corner measure {y, x} above 1 % of the largest.
[[nodiscard]] apps::Image marked_corners(const Planes& photo, const Planes& corner, int& count);

}  // namespace demo
