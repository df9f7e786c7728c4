# tests of mcts
bench(search mcts)
