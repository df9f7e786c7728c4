# The n-th allocation of our code fails: the linker sends calloc and aligned_alloc to the test first.
function(with_failing_allocations name)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=calloc,--wrap=aligned_alloc)
endfunction()

unit_test(net trainer_net)
with_failing_allocations(net)
unit_test(inference trainer_net)
with_failing_allocations(inference)

# The same test with each kernel; what the processor lacks is skipped (77).
foreach(kernel avx512 avx2 plain)
  add_test(NAME inference_${kernel} COMMAND test_inference)
  set_tests_properties(inference_${kernel} PROPERTIES
    ENVIRONMENT "QZD_KERNEL=${kernel}" SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS unit)
endforeach()

foreach(kernel avx512 amx)
  add_test(NAME inference_${kernel}_bf16 COMMAND test_inference)
  set_tests_properties(inference_${kernel}_bf16 PROPERTIES
    ENVIRONMENT "QZD_KERNEL=${kernel};QZD_PRECISION=bf16" SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS unit)
endforeach()

unit_test(precision trainer_net)
unit_test(safetensors trainer_net PkgConfig::JANSSON PkgConfig::SODIUM)
target_link_options(test_safetensors PRIVATE -Wl,--wrap=fsync,--wrap=rename)
unit_test(evaluator trainer_net)
unit_test(blas trainer_net)

bench(inference trainer_net)
bench(accuracy trainer_net)
