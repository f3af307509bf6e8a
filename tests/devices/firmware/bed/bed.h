/* What the driver of the kernels asks of the machine that it runs on. */
#ifndef BED_H
#define BED_H

#include <stddef.h>
#include <stdint.h>

/* Reads n bytes of the cases; 0 at their end. */
int bed_read(void *to, size_t n);
void bed_write(const void *from, size_t n);

/* n bytes of their own, at a multiple of 8; all are given back at once. */
void *bed_allocate(size_t n);
void bed_release(void);

/* Units of time since some begin. */
uint32_t bed_ticks(void);

int bed_main(void);

#endif
