# SLOTWISE_CUDA=SIMULATED: the CUDA sources as C++ for a GPU that the processor plays
# (tests/simulated_gpu). A check of the kernels' logic where there is no GPU; far too slow to train.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(SLOTWISE_HAS_CUDA ON)
set(SLOTWISE_SIMULATES_CUDA ON)
set(SLOTWISE_CUDA_TEXT "simulated by the processor (tests/simulated_gpu)")
set(SLOTWISE_CUDNN_TEXT "off: the GPU is simulated")
set(SLOTWISE_NCCL_TEXT "off: the GPU is simulated")
set(simulated_gpu ${CMAKE_SOURCE_DIR}/tests/simulated_gpu)
set(slotwise_translated ${CMAKE_BINARY_DIR}/translated)

# Writes the C++ of a CUDA source; a header keeps its name, so that includes find it first.
function(slotwise_translate source out)
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
  set(target ${slotwise_translated}/${name})
  if(source MATCHES "\\.cu$")
    string(APPEND target .cpp)
  endif()
  get_filename_component(folder ${target} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  execute_process(COMMAND ${Python3_EXECUTABLE} ${simulated_gpu}/translate.py ${source} ${target}
                  COMMAND_ERROR_IS_FATAL ANY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
               ${source} ${simulated_gpu}/translate.py)
  set(${out} ${target} PARENT_SCOPE)
endfunction()

# Replaces the .cu files of a list; what includes CUDA's headers finds ours.
function(slotwise_translate_list list)
  set(all "")
  foreach(source ${${list}})
    if(source MATCHES "\\.cu$")
      slotwise_translate(${source} source)
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
                                  "-Wno-unknown-pragmas;-Wno-shadow")
    endif()
    if(source MATCHES "cuda|simulated_gpu")
      set_source_files_properties(${source} PROPERTIES INCLUDE_DIRECTORIES
                                  "${slotwise_translated};${simulated_gpu}/include")
    endif()
    list(APPEND all ${source})
  endforeach()
  set(${list} ${all} PARENT_SCOPE)
endfunction()

file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cuh)
foreach(header ${headers})
  slotwise_translate(${header} ignored)
endforeach()
