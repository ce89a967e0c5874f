# `make install`: headers, libraries, and a CMake package that asks consumers for none of Tessera's own dependencies.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(TESSERA_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Tessera)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tessera DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
tessera_export(tessera Tessera)
tessera_export(tessera_runtime_static Runtime)
if(TARGET tessera_tune)
  tessera_export(tessera_tune Autotune)
  set_target_properties(tessera_tune PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/tessera")
endif()
if(TESSERA_HAVE_HALIDE)
  # libHalide stands beside the installed libraries: an installation outlives the source tree it came from.
  install(FILES ${Halide_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR}/tessera)
  set_target_properties(tessera PROPERTIES INSTALL_RPATH "$ORIGIN/tessera")
endif()

install(EXPORT TesseraTargets NAMESPACE Tessera:: DESTINATION ${TESSERA_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TesseraConfig.cmake.in ${PROJECT_BINARY_DIR}/TesseraConfig.cmake
  INSTALL_DESTINATION ${TESSERA_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TesseraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TesseraConfig.cmake ${PROJECT_BINARY_DIR}/TesseraConfigVersion.cmake
  DESTINATION ${TESSERA_PACKAGE_DIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/cmake/TesseraFunctions.cmake)
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/TesseraFunctions.cmake DESTINATION ${TESSERA_PACKAGE_DIR})
endif()
