#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>

struct digest *digest_begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct digest *)context;
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes, length);
}

void digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    EVP_DigestFinal_ex((EVP_MD_CTX *)digest, out, NULL);
    EVP_MD_CTX_free((EVP_MD_CTX *)digest);
}

uint32_t digest_crc32(uint32_t crc, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    crc = ~crc;
    for (; length; length--, byte++) {
        crc ^= *byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

void digest_hex(const unsigned char *bytes, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}
