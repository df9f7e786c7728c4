#include "selfplay/settings.h"
