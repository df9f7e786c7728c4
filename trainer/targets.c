#include "trainer/targets.h"
