#include <tessera/error.h>

#include <cstdio>
#include <cstring>

int main() {
    try {
        throw tessera::Error(tessera::E0103_unknown_dim, {}, "dim q is not bound", {tessera::fix("write y")});
    } catch (const tessera::Exception& error) {
        std::puts(error.what());
        return std::strstr(error.what(), "E0103") != nullptr ? 0 : 1;
    }
}
