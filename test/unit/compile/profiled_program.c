/* Calls a kernel of a library that was compiled with profiling and reads its times. */
#include "slopes.h"

#include <stdio.h>
#include <string.h>

#include <tessera/tessera_profile.h>

int main(void) {
    static float in[4000], out[4000];
    static char text[2000];
    const int64_t extents[1] = {4000};
    tessera_buffer from, to;
    tessera_profile_row row;
    int call;
    memset(&from, 0, sizeof from);
    from.data = in;
    from.extents = extents;
    from.rank = 1;
    from.dtype = TESSERA_F32;
    to = from;
    to.data = out;
    for (call = 0; call < 5; ++call)
        if (slopes(&from, &to) != TESSERA_OK) return 1;
    if (tessera_profile_rows() != 2) return 2;
    if (tessera_profile_row_at(0, &row) != TESSERA_OK || strcmp(row.stage, "squares") != 0 || row.calls != 5) return 3;
    if (row.entries != 5 || row.seconds <= 0 || row.seconds > row.wall_seconds) return 4;
    if (tessera_profile_text(text, sizeof text) >= sizeof text || strstr(text, "slowest: ") == NULL) return 5;
    printf("%s", text);
    return 0;
}
