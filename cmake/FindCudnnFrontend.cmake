# cuDNN's C headers, and the header-only frontend over them: SLOTWISE_CUDNN_FRONTEND names the folder with
# include/cudnn_frontend.h (an unpacked nvidia-cudnn-frontend wheel, or a checkout; tests/run.sh fetches one).
# The library itself is opened at run time; its place is a fallback for machines that do not know it by name.
if(SLOTWISE_CUDNN_FRONTEND AND NOT CudnnFrontend_INCLUDE_DIR STREQUAL "${SLOTWISE_CUDNN_FRONTEND}/include")
  unset(CudnnFrontend_INCLUDE_DIR CACHE)  # what an earlier configure found elsewhere
endif()
find_path(CudnnFrontend_INCLUDE_DIR cudnn_frontend.h HINTS ${SLOTWISE_CUDNN_FRONTEND}
          ENV SLOTWISE_CUDNN_FRONTEND PATH_SUFFIXES include)
find_path(Cudnn_INCLUDE_DIR cudnn_version.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_path(Nvrtc_INCLUDE_DIR nvrtc.h HINTS ${CUDAToolkit_INCLUDE_DIRS})  # the frontend includes it
find_library(Cudnn_LIBRARY NAMES libcudnn.so.9 cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})

function(slotwise_version_of header prefix result)
  set(version "")
  foreach(part ${ARGN})
    file(STRINGS ${header} line REGEX "define ${prefix}${part} +[0-9]+")
    string(REGEX MATCH "[0-9]+$" number "${line}")
    list(APPEND version ${number})
  endforeach()
  list(JOIN version . version)
  set(${result} ${version} PARENT_SCOPE)
endfunction()
if(CudnnFrontend_INCLUDE_DIR)
  slotwise_version_of(${CudnnFrontend_INCLUDE_DIR}/cudnn_frontend_version.h CUDNN_FRONTEND_
                      CudnnFrontend_VERSION MAJOR_VERSION MINOR_VERSION PATCH_VERSION)
endif()
if(Cudnn_INCLUDE_DIR)
  slotwise_version_of(${Cudnn_INCLUDE_DIR}/cudnn_version.h CUDNN_ Cudnn_VERSION MAJOR MINOR
                      PATCHLEVEL)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudnnFrontend
  REQUIRED_VARS CudnnFrontend_INCLUDE_DIR Cudnn_INCLUDE_DIR Nvrtc_INCLUDE_DIR VERSION_VAR CudnnFrontend_VERSION)
