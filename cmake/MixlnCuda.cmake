# GPUs: the kernels, and the plugin that the trainer loads, where scripts/bootstrap --cuda has brought nvcc; elsewhere everything else
# is built, also where the machine has a CUDA toolkit of its own, which may be of another release. nvcc is run by hand:
# enable_language(CUDA) looks for a whole toolkit, and the wheels have only what is needed.
file(GLOB _cuda_candidates "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13")
file(GLOB _nccl_candidates "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/nccl")
find_program(MIXLN_NVCC nvcc PATHS ${_cuda_candidates} PATH_SUFFIXES bin NO_CACHE NO_DEFAULT_PATH)
find_path(MIXLN_CUDA_INCLUDE_DIR cublas_v2.h PATHS ${_cuda_candidates} PATH_SUFFIXES include NO_CACHE NO_DEFAULT_PATH)
find_path(MIXLN_NCCL_INCLUDE_DIR nccl.h PATHS ${_nccl_candidates} PATH_SUFFIXES include NO_CACHE NO_DEFAULT_PATH)
find_file(MIXLN_CUDART_LIBRARY libcudart.so.13 PATHS ${_cuda_candidates} PATH_SUFFIXES lib NO_CACHE NO_DEFAULT_PATH)
find_file(MIXLN_CUBLAS_LIBRARY libcublas.so.13 PATHS ${_cuda_candidates} PATH_SUFFIXES lib NO_CACHE NO_DEFAULT_PATH)
set(MIXLN_CUDA NO)
if(MIXLN_NVCC AND MIXLN_CUDA_INCLUDE_DIR AND MIXLN_NCCL_INCLUDE_DIR AND MIXLN_CUDART_LIBRARY AND MIXLN_CUBLAS_LIBRARY)
  set(MIXLN_CUDA YES)
else()
  message(STATUS "mixln: without GPUs: no nvcc in .venv (scripts/bootstrap --cuda brings it)")
endif()

# mixln_cuda_kernels(FOLDER NAME [DEPS folder...]): the folder's .cu files as the static library NAME, for GPUs from sm_80 to
# sm_100 and, as PTX, for later ones.
function(mixln_cuda_kernels folder name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  set(flags -std=c++20 -O3 --expt-relaxed-constexpr -Xcompiler -fPIC,-Wall,-Wextra -isystem "${MIXLN_CUDA_INCLUDE_DIR}"
    -gencode arch=compute_100,code=compute_100)
  foreach(architecture IN ITEMS 80 90 100)
    list(APPEND flags -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  set(headers "")
  foreach(dep IN LISTS ARG_DEPS ITEMS "${folder}")
    _mixln_target("${dep}" dep_target)
    list(APPEND flags -I "${CMAKE_BINARY_DIR}/include/${dep_target}")
    file(GLOB dep_headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dep}/*.h")
    list(APPEND headers ${dep_headers})
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cu")
  set(objects "")
  foreach(source IN LISTS sources)
    get_filename_component(stem "${source}" NAME_WE)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}_${stem}.o")
    add_custom_command(OUTPUT "${object}" COMMAND "${MIXLN_NVCC}" ${flags} -c "${source}" -o "${object}"
      DEPENDS "${source}" ${headers} COMMENT "nvcc ${folder}/${stem}.cu" VERBATIM)
    list(APPEND objects "${object}")
  endforeach()
  add_library(${name} STATIC ${objects})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(${name} PUBLIC "${MIXLN_CUDART_LIBRARY}")
endfunction()

# mixln_cuda_plugin(FOLDER NAME KERNELS): the folder's .cc files with the kernels as the shared library lib/libNAME.so, which
# brings LibTorch's CUDA libraries along. It takes its LibTorch from the program that loads it.
function(mixln_cuda_plugin folder name kernels)
  _mixln_target("${folder}" target)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cc")
  add_library(${name} SHARED ${sources})
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib" CXX_VISIBILITY_PRESET hidden
    INSTALL_RPATH "$ORIGIN/../${MIXLN_LIBTORCH_FOLDER}/lib")
  target_compile_definitions(${name} PRIVATE USE_C10D_NCCL)
  target_include_directories(${name} SYSTEM PRIVATE "${MIXLN_CUDA_INCLUDE_DIR}" "${MIXLN_NCCL_INCLUDE_DIR}")
  target_link_libraries(${name} PRIVATE ${target} ${kernels} LibTorch::cpu "${LibTorch_ROOT_DIR}/lib/libtorch_cuda.so"
    "${LibTorch_ROOT_DIR}/lib/libc10_cuda.so" "${MIXLN_CUBLAS_LIBRARY}" "${MIXLN_CUDART_LIBRARY}" mixln_warnings)
endfunction()
