# tests of selfplay
unit_test(settings selfplay PkgConfig::JANSSON)
unit_test(eval_cache selfplay)
target_link_options(test_eval_cache PRIVATE -Wl,--wrap=calloc)
unit_test(pool selfplay)
unit_test(game_slot selfplay)
unit_test(worker selfplay)
