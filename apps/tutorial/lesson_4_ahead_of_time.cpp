// Lesson 4: ahead of time. This program links compiled kernels as it would any C library. Nothing of the compiler is in it: the
// headers come from the libraries, the rest from the runtime.
#include "expect.h"

#include <tessera/buffer.h>

#include <cstring>

#include "lesson_4_blur.h"
#include "lesson_4_blur_hand.h"

int main() {
    using tessera::Buffer;
    const Buffer<std::uint8_t> photo{64, 96}, blurred{64, 96}, by_hand{64, 96};
    std::uint8_t next = 0;
    photo.for_each([&](std::uint8_t& value) { value = next = static_cast<std::uint8_t>(next * 5 + 17); });

    // A kernel is a C function. It checks every buffer before it writes anything; what it returns is 0 or a status.
    const tessera_buffer from = photo.c_buffer();
    tessera_buffer to = blurred.c_buffer();
    expect(lesson_4_blur(&from, &to) == TESSERA_OK, tessera_last_error());

    // The same algorithm under another schedule: another library, the same bits.
    tessera_buffer also_to = by_hand.c_buffer();
    expect(lesson_4_blur_hand(&from, &also_to) == TESSERA_OK, tessera_last_error());
    expect(std::memcmp(blurred.data(), by_hand.data(), 64 * 96) == 0, "a schedule keeps every bit");
    int sum = 0;
    for (std::int64_t i = -2; i <= 2; ++i)
        for (std::int64_t j = -2; j <= 2; ++j) sum += photo(10 + i, 20 + j);
    expect(blurred(10, 20) == sum / 25, "the mean of 5 x 5 pixels");

    // Views with strides are arguments too: the left half of the photo, without a copy.
    const Buffer<std::uint8_t> half = photo.crop(1, 0, 48), half_out = blurred.crop(1, 0, 48);
    const tessera_buffer half_from = half.c_buffer();
    tessera_buffer half_to = half_out.c_buffer();
    expect(lesson_4_blur(&half_from, &half_to) == TESSERA_OK, tessera_last_error());

    // What does not fit is refused, with a message.
    const Buffer<std::uint8_t> small{8, 8};
    tessera_buffer small_to = small.c_buffer();
    expect(lesson_4_blur(&from, &small_to) == TESSERA_ARGUMENT_EXTENT, "an output of another size is refused");
    std::puts(tessera_last_error());
}
