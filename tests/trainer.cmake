# tests of trainer
unit_test(targets trainer)
unit_test(layers trainer)
unit_test(model trainer)
unit_test(optimizer trainer)
bench(training trainer PkgConfig::OPENBLAS)
