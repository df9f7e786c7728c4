# tests of mcts
unit_test(numeric mcts)
unit_test(random mcts)
unit_test(game mcts)
unit_test(connect4 mcts)
unit_test(tictactoe mcts)

# Nets that are a function of the position, for all tests that search.
add_library(made_up_net STATIC unit/made_up_net.c)
target_link_libraries(made_up_net PUBLIC mcts PkgConfig::CHECK PRIVATE qzd_warnings)

unit_test(search mcts made_up_net)
unit_test(search_play mcts made_up_net)
unit_test(search_choose mcts)
unit_test(search_memory mcts made_up_net)
target_link_options(test_search_memory PRIVATE -Wl,--wrap=calloc,--wrap=realloc)
unit_test(search_reference mcts made_up_net)
target_sources(test_search_reference PRIVATE unit/reference_puct.c)

bench(search mcts)
