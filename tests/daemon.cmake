# tests of daemon
unit_test(config daemon PkgConfig::YAML PkgConfig::JANSSON)
unit_test(table daemon)
unit_test(query daemon PkgConfig::JANSSON)
