include(${PROJECT_SOURCE_DIR}/src/layers.cmake)

# The rooms that `room` may include, from TESSERA_ROOMS; an unlisted room is an error.
function(tessera_room_uses room out)
  foreach(row IN LISTS TESSERA_ROOMS)
    string(REGEX MATCH "^([^:]+):(.*)$" matched "${row}")
    if(CMAKE_MATCH_1 STREQUAL room)
      string(REPLACE " " ";" uses "${CMAKE_MATCH_2}")
      set(${out} ${uses} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "room ${room} has no row in src/layers.cmake")
endfunction()

# What nearly every source of the compiler includes of others, precompiled once, in the room that stands below the rest.
set(TESSERA_PRECOMPILED <algorithm> <array> <functional> <map> <memory> <optional> <set> <string> <unordered_map> <variant> <vector>
    <fmt/format.h>)

# tessera_room(name SOURCES a.cpp b.cpp [LIBRARIES third_party...] [PRECOMPILE <Header.h>...])
# One room of src/ as an object library tessera_<name> (slashes become underscores); everything lands in the library `tessera`.
function(tessera_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES;PRECOMPILE" ${ARGN})
  string(REPLACE "/" "_" target "tessera_${name}")
  list(TRANSFORM ARG_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/${name}/)
  tessera_room_uses(${name} uses)
  add_library(${target} OBJECT ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE tessera_flags fmt::fmt ${ARG_LIBRARIES})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TESSERA_UNITY})
  # What shipped programs link is compiled without headers of others.
  if(ARG_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ARG_PRECOMPILE})
  elseif(name STREQUAL base)
    target_precompile_headers(${target} PRIVATE ${TESSERA_PRECOMPILED})
  elseif(NOT name STREQUAL runtime)
    target_precompile_headers(${target} REUSE_FROM tessera_base)
  endif()
  target_sources(tessera PRIVATE $<TARGET_OBJECTS:${target}>)
  list(TRANSFORM ARG_LIBRARIES REPLACE "(.+)" "$<BUILD_INTERFACE:\\1>")
  target_link_libraries(tessera PRIVATE ${ARG_LIBRARIES})
endfunction()

# tessera_export(target Name): `target` is installed and known as Tessera::<Name>, inside this build and to find_package(Tessera).
function(tessera_export target name)
  if(NOT TARGET Tessera::${name})
    add_library(Tessera::${name} ALIAS ${target})
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${target} EXPORT TesseraTargets)
endfunction()

# tessera_test(name SOURCES ...): one GoogleTest binary; may include internal headers. Compiled without optimisation, in half the time: what takes long
# in a test is in the library.
function(tessera_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/test)
  target_link_libraries(${name} PRIVATE tessera tessera_flags fmt::fmt GTest::gtest_main ${ARG_LIBRARIES})
  target_include_directories(${name} PRIVATE ${PROJECT_BINARY_DIR}/generated)
  target_compile_options(${name} PRIVATE -O0)
  if(name STREQUAL test_base)
    target_precompile_headers(${name} PRIVATE <gtest/gtest.h> ${TESSERA_PRECOMPILED})
  else()
    target_precompile_headers(${name} REUSE_FROM test_base)
  endif()
  add_test(NAME ${name} COMMAND ${name})
endfunction()
