# tests of mcts
unit_test(numeric mcts)
unit_test(random mcts)
unit_test(game mcts)
unit_test(connect4 mcts)
unit_test(tictactoe mcts)
bench(search mcts)
