# Halide from its PyPI wheel: the imported target Halide::Halide (header as a SYSTEM include, shared library), Halide_VERSION, Halide_ROOT_DIR.
# Looked for in .deps/halide, in HALIDE_DIR (a cache entry or the environment) and in the halide package of python3.
# Halide's own CMake package needs CMake 3.28 and is not read.
set(halide_places ${PROJECT_SOURCE_DIR}/.deps/halide ${HALIDE_DIR} $ENV{HALIDE_DIR})
if(NOT Halide_INCLUDE_DIR AND NOT EXISTS ${PROJECT_SOURCE_DIR}/.deps/halide AND NOT HALIDE_DIR AND NOT DEFINED ENV{HALIDE_DIR})
  execute_process(
    COMMAND python3 -c "import importlib.util as u; s = u.find_spec('halide'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE halide_of_python OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND halide_places ${halide_of_python})
endif()
find_path(Halide_INCLUDE_DIR Halide.h PATHS ${halide_places} PATH_SUFFIXES include halide/include NO_DEFAULT_PATH)
find_library(Halide_LIBRARY Halide PATHS ${halide_places} PATH_SUFFIXES lib lib64 halide/lib halide/lib64 NO_DEFAULT_PATH)
mark_as_advanced(Halide_INCLUDE_DIR Halide_LIBRARY)

if(Halide_INCLUDE_DIR)
  file(STRINGS ${Halide_INCLUDE_DIR}/HalideRuntime.h halide_version_lines REGEX "^#define HALIDE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE "#define HALIDE_VERSION_[A-Z]+ ([0-9]+)" "\\1" Halide_VERSION "${halide_version_lines}")
  string(REPLACE ";" "." Halide_VERSION "${Halide_VERSION}")
  cmake_path(GET Halide_INCLUDE_DIR PARENT_PATH Halide_ROOT_DIR)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Halide REQUIRED_VARS Halide_LIBRARY Halide_INCLUDE_DIR VERSION_VAR Halide_VERSION)

if(Halide_FOUND AND NOT TARGET Halide::Halide)
  add_library(Halide::Halide SHARED IMPORTED)
  set_target_properties(Halide::Halide PROPERTIES IMPORTED_LOCATION ${Halide_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Halide_INCLUDE_DIR} INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_COMPILE_DEFINITIONS "HALIDE_ENABLE_RTTI;HALIDE_WITH_EXCEPTIONS")
endif()
