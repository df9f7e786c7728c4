# tests of daemon
unit_test(config daemon PkgConfig::YAML PkgConfig::JANSSON)
target_link_options(test_config PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=open_memstream,--wrap=fmemopen)
unit_test(table daemon)
unit_test(query daemon PkgConfig::JANSSON)
unit_test(http daemon PkgConfig::JANSSON)
unit_test(qzctl daemon PkgConfig::JANSSON)
add_dependencies(test_qzctl qzctl)
# Tests with threads, which the tsan preset runs.
set_tests_properties(http PROPERTIES LABELS "unit;thread")
unit_test(scheduler daemon)
