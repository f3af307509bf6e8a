#include "edge_crc32.h"

/* Four bits at a time: 64 bytes of table, about 10 instructions a byte. */
static const uint32_t edge_crc32_nibbles[16] = {
    0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U, 0x4DB26158U, 0x5005713CU,
    0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU, 0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
};

uint32_t edge_crc32(uint32_t crc, const uint8_t *data, uint32_t bytes)
{
    crc = ~crc;
    for (uint32_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ edge_crc32_nibbles[crc & 15U];
        crc = (crc >> 4) ^ edge_crc32_nibbles[crc & 15U];
    }
    return ~crc;
}
