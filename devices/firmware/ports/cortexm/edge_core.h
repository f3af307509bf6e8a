/* What every Cortex-M has: interrupts, sleep, reset, the cycle counter; and the ring that received bytes wait in. */

#ifndef EDGE_CORE_H
#define EDGE_CORE_H

#include <stdint.h>

#define EDGE_REGISTER(at) (*(volatile uint32_t *)(uintptr_t)(at))

/* Let interrupt `number` through. */
void edge_interrupt_enable(uint32_t number);

/* Start the cycle counter. Whether it counts: emulators have none. */
int edge_cycles_start(void);
uint32_t edge_cycles(void);

/* From the interrupt: a byte came. */
void edge_ring_put(uint8_t byte);

/* A byte was lost before it came here. */
void edge_ring_lose(void);

#endif
