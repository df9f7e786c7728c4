#include "trainer/net/fma_peak.h"
