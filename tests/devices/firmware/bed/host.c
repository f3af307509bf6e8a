/* The bed on this machine: cases from stdin, answers to stdout; each allocation is guarded by the sanitizer. */
#include <stdio.h>
#include <stdlib.h>

#include "bed.h"

static void *allocated[8];
static int count;

int bed_read(void *to, size_t n) {
    return n == 0 || fread(to, 1, n, stdin) == n;
}

void bed_write(const void *from, size_t n) {
    if (fwrite(from, 1, n, stdout) != n)
        exit(1);
}

void *bed_allocate(size_t n) {
    if (count == 8)
        exit(1);
    return allocated[count++] = malloc(n ? n : 1);
}

void bed_release(void) {
    while (count > 0)
        free(allocated[--count]);
}

uint32_t bed_ticks(void) {
    return 0;
}

int main(void) {
    return bed_main();
}
