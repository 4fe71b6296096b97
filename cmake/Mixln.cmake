# How this project declares its parts. One folder is one library; its target and its C++ namespace follow
# its full path: coordinator/sweep is the target mixln_coordinator_sweep, namespace mixln::coordinator::sweep.
#
# The dependency rule (docs/architecture.md §4) holds because a library sees only the headers of the folders
# it names in DEPS: each folder's headers are linked into an include folder of its own,
# build/<preset>/include/<target>/<folder>/, and nothing adds the source root to the include path.

set(MIXLN_PURE_FOLDERS "" CACHE INTERNAL "folders declared PURE")

# Which top-level folders may be named in DEPS by which.
set(_mixln_may_use_proto proto)
set(_mixln_may_use_base base)
set(_mixln_may_use_coordinator coordinator proto base)
set(_mixln_may_use_worker worker proto base)
set(_mixln_may_use_services services coordinator worker proto base)

function(_mixln_target folder out)
  string(REPLACE "/" "_" name "${folder}")
  set(${out} "mixln_${name}" PARENT_SCOPE)
endfunction()

# Shows the folder's headers, and only them, below its own include folder.
function(_mixln_publish_headers target folder)
  set(view "${CMAKE_BINARY_DIR}/include/${target}")
  file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.h")
  file(REMOVE_RECURSE "${view}")
  file(MAKE_DIRECTORY "${view}/${folder}")
  foreach(header IN LISTS headers)
    get_filename_component(name "${header}" NAME)
    file(CREATE_LINK "${header}" "${view}/${folder}/${name}" SYMBOLIC)
  endforeach()
  set(MIXLN_VIEW "${view}" PARENT_SCOPE)
endfunction()

function(_mixln_check_rule folder pure)
  string(REGEX REPLACE "/.*" "" layer "${folder}")
  foreach(dep IN LISTS ARGN)
    string(REGEX REPLACE "/.*" "" dep_layer "${dep}")
    if(NOT dep_layer IN_LIST _mixln_may_use_${layer})
      message(FATAL_ERROR "${folder} may not depend on ${dep}: imports go services -> coordinator | worker -> proto, base")
    endif()
    if(pure AND NOT dep_layer STREQUAL "proto" AND NOT dep IN_LIST MIXLN_PURE_FOLDERS)
      message(FATAL_ERROR "${folder} is pure and may not depend on ${dep}, which is not")
    endif()
  endforeach()
endfunction()

# mixln_library(FOLDER [PURE] [HEADERS_ONLY] [DEPS folder...] [LIBS external...] [PCH torch|grpc])
# Every .cc in the folder but main.cc belongs to the library. PURE: no I/O, clock, thread or randomness inside. HEADERS_ONLY: the
# sources are for others to compile.
function(mixln_library folder)
  cmake_parse_arguments(ARG "PURE;HEADERS_ONLY" "PCH" "DEPS;LIBS" ${ARGN})
  _mixln_check_rule("${folder}" "${ARG_PURE}" ${ARG_DEPS})
  if(ARG_PURE)
    set(MIXLN_PURE_FOLDERS "${MIXLN_PURE_FOLDERS};${folder}" CACHE INTERNAL "")
  endif()
  _mixln_target("${folder}" target)
  _mixln_publish_headers(${target} "${folder}")
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cc")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(ARG_HEADERS_ONLY)
    set(sources "")
  endif()
  set(kind PUBLIC)
  if(sources)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PRIVATE mixln_warnings)
  else()
    add_library(${target} INTERFACE)
    set(kind INTERFACE)
  endif()
  target_include_directories(${target} ${kind} "${MIXLN_VIEW}")
  foreach(dep IN LISTS ARG_DEPS)
    _mixln_target("${dep}" dep_target)
    target_link_libraries(${target} ${kind} ${dep_target})
  endforeach()
  target_link_libraries(${target} ${kind} ${ARG_LIBS})
  if(ARG_PCH AND sources)
    target_precompile_headers(${target} REUSE_FROM mixln_pch_${ARG_PCH})
  endif()
endfunction()

# mixln_executable(FOLDER NAME [DEPS ...] [LIBS ...] [PCH ...]): the folder's library and its main.cc as program NAME.
function(mixln_executable folder name)
  cmake_parse_arguments(ARG "" "PCH" "DEPS;LIBS" ${ARGN})
  mixln_library("${folder}" ${ARGN})
  _mixln_target("${folder}" target)
  add_executable(${name} "${CMAKE_SOURCE_DIR}/${folder}/main.cc")
  target_link_libraries(${name} PRIVATE ${target} mixln_warnings)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  if(ARG_PCH)
    target_precompile_headers(${name} REUSE_FROM mixln_pch_${ARG_PCH})
  endif()
endfunction()

# mixln_unit_tests(FOLDER [DEPS ...] [LIBS ...]): tests/unit/FOLDER/*_test.cc as one program, one ctest test a case.
function(mixln_unit_tests folder)
  cmake_parse_arguments(ARG "" "PCH" "DEPS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*.cc")
  if(NOT sources)
    return()
  endif()
  _mixln_target("${folder}" target)
  set(program "unit_${target}")
  add_executable(${program} ${sources})
  target_link_libraries(${program} PRIVATE ${target} GTest::gmock_main mixln_warnings ${ARG_LIBS})
  # Nothing in a test's own code is hot, and -O3 makes compiling it half as long again.
  target_compile_options(${program} PRIVATE $<$<CONFIG:Release>:-O1>)
  foreach(dep IN LISTS ARG_DEPS)
    _mixln_target("${dep}" dep_target)
    target_link_libraries(${program} PRIVATE ${dep_target})
  endforeach()
  if(ARG_PCH)
    target_precompile_headers(${program} REUSE_FROM mixln_pch_${ARG_PCH})
  endif()
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  gtest_discover_tests(${program} TEST_PREFIX "unit/${folder}." DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# mixln_python_test(KIND NAME TIMEOUT [ENVIRONMENT...]): NAME_test.py of the current folder as the test KIND.NAME with label
# KIND. It finds the programs of the build in MIXLN_BIN.
function(mixln_python_test kind name timeout)
  add_test(NAME ${kind}.${name}
    COMMAND "${CMAKE_SOURCE_DIR}/.venv/bin/python" "${CMAKE_CURRENT_SOURCE_DIR}/${name}_test.py")
  set_tests_properties(${kind}.${name} PROPERTIES LABELS ${kind} TIMEOUT ${timeout}
    ENVIRONMENT "MIXLN_BIN=${CMAKE_BINARY_DIR}/bin;${ARGN}")
endfunction()

# A precompiled header shared by many targets: mixln_pch(torch LIBS LibTorch::cpu HEADERS <torch/torch.h>)
function(mixln_pch name)
  cmake_parse_arguments(ARG "" "" "LIBS;HEADERS" ${ARGN})
  set(source "${CMAKE_BINARY_DIR}/pch/${name}.cc")
  if(NOT EXISTS "${source}")
    file(WRITE "${source}" "// Compiles the precompiled header \"${name}\".\n")
  endif()
  add_library(mixln_pch_${name} OBJECT "${source}")
  target_link_libraries(mixln_pch_${name} PRIVATE ${ARG_LIBS} mixln_warnings)
  target_precompile_headers(mixln_pch_${name} PRIVATE ${ARG_HEADERS})
  if(CCACHE)
    set_target_properties(mixln_pch_${name} PROPERTIES
      CXX_COMPILER_LAUNCHER "${CMAKE_SOURCE_DIR}/cmake/without-old-pch;${CMAKE_CXX_COMPILER_LAUNCHER}")
  endif()
endfunction()
