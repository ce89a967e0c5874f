# The arrows: a room and the rooms whose headers it may include. CMake links by this list and a house test reads it.
set(TESSERA_ROOMS
  "base:"
  "runtime:"
  "types:base"
  "schedule:base types expr algorithm"
)
