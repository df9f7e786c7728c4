# tests of mcts
