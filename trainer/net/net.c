#include "trainer/net/net.h"
