# tests of trainer
unit_test(targets trainer)
unit_test(layers trainer)
unit_test(model trainer)
unit_test(optimizer trainer)
unit_test(window trainer)
unit_test(checkpoint trainer)
unit_test(train trainer)
bench(training trainer PkgConfig::OPENBLAS)
