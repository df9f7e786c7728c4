# tests of storage
unit_test(error storage)
unit_test(policy storage)
unit_test(record storage)
unit_test(record_message storage)
unit_test(record_file storage)
unit_test(migrations storage)
unit_test(store storage)
unit_test(store_nets storage)
unit_test(store_tallies storage)
unit_test(store_files storage)
unit_test(store_faults storage)
target_link_options(test_store_faults PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup,--wrap=reallocarray)
