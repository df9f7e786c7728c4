# tests of trainer
unit_test(model trainer)
