# What is installed where, and the packages that `cpack` makes of it: a Debian package and a tarball, both for Debian 12. LibTorch
# stays out; `mixlnctl setup` brings it to where the trainer's RPATH looks.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON) # a package needs the programs, not the tests

set(_mixln_programs mixlnctl mixln-coordinator mixln-worker mixln-prepare)
if(MIXLN_TRAINER)
  list(APPEND _mixln_programs mixln-trainer)
endif()
install(TARGETS ${_mixln_programs} RUNTIME DESTINATION bin)
install(FILES deploy/systemd/mixln-coordinator.service deploy/systemd/mixln-worker.service DESTINATION lib/systemd/system)
install(DIRECTORY examples/ DESTINATION share/mixln/examples)
install(DIRECTORY deploy/grafana/dashboards deploy/grafana/provisioning DESTINATION share/mixln/grafana)
install(FILES deploy/prometheus/prometheus.yml deploy/prometheus/prometheus-kubernetes.yml deploy/prometheus/rules.yml
  DESTINATION share/mixln/prometheus)
install(DIRECTORY docs/ DESTINATION share/doc/mixln)

set(CPACK_PACKAGE_NAME mixln)
set(CPACK_PACKAGE_VENDOR MixLN)
set(CPACK_PACKAGE_CONTACT "MixLN maintainers <maintainers@mixln.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "trains transformers with normalization in different places and compares them")
set(CPACK_PACKAGE_DESCRIPTION "MixLN schedules sweeps over normalization placements onto worker daemons, trains them and compares \
the results. LibTorch is not part of this package: `mixlnctl setup` brings it.")
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_FILE_NAME "mixln-${PROJECT_VERSION}-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
# LibTorch's libraries are no package's, so they are shown where they are and give no dependency.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
if(MIXLN_TRAINER)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${LibTorch_ROOT_DIR}/lib")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)          # the user of the units
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS python3-venv)  # `mixlnctl setup`, which only hosts that train need
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
foreach(script IN ITEMS postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_SOURCE_DIR}/deploy/debian/${script}")
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
