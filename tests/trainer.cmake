# tests of trainer
