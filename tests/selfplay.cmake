# tests of selfplay
unit_test(settings selfplay PkgConfig::JANSSON)
unit_test(eval_cache selfplay)
target_link_options(test_eval_cache PRIVATE -Wl,--wrap=calloc)
unit_test(pool selfplay)
unit_test(game_slot selfplay)
unit_test(worker selfplay)
unit_test(worker_memory selfplay)
target_link_options(test_worker_memory PRIVATE
  -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=aligned_alloc -Wl,--wrap=strdup)
unit_test(player selfplay)
unit_test(suite selfplay)
bench(selfplay selfplay)
target_link_options(bench_selfplay PRIVATE -Wl,--wrap=evaluator_run)
