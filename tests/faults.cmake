# fault_test(NAME LIBRARY...): tests/faults/test_NAME.c, Check programs like those of unit/.
function(fault_test name)
  add_executable(test_${name} faults/test_${name}.c)
  target_link_libraries(test_${name} PRIVATE ${ARGN} PkgConfig::CHECK qzd_warnings m)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(test_${name} PRIVATE -Wno-unknown-warning-option -Wno-format-truncation)
  add_test(NAME ${name} COMMAND test_${name})
  # Under sanitizers every fifteenth operation fails, else every one.
  set(every 1)
  if(QZD_SANITIZE OR QZD_COVERAGE)
    set(every 15)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS "unit;faults"
    ENVIRONMENT "QZD_TEST_FAULTS=${every}")
endfunction()

fault_test(store_disk storage)
target_sources(test_store_disk PRIVATE faults/vfs_shim.c faults/store_script.c)
