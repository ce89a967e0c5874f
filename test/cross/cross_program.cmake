# The same bits on ARM: compiles two kernels for this machine and for arm-64-linux, cross-compiles the runtime and a program that calls
# them, runs the ARM one under qemu-user and compares what the two print.
# cmake -DSOURCE_DIR=... -DGENERATOR_DIR=... -DPROGRAM=... -DWORK_DIR=... -P cross_program.cmake
find_program(cross_compiler aarch64-linux-gnu-g++)
find_program(emulator NAMES qemu-aarch64-static qemu-aarch64)
if(NOT cross_compiler OR NOT emulator)
  message("[SKIP] aarch64-linux-gnu-g++ and qemu-aarch64 are not both installed (Debian: g++-aarch64-linux-gnu qemu-user-static)")
  return()
endif()

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(build_and_run target compiler launcher out)
  set(folder ${WORK_DIR}/${target})
  file(MAKE_DIRECTORY ${folder})
  run(${GENERATOR_DIR}/blur.generator --target ${target} --name cross_blur --out ${folder})
  run(${GENERATOR_DIR}/matmul.generator --target ${target} --name cross_matmul --out ${folder})
  file(GLOB runtime ${SOURCE_DIR}/src/runtime/*.cpp)
  run(${compiler} -std=c++20 -O1 -static -pthread -ffp-contract=off -I${SOURCE_DIR}/include -I${SOURCE_DIR}/src -I${folder}
    ${PROGRAM} ${folder}/cross_blur.a ${folder}/cross_matmul.a ${runtime} -o ${folder}/program)
  execute_process(COMMAND ${launcher} ${folder}/program OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
  set(${out} "${printed}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
build_and_run(host c++ "" here)
build_and_run(arm-64-linux ${cross_compiler} ${emulator} arm)
file(REMOVE_RECURSE ${WORK_DIR})
if(NOT here STREQUAL arm)
  message(FATAL_ERROR "this machine computes ${here}and ARM computes ${arm}")
endif()
message("both print ${here}")
