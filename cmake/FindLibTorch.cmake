# LibTorch from the torch wheel in .venv (scripts/bootstrap puts it there).
#
# find_package(Torch) of a CUDA wheel insists on a CUDA toolkit and probes for GPUs. The wheel's own
# headers and libraries are enough for host code, so the targets are declared by hand:
#   LibTorch::cpu   libtorch_cpu and libc10, what the trainer links
#   LibTorch::gloo  for files that use c10d's process group for CPUs. It is in libtorch_cpu, but the wheel lacks Gloo's
#                   headers: Debian's (libgloo-dev) declare what c10d's headers name, and nothing of Debian's library is used.
file(GLOB _torch_candidates "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
find_path(LibTorch_ROOT_DIR NAMES include/ATen/ATen.h PATHS ${_torch_candidates} NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
# at::parallel_for is OpenMP in its header; the wheel brings the libgomp that its own libraries use.
find_file(LibTorch_GOMP_LIBRARY libgomp.so.1 PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_GOMP_LIBRARY
  FAIL_MESSAGE "LibTorch is not in .venv: run scripts/bootstrap")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE
    "${LibTorch_ROOT_DIR}/include" "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include")
  # The wheel's libstdc++ ABI is the new one, as Debian's.
  target_link_libraries(LibTorch::cpu INTERFACE
    "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}" "${LibTorch_GOMP_LIBRARY}")
  find_path(LibTorch_GLOO_INCLUDE_DIR NAMES gloo/context.h REQUIRED)
  add_library(LibTorch::gloo INTERFACE IMPORTED)
  target_include_directories(LibTorch::gloo SYSTEM INTERFACE "${LibTorch_GLOO_INCLUDE_DIR}")
  target_compile_options(LibTorch::cpu INTERFACE -fopenmp)
  target_link_options(LibTorch::cpu INTERFACE "LINKER:--no-as-needed")
endif()
