/* A net file. What is accepted encodes to bytes that decode to the same net. */
#include "tests/fuzz/fuzz.h"

#include "trainer/net/net.h"
#include "trainer/net/safetensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.text = ""};
    struct net *net = NULL;
    struct net *again = NULL;
    uint8_t *bytes = NULL;
    size_t encoded = 0;

    if (net_decode(data, size, "fuzz", &net, &err) < 0) {
        FUZZ_CHECK(err.text[0] != '\0' && net == NULL);
        return 0;
    }
    FUZZ_CHECK(net_encode(net, &bytes, &encoded, &err) == 0);
    FUZZ_CHECK(net_decode(bytes, encoded, "again", &again, &err) == 0);
    FUZZ_CHECK(net_arch_equal(&net->arch, &again->arch) && net->n_params == again->n_params);
    FUZZ_CHECK(memcmp(net->params, again->params, net->n_params * sizeof(float)) == 0);
    free(bytes);
    net_destroy(net);
    net_destroy(again);
    return 0;
}
