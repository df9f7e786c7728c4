# fuzz_target(NAME LIBRARY...): tests/fuzz/fuzz_NAME.c. With QZD_FUZZ (clang) a libFuzzer program, which etc/fuzz runs; else
# with a driver that runs the corpus and two seconds of seeded mutations as a test.
function(fuzz_target name)
  add_executable(fuzz_${name} fuzz/fuzz_${name}.c fuzz/fuzz_file.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN} qzd_warnings m)
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  if(QZD_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  target_sources(fuzz_${name} PRIVATE fuzz/driver.c)
  add_test(NAME fuzz_${name} COMMAND fuzz_${name} --seconds 2 --runs 100000
           ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 300 LABELS "unit;fuzz")
endfunction()

fuzz_target(config daemon)
fuzz_target(json daemon)
fuzz_target(safetensors trainer_net)
fuzz_target(checkpoint trainer PkgConfig::SODIUM)
fuzz_target(record storage PkgConfig::ZLIB)
fuzz_target(suite selfplay)
fuzz_target(game mcts)
fuzz_target(http daemon PkgConfig::JANSSON)
fuzz_target(commands daemon)
target_link_options(fuzz_commands PRIVATE LINKER:--wrap=process_open)
fuzz_target(wire daemon PkgConfig::JANSSON)
target_link_options(fuzz_wire PRIVATE
  LINKER:--wrap=storage_thread_put,--wrap=storage_thread_full,--wrap=storage_thread_queue
  LINKER:--wrap=storage_thread_in_trouble,--wrap=supervisor_start,--wrap=log_event,--wrap=uv_queue_work)

add_executable(make_corpus EXCLUDE_FROM_ALL fuzz/make_corpus.c fuzz/fuzz_file.c)
target_link_libraries(make_corpus PRIVATE daemon PkgConfig::ZLIB qzd_warnings m)
target_include_directories(make_corpus PRIVATE ${PROJECT_SOURCE_DIR})
