# tests of daemon
unit_test(config daemon PkgConfig::YAML PkgConfig::JANSSON)
