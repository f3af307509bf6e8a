/* Where the linker, or the host, has put things. */

#ifndef EDGE_MEMORY_MAP_H
#define EDGE_MEMORY_MAP_H

#include <stdint.h>

#include "edge_agent.h"

/* Fill in the pool, the flash for weights, the stack, and the sizes of sections. */
void edge_memory_map(struct edge_board *board);

/* How often the firmware began since its memory lost power; any number where that is unknown. */
uint32_t edge_boots(void);

#endif
