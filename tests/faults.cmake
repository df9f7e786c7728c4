# fault_test(NAME LIBRARY...): tests/faults/test_NAME.c, Check programs like those of unit/.
function(fault_test name)
  add_executable(test_${name} faults/test_${name}.c)
  target_link_libraries(test_${name} PRIVATE ${ARGN} PkgConfig::CHECK qzd_warnings m)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(test_${name} PRIVATE -Wno-unknown-warning-option -Wno-format-truncation)
  add_test(NAME ${name} COMMAND test_${name})
  # Every third operation fails, under sanitizers every fifteenth; all of them by hand: see tests/faults/README.md.
  set(every 3)
  if(QZD_SANITIZE OR QZD_COVERAGE)
    set(every 15)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS "unit;faults"
    ENVIRONMENT "QZD_TEST_FAULTS=${every}")
endfunction()

fault_test(store_disk storage)
target_sources(test_store_disk PRIVATE faults/vfs_shim.c faults/store_script.c)
fault_test(storage_disk daemon)
target_sources(test_storage_disk PRIVATE faults/vfs_shim.c)

# For the Python tests of a whole daemon: tests/faults/test_NAME.py with faults.py, whose daemons run below preload.c.
add_library(qzd_faults MODULE faults/preload.c)
target_link_libraries(qzd_faults PRIVATE qzd_warnings ${CMAKE_DL_LIBS})
set_target_properties(qzd_faults PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
function(daemon_fault_test name)
  # A sanitizer must be the first library that is loaded: then these are left out.
  if(NOT Python3_FOUND OR QZD_SANITIZE)
    return()
  endif()
  add_test(NAME faults_${name}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/faults/test_${name}.py)
  set(slowness 1)
  if(QZD_COVERAGE)
    set(slowness 6)
  endif()
  set_tests_properties(faults_${name} PROPERTIES TIMEOUT 600 LABELS "integration;faults"
    ENVIRONMENT "QZD_BUILD_DIR=${CMAKE_BINARY_DIR};QZD_TEST_SLOWNESS=${slowness}")
endfunction()

daemon_fault_test(disk)
daemon_fault_test(child)
daemon_fault_test(state)
daemon_fault_test(load)
