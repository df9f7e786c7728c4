#include "mcts/game.h"
