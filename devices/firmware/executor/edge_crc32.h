/* CRC-32 of IEEE 802.3, the one of zlib: of tables, blobs and tensors. */

#ifndef EDGE_CRC32_H
#define EDGE_CRC32_H

#include <stdint.h>

/* The CRC-32 of what `crc` was computed of, followed by `bytes` more; begin with crc = 0. */
uint32_t edge_crc32(uint32_t crc, const uint8_t *data, uint32_t bytes);

#endif
