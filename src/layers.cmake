# The arrows: a room and the rooms whose headers it may include, each standing above its users. CMake reads this list and so does
# test/house.
set(TESSERA_ROOMS
  "base:"
  "runtime:"
  "types:base"
  "expr:base types"
  "algorithm:base types expr"
  "ops:base types expr algorithm"
  "transform:base types expr algorithm"
  "autodiff:base types expr algorithm transform"
  "solve:base types expr algorithm transform autodiff"
  "schedule:base types expr algorithm"
  "schedule_db:base types expr algorithm schedule"
  "tile:base types expr algorithm schedule"
  "backend:base types expr algorithm schedule"
  "backend/interpreter:base types expr algorithm schedule backend"
  "backend/cpu:base types expr algorithm schedule backend"
  "backend/cuda:base types expr algorithm schedule tile backend"
  "compile:base types expr algorithm transform autodiff schedule schedule_db tile backend backend/interpreter backend/cpu backend/cuda"
  "verify:base types expr algorithm autodiff schedule compile"
  "tune:base types expr algorithm schedule tile backend backend/cpu backend/cuda"
)
