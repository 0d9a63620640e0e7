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

void digest_hex(const unsigned char *bytes, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}
