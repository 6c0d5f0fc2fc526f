# The CUDA backend: SLOTWISE_CUDA AUTO takes it when nvcc works, ON insists, OFF leaves it out,
# SIMULATED compiles it for the processor. Sets SLOTWISE_HAS_CUDA and SLOTWISE_CUDA_TEXT. `native`
# is no default: a binary is often built on a machine without the GPU that it runs on.
set(SLOTWISE_HAS_CUDA OFF)
set(SLOTWISE_HAS_CUDNN OFF)
set(SLOTWISE_CUDNN_TEXT "off: no CUDA")
set(SLOTWISE_HAS_NCCL OFF)
set(SLOTWISE_NCCL_TEXT "off: needs CUDA")
if(SLOTWISE_CUDA STREQUAL OFF)
  set(SLOTWISE_CUDA_TEXT "off (SLOTWISE_CUDA=OFF)")
  return()
endif()

if(SLOTWISE_CUDA STREQUAL SIMULATED)
  include(SlotwiseSimulatedGpu)
  return()
endif()

# By CUDACXX, not CMAKE_CUDA_COMPILER: check_language() then still tries the compiler out.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(SLOTWISE_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH
               PATHS /usr/local/cuda/bin PATH_SUFFIXES bin)
  if(SLOTWISE_NVCC)
    set(ENV{CUDACXX} ${SLOTWISE_NVCC})
  endif()
endif()
# One host compiler for all files; "all" (every architecture that this nvcc knows of our list) is
# resolved below, when its version is known.
if(NOT CMAKE_CUDA_HOST_COMPILER)
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER} CACHE FILEPATH "host compiler of nvcc")
endif()
set(CMAKE_CUDA_ARCHITECTURES ${SLOTWISE_CUDA_ARCHITECTURES})
if(SLOTWISE_CUDA_ARCHITECTURES STREQUAL all)
  set(CMAKE_CUDA_ARCHITECTURES 80)
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  set(SLOTWISE_CUDA_TEXT "off: no working nvcc found (on the PATH, in CUDA_HOME, /usr/local/cuda)")
  if(SLOTWISE_CUDA STREQUAL ON)
    message(FATAL_ERROR "SLOTWISE_CUDA=ON, but ${SLOTWISE_CUDA_TEXT}")
  endif()
  return()
endif()
enable_language(CUDA)
# CMake 3.25 does not know that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit REQUIRED)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4 OR NOT TARGET CUDA::cublasLt)
  set(SLOTWISE_CUDA_TEXT
      "off: needs CUDA 12.4 or newer with cuBLASLt, found ${CMAKE_CUDA_COMPILER_VERSION}")
  if(SLOTWISE_CUDA STREQUAL ON)
    message(FATAL_ERROR "SLOTWISE_CUDA=ON, but ${SLOTWISE_CUDA_TEXT}")
  endif()
  return()
endif()

# Code for each architecture, and for GPUs to come the newest one's PTX.
if(SLOTWISE_CUDA_ARCHITECTURES STREQUAL all)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known
                  COMMAND_ERROR_IS_FATAL ANY)
  set(CMAKE_CUDA_ARCHITECTURES "")
  foreach(architecture 80 86 89 90a 100 120)
    if(architecture STREQUAL 90a OR known MATCHES "sm_${architecture}\n")
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
      set(newest ${architecture})
    endif()
  endforeach()
  list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest}-virtual)
endif()

# cuBLASLt has no version of its own: it goes with cuBLAS.
set(cublas_version "")
foreach(part MAJOR MINOR PATCH)
  file(STRINGS ${CUDAToolkit_INCLUDE_DIRS}/cublas_api.h line REGEX "define CUBLAS_VER_${part} ")
  string(REGEX MATCH "[0-9]+" number "${line}")
  list(APPEND cublas_version ${number})
endforeach()
list(JOIN cublas_version . cublas_version)
list(JOIN CMAKE_CUDA_ARCHITECTURES " " architectures)
set(SLOTWISE_HAS_CUDA ON)
set(SLOTWISE_CUDA_TEXT
    "${CMAKE_CUDA_COMPILER_VERSION} (${CMAKE_CUDA_COMPILER}), architectures ${architectures}, cuBLASLt ${cublas_version}")

# Attention by cuDNN, where its headers are: the others are own code.
find_package(CudnnFrontend 1.18 QUIET)
if(CudnnFrontend_FOUND AND Cudnn_VERSION VERSION_GREATER_EQUAL 9.5)
  set(SLOTWISE_HAS_CUDNN ON)
  set(SLOTWISE_CUDNN_TEXT "${Cudnn_VERSION} through frontend ${CudnnFrontend_VERSION}")
elseif(NOT Cudnn_INCLUDE_DIR)
  set(SLOTWISE_CUDNN_TEXT "off: cudnn_version.h not found (attention runs in own kernels)")
elseif(NOT Nvrtc_INCLUDE_DIR)
  set(SLOTWISE_CUDNN_TEXT "off: nvrtc.h not found, which its frontend includes")
elseif(NOT CudnnFrontend_INCLUDE_DIR)
  set(SLOTWISE_CUDNN_TEXT
      "off: cudnn_frontend.h not found (SLOTWISE_CUDNN_FRONTEND=FOLDER; tests/run.sh fetches it)")
else()
  set(SLOTWISE_CUDNN_TEXT
      "off: needs cuDNN 9.5 and frontend 1.18, found ${Cudnn_VERSION} and ${CudnnFrontend_VERSION}")
endif()

# NCCL: the header decides; the library is loaded when several ranks use GPUs.
find_path(SLOTWISE_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(SLOTWISE_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR})
if(SLOTWISE_NCCL_INCLUDE)
  set(SLOTWISE_HAS_NCCL ON)
  set(SLOTWISE_NCCL_TEXT "${SLOTWISE_NCCL_INCLUDE}/nccl.h")
  if(NOT SLOTWISE_NCCL_LIBRARY)
    set(SLOTWISE_NCCL_LIBRARY libnccl.so.2)
  endif()
else()
  set(SLOTWISE_NCCL_TEXT "off: nccl.h not found (one rank on GPUs only); install libnccl-dev")
endif()
