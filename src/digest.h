/* SHA-256, by libcrypto; and CRC-32, which it does not have. */
#ifndef LOCKSTEP_DIGEST_H
#define LOCKSTEP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct digest; /* a hash that is being computed */

/* NULL if libcrypto cannot provide SHA-256 (out of memory). */
struct digest *digest_begin(void);

/* Adds `length` bytes. */
void digest_add(struct digest *digest, const void *bytes, size_t length);

/* Writes the hash to `out` and frees `digest`. */
void digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE]);

/* The CRC-32 (IEEE 802.3, as zlib's) of what `crc` is the CRC of, 0 for nothing, and of these `length` bytes. */
uint32_t digest_crc32(uint32_t crc, const void *bytes, size_t length);

/* Writes 2 * length hexadecimal digits and a terminator to `text`. */
void digest_hex(const unsigned char *bytes, size_t length, char *text);

#endif
