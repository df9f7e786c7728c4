# The n-th allocation of our code fails: the linker sends calloc and aligned_alloc to the test first.
function(with_failing_allocations name)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=calloc,--wrap=aligned_alloc)
endfunction()

unit_test(net trainer_net)
with_failing_allocations(net)
unit_test(inference trainer_net)
with_failing_allocations(inference)

# The same test under each kernel that OpenBLAS may choose on a user's machine; what the processor
# lacks is skipped (77).
foreach(kernel Haswell Zen SkylakeX Cooperlake)
  add_test(NAME inference_${kernel} COMMAND test_inference)
  set_tests_properties(inference_${kernel} PROPERTIES
    ENVIRONMENT "OPENBLAS_CORETYPE=${kernel}" SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS unit)
endforeach()
add_test(NAME inference_unset COMMAND test_inference)
set_tests_properties(inference_unset PROPERTIES
  ENVIRONMENT_MODIFICATION "OPENBLAS_CORETYPE=unset:" TIMEOUT 300 LABELS unit)

unit_test(safetensors trainer_net PkgConfig::JANSSON PkgConfig::SODIUM)
target_link_options(test_safetensors PRIVATE -Wl,--wrap=fsync,--wrap=rename)
unit_test(evaluator trainer_net)
unit_test(blas trainer_net)

bench(inference trainer_net PkgConfig::OPENBLAS)
