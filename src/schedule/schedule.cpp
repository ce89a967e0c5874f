#include <tessera/schedule.h>

#include "schedule/schedule_words.h"

namespace tessera {
namespace {

template <class E>
std::string_view word_at(E value) {
    return words_of<E>()[static_cast<size_t>(value)].word;
}

}  // namespace

std::string_view word(LoopKind value) { return value == LoopKind::mesh ? "mesh" : word_at(value); }
std::string_view word(Tail value) { return word_at(value); }
std::string_view word(Partition value) { return word_at(value); }
std::string_view word(Space value) { return word_at(value); }
std::string_view word(Swizzle value) { return word_at(value); }
std::string_view word(FuseAlign value) { return word_at(value); }
std::string_view word(Method value) { return word_at(value); }
std::string_view word(Engine value) { return word_at(value); }
std::string_view word(Overlap value) { return word_at(value); }

const std::string& StageSpec::derived_from() const {
    static const std::string none;
    return copy_of ? *copy_of : clone_of ? *clone_of : partial_of ? *partial_of : none;
}

}  // namespace tessera
