# tests of selfplay
