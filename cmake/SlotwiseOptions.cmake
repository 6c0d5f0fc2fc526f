# What a person can choose, and the compiler settings that every target shares.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

option(SLOTWISE_TESTS "Build the tests" ON)
option(SLOTWISE_BENCH "Build the benchmarks (needs Google Benchmark)" ON)
option(SLOTWISE_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
set(SLOTWISE_CUDA AUTO CACHE STRING "CUDA backend: AUTO, ON, OFF or SIMULATED")
set(SLOTWISE_CUDA_ARCHITECTURES 90a CACHE STRING
    "CUDA architectures, as CMAKE_CUDA_ARCHITECTURES, or: all (80 to 120, as nvcc allows)")
set(SLOTWISE_MPI AUTO CACHE STRING "Several ranks over MPI: AUTO, ON or OFF")
set(SLOTWISE_CUDNN_FRONTEND "" CACHE PATH
    "Folder with include/cudnn_frontend.h, for attention by cuDNN; empty: where the system has it")
set(SLOTWISE_CPU_ARCH AUTO CACHE STRING
    "-march for the CPU kernels; AUTO: x86-64-v3 (AVX2, FMA) where this machine has it")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# -g only where somebody asks for it: it doubles the size of a build and its ccache.
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

if(SLOTWISE_CPU_ARCH STREQUAL AUTO)
  set(SLOTWISE_CPU_ARCH_USED "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo flags REGEX "^flags" LIMIT_COUNT 1)
    if(flags MATCHES " avx2" AND flags MATCHES " fma" AND flags MATCHES " bmi2")
      set(SLOTWISE_CPU_ARCH_USED x86-64-v3)
    endif()
  endif()
else()
  set(SLOTWISE_CPU_ARCH_USED ${SLOTWISE_CPU_ARCH})
endif()

# ccache, with keys that do not hold the checkout's path, so that a second clone compiles in no time.
find_program(SLOTWISE_CCACHE ccache)
if(SLOTWISE_CCACHE)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
               CCACHE_SLOPPINESS=time_macros ${SLOTWISE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
